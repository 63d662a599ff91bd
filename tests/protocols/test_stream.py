from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from echoproto.addresses import AddressFilter
from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT, ITrackedConnection
from echoproto.protocols.deadlines import CATCH_UP
from echoproto.protocols.echo import EchoFactory, EchoProtocol
from echoproto.protocols.observer import CloseReason, ConnectionSummary
from echoproto.protocols.stream import (
    DRAIN_HANDSHAKE,
    DRAIN_SILENCE,
    LINGER_SILENCE,
    Stage,
    StreamFactory,
    StreamProtocol,
    TrustedPeer,
    canHalfClose,
)
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from echoproto.transports.unix import UNIXPeer

TIMEOUTS = Timeouts()

#: A client address that differs from :data:`CLIENT_ADDRESS`.
OTHER_ADDRESS = IPv6Address("TCP", "2001:db8::7", 50_001)


def secureTransport() -> StringTransport:
    """Make a TLS transport like Twisted's, which cannot be half-closed."""
    transport = StringTransport()
    directlyProvides(transport, ISSLTransport)
    return transport


class StreamTestCase(SynchronousTestCase):
    """An echo connection in memory, and a client controlled by the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.admission = ConnectionAdmission(self.clock.seconds)
        self.factory = EchoFactory(self.clock, self.observer, self.admission, TIMEOUTS)
        self.pair, self.client, self.server = self.connect()

    def connect(self) -> tuple[StreamPair, RecordingProtocol, EchoProtocol]:
        client = RecordingProtocol()
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        return StreamPair(client, server), client, server

    def send(self, data: bytes) -> None:
        self.client.link.write(data)
        self.pair.pump()

    def wait(self, seconds: float) -> None:
        """Advance the clock in steps, and move data after each."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.pair.pump()

    def holdsQueue(self) -> None:
        """Make the factory see the queue of the memory transport as unsent kernel data."""
        self.factory.unsentBytes = lambda transport: len(transport.queue)

    def neverRead(self) -> None:
        """The client sends more than the queue holds and reads nothing, which pauses the server."""
        self.holdsQueue()
        self.client.link.pauseProducing()
        self.send(b"x" * 1_000_000)
        self.assertFalse(self.pair.server.reading)

    def ended(self) -> CloseReason:
        [summary] = self.observer.ended
        return summary.ending

    def assertReleased(self) -> None:
        """All places are released, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OpeningTests(StreamTestCase):
    def test_interfaces(self) -> None:
        """The protocol provides its declared interfaces."""
        verifyObject(IHalfCloseableProtocol, self.server)
        verifyObject(IHandshakeListener, self.server)
        verifyObject(IPushProducer, self.server)
        verifyObject(ITrackedConnection, self.server)

    def test_socketOptions(self) -> None:
        """TCP_NODELAY and keepalive are set on a TCP connection."""
        transport = self.pair.server
        self.assertTrue(transport.getTcpNoDelay() and transport.getTcpKeepAlive())

    def test_noSocketOptions(self) -> None:
        """A transport without socket options is accepted."""
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(StringTransport())
        self.assertIs(server.stage, Stage.OPEN)

    def test_observed(self) -> None:
        """The observer is notified of a new connection with its peer."""
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_peerOfTheFactory(self) -> None:
        """The peer is the address passed to the factory, not the one of the transport."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertEqual(self.observer.opened[-1], OTHER_ADDRESS)
        self.assertEqual(self.observer.ended[-1].peer, OTHER_ADDRESS)

    def test_noPeer(self) -> None:
        """A connection without an address is served normally."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(None))
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertIsNone(self.observer.ended[-1].peer)

    def test_defaults(self) -> None:
        """A factory with default arguments has the default timeouts and admits every client."""
        factory = EchoFactory(self.clock)
        self.assertEqual(factory.timeouts, Timeouts())
        self.assertEqual(factory.admission.room, inf)
        self.assertIsNot(factory.admission, EchoFactory(self.clock).admission)

    def test_subclass(self) -> None:
        """In a subclass, ``send`` counts sent bytes, and sends nothing after the FIN."""

        class Doubling(StreamProtocol):
            def dataReceived(self, data: bytes) -> None:
                self.bytesReceived += len(data)
                self.send(2 * data)

        factory = StreamFactory(self.clock, self.observer)
        factory.protocol = Doubling
        client, server = RecordingProtocol(), factory.buildProtocol(CLIENT_ADDRESS)
        pair = StreamPair(client, server)
        client.link.write(b"abc")
        pair.pump()
        server.finish()
        client.link.write(b"more")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"abcabc")
        [summary] = self.observer.ended
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (7, 6))
        self.assertIs(summary.ending, CloseReason.FINISHED)


class UserTests(StreamTestCase):
    def test_users(self) -> None:
        """Clients of a UNIX socket are limited by user, and give their places back."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        factory = EchoFactory(self.clock, self.observer, admission)
        for _ in range(2):
            client = RecordingProtocol()
            pair = StreamPair(client, factory.buildProtocol(UNIXPeer("", 1000)))
            self.assertIsNone(factory.buildProtocol(UNIXPeer("", 1000)))
            client.link.loseConnection()
            pair.pump()


