from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.addresses import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT, ITrackedConnection
from echoproto.protocols.deadlines import CATCH_UP
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.streamfactory import DRAIN_SILENCE
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory, announcedAddress
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import clientContext, serverContext
from tests.reactors.turns import TurnTestCase

TIMEOUTS = Timeouts()
PROXY = IPv4Address("TCP", "192.0.2.99", 40_000)
UNTRUSTED = IPv4Address("TCP", "192.0.2.98", 40_000)
CLIENT = IPv4Address("TCP", "198.51.100.1", 50_000)
CLIENT_6 = IPv6Address("TCP", "2001:db8::1", 50_000)


def line(client: IPv4Address | IPv6Address) -> bytes:
    """A version 1 header with ``client`` as its source."""
    family = "TCP6" if isinstance(client, IPv6Address) else "TCP4"
    return f"PROXY {family} {client.host} {client.host} {client.port} 7\r\n".encode()


def block(client: IPv4Address | IPv6Address | None) -> bytes:
    """A version 2 header with ``client`` as its source, or with the LOCAL command for ``None``."""
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    if client is None:
        return signature + b"\x20\x00\x00\x00"
    host = ip_address(client.host).packed
    body = host + host + struct.pack("!HH", client.port, 7)
    return (
        signature + struct.pack("!BBH", 0x21, 0x21 if len(host) == 16 else 0x11, len(body)) + body
    )


class ProxyProtocolTestCase(SynchronousTestCase):
    """An echo service behind a trusted proxy."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.admission = ConnectionAdmission(self.clock.seconds, maximum=3, perSource=1)
        self.service = EchoFactory(self.clock, self.observer, self.admission, TIMEOUTS)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.ANY, AddressFilter([PROXY.host])
        )

    def connect(self, peer: IAddress | None = PROXY) -> tuple[StreamPair, RecordingProtocol]:
        client = RecordingProtocol()
        return StreamPair(client, self.factory.buildProtocol(peer)), client

    def send(
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

    def assertAborted(self, pair: StreamPair) -> None:
        self.assertIsInstance(pair.server.closed, ConnectionAborted)

    def assertReleased(self) -> None:
        """All places are released, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.service.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HeaderTests(ProxyProtocolTestCase):
    def test_interfaces(self) -> None:
        """A connection that waits for its header provides ITrackedConnection."""
        verifyObject(ITrackedConnection, self.factory.buildProtocol(PROXY))

    def test_whole(self) -> None:
        """After a header of either version, the client is served under the announced address."""
        for header, client in (
            (line(CLIENT), CLIENT),
            (line(CLIENT_6), CLIENT_6),
            (block(CLIENT), CLIENT),
            (block(CLIENT_6), CLIENT_6),
        ):
            pair, recorder = self.send(header)
            self.assertEqual(self.observer.opened[-1], client)
            recorder.link.write(b"hello")
            pair.pump()
            self.assertEqual(recorder.received, b"hello")
            self.close(pair)
            self.assertEqual(self.observer.ended[-1].peer, client)
            self.assertEqual(self.observer.ended[-1].bytesReceived, 5)
            self.assertReleased()

    def test_byteByByte(self) -> None:
        """A header received byte by byte is accepted, and the data after it is echoed."""
        for header in (line(CLIENT), block(CLIENT_6)):
            pair, client = self.connect()
            pair.cut = lambda waiting: 1
            client.link.write(header + b"hello")
            pair.pump()
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [CLIENT, CLIENT_6])

    def test_headerDataAndFIN(self) -> None:
        """Header, data and FIN, in segments of any size: all data is echoed, then a FIN."""
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
            self.assertReleased()

    def test_onlyAHeader(self) -> None:
        """A header and a FIN without data are answered by a FIN; the connection is unused."""
        pair, client = self.connect()
        client.link.write(line(CLIENT))
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.events, ["made", "writeLost", "readLost"])
        [summary] = self.observer.ended
        self.assertEqual((summary.ending, summary.bytesSent), (CloseReason.UNUSED, 0))

    def test_backpressure(self) -> None:
        """A client that does not read is not read from; once it reads, it gets all data."""
        pair, client = self.connect()
        client.link.pauseProducing()
        client.link.write(line(CLIENT) + b"x" * 1_000_000)
        pair.pump()
        self.assertFalse(pair.server.reading)
        client.link.resumeProducing()
        pair.pump()
        self.assertEqual(len(client.received), 1_000_000)

    def test_noSource(self) -> None:
        """A header without a source, LOCAL or UNKNOWN, leaves the address of the proxy."""
        for header in (block(None), b"PROXY UNKNOWN\r\n"):
            pair, client = self.send(header + b"hello")
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [PROXY, PROXY])

    def test_checksOfTheProxy(self) -> None:
        """
        A header without a client is served whatever networks are allowed for clients, but within
        the other limits; an announced client is refused.
        """
        self.service.admission = self.admission = ConnectionAdmission(
            self.clock.seconds,
            perSource=1,
            networks=AddressFilter(["198.51.100.0/24"], deny=[PROXY.host]),
        )
        unspecified = block(None)[:12] + b"\x21\x00\x00\x00"
        for header in (block(None), unspecified, b"PROXY UNKNOWN\r\n", line(CLIENT)):
            pair, client = self.send(header + b"hello")
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertAborted(self.send(line(CLIENT_6))[0])
        first, _ = self.send(block(None))
        self.assertAborted(self.send(block(None))[0])
        self.close(first)
        self.assertEqual(
            self.observer.refused,
            [(CLIENT_6, Refusal.DENIED.value), (PROXY, Refusal.SOURCE_FULL.value)],
        )
        self.assertReleased()

    def test_noTimeoutAfterHeader(self) -> None:
        """After the header its timeout no longer applies."""
        pair, client = self.send(line(CLIENT))
        self.wait(10 * TIMEOUTS.header, pair)
        client.link.write(b"hello")
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertEqual(self.observer.refused, [])

    def test_announcedAddress(self) -> None:
        """announcedAddress() supports IPv4, IPv6 and mapped addresses."""
        self.assertEqual(announcedAddress(("198.51.100.1", 50_000)), CLIENT)
        self.assertEqual(announcedAddress(("2001:db8::1", 50_000)), CLIENT_6)
        mapped = IPv6Address("TCP", "::ffff:198.51.100.1", 1)
        self.assertEqual(announcedAddress(("::ffff:198.51.100.1", 1)), mapped)


