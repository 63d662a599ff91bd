from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from echoproto.echo import EchoFactory, EchoProtocol
from echoproto.observer import ConnectionSummary, Ending
from echoproto.streams import (
    DRAIN_SILENCE,
    FLUSH_TIMEOUT,
    LINGER_SILENCE,
    LINGER_TIMEOUT,
    Stage,
    StreamProtocol,
    canHalfClose,
)
from echoproto.sweep import DRAIN_TIMEOUT, SWEEP_INTERVAL, ISwept
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS


class StreamTestCase(SynchronousTestCase):
    """An echo connection in memory, and a client under the test's control."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.factory = EchoFactory(self.clock, self.observer)
        self.pair, self.client, self.server = self.connect()

    def connect(self) -> tuple[StreamPair, RecordingProtocol, EchoProtocol]:
        client = RecordingProtocol()
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        return StreamPair(client, server), client, server

    def say(self, data: bytes) -> None:
        self.client.link.write(data)
        self.pair.pump()

    def wait(self, seconds: float) -> None:
        """Let time pass in steps of the sweep, and bytes move meanwhile."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.pair.pump()

    def ended(self) -> Ending:
        [summary] = self.observer.ended
        return summary.ending


class OpeningTests(StreamTestCase):
    def test_interfaces(self) -> None:
        """The protocol is half-closeable, a push producer and swept, as it declares."""
        verifyObject(IHalfCloseableProtocol, self.server)
        verifyObject(IPushProducer, self.server)
        verifyObject(ISwept, self.server)

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

    def test_abstract(self) -> None:
        """A bare stream protocol does not say how much it sent: each service does."""
        self.assertRaises(NotImplementedError, lambda: StreamProtocol().bytesSent)