class HalfCloseTests(StreamTestCase):
    def test_everythingThenFIN(self) -> None:
        """After the client's FIN, all data is echoed and followed by a FIN, without an abort."""
        data = bytes(range(256)) * 1000
        self.client.link.write(data)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, data)
        self.assertEqual(self.client.events, ["made", "data", "writeLost", "readLost"])
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_summary(self) -> None:
        """The summary has the peer, the close reason, the duration and the byte counts."""
        self.send(b"hello")
        self.clock.advance(0.5)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(
            self.observer.ended,
            [ConnectionSummary(CLIENT_ADDRESS, CloseReason.FINISHED, 0.5, 5, 5)],
        )

    def test_pausedServerStillFlushes(self) -> None:
        """A FIN received while the server was paused does not lose the pending data."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * 200_000)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertLessEqual(len(self.pair.server.queue), 2 * 65_536)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 200_000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_clientThatNeverReads(self) -> None:
        """A client that sends its FIN and does not read is aborted at the stall timeout."""
        self.leaveUnread(1000)
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_slowClient(self) -> None:
        """A client that slowly reads its pending data is not aborted."""
        self.leaveUnread(1000)
        for unsent in range(10, 0, -1):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(TIMEOUTS.stall - 2)
        self.assertEqual(self.observer.ended, [])
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_tooSlowClient(self) -> None:
        """However steadily it reads, a client is aborted at the close timeout."""
        self.leaveUnread(1000)
        unsent = iter(range(1_000_000, 0, -1))
        self.factory.unsentBytes = lambda transport: next(unsent)
        self.wait(TIMEOUTS.close - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def leaveUnread(self, size: int) -> None:
        """Send bytes and a FIN from the client, which does not read."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * size)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertIs(self.server.stage, Stage.FLUSHING)

    def test_reset(self) -> None:
        """A connection reset by the client is reported as lost and removed from the factory."""
        self.send(b"hello")
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.LOST)
        self.assertEqual(self.factory.tracker.connections, set())

    def test_unused(self) -> None:
        """A connection that the client ends before a byte was exchanged is unused."""
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.UNUSED)
        pair, client, _ = self.connect()
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(self.observer.ended[-1].ending, CloseReason.UNUSED)


class BackpressureTests(StreamTestCase):
    def test_bounded(self) -> None:
        """The server reads at most a full queue and one segment from a client that never reads."""
        self.client.link.pauseProducing()
        self.send(b"x" * 10_000_000)
        self.assertLessEqual(self.server.bytesReceived, 2 * 65_536)
        self.assertFalse(self.pair.server.reading)

    def test_resumed(self) -> None:
        """When the client reads again, all data is transferred."""
        self.client.link.pauseProducing()
        self.send(b"x" * 10_000_000)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 10_000_000)

    def test_stopProducing(self) -> None:
        """A transport that disappears may call stopProducing before connectionLost."""
        self.server.stopProducing()
        self.assertIs(self.server.stage, Stage.OPEN)


