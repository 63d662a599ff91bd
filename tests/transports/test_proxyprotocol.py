from __future__ import annotations

import struct
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.addresses import AddressFilter
from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT, ITrackedConnection
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.stream import DRAIN_SILENCE
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory, announcedAddress
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import serverPEM

DEADLINES = Timeouts()
PROXY = IPv4Address("TCP", "192.0.2.99", 40_000)
STRANGER = IPv4Address("TCP", "192.0.2.98", 40_000)
CLIENT = IPv4Address("TCP", "198.51.100.1", 50_000)
CLIENT_6 = IPv6Address("TCP", "2001:db8::1", 50_000)


def line(client: IPv4Address | IPv6Address) -> bytes:
    """A header of version 1 that announces ``client``."""
    family = "TCP6" if isinstance(client, IPv6Address) else "TCP4"
    return f"PROXY {family} {client.host} {client.host} {client.port} 7\r\n".encode()


def block(client: IPv4Address | IPv6Address | None) -> bytes:
    """A header of version 2 that announces ``client``; the command LOCAL where ``None``."""
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    if client is None:
        return signature + b"\x20\x00\x00\x00"
    host = ip_address(client.host).packed
    body = host + host + struct.pack("!HH", client.port, 7)
    return (
        signature + struct.pack("!BBH", 0x21, 0x21 if len(host) == 16 else 0x11, len(body)) + body
    )


class ProxiedTestCase(SynchronousTestCase):
    """An echo service behind a proxy that is trusted."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.admission = ConnectionAdmission(self.clock.seconds, maximum=3, perSource=1)
        self.service = EchoFactory(self.clock, self.observer, self.admission, DEADLINES)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.ANY, AddressFilter([PROXY.host])
        )

    def connect(self, peer: IAddress | None = PROXY) -> tuple[StreamPair, RecordingProtocol]:
        client = RecordingProtocol()
        return StreamPair(client, self.factory.buildProtocol(peer)), client

    def say(
        self, data: bytes, peer: IAddress | None = PROXY
    ) -> tuple[StreamPair, RecordingProtocol]:
        """Connect and send ``data``."""
        pair, client = self.connect(peer)
        client.link.write(data)
        pair.pump()
        return pair, client

    def wait(self, seconds: float, *pairs: StreamPair) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            for pair in pairs:
                pair.pump()

    def close(self, *pairs: StreamPair) -> None:
        for pair in pairs:
            pair.client.loseConnection()
            pair.pump()

    def assertCut(self, pair: StreamPair) -> None:
        self.assertIsInstance(pair.server.closed, ConnectionAborted)

    def assertOver(self) -> None:
        """Every place was given back, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.service.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HeaderTests(ProxiedTestCase):
    def test_interfaces(self) -> None:
        """A connection whose header is awaited is swept."""
        verifyObject(ITrackedConnection, self.factory.buildProtocol(PROXY))

    def test_whole(self) -> None:
        """
        After a header, of either version, the client is served, and known by the announced address.
        """
        for header, client in (
            (line(CLIENT), CLIENT),
            (line(CLIENT_6), CLIENT_6),
            (block(CLIENT), CLIENT),
            (block(CLIENT_6), CLIENT_6),
        ):
            pair, recorder = self.say(header)
            self.assertEqual(self.observer.opened[-1], client)
            recorder.link.write(b"hello")
            pair.pump()
            self.assertEqual(recorder.received, b"hello")
            self.close(pair)
            self.assertEqual(self.observer.ended[-1].peer, client)
            self.assertEqual(self.observer.ended[-1].bytesReceived, 5)
            self.assertOver()

    def test_byteByByte(self) -> None:
        """A header that comes byte by byte is a header, and all that follows it is answered."""
        for header in (line(CLIENT), block(CLIENT_6)):
            pair, client = self.connect()
            pair.cut = lambda waiting: 1
            client.link.write(header + b"hello")
            pair.pump()
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [CLIENT, CLIENT_6])

    def test_allTogether(self) -> None:
        """
        Header, data and FIN at once, in pieces of any size: every byte comes back, then our FIN.
        """
        data = bytes(range(256)) * 40
        for size in (1, 7, 50, 65_536):
            pair, client = self.connect()
            pair.cut = lambda waiting, size=size: min(waiting, size)
            client.link.write(block(CLIENT) + data)
            client.link.loseWriteConnection()
            pair.pump()
            self.assertEqual(client.received, data)
            self.assertEqual(client.events, ["made", "data", "writeLost", "readLost"])
            self.assertEqual(self.observer.ended[-1].ending, CloseReason.FINISHED)
            self.assertOver()

    def test_nothingButAHeader(self) -> None:
        """A header and a FIN: our FIN comes back, and the connection is finished."""
        pair, client = self.connect()
        client.link.write(line(CLIENT))
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.events, ["made", "writeLost", "readLost"])
        [summary] = self.observer.ended
        self.assertEqual((summary.ending, summary.bytesSent), (CloseReason.FINISHED, 0))

    def test_backpressure(self) -> None:
        """A client behind a proxy that never reads is not read from; when it reads, all comes."""
        pair, client = self.connect()
        client.link.pauseProducing()
        client.link.write(line(CLIENT) + b"x" * 1_000_000)
        pair.pump()
        self.assertFalse(pair.server.reading)
        client.link.resumeProducing()
        pair.pump()
        self.assertEqual(len(client.received), 1_000_000)

    def test_nobodyAnnounced(self) -> None:
        """A header that names nobody, LOCAL or UNKNOWN, leaves the proxy's own address."""
        for header in (block(None), b"PROXY UNKNOWN\r\n"):
            pair, client = self.say(header + b"hello")
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [PROXY, PROXY])

    def test_timeIsUpNoMore(self) -> None:
        """Once the header has come, its deadline is past caring about."""
        pair, client = self.say(line(CLIENT))
        self.wait(10 * DEADLINES.header, pair)
        client.link.write(b"hello")
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertEqual(self.observer.refused, [])

    def test_announcedAddress(self) -> None:
        """The address of either family."""
        self.assertEqual(announcedAddress(("198.51.100.1", 50_000)), CLIENT)
        self.assertEqual(announcedAddress(("2001:db8::1", 50_000)), CLIENT_6)
        mapped = IPv6Address("TCP", "::ffff:198.51.100.1", 1)
        self.assertEqual(announcedAddress(("::ffff:198.51.100.1", 1)), mapped)