class TLSTests(ProxyProtocolTestCase):
    """TLS between the PROXY header and the service."""

    def setUp(self) -> None:
        super().setUp()
        secured = TLSStreamFactory(serverContext, self.service, self.clock)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.V1, AddressFilter([PROXY.host]), secured
        )

    def secure(self) -> tuple[StreamPair, RecordingProtocol]:
        """Connect a client whose ClientHello follows its header immediately."""
        client = RecordingProtocol()
        wrapped: Any = Factory.forProtocol(lambda: client)
        clients = TLSStreamFactory(clientContext, wrapped, self.clock, "localhost")
        pair = StreamPair(clients.buildProtocol(PROXY), self.factory.buildProtocol(PROXY))
        pair.client.queue[:0] = line(CLIENT)
        return pair, client

    def move(self, pair: StreamPair) -> None:
        # TLS sends buffered small writes in the reactor's next turn.
        for _ in range(3):
            pair.pump()
            self.clock.advance(0)

    def test_header(self) -> None:
        """After the header, the announced client uses TLS, including a half-close."""
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
        self.assertReleased()

    def test_noHandshake(self) -> None:
        """Plain text after the header is reported as a failed handshake of the client."""
        pair, _ = self.send(line(CLIENT) + b"hello, in the clear")
        self.assertIsNotNone(pair.server.closed)
        self.assertEqual(self.observer.refused, [(CLIENT, "TLS handshake failed")])
        self.assertReleased()

    def test_refused(self) -> None:
        """An announced client that is refused is aborted before the handshake."""
        self.admission.admit(CLIENT.host)
        pair, client = self.secure()
        self.move(pair)
        self.assertAborted(pair)
        self.assertEqual(client.events, ["made", "lost"])
        self.assertEqual(self.observer.refused, [(CLIENT, Refusal.SOURCE_FULL.value)])
        self.admission.release(CLIENT.host)
        self.assertReleased()