class FinishTests(StreamTestCase):
    def test_discard(self) -> None:
        """finish() flushes, sends a FIN, discards received data and ends at the client's FIN."""
        self.send(b"before")
        self.server.finish()
        self.pair.pump()
        self.send(b"after")
        self.assertEqual(self.client.received, b"before")
        self.assertEqual(self.client.events, ["made", "data", "readLost"])
        self.client.link.loseConnection()
        self.pair.pump()
        [summary] = self.observer.ended
        self.assertEqual(summary.ending, CloseReason.FINISHED)
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (11, 6))

    def test_twice(self) -> None:
        """A second finish() has no effect."""
        self.server.finish()
        self.server.finish()
        self.pair.pump()
        self.assertEqual(self.client.events, ["made", "readLost"])

    def test_silentClient(self) -> None:
        """After finish(), a silent client that does not close is closed after a timeout."""
        self.server.finish()
        self.wait(LINGER_SILENCE - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_silentClientWithUnsentBytes(self) -> None:
        """While the kernel holds unsent bytes, a silent client is kept until the linger timeout."""
        self.factory.unsentBytes = lambda transport: 100
        self.server.finish()
        self.wait(TIMEOUTS.linger - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def test_silentClientOverTLS(self) -> None:
        """Over TLS, a silent client is aborted after finish() and reported as finished."""
        transport = secureTransport()
        server = self.factory.buildProtocol(OTHER_ADDRESS)
        server.makeConnection(transport)
        server.handshakeCompleted()
        server.finish()
        self.wait(LINGER_SILENCE - 1)
        self.assertFalse(transport.disconnected)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(transport.disconnected)
        server.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_endlessSender(self) -> None:
        """A client that continues to send after finish() is aborted at the linger timeout."""
        self.server.finish()
        for _ in range(round(TIMEOUTS.linger) - 1):
            self.wait(1)
            self.send(b"and another thing")
        self.assertEqual(self.observer.ended, [])
        self.wait(2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def test_pausedServer(self) -> None:
        """finish() resumes reading on a paused connection, to receive the client's FIN."""
        self.client.link.pauseProducing()
        self.send(b"x" * 200_000)
        self.server.finish()
        self.assertTrue(self.pair.server.reading)

    def test_overTLS(self) -> None:
        """Over Twisted's TLS, finish() calls loseConnection, which sends close_notify."""
        transport = secureTransport()
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(transport)
        server.handshakeCompleted()
        server.finish()
        self.assertTrue(transport.disconnecting)

    def test_canHalfClose(self) -> None:
        """
        A transport can half-close if its class has the method, with or without TLS; delegating the
        method to a wrapped transport does not count.
        """

        class Lending(StringTransport):
            loseWriteConnection: Callable[[], None]

        lending = Lending()
        lending.loseWriteConnection = self.pair.server.loseWriteConnection
        self.assertFalse(canHalfClose(lending))
        self.assertFalse(canHalfClose(StringTransport()))
        self.assertTrue(canHalfClose(self.pair.server))
        directlyProvides(self.pair.server, ISSLTransport)
        self.assertTrue(canHalfClose(self.pair.server))


class IdleTests(StreamTestCase):
    def test_silentClient(self) -> None:
        """An idle client gets a FIN, and is reported as idle when it closes."""
        self.wait(TIMEOUTS.idle - 1)
        self.assertEqual(self.client.events, ["made"])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.client.events, ["made", "readLost"])
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.IDLE)
        self.assertReleased()

    def test_silentAgain(self) -> None:
        """The idle timeout restarts with received data."""
        self.wait(TIMEOUTS.idle - 1)
        self.send(b"hello")
        self.wait(TIMEOUTS.idle - 1)
        self.assertEqual(self.client.events, ["made", "data"])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.client.events, ["made", "data", "readLost"])
        self.assertEqual(self.client.received, b"hello")

    def test_sendingNowAndThen(self) -> None:
        """A client that sends a byte now and then is never idle."""
        for _ in range(5):
            self.wait(TIMEOUTS.idle - 1)
            self.send(b"x")
        self.assertEqual(self.client.events, ["made", "data"])
        self.assertEqual(self.client.received, b"xxxxx")

    def test_never(self) -> None:
        """With an infinite idle timeout a silent connection stays open for a day."""
        self.factory.timeouts = replace(TIMEOUTS, idle=inf)
        self.clock.pump([60.0] * 60 * 24)
        self.send(b"still there")
        self.assertEqual(self.client.received, b"still there")

    def test_reasonIsKept(self) -> None:
        """An idle client that then resets or does not close is still reported as idle."""
        for reset in (True, False):
            self.wait(TIMEOUTS.idle + CHECK_INTERVAL)
            if reset:
                self.client.link.abortConnection()
            self.wait(LINGER_SILENCE + CHECK_INTERVAL)
            self.assertEqual(self.ended(), CloseReason.IDLE)
            self.observer.ended.clear()
            self.pair, self.client, self.server = self.connect()

    def test_reasonIsKeptAtTheTimeout(self) -> None:
        """An idle client that sends after the FIN is aborted at the linger timeout as idle."""
        self.wait(TIMEOUTS.idle + CHECK_INTERVAL)
        self.holdsQueue()
        for _ in range(round(TIMEOUTS.linger + CHECK_INTERVAL)):
            self.wait(1)
            self.send(b"and another thing")
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertEqual(self.ended(), CloseReason.IDLE)

    def test_queriedOnce(self) -> None:
        """The kernel is queried once when a client falls silent, not for one always silent."""
        queried = []

        def unsent(transport: object) -> int:
            queried.append(self.clock.seconds())
            return 0

        self.factory.unsentBytes = unsent
        self.wait(60)
        self.assertEqual(queried, [])
        self.send(b"hello")
        self.wait(60)
        self.assertEqual(len(queried), 1)


