from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import (
    ISSLTransport,
)
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT
from echoproto.protocols.deadlines import CATCH_UP
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.lifecycle import DRAIN_HANDSHAKE, LINGER_SILENCE, Stage, canHalfClose
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.streamfactory import DRAIN_SILENCE
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.protocols.streamcase import (
    OTHER_ADDRESS,
    TIMEOUTS,
    SecuredTestCase,
    StreamTestCase,
    secureTransport,
)


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


class DrainSilenceTests(StreamTestCase):
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


class HandshakeTimeoutTests(SecuredTestCase):
    def test_timeout(self) -> None:
        """A handshake that exceeds its timeout is aborted and reported as refused."""
        self.wait(TIMEOUTS.handshake - 1)
        self.assertFalse(self.transport.disconnected)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnected)
        self.lose(ConnectionAborted())
        self.assertRefused("TLS handshake took too long")

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
