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

from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT, ITrackedConnection
from echoproto.protocols.echo import EchoFactory, EchoProtocol
from echoproto.protocols.observer import CloseReason, ConnectionSummary
from echoproto.protocols.stream import (
    DRAIN_HANDSHAKE,
    DRAIN_SILENCE,
    LINGER_SILENCE,
    Stage,
    StreamFactory,
    StreamProtocol,
    canHalfClose,
)
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS

TIMEOUTS = Timeouts()

#: Some client that is not :data:`CLIENT_ADDRESS`.
OTHER_ADDRESS = IPv6Address("TCP", "2001:db8::7", 50_001)


def secureTransport() -> StringTransport:
    """A TLS transport of Twisted's, which cannot end one direction alone."""
    transport = StringTransport()
    directlyProvides(transport, ISSLTransport)
    return transport


class StreamTestCase(SynchronousTestCase):
    """An echo connection in memory, and a client under the test's control."""

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

    def say(self, data: bytes) -> None:
        self.client.link.write(data)
        self.pair.pump()

    def wait(self, seconds: float) -> None:
        """Advance the clock in steps, and move bytes after each."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.pair.pump()

    def holdsQueue(self) -> None:
        """From now on the kernel holds what the transport in memory has queued."""
        self.factory.unsentBytes = lambda transport: len(transport.queue)

    def neverRead(self) -> None:
        """The client sends more than the queue holds, and reads nothing: the server is paused."""
        self.holdsQueue()
        self.client.link.pauseProducing()
        self.say(b"x" * 1_000_000)
        self.assertFalse(self.pair.server.reading)

    def ended(self) -> CloseReason:
        [summary] = self.observer.ended
        return summary.ending

    def assertOver(self) -> None:
        """Every place was given back, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OpeningTests(StreamTestCase):
    def test_interfaces(self) -> None:
        """The protocol provides the interfaces that it declares."""
        verifyObject(IHalfCloseableProtocol, self.server)
        verifyObject(IHandshakeListener, self.server)
        verifyObject(IPushProducer, self.server)
        verifyObject(ITrackedConnection, self.server)

    def test_socketOptions(self) -> None:
        """TCP_NODELAY and keepalive are set on a TCP connection."""
        transport = self.pair.server
        self.assertTrue(transport.getTcpNoDelay() and transport.getTcpKeepAlive())

    def test_noSocketOptions(self) -> None:
        """A transport that has no such options is served without."""
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(StringTransport())
        self.assertIs(server.stage, Stage.OPEN)

    def test_observerIsTold(self) -> None:
        """The observer is told the peer of an opening."""
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_peerAsAnnounced(self) -> None:
        """The peer is the one that the factory was told, whatever the transport says."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertEqual(self.observer.opened[-1], OTHER_ADDRESS)
        self.assertEqual(self.observer.ended[-1].peer, OTHER_ADDRESS)

    def test_noPeer(self) -> None:
        """A connection without an address is served as any other."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(None))
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertIsNone(self.observer.ended[-1].peer)

    def test_everybody(self) -> None:
        """A factory with the defaults serves every client, with the default timeouts."""
        factory = EchoFactory(self.clock)
        self.assertEqual(factory.timeouts, Timeouts())
        self.assertEqual(factory.admission.room, inf)
        self.assertIsNot(factory.admission, EchoFactory(self.clock).admission)

    def test_subclass(self) -> None:
        """A subclass that only calls ``send`` is counted, and sends nothing after its FIN."""

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