class StallTests(StreamTestCase):
    def test_clientThatNeverReads(self) -> None:
        """A client that reads none of its pending data is aborted at the stall timeout."""
        self.neverRead()
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertReleased()

    def test_nothingQueued(self) -> None:
        """Unsent bytes in the kernel make a client stalled, even if the queue is empty."""
        self.factory.unsentBytes = lambda transport: 5
        self.send(b"hello")
        self.assertTrue(self.pair.server.reading)
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_kernelWithoutInformation(self) -> None:
        """If the kernel gives no information, a client for which the server pauses is stalled."""
        self.client.link.pauseProducing()
        self.send(b"x" * 1_000_000)
        self.wait(TIMEOUTS.stall + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_progress(self) -> None:
        """A client that reads a little now and then is neither stalled nor idle."""
        self.neverRead()
        for unsent in range(1000, 980, -1):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(TIMEOUTS.stall - 2)
        self.assertEqual(self.observer.ended, [])
        self.holdsQueue()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1_000_000)

    def test_progressAfterNothing(self) -> None:
        """A paused server checks for progress again after the kernel was empty."""
        self.neverRead()
        self.factory.unsentBytes = lambda transport: 0
        self.wait(2 * CHECK_INTERVAL)
        for unsent in (2000, 1000):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(TIMEOUTS.stall - 2)
        self.assertEqual(self.observer.ended, [])

    def test_idleAfterwards(self) -> None:
        """The idle timeout restarts when a client has read all of its pending data."""
        self.neverRead()
        self.wait(TIMEOUTS.stall - 2)
        self.client.link.resumeProducing()
        self.wait(TIMEOUTS.idle - 1)
        self.assertNotIn("readLost", self.client.events)
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.client.events[-1], "readLost")
        self.assertEqual(len(self.client.received), 1_000_000)

    def test_never(self) -> None:
        """With an infinite stall timeout a client may pause for an hour, and no data is lost."""
        self.factory.timeouts = replace(TIMEOUTS, stall=inf)
        self.neverRead()
        self.clock.pump([60.0] * 60)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1_000_000)


