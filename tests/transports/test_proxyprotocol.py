from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from zope.interface.verify import verifyObject

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT, ITrackedConnection
from echoproto.protocols.deadlines import CATCH_UP
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.streamfactory import DRAIN_SILENCE
from echoproto.testing import RecordingObserver
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory, announcedAddress
from tests.transports.proxycase import (
    CLIENT,
    CLIENT_6,
    PROXY,
    TIMEOUTS,
    UNTRUSTED,
    ProxyProtocolTestCase,
    block,
    line,
)


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

    def test_options(self) -> None:
        """The options of the connection are set before its header is read."""
        pair, _ = self.connect()
        self.assertEqual(pair.server.options, {"TcpNoDelay": True, "TcpKeepAlive": True})
        self.close(pair)

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