class ProxyTests(ProxyProtocolTestCase):
    def test_untrusted(self) -> None:
        """A source that is not a trusted proxy is refused at once and takes no place."""
        self.assertIsNone(self.factory.buildProtocol(UNTRUSTED))
        self.assertEqual(self.observer.refused, [(UNTRUSTED, Refusal.UNTRUSTED.value)])
        self.assertReleased()

    def test_mapped(self) -> None:
        """A trusted proxy is recognized by its mapped IPv4 address too."""
        pair, client = self.send(
            line(CLIENT) + b"hello", IPv6Address("TCP", "::ffff:192.0.2.99", 1)
        )
        self.assertEqual(client.received, b"hello")
        self.close(pair)

    def test_UNIX(self) -> None:
        """A proxy on a UNIX socket is trusted: the permissions of the file control access."""
        for peer in (UNIXAddress(b""), None):
            pair, client = self.send(line(CLIENT) + b"hello", peer)
            self.assertEqual(client.received, b"hello")
            self.close(pair)
            pair, client = self.send(block(None) + b"hello", peer)
            self.assertEqual(client.received, b"hello")
            self.close(pair)
        self.assertEqual(self.observer.opened, [CLIENT, UNIXAddress(b""), CLIENT, None])
        self.assertReleased()

    def test_full(self) -> None:
        """At the maximum, a proxy's connection is refused before its header."""
        pairs = [self.connect()[0] for _ in range(3)]
        self.assertIsNone(self.factory.buildProtocol(PROXY))
        self.assertEqual(self.observer.refused, [(PROXY, Refusal.FULL.value)])
        self.close(*pairs)
        self.assertReleased()


class NoHeaderTests(ProxyProtocolTestCase):
    def test_late(self) -> None:
        """A proxy that does not complete its header in time is aborted."""
        for begun in (b"", b"PROXY TCP4 "):
            pair, _ = self.send(begun)
            self.wait(TIMEOUTS.header - 1, pair)
            self.assertIsNone(pair.server.closed)
            self.wait(1 + CHECK_INTERVAL, pair)
            self.assertAborted(pair)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")] * 2)
        self.assertReleased()

    def test_slowHeader(self) -> None:
        """The timeout covers the whole header: single bytes do not extend it."""
        pair, client = self.connect()
        for byte in line(CLIENT)[: round(TIMEOUTS.header) + 2]:
            client.link.write(bytes([byte]))
            self.wait(1, pair)
        self.assertAborted(pair)

    def test_ended(self) -> None:
        """A connection that ends before its header is complete is reported as without a header."""
        for begun in (b"", b"PROXY TCP4 "):
            for end in ("loseWriteConnection", "loseConnection", "abortConnection"):
                pair, _ = self.send(begun)
                getattr(pair.client, end)()
                pair.pump()
                self.assertIsNotNone(pair.server.closed)
                self.assertEqual(self.observer.refused.pop(), (PROXY, "no PROXY header"))
                self.assertReleased()
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))

    def test_invalid(self) -> None:
        """An invalid header aborts the connection, and the observer gets the reason."""
        for sent, reason in (
            (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
            (b"hello, this is no header", "no PROXY header"),
            (b"PROXY TCP4 one two three four\r\n", "PROXY header malformed"),
            (b"PROXY UNKNOWN" + b" " * 200, "PROXY header too long"),
        ):
            pair, client = self.send(sent)
            self.assertAborted(pair)
            self.assertEqual(client.received, b"")
            self.assertEqual(self.observer.refused.pop(), (PROXY, reason))
            self.assertReleased()
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))

    def test_versions(self) -> None:
        """A header of a version that is not accepted counts as no header."""
        for version, header in (
            (ProxyProtocolVersion.V1, block(CLIENT)),
            (ProxyProtocolVersion.V2, line(CLIENT)),
        ):
            self.factory = ProxyProtocolFactory(self.service, version, AddressFilter())
            pair, _ = self.send(header)
            self.assertAborted(pair)
        self.assertEqual(self.observer.refused, [(PROXY, "no PROXY header")] * 2)