class AdmissionTests(StreamTestCase):
    def test_refused(self) -> None:
        """A refused client gets no protocol, and the observer gets its address and the reason."""
        self.factory.admission = ConnectionAdmission(self.clock.seconds, maximum=0)
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, Refusal.FULL.value)])
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_sharedByFactories(self) -> None:
        """One admission counts the connections of all factories that share it."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        first, second = (EchoFactory(self.clock, self.observer, admission) for _ in range(2))
        self.assertIsNotNone(first.buildProtocol(CLIENT_ADDRESS))
        self.assertIsNone(second.buildProtocol(CLIENT_ADDRESS))
        self.assertEqual(self.observer.refused, [(CLIENT_ADDRESS, Refusal.SOURCE_FULL.value)])

    def test_refusedWhileDraining(self) -> None:
        """A connection during a drain takes no place and is not reported as refused."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual((self.admission.open, self.observer.refused), (1, []))

    def test_placeOfThePeer(self) -> None:
        """The place is counted for the address passed to the factory, and released for it."""
        self.factory.admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertIsNotNone(self.factory.buildProtocol(OTHER_ADDRESS))

    def test_releasedAtEveryEnd(self) -> None:
        """However a connection ends, its place is released and nothing is scheduled."""
        for ending, end in (
            (CloseReason.UNUSED, lambda: self.client.link.loseConnection()),
            (CloseReason.UNUSED, lambda: self.client.link.abortConnection()),
            (CloseReason.IDLE, lambda: self.wait(TIMEOUTS.idle + LINGER_SILENCE + 2)),
            (CloseReason.STALLED, self.neverRead),
            (CloseReason.ABORTED, lambda: self.server.abort()),
        ):
            self.assertEqual(self.admission.open, 1)
            end()
            self.wait(TIMEOUTS.stall + 2 * CHECK_INTERVAL)
            self.assertEqual(self.observer.ended[-1].ending, ending)
            self.assertReleased()
            self.pair, self.client, self.server = self.connect()

    def test_releasedIfTheObserverFails(self) -> None:
        """If the observer raises, the place is still released and the connection removed."""

        class Failing(RecordingObserver):
            def connectionEnded(self, summary: ConnectionSummary) -> None:
                raise RuntimeError("disk full")

        self.factory.observer = Failing()
        self.client.link.loseConnection()
        self.assertRaises(RuntimeError, self.pair.pump)
        self.assertReleased()

    def test_trustedPeer(self) -> None:
        """A trusted peer is served whatever networks are allowed, under its own address."""
        networks = AddressFilter(deny=[OTHER_ADDRESS.host])
        admission = ConnectionAdmission(self.clock.seconds, networks=networks)
        factory = EchoFactory(self.clock, self.observer, admission)
        self.assertIsNone(factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual(factory.buildProtocol(TrustedPeer(OTHER_ADDRESS)).peer, OTHER_ADDRESS)
        self.assertEqual(admission.open, 1)


class HandshakeTests(StreamTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client.link.loseConnection()
        self.pair.pump()
        self.observer.opened.clear()
        self.observer.ended.clear()
        self.transport = secureTransport()
        self.server = self.factory.buildProtocol(OTHER_ADDRESS)
        self.server.makeConnection(self.transport)

    def lose(self, error: Exception) -> None:
        self.server.connectionLost(Failure(error))

    def assertRefused(self, reason: str) -> None:
        """The connection was refused, not reported as opened or ended, and its place released."""
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, reason)])
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))
        self.assertReleased()

    def test_notOpenYet(self) -> None:
        """During the handshake a connection has a place but is not reported as opened."""
        self.assertIs(self.server.stage, Stage.SECURING)
        self.assertEqual(self.observer.opened, [])
        self.assertEqual(self.admission.open, 1)

    def test_completed(self) -> None:
        """After the handshake the connection is open, and the handshake timeout does not apply."""
        self.wait(TIMEOUTS.handshake - 1)
        self.server.handshakeCompleted()
        self.assertIs(self.server.stage, Stage.OPEN)
        self.assertEqual(self.observer.opened, [OTHER_ADDRESS])
        self.wait(2 * TIMEOUTS.handshake)
        self.server.dataReceived(b"hello")
        self.assertEqual(self.transport.value(), b"hello")
        self.assertFalse(self.transport.disconnecting)
        self.lose(ConnectionDone())
        self.assertEqual((self.ended(), self.observer.refused), (CloseReason.FINISHED, []))
        self.assertReleased()

    def test_idleSinceTheHandshake(self) -> None:
        """The idle timeout starts at the end of the handshake."""
        self.factory.timeouts = replace(TIMEOUTS, idle=20.0)
        self.wait(TIMEOUTS.handshake - 1)
        self.server.handshakeCompleted()
        self.wait(19)
        self.assertFalse(self.transport.disconnecting)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnecting)
        self.lose(ConnectionDone())
        self.assertEqual(self.ended(), CloseReason.IDLE)

    def test_timeout(self) -> None:
        """A handshake that exceeds its timeout is aborted and reported as refused."""
        self.wait(TIMEOUTS.handshake - 1)
        self.assertFalse(self.transport.disconnected)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnected)
        self.lose(ConnectionAborted())
        self.assertRefused("TLS handshake took too long")

    def test_failed(self) -> None:
        """A connection lost during the handshake is reported as refused."""
        self.lose(ConnectionLost())
        self.assertRefused("TLS handshake failed")

    def test_closed(self) -> None:
        """A connection closed normally during the handshake is also reported as refused."""
        self.lose(ConnectionDone())
        self.assertRefused("TLS handshake failed")

    def test_finish(self) -> None:
        """finish() during the handshake has no effect."""
        self.server.finish()
        self.assertFalse(self.transport.disconnecting)
        self.assertIs(self.server.stage, Stage.SECURING)
        self.lose(ConnectionDone())

    def test_drain(self) -> None:
        """A drain gives a handshake a short time, then aborts it, and ends."""
        drained = self.factory.drain()
        self.wait(DRAIN_HANDSHAKE - 0.2)
        self.assertFalse(self.transport.disconnected)
        self.wait(0.4)
        self.assertTrue(self.transport.disconnected)
        self.lose(ConnectionAborted())
        self.assertRefused("TLS handshake took too long")
        self.successResultOf(drained)