class TLSTests(ProxiedTestCase):
    """TLS between the header and the service."""

    def setUp(self) -> None:
        super().setUp()
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        secured = TLSStreamFactory(options, False, self.service, self.clock)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.V1, AddressFilter([PROXY.host]), secured
        )

    def secure(self) -> tuple[StreamPair, RecordingProtocol]:
        """A client whose ClientHello comes right behind the header."""
        client = RecordingProtocol()
        options = optionsForClientTLS("localhost", Certificate.loadPEM(serverPEM()))
        clients = TLSStreamFactory(options, True, Factory.forProtocol(lambda: client), self.clock)
        pair = StreamPair(clients.buildProtocol(PROXY), self.factory.buildProtocol(PROXY))
        pair.client.queue[:0] = line(CLIENT)
        return pair, client

    def move(self, pair: StreamPair) -> None:
        # TLS writes its small pieces at the reactor's next turn.
        for _ in range(3):
            pair.pump()
            self.clock.advance(0)

    def test_header(self) -> None:
        """Behind a header TLS is spoken with the announced client, and its half-close honoured."""
        pair, client = self.secure()
        pair.step()
        self.assertEqual(self.observer.opened, [])
        self.move(pair)
        self.assertEqual(self.observer.opened, [CLIENT])
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        self.move(pair)
        self.assertEqual(client.received, b"hello")
        [summary] = self.observer.ended
        self.assertEqual((summary.peer, summary.ending), (CLIENT, CloseReason.FINISHED))
        self.assertOver()

    def test_noHandshake(self) -> None:
        """Behind a header something else than TLS: the announced client is told to have failed."""
        pair, _ = self.say(line(CLIENT) + b"hello, in the clear")
        self.assertIsNotNone(pair.server.closed)
        self.assertEqual(self.observer.refused, [(CLIENT, "TLS handshake failed")])
        self.assertOver()

    def test_refused(self) -> None:
        """An announced client that is refused is cut before any TLS is spoken."""
        self.admission.admit(CLIENT.host)
        pair, client = self.secure()
        self.move(pair)
        self.assertCut(pair)
        self.assertEqual(client.events, ["made", "lost"])
        self.assertEqual(self.observer.refused, [(CLIENT, Refusal.SOURCE_FULL.value)])
        self.admission.release(CLIENT.host)
        self.assertOver()


class ProxyTests(ProxiedTestCase):
    def test_untrusted(self) -> None:
        """A source that is no trusted proxy is refused at once, and takes no place."""
        self.assertIsNone(self.factory.buildProtocol(STRANGER))
        self.assertEqual(self.observer.refused, [(STRANGER, Refusal.UNTRUSTED.value)])
        self.assertOver()

    def test_mapped(self) -> None:
        """A trusted proxy is one also where its address comes mapped into IPv6."""
        pair, client = self.say(line(CLIENT) + b"hello", IPv6Address("TCP", "::ffff:192.0.2.99", 1))
        self.assertEqual(client.received, b"hello")
        self.close(pair)

    def test_UNIX(self) -> None:
        """A proxy on a UNIX socket is trusted, as its file's permissions say."""
        for peer in (UNIXAddress(b""), None):
            pair, client = self.say(line(CLIENT) + b"hello", peer)
            self.assertEqual(client.received, b"hello")
            self.close(pair)
            pair, client = self.say(block(None) + b"hello", peer)
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [CLIENT, UNIXAddress(b""), CLIENT, None])
        self.assertOver()

    def test_full(self) -> None:
        """
        Where there is no place for one more, a proxy's connection is refused before its header.
        """
        pairs = [self.connect()[0] for _ in range(3)]
        self.assertIsNone(self.factory.buildProtocol(PROXY))
        self.assertEqual(self.observer.refused, [(PROXY, Refusal.FULL.value)])
        self.close(*pairs)
        self.assertOver()