class HalfCloseTests(StreamTestCase):
    def test_everythingThenFIN(self) -> None:
        """
        After the client's FIN all that it sent comes back, then our FIN, and nothing is aborted.
        """
        data = bytes(range(256)) * 1000
        self.client.link.write(data)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, data)
        self.assertEqual(self.client.events, ["made", "data", "writeLost", "readLost"])
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_summary(self) -> None:
        """The summary has the peer, the ending, the seconds and the bytes each way."""
        self.say(b"hello")
        self.clock.advance(0.5)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(
            self.observer.ended,
            [ConnectionSummary(CLIENT_ADDRESS, CloseReason.FINISHED, 0.5, 5, 5)],
        )

    def test_pausedServerStillFlushes(self) -> None:
        """
        A FIN behind more than the queue holds: the server was paused, and still all comes back.
        """
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * 200_000)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertLessEqual(len(self.pair.server.queue), 2 * 65_536)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 200_000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_clientThatNeverTakesItsEcho(self) -> None:
        """A client that sends its FIN and does not read is aborted at the stall deadline."""
        self.owe(1000)
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_slowClient(self) -> None:
        """A client that takes a little now and then is not aborted for it."""
        self.owe(1000)
        for unsent in range(10, 0, -1):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(TIMEOUTS.stall - 2)
        self.assertEqual(self.observer.ended, [])
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_tooSlowClient(self) -> None:
        """
        However steadily it takes what it is owed, a client is aborted at the deadline of the close.
        """
        self.owe(1000)
        unsent = iter(range(1_000_000, 0, -1))
        self.factory.unsentBytes = lambda transport: next(unsent)
        self.wait(TIMEOUTS.close - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def owe(self, size: int) -> None:
        """The client has sent bytes and its FIN, and does not read."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * size)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertIs(self.server.stage, Stage.FLUSHING)

    def test_reset(self) -> None:
        """A connection that the client resets is lost, and the factory forgets it."""
        self.say(b"hello")
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.LOST)
        self.assertEqual(self.factory.tracker.connections, set())


class BackpressureTests(StreamTestCase):
    def test_clientThatNeverReadsIsNotReadFrom(self) -> None:
        """Of a client that never reads, no more is taken than the queue holds and one piece."""
        self.client.link.pauseProducing()
        self.say(b"x" * 10_000_000)
        self.assertLessEqual(self.server.bytesReceived, 2 * 65_536)
        self.assertFalse(self.pair.server.reading)

    def test_goesOnWhenTheClientReads(self) -> None:
        """When the client reads again everything moves."""
        self.client.link.pauseProducing()
        self.say(b"x" * 10_000_000)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 10_000_000)

    def test_stopProducing(self) -> None:
        """A transport that is gone may say so before connectionLost: nothing more to do."""
        self.server.stopProducing()
        self.assertIs(self.server.stage, Stage.OPEN)


class FinishTests(StreamTestCase):
    def test_replyFINThenDiscard(self) -> None:
        """finish() flushes, sends our FIN, discards what comes, and ends at the client's FIN."""
        self.say(b"before")
        self.server.finish()
        self.pair.pump()
        self.say(b"after")
        self.assertEqual(self.client.received, b"before")
        self.assertEqual(self.client.events, ["made", "data", "readLost"])
        self.client.link.loseConnection()
        self.pair.pump()
        [summary] = self.observer.ended
        self.assertEqual(summary.ending, CloseReason.FINISHED)
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (11, 6))

    def test_twice(self) -> None:
        """finish() a second time, or after the client's FIN, changes nothing."""
        self.server.finish()
        self.server.finish()
        self.pair.pump()
        self.assertEqual(self.client.events, ["made", "readLost"])

    def test_silentClient(self) -> None:
        """
        A client that says nothing after our FIN and does not close is closed after the silence.
        """
        self.server.finish()
        self.wait(LINGER_SILENCE - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_silentClientThatHasNotTakenAll(self) -> None:
        """
        While the kernel still holds bytes for a silent client, it is not closed until the deadline.
        """
        self.factory.unsentBytes = lambda transport: 100
        self.server.finish()
        self.wait(TIMEOUTS.linger - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def test_silentClientOverTLS(self) -> None:
        """
        Over TLS, where our close has begun already, a silent client is cut, and it was finished.
        """
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

    def test_endlessTalker(self) -> None:
        """A client that keeps talking after our FIN is aborted at the deadline in all."""
        self.server.finish()
        for _ in range(round(TIMEOUTS.linger) - 1):
            self.wait(1)
            self.say(b"and another thing")
        self.assertEqual(self.observer.ended, [])
        self.wait(2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.ABORTED)

    def test_pausedServer(self) -> None:
        """finish() on a connection that was not read reads again, to see the client's FIN."""
        self.client.link.pauseProducing()
        self.say(b"x" * 200_000)
        self.server.finish()
        self.assertTrue(self.pair.server.reading)

    def test_unlessTLS(self) -> None:
        """
        Over Twisted's TLS our end is close_notify, which loseConnection sends, not a FIN beneath
        it.
        """
        transport = secureTransport()
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(transport)
        server.handshakeCompleted()
        server.finish()
        self.assertTrue(transport.disconnecting)

    def test_canHalfClose(self) -> None:
        """
        A transport can end its own direction where its class has the method for it; one that lends
        itself that of a transport beneath cannot, and to speak TLS is no hindrance.
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
    def test_quietClient(self) -> None:
        """A client that says nothing for long gets our FIN, and when it closes it was idle."""
        self.wait(TIMEOUTS.idle - 1)
        self.assertEqual(self.client.events, ["made"])
        self.wait(1 + CHECK_INTERVAL)
        self.assertEqual(self.client.events, ["made", "readLost"])
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.IDLE)
        self.assertOver()

    def test_quietAgain(self) -> None:
        """The time counts from the last byte; all that was said before it is answered."""
        self.wait(TIMEOUTS.idle - 1)
        self.say(b"hello")
        self.wait(TIMEOUTS.idle - 1)
        self.assertEqual(self.client.events, ["made", "data"])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.client.events, ["made", "data", "readLost"])
        self.assertEqual(self.client.received, b"hello")

    def test_talkingNowAndThen(self) -> None:
        """A client that says a byte now and then is never idle."""
        for _ in range(5):
            self.wait(TIMEOUTS.idle - 1)
            self.say(b"x")
        self.assertEqual(self.client.events, ["made", "data"])
        self.assertEqual(self.client.received, b"xxxxx")

    def test_never(self) -> None:
        """With an endless deadline a connection that says nothing for a day stays open."""
        self.factory.timeouts = replace(TIMEOUTS, idle=inf)
        self.clock.pump([60.0] * 60 * 24)
        self.say(b"still there")
        self.assertEqual(self.client.received, b"still there")

    def test_keptHoweverItEnds(self) -> None:
        """An idle client that then resets, or does not close, was idle all the same."""
        for reset in (True, False):
            self.wait(TIMEOUTS.idle + CHECK_INTERVAL)
            if reset:
                self.client.link.abortConnection()
            self.wait(LINGER_SILENCE + CHECK_INTERVAL)
            self.assertEqual(self.ended(), CloseReason.IDLE)
            self.observer.ended.clear()
            self.pair, self.client, self.server = self.connect()

    def test_keptAtTheDeadline(self) -> None:
        """An idle client that talks on after our FIN is aborted at the deadline, and was idle."""
        self.wait(TIMEOUTS.idle + CHECK_INTERVAL)
        self.holdsQueue()
        for _ in range(round(TIMEOUTS.linger + CHECK_INTERVAL)):
            self.wait(1)
            self.say(b"and another thing")
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertEqual(self.ended(), CloseReason.IDLE)

    def test_askedOnce(self) -> None:
        """
        The kernel is asked once about a client that has fallen silent, and never about one that
        was.
        """
        asked = []

        def unsent(transport: object) -> int:
            asked.append(self.clock.seconds())
            return 0

        self.factory.unsentBytes = unsent
        self.wait(60)
        self.assertEqual(asked, [])
        self.say(b"hello")
        self.wait(60)
        self.assertEqual(len(asked), 1)


class StallTests(StreamTestCase):
    def test_clientThatNeverReads(self) -> None:
        """
        A client that is sent more than the queue holds and reads nothing is cut at the deadline.
        """
        self.neverRead()
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertOver()

    def test_nothingQueued(self) -> None:
        """
        A client whose kernel holds bytes that it does not take is stalled, though nothing is
        queued.
        """
        self.factory.unsentBytes = lambda transport: 5
        self.say(b"hello")
        self.assertTrue(self.pair.server.reading)
        self.wait(TIMEOUTS.stall - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_kernelThatDoesNotTell(self) -> None:
        """Where the kernel does not tell, a client for which the server is paused is stalled."""
        self.client.link.pauseProducing()
        self.say(b"x" * 1_000_000)
        self.wait(TIMEOUTS.stall + 2 * CHECK_INTERVAL)
        self.assertEqual(self.ended(), CloseReason.STALLED)

    def test_progress(self) -> None:
        """
        A client that takes a little now and then is not stalled, nor idle, however long it takes.
        """
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
        """A paused server asks on, though the kernel held nothing at the last look."""
        self.neverRead()
        self.factory.unsentBytes = lambda transport: 0
        self.wait(2 * CHECK_INTERVAL)
        for unsent in (2000, 1000):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(TIMEOUTS.stall - 2)
        self.assertEqual(self.observer.ended, [])

    def test_idleAfterwards(self) -> None:
        """
        A client that has taken all at last is idle no sooner than one that had said something then.
        """
        self.neverRead()
        self.wait(TIMEOUTS.stall - 2)
        self.client.link.resumeProducing()
        self.wait(TIMEOUTS.idle - 1)
        self.assertNotIn("readLost", self.client.events)
        self.wait(1 + 2 * CHECK_INTERVAL)
        self.assertEqual(self.client.events[-1], "readLost")
        self.assertEqual(len(self.client.received), 1_000_000)

    def test_never(self) -> None:
        """With an endless deadline a client may take its time, and nothing is lost."""
        self.factory.timeouts = replace(TIMEOUTS, stall=inf)
        self.neverRead()
        self.clock.pump([60.0] * 60)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1_000_000)


class AdmissionTests(StreamTestCase):
    def test_refused(self) -> None:
        """
        For a client that is refused there is no protocol; the observer is told it and the reason.
        """
        self.factory.admission = ConnectionAdmission(self.clock.seconds, maximum=0)
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, Refusal.FULL.value)])
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_sharedByFactories(self) -> None:
        """One admission counts the connections of every factory that has it."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        first, second = (EchoFactory(self.clock, self.observer, admission) for _ in range(2))
        self.assertIsNotNone(first.buildProtocol(CLIENT_ADDRESS))
        self.assertIsNone(second.buildProtocol(CLIENT_ADDRESS))
        self.assertEqual(self.observer.refused, [(CLIENT_ADDRESS, Refusal.SOURCE_FULL.value)])

    def test_drainingTakesNoPlace(self) -> None:
        """Who comes while we drain takes no place, and is not told as refused."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual((self.admission.open, self.observer.refused), (1, []))

    def test_countedForThePeer(self) -> None:
        """The place counts for the peer that was announced, and is given back for it."""
        self.factory.admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertIsNotNone(self.factory.buildProtocol(OTHER_ADDRESS))

    def test_givenBackAtEveryEnding(self) -> None:
        """However a connection ends, its place is free again, and nothing is scheduled."""
        for ending, end in (
            (CloseReason.FINISHED, lambda: self.client.link.loseConnection()),
            (CloseReason.LOST, lambda: self.client.link.abortConnection()),
            (CloseReason.IDLE, lambda: self.wait(TIMEOUTS.idle + LINGER_SILENCE + 2)),
            (CloseReason.STALLED, self.neverRead),
            (CloseReason.ABORTED, lambda: self.server.abort()),
        ):
            self.assertEqual(self.admission.open, 1)
            end()
            self.wait(TIMEOUTS.stall + 2 * CHECK_INTERVAL)
            self.assertEqual(self.observer.ended[-1].ending, ending)
            self.assertOver()
            self.pair, self.client, self.server = self.connect()

    def test_givenBackThoughTheObserverFails(self) -> None:
        """An observer that raises costs no place, and the connection is forgotten."""

        class Failing(RecordingObserver):
            def connectionEnded(self, summary: ConnectionSummary) -> None:
                raise RuntimeError("disk full")

        self.factory.observer = Failing()
        self.client.link.loseConnection()
        self.assertRaises(RuntimeError, self.pair.pump)
        self.assertOver()


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
        """It was refused, never told as opened or ended, and its place given back."""
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, reason)])
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))
        self.assertOver()

    def test_notOpenYet(self) -> None:
        """Until the handshake is done a connection has its place, and is not told as opened."""
        self.assertIs(self.server.stage, Stage.SECURING)
        self.assertEqual(self.observer.opened, [])
        self.assertEqual(self.admission.open, 1)

    def test_completed(self) -> None:
        """
        When the handshake is done the connection is open, and its deadline is past caring about.
        """
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
        self.assertOver()

    def test_idleSinceTheHandshake(self) -> None:
        """The client's silence counts from the end of the handshake."""
        self.factory.timeouts = replace(TIMEOUTS, idle=20.0)
        self.wait(TIMEOUTS.handshake - 1)
        self.server.handshakeCompleted()
        self.wait(19)
        self.assertFalse(self.transport.disconnecting)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnecting)
        self.lose(ConnectionDone())
        self.assertEqual(self.ended(), CloseReason.IDLE)

    def test_overdue(self) -> None:
        """A handshake that takes too long is cut, and refused for that."""
        self.wait(TIMEOUTS.handshake - 1)
        self.assertFalse(self.transport.disconnected)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnected)
        self.lose(ConnectionAborted())
        self.assertRefused("TLS handshake took too long")

    def test_failed(self) -> None:
        """A connection that is lost before the handshake is done was refused: it failed."""
        self.lose(ConnectionLost())
        self.assertRefused("TLS handshake failed")

    def test_closed(self) -> None:
        """An orderly end before the handshake is done is no ending of a connection either."""
        self.lose(ConnectionDone())
        self.assertRefused("TLS handshake failed")

    def test_finish(self) -> None:
        """While the handshake lasts there is nothing to finish."""
        self.server.finish()
        self.assertFalse(self.transport.disconnecting)
        self.assertIs(self.server.stage, Stage.SECURING)
        self.lose(ConnectionDone())

    def test_drain(self) -> None:
        """A drain leaves a handshake a moment, then cuts it, and is over with it."""
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
        """While no connection is open nothing is scheduled; while one is, one call is."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        other, _, _ = self.connect()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for pair in (self.pair, other):
            pair.client.loseConnection()
            pair.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openedByAnObserver(self) -> None:
        """
        An observer may open a connection when one ends; one check is scheduled, and none at the
        end.
        """
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


class DrainTests(StreamTestCase):
    def test_nothingOpen(self) -> None:
        """With no connection open the drain is over at once."""
        self.pair.client.loseConnection()
        self.pair.pump()
        self.assertIsNone(self.successResultOf(self.factory.drain()))

    def test_noNewConnections(self) -> None:
        """While draining no protocol is built."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(CLIENT_ADDRESS))

    def test_silentClientGetsFIN(self) -> None:
        """A client that was silent for a moment gets our FIN; when it closes the drain is over."""
        drained = self.factory.drain()
        self.wait(DRAIN_SILENCE + 0.2)
        self.assertEqual(self.client.events[-1], "readLost")
        self.assertNoResult(drained)
        self.client.link.loseConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(self.ended(), CloseReason.DRAINED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silenceBefore(self) -> None:
        """
        A client's silence counts from the beginning of the drain: it may have been about to speak.
        """
        self.wait(60)
        self.factory.drain()
        self.wait(DRAIN_SILENCE - 0.2)
        self.say(b"hello")
        self.assertEqual(self.client.received, b"hello")
        self.assertIs(self.server.stage, Stage.OPEN)

    def test_talkingClientIsServed(self) -> None:
        """A client that goes on talking is echoed until its own FIN."""
        drained = self.factory.drain()
        for _ in range(20):
            self.say(b"x" * 100_000)
            self.wait(0.2)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(len(self.client.received), 2_000_000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_slowReaderLosesNothing(self) -> None:
        """A client that reads slowly is not silent: what it sent is neither discarded nor lost."""
        self.client.link.pauseProducing()
        self.say(b"x" * 300_000)
        self.factory.drain()
        self.wait(DRAIN_TIMEOUT - 1)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 300_000)

    def test_notWhilePaused(self) -> None:
        """A paused client gets no FIN, however silent it is: it is owed something."""
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
        """A client whose kernel has not taken all gets no FIN until it has."""
        self.factory.unsentBytes = lambda transport: 5
        self.say(b"hello")
        self.factory.drain(30.0)
        self.wait(29)
        self.assertIs(self.server.stage, Stage.OPEN)
        self.factory.unsentBytes = lambda transport: 0
        self.wait(DRAIN_SILENCE + 0.2)
        self.assertIs(self.server.stage, Stage.LINGERING)

    def test_keptHoweverItEnds(self) -> None:
        """
        A drained client that then resets, or that the drain's deadline cuts, was drained all the
        same.
        """
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
            self.assertOver()
            self.factory = EchoFactory(self.clock, self.observer, self.admission)
            self.pair, self.client, self.server = self.connect()

    def test_deadline(self) -> None:
        """What is still open at the deadline is aborted, and the drain is over."""
        self.neverRead()
        drained = self.factory.drain()
        again = self.factory.drain()
        self.wait(DRAIN_TIMEOUT + 0.2)
        self.successResultOf(drained)
        self.successResultOf(again)
        self.assertEqual(self.ended(), CloseReason.ABORTED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endingsWithoutAPair(self) -> None:
        """An orderly end reported without a FIN, as TLS does, is finished; any other is lost."""
        for reason, ending in ((ConnectionDone(), "finished"), (ConnectionLost(), "lost")):
            server = self.factory.buildProtocol(CLIENT_ADDRESS)
            server.makeConnection(StringTransport())
            server.connectionLost(Failure(reason))
            self.assertEqual(self.observer.ended[-1].ending.value, ending)