class TimeoutCheckTests(StreamTestCase):
    def test_nothingScheduledWithoutConnections(self) -> None:
        """One call is scheduled while connections are open, and none otherwise."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        other, _, _ = self.connect()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for pair in (self.pair, other):
            pair.client.loseConnection()
            pair.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openedByAnObserver(self) -> None:
        """An observer may open a connection when one ends; one check is scheduled for it."""
        pairs: list[StreamPair] = []

        class Connecting(RecordingObserver):
            def connectionEnded(_, summary: ConnectionSummary) -> None:
                if not pairs:
                    pairs.append(self.connect()[0])

        self.factory.observer = Connecting()
        self.pair.client.loseConnection()
        self.pair.pump()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        pairs[0].client.loseConnection()
        pairs[0].pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HeldUpTests(StreamTestCase):
    """The process is stopped for longer than any timeout; the client goes on meanwhile."""

    def stop(self) -> None:
        self.clock.advance(10_000.0)

    def test_idle(self) -> None:
        """Data that arrived meanwhile is echoed, and the idle timeout begins anew."""
        self.stop()
        self.send(b"meanwhile")
        self.wait(TIMEOUTS.idle - 1)
        self.assertEqual(self.client.received, b"meanwhile")
        self.assertEqual(self.observer.ended, [])

    def test_silent(self) -> None:
        """A client that was silent all the time gets a FIN soon."""
        self.stop()
        self.wait(CATCH_UP)
        self.assertEqual(self.client.events, ["made", "readLost"])

    def test_stall(self) -> None:
        """A client that reads again is not stalled."""
        self.neverRead()
        self.wait(2 * CHECK_INTERVAL)
        self.stop()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.wait(2 * CHECK_INTERVAL)
        self.assertEqual(len(self.client.received), 1_000_000)
        self.assertEqual(self.observer.ended, [])

    def test_linger(self) -> None:
        """The client's FIN that arrived meanwhile ends the connection in order."""
        self.send(b"hello")
        self.server.finish()
        self.pair.pump()
        self.stop()
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.FINISHED)
        self.assertReleased()

    def test_drain(self) -> None:
        """A drain echoes what arrived meanwhile, though its deadline has passed."""
        self.factory.drain()
        self.stop()
        self.send(b"meanwhile")
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, b"meanwhile")
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_handshake(self) -> None:
        """A TLS handshake has time for its remaining round trips."""
        transport = secureTransport()
        server = self.factory.buildProtocol(OTHER_ADDRESS)
        server.makeConnection(transport)
        self.stop()
        self.clock.advance(CATCH_UP / 2)
        server.handshakeCompleted()
        self.clock.advance(CATCH_UP)
        self.assertEqual(self.observer.refused, [])
        self.assertFalse(transport.disconnected)