class NoHeaderTests(ProxiedTestCase):
    def test_late(self) -> None:
        """A proxy that sends no whole header in time is cut."""
        for begun in (b"", b"PROXY TCP4 "):
            pair, _ = self.say(begun)
            self.wait(DEADLINES.header - 1, pair)
            self.assertIsNone(pair.server.closed)
            self.wait(1 + CHECK_INTERVAL, pair)
            self.assertCut(pair)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")] * 2)
        self.assertOver()

    def test_dripping(self) -> None:
        """The time is for the whole header: a byte now and then does not prolong it."""
        pair, client = self.connect()
        for byte in line(CLIENT)[: round(DEADLINES.header) + 2]:
            client.link.write(bytes([byte]))
            self.wait(1, pair)
        self.assertCut(pair)

    def test_ended(self) -> None:
        """A connection that ends before its header is whole, by FIN or reset, had none."""
        for begun in (b"", b"PROXY TCP4 "):
            for end in ("loseWriteConnection", "loseConnection", "abortConnection"):
                pair, _ = self.say(begun)
                getattr(pair.client, end)()
                pair.pump()
                self.assertIsNotNone(pair.server.closed)
                self.assertEqual(self.observer.refused.pop(), (PROXY, "no PROXY header"))
                self.assertOver()
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))

    def test_bad(self) -> None:
        """What is no header is cut at once, and the observer told what is wrong with it."""
        for sent, reason in (
            (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
            (b"hello, this is no header", "no PROXY header"),
            (b"PROXY TCP4 one two three four\r\n", "PROXY header malformed"),
            (b"PROXY UNKNOWN" + b" " * 200, "PROXY header too long"),
        ):
            pair, client = self.say(sent)
            self.assertCut(pair)
            self.assertEqual(client.received, b"")
            self.assertEqual(self.observer.refused.pop(), (PROXY, reason))
            self.assertOver()
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))

    def test_versions(self) -> None:
        """A version that is not taken is no header."""
        for version, header in (
            (ProxyProtocolVersion.V1, block(CLIENT)),
            (ProxyProtocolVersion.V2, line(CLIENT)),
        ):
            self.factory = ProxyProtocolFactory(self.service, version, AddressFilter())
            pair, _ = self.say(header)
            self.assertCut(pair)
        self.assertEqual(self.observer.refused, [(PROXY, "no PROXY header")] * 2)


class PlacesTests(ProxiedTestCase):
    def refuse(self, header: bytes, client: IAddress, refusal: Refusal) -> None:
        """
        ``client``, announced, is refused and its connection cut, with no answer and nothing left
        over.
        """
        pair, recorder = self.say(header + b"hello")
        self.assertCut(pair)
        self.assertEqual(recorder.received, b"")
        self.assertEqual(self.observer.refused, [(client, refusal.value)])

    def test_whileWaiting(self) -> None:
        """
        A connection has a place while its header is awaited, and the same one place afterwards.
        """
        pair, client = self.connect()
        self.assertEqual(self.admission.open, 1)
        client.link.write(line(CLIENT))
        pair.pump()
        self.assertEqual(self.admission.open, 1)
        self.close(pair)
        self.assertOver()

    def test_lastPlace(self) -> None:
        """The last place is as good as any: who waits in it is served in it."""
        waiting = [self.connect() for _ in range(3)]
        for number, (pair, client) in enumerate(waiting):
            announced = IPv4Address("TCP", f"198.51.100.{number}", 1)
            client.link.write(line(announced) + b"hello")
            pair.pump()
            self.assertEqual(client.received, b"hello")
            self.assertEqual(self.admission.room, 0)
        self.close(*(pair for pair, _ in waiting))
        self.assertOver()

    def test_denied(self) -> None:
        """
        An announced client that may not come is refused under its own address, not the proxy's.
        """
        self.service.admission = self.admission = ConnectionAdmission(
            self.clock.seconds, networks=AddressFilter(deny=[CLIENT.host])
        )
        self.refuse(line(CLIENT), CLIENT, Refusal.DENIED)
        self.assertOver()

    def test_tooMany(self) -> None:
        """
        Each announced client is counted for itself; one that has its share is refused, another not.
        """
        first, _ = self.say(line(CLIENT))
        self.refuse(block(CLIENT), CLIENT, Refusal.SOURCE_FULL)
        second, _ = self.say(line(CLIENT_6))
        self.assertEqual(self.observer.opened, [CLIENT, CLIENT_6])
        self.close(first, second)
        self.assertOver()

    def test_proxyIsNoSource(self) -> None:
        """A proxy's connections do not count against a limit for each source."""
        pairs = [self.connect()[0] for _ in range(3)]
        self.assertEqual((self.admission.open, self.observer.refused), (3, []))
        self.close(*pairs)

    def test_failingObserver(self) -> None:
        """An observer that raises costs no place, and the connection is forgotten."""

        class Failing(RecordingObserver):
            def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
                raise RuntimeError("disk full")

        self.service.observer = Failing()
        first, _ = self.say(line(CLIENT))
        self.assertRaises(RuntimeError, self.say, line(CLIENT))
        self.assertRaises(RuntimeError, self.say, b"no header")
        self.assertEqual(self.factory.tracker.connections, set())
        self.close(first)
        self.assertOver()