class HeldUpTests(ProxyProtocolTestCase):
    def test_header(self) -> None:
        """A header that arrived while the process was stopped is in time."""
        pair, client = self.connect()
        self.clock.advance(100.0)
        client.link.write(line(CLIENT) + b"hello")
        pair.pump()
        self.clock.advance(CATCH_UP)
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertEqual(self.observer.refused, [])


class AdmissionTests(ProxyProtocolTestCase):
    def refuse(self, header: bytes, client: IAddress, refusal: Refusal) -> None:
        """Assert that an announced client is refused and its connection aborted without a reply."""
        pair, recorder = self.send(header + b"hello")
        self.assertAborted(pair)
        self.assertEqual(recorder.received, b"")
        self.assertEqual(self.observer.refused, [(client, refusal.value)])

    def test_whileWaiting(self) -> None:
        """A connection has a place while it waits for its header, and keeps it afterwards."""
        pair, client = self.connect()
        self.assertEqual(self.admission.open, 1)
        client.link.write(line(CLIENT))
        pair.pump()
        self.assertEqual(self.admission.open, 1)
        self.close(pair)
        self.assertReleased()

    def test_lastPlace(self) -> None:
        """A connection that waits in the last place is served in it."""
        waiting = [self.connect() for _ in range(3)]
        for number, (pair, client) in enumerate(waiting):
            announced = IPv4Address("TCP", f"198.51.100.{number}", 1)
            client.link.write(line(announced) + b"hello")
            pair.pump()
            self.assertEqual(client.received, b"hello")
            self.assertEqual(self.admission.room, 0)
        self.close(*(pair for pair, _ in waiting))
        self.assertReleased()

    def test_denied(self) -> None:
        """A denied client is refused under its announced address, not the proxy's."""
        self.service.admission = self.admission = ConnectionAdmission(
            self.clock.seconds, networks=AddressFilter(deny=[CLIENT.host])
        )
        self.refuse(line(CLIENT), CLIENT, Refusal.DENIED)
        self.assertReleased()

    def test_perSource(self) -> None:
        """Announced clients are counted by their own address against the limit per source."""
        first, _ = self.send(line(CLIENT))
        self.refuse(block(CLIENT), CLIENT, Refusal.SOURCE_FULL)
        second, _ = self.send(line(CLIENT_6))
        self.assertEqual(self.observer.opened, [CLIENT, CLIENT_6])
        self.close(first, second)
        self.assertReleased()

    def test_proxyIsNotCounted(self) -> None:
        """A proxy's connections do not count against the limit per source."""
        pairs = [self.connect()[0] for _ in range(3)]
        self.assertEqual((self.admission.open, self.observer.refused), (3, []))
        self.close(*pairs)

    def test_failingObserver(self) -> None:
        """If the observer raises, the place is still released and the connection removed."""

        class Failing(RecordingObserver):
            def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
                raise RuntimeError("disk full")

        self.service.observer = Failing()
        first, _ = self.send(line(CLIENT))
        self.assertRaises(RuntimeError, self.send, line(CLIENT))
        self.assertRaises(RuntimeError, self.send, b"no header")
        self.assertEqual(self.factory.tracker.connections, set())
        self.close(first)
        self.assertReleased()