class DrainTests(StreamTestCase):
    def test_nothingOpen(self) -> None:
        """A drain without open connections is over at once."""
        self.pair.client.loseConnection()
        self.pair.pump()
        self.assertIsNone(self.successResultOf(self.factory.drain()))

    def test_noNewConnections(self) -> None:
        """During a drain no protocol is built."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(CLIENT_ADDRESS))

    def test_silentClientGetsFIN(self) -> None:
        """In a drain, a client silent for a moment gets a FIN; its close ends the drain."""
        drained = self.factory.drain()
        self.wait(DRAIN_SILENCE + 0.2)
        self.assertEqual(self.client.events[-1], "readLost")
        self.assertNoResult(drained)
        self.client.link.loseConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(self.ended(), CloseReason.DRAINED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silenceBeforeTheDrain(self) -> None:
        """The silence of a client is measured from the beginning of the drain."""
        self.wait(60)
        self.factory.drain()
        self.wait(DRAIN_SILENCE - 0.2)
        self.send(b"hello")
        self.assertEqual(self.client.received, b"hello")
        self.assertIs(self.server.stage, Stage.OPEN)

    def test_sendingClientIsServed(self) -> None:
        """During a drain, a client that continues to send is echoed until its FIN."""
        drained = self.factory.drain()
        for _ in range(20):
            self.send(b"x" * 100_000)
            self.wait(0.2)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(len(self.client.received), 2_000_000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_slowReaderLosesNothing(self) -> None:
        """During a drain, no data of a slow reader is discarded or lost."""
        self.client.link.pauseProducing()
        self.send(b"x" * 300_000)
        self.factory.drain()
        self.wait(DRAIN_TIMEOUT - 1)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 300_000)

    def test_notWhilePaused(self) -> None:
        """During a drain, a paused client gets no FIN before its pending data is sent."""
        self.neverRead()
        drained = self.factory.drain(30.0)
        self.wait(29)
        self.assertIs(self.server.stage, Stage.OPEN)
        self.client.link.resumeProducing()
        self.wait(DRAIN_SILENCE + 0.2)
        self.assertEqual(len(self.client.received), 1_000_000)
        self.assertEqual(self.client.events[-1], "readLost")
        self.client.link.loseConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(self.ended(), CloseReason.DRAINED)

    def test_notWhileUnsent(self) -> None:
        """During a drain, a client with unsent data in the kernel gets no FIN until it reads."""
        self.factory.unsentBytes = lambda transport: 5
        self.send(b"hello")
        self.factory.drain(30.0)
        self.wait(29)
        self.assertIs(self.server.stage, Stage.OPEN)
        self.factory.unsentBytes = lambda transport: 0
        self.wait(DRAIN_SILENCE + 0.2)
        self.assertIs(self.server.stage, Stage.LINGERING)

    def test_reasonIsKept(self) -> None:
        """A drained client is reported as drained, even after a reset or an abort."""
        for reset in (True, False):
            drained = self.factory.drain()
            self.wait(DRAIN_SILENCE + 0.2)
            self.assertIs(self.server.stage, Stage.LINGERING)
            if reset:
                self.client.link.abortConnection()
            self.wait(DRAIN_TIMEOUT)
            self.assertIsInstance(
                self.pair.server.closed, ConnectionLost if reset else ConnectionAborted
            )
            self.successResultOf(drained)
            self.assertEqual(self.observer.ended[-1].ending, CloseReason.DRAINED)
            self.assertReleased()
            self.factory = EchoFactory(self.clock, self.observer, self.admission)
            self.pair, self.client, self.server = self.connect()

    def test_deadline(self) -> None:
        """Connections still open at the drain's deadline are aborted, and the drain is over."""
        self.neverRead()
        drained = self.factory.drain()
        again = self.factory.drain()
        self.wait(DRAIN_TIMEOUT + 0.2)
        self.successResultOf(drained)
        self.successResultOf(again)
        self.assertEqual(self.ended(), CloseReason.ABORTED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endWithoutFIN(self) -> None:
        """A normal close reported without a FIN, as by TLS, is finished; any other is lost."""
        for reason, ending in ((ConnectionDone(), "finished"), (ConnectionLost(), "lost")):
            server = self.factory.buildProtocol(CLIENT_ADDRESS)
            server.makeConnection(StringTransport())
            server.dataReceived(b"hello")
            server.connectionLost(Failure(reason))
            self.assertEqual(self.observer.ended[-1].ending.value, ending)