class HalfCloseTests(StreamTestCase):
    def test_everythingThenFIN(self) -> None:
        """After the client's FIN all that it sent comes back, then our FIN, and nothing is aborted."""
        data = bytes(range(256)) * 1000
        self.client.link.write(data)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, data)
        self.assertEqual(self.client.events, ["made", "data", "writeLost", "readLost"])
        self.assertEqual(self.ended(), Ending.FINISHED)

    def test_summary(self) -> None:
        """The summary has the peer, the ending, the seconds and the bytes each way."""
        self.say(b"hello")
        self.clock.advance(0.5)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(
            self.observer.ended,
            [ConnectionSummary(CLIENT_ADDRESS, Ending.FINISHED, 0.5, 5, 5)],
        )

    def test_pausedServerStillFlushes(self) -> None:
        """A FIN behind more than the queue holds: the server was paused, and still all comes back."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * 200_000)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertLessEqual(len(self.pair.server.queue), 2 * 65_536)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 200_000)
        self.assertEqual(self.ended(), Ending.FINISHED)

    def test_clientThatNeverTakesItsEcho(self) -> None:
        """A client that sends its FIN and does not read is aborted at the close's deadline."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * 1000)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.wait(FLUSH_TIMEOUT - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + SWEEP_INTERVAL)
        self.assertEqual(self.ended(), Ending.ABORTED)

    def test_slowClient(self) -> None:
        """A client that takes a little now and then is never aborted, however long it takes."""
        self.client.link.pauseProducing()
        self.client.link.write(b"x" * 1000)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        for unsent in range(10, 0, -1):
            self.factory.unsentBytes = {self.pair.server: unsent}.__getitem__
            self.wait(FLUSH_TIMEOUT - 2)
        self.assertEqual(self.observer.ended, [])
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 1000)
        self.assertEqual(self.ended(), Ending.FINISHED)

    def test_reset(self) -> None:
        """A connection that the client resets is lost, and the factory forgets it."""
        self.say(b"hello")
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), Ending.LOST)
        self.assertEqual(self.factory.sweep.connections, set())


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
        self.assertEqual(summary.ending, Ending.FINISHED)
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (11, 6))

    def test_twice(self) -> None:
        """finish() a second time, or after the client's FIN, changes nothing."""
        self.server.finish()
        self.server.finish()
        self.pair.pump()
        self.assertEqual(self.client.events, ["made", "readLost"])

    def test_silentClient(self) -> None:
        """A client that says nothing after our FIN and does not close is closed after the silence."""
        self.server.finish()
        self.wait(LINGER_SILENCE - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + SWEEP_INTERVAL)
        self.assertEqual(self.ended(), Ending.FINISHED)

    def test_silentClientThatHasNotTakenAll(self) -> None:
        """While the kernel still holds bytes for a silent client, it is not closed until the deadline."""
        self.factory.unsentBytes = lambda transport: 100
        self.server.finish()
        self.wait(LINGER_TIMEOUT - 1)
        self.assertEqual(self.observer.ended, [])
        self.wait(1 + SWEEP_INTERVAL)
        self.assertEqual(self.ended(), Ending.ABORTED)

    def test_silentClientOverTLS(self) -> None:
        """Over TLS, where our close has begun already, a silent client is cut, and it was finished."""
        directlyProvides(self.pair.server, ISSLTransport)
        self.server.finish()
        self.client.link.pauseProducing()
        self.pair.server.disconnecting = False
        self.wait(LINGER_SILENCE + SWEEP_INTERVAL)
        self.assertEqual(self.ended(), Ending.FINISHED)
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)

    def test_endlessTalker(self) -> None:
        """A client that keeps talking after our FIN is aborted at the deadline in all."""
        self.server.finish()
        for _ in range(round(LINGER_TIMEOUT) - 1):
            self.wait(1)
            self.say(b"and another thing")
        self.assertEqual(self.observer.ended, [])
        self.wait(2 * SWEEP_INTERVAL)
        self.assertEqual(self.ended(), Ending.ABORTED)

    def test_pausedServer(self) -> None:
        """finish() on a connection that was not read reads again, to see the client's FIN."""
        self.client.link.pauseProducing()
        self.say(b"x" * 200_000)
        self.server.finish()
        self.assertTrue(self.pair.server.reading)

    def test_unlessTLS(self) -> None:
        """Over TLS our end is close_notify, which loseConnection sends, not a FIN beneath it."""
        transport = StringTransport()
        directlyProvides(transport, ISSLTransport)
        self.assertFalse(canHalfClose(transport))
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(transport)
        server.finish()
        self.assertTrue(transport.disconnecting)

    def test_canHalfClose(self) -> None:
        """A TCP transport can end its own direction; one that lacks the method cannot."""
        self.assertTrue(canHalfClose(self.pair.server))
        self.assertFalse(canHalfClose(StringTransport()))


class SweepTests(StreamTestCase):
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
        """An observer may open a connection when one ends; there is one sweep, and none at the end."""
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

    def test_idleConnectionIsLeftAlone(self) -> None:
        """An open connection that says nothing for an hour stays open."""
        self.clock.pump([60.0] * 60)
        self.assertEqual(self.observer.ended, [])
        self.say(b"still there")
        self.assertEqual(self.client.received, b"still there")


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
        self.assertEqual(self.ended(), Ending.DRAINED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
        self.assertEqual(self.ended(), Ending.FINISHED)

    def test_slowReaderLosesNothing(self) -> None:
        """A client that reads slowly is not silent: what it sent is neither discarded nor lost."""
        self.client.link.pauseProducing()
        self.say(b"x" * 300_000)
        self.factory.drain()
        self.wait(DRAIN_TIMEOUT - 1)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 300_000)

    def test_deadline(self) -> None:
        """What is still open at the deadline is aborted, and the drain is over."""
        drained = self.factory.drain()
        again = self.factory.drain()
        self.wait(DRAIN_TIMEOUT + 0.2)
        self.successResultOf(drained)
        self.successResultOf(again)
        self.assertEqual(self.ended(), Ending.ABORTED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endingsWithoutAPair(self) -> None:
        """An orderly end reported without a FIN, as TLS does, is finished; any other is lost."""
        for reason, ending in ((ConnectionDone(), "finished"), (ConnectionLost(), "lost")):
            server = self.factory.buildProtocol(CLIENT_ADDRESS)
            server.makeConnection(StringTransport())
            server.connectionLost(Failure(reason))
            self.assertEqual(self.observer.ended[-1].ending.value, ending)