class DrainTests(ProxiedTestCase):
    def test_nothingOpen(self) -> None:
        """With no connection open the drain is over at once, and nobody new is taken."""
        self.assertIsNone(self.successResultOf(self.factory.drain()))
        self.assertIsNone(self.factory.buildProtocol(PROXY))
        self.assertIsNone(self.service.buildProtocol(CLIENT))
        self.assertEqual(self.observer.refused, [])
        self.assertOver()

    def test_silentHeader(self) -> None:
        """Whoever has not sent a header gets a moment more, is cut, and the drain is over."""
        pair, _ = self.connect()
        drained = self.factory.drain()
        self.wait(DRAIN_SILENCE - 0.2, pair)
        self.assertIsNone(pair.server.closed)
        self.wait(0.4, pair)
        self.assertCut(pair)
        self.successResultOf(drained)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")])
        self.assertOver()

    def test_deadlineIsNotPutOff(self) -> None:
        """A header that is due sooner than that is due then."""
        pair, _ = self.connect()
        self.wait(DEADLINES.header - 0.2, pair)
        self.factory.drain()
        self.wait(0.4, pair)
        self.assertCut(pair)

    def test_headerInTime(self) -> None:
        """
        A header that comes in that moment is taken, also the last, and its client served to the
        end.
        """
        (first, one), (second, two) = self.connect(), self.connect()
        drained = self.factory.drain()
        self.wait(0.2, first, second)
        for pair, client, announced in ((first, one, CLIENT), (second, two, CLIENT_6)):
            client.link.write(line(announced) + b"hello")
            client.link.loseWriteConnection()
            pair.pump()
            self.assertEqual(client.received, b"hello")
        self.successResultOf(drained)
        self.assertEqual([e.ending for e in self.observer.ended], [CloseReason.FINISHED] * 2)
        self.assertOver()

    def test_thenTheService(self) -> None:
        """When no header is awaited any more, the service drains: who is silent gets our FIN."""
        served, client = self.say(line(CLIENT) + b"hello")
        waiting, _ = self.connect()
        drained = self.factory.drain()
        self.wait(DRAIN_SILENCE - 0.2, served, waiting)
        self.assertFalse(self.service.tracker.draining)
        self.wait(0.4, served, waiting)
        self.assertTrue(self.service.tracker.draining)
        self.wait(DRAIN_SILENCE + 0.2, served)
        self.assertEqual(client.events, ["made", "data", "readLost"])
        self.assertNoResult(drained)
        self.close(served)
        self.successResultOf(drained)
        self.assertEqual(self.observer.ended[0].ending, CloseReason.DRAINED)
        self.assertOver()

    def test_deadlineOfTheService(self) -> None:
        """
        What the service has open at the drain's deadline is aborted: it is one deadline for both.
        """
        served, client = self.connect()
        client.link.pauseProducing()
        client.link.write(line(CLIENT) + b"x" * 1_000_000)
        served.pump()
        waiting, _ = self.connect()
        drained = self.factory.drain()
        self.wait(DRAIN_TIMEOUT - 0.2, served, waiting)
        self.assertIsNone(served.server.closed)
        self.wait(0.4, served, waiting)
        self.successResultOf(drained)
        self.assertEqual(self.observer.ended[0].ending, CloseReason.ABORTED)
        self.assertOver()

    def test_deadlineBeforeAnyHeader(self) -> None:
        """A drain that leaves no time cuts who awaits a header, then is over."""
        pair, _ = self.connect()
        drained = self.factory.drain(0.1)
        self.wait(0.2, pair)
        self.assertCut(pair)
        self.successResultOf(drained)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")])
        self.assertOver()