class DrainTests(ProxyProtocolTestCase):
    def test_nothingOpen(self) -> None:
        """A drain without open connections is over at once, and new ones are refused."""
        self.assertIsNone(self.successResultOf(self.factory.drain()))
        self.assertIsNone(self.factory.buildProtocol(PROXY))
        self.assertIsNone(self.service.buildProtocol(CLIENT))
        self.assertEqual(self.observer.refused, [])
        self.assertReleased()

    def test_silentHeader(self) -> None:
        """In a drain, a connection without a header gets a short time, then is aborted."""
        pair, _ = self.connect()
        drained = self.factory.drain()
        self.wait(DRAIN_SILENCE - 0.2, pair)
        self.assertIsNone(pair.server.closed)
        self.wait(0.4, pair)
        self.assertAborted(pair)
        self.successResultOf(drained)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")])
        self.assertReleased()

    def test_timeoutIsNotExtended(self) -> None:
        """A drain does not extend the timeout of a header."""
        pair, _ = self.connect()
        self.wait(TIMEOUTS.header - 0.2, pair)
        self.factory.drain()
        self.wait(0.4, pair)
        self.assertAborted(pair)

    def test_headerInTime(self) -> None:
        """Headers received early in a drain are accepted, and their clients served."""
        (first, one), (second, two) = self.connect(), self.connect()
        drained = self.factory.drain()
        self.wait(0.2, first, second)
        for pair, client, announced in ((first, one, CLIENT), (second, two, CLIENT_6)):
            client.link.write(line(announced) + b"hello")
            client.link.loseWriteConnection()
            pair.pump()
            self.assertEqual(client.received, b"hello")
        self.successResultOf(drained)
        self.assertEqual(
            [summary.ending for summary in self.observer.ended], [CloseReason.FINISHED] * 2
        )
        self.assertReleased()

    def test_serviceDrainsAfterwards(self) -> None:
        """After the last pending header the service drains, and a silent client gets a FIN."""
        served, client = self.send(line(CLIENT) + b"hello")
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
        self.assertReleased()

    def test_deadlineOfTheService(self) -> None:
        """Connections of the service are aborted at the deadline of the same drain."""
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
        self.assertReleased()

    def test_deadlineBeforeAnyHeader(self) -> None:
        """A drain with a short deadline aborts pending headers, then is over."""
        pair, _ = self.connect()
        drained = self.factory.drain(0.1)
        self.wait(0.2, pair)
        self.assertAborted(pair)
        self.successResultOf(drained)
        self.assertEqual(self.observer.refused, [(PROXY, "PROXY header took too long")])
        self.assertReleased()


class TLSOnSocketsTests(TurnTestCase):
    """TLS behind a PROXY header on the direct reactor."""

    def handshake(self, isTogether: bool) -> None:
        """Connect with the header and the ClientHello in one segment or in two."""
        service = EchoFactory(self.reactor)
        secured = TLSStreamFactory(serverContext, service, self.reactor)
        trusted = AddressFilter(["127.0.0.1"])
        factory = ProxyProtocolFactory(service, ProxyProtocolVersion.V1, trusted, secured)
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        peer = socket.create_connection(port.socket.getsockname())
        self.addCleanup(peer.close)
        peer.setblocking(False)
        received, written = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = clientContext().wrap_bio(received, written, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        header = line(CLIENT)
        if isTogether:
            header += written.read()
        peer.send(header)
        self.turnUntil(lambda: service.tracker.connections)

        def isSecured() -> bool:
            peer.send(written.read())
            with contextlib.suppress(BlockingIOError):
                received.write(peer.recv(65_536))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                return True
            return False

        self.turnUntil(isSecured)
        connection: Any
        [connection] = service.tracker.connections
        self.assertEqual(connection.peer, CLIENT)
        connection.abort()
        port.stopListening()
        self.turnUntil(lambda: not service.tracker.connections)

    def test_together(self) -> None:
        """A ClientHello that arrives together with the header is answered."""
        self.handshake(True)

    def test_afterwards(self) -> None:
        """A ClientHello that arrives after the header is answered."""
        self.handshake(False)
