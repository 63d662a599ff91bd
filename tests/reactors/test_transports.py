from __future__ import annotations

import contextlib
import socket
from errno import EAGAIN, ECONNRESET, EPIPE
from typing import Any
from unittest import mock

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)

from tests.reactors.turns import Recorder, RecordingProducer, TurnTestCase


def sends(transport: Any) -> Any:
    """Record the data that a transport sends."""
    return mock.patch.object(transport, "socket", wraps=transport.socket)


def sent(patched: Any) -> list[bytes]:
    """Return the recorded data."""
    return [call.args[0] for call in patched.send.call_args_list]


class WriteTests(TurnTestCase):
    def test_oneSend(self) -> None:
        """All writes of a turn leave in one piece when it ends, on TCP and on UNIX sockets."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            recorder, _peer = self.adopt(family)
            recorder.transport.write(b"header ")
            recorder.transport.write(b"body")
            recorder.transport.writeSequence([b" and", b" more"])
            with sends(recorder.transport) as patched:
                self.turn()
            self.assertEqual(sent(patched), [b"header body and more"])

    def test_reply(self) -> None:
        """A reply is sent before the events of other connections are handled."""
        first, firstPeer = self.adopt()
        second, secondPeer = self.adopt()
        received: list[bytes] = []
        for recorder, other in ((first, secondPeer), (second, firstPeer)):

            def reply(data: bytes, recorder: Recorder = recorder, other: Any = other) -> None:
                with contextlib.suppress(BlockingIOError):
                    received.append(other.recv(20))
                recorder.transport.write(b"header ")
                recorder.transport.write(b"body")

            recorder.react = reply
        firstPeer.send(b"x")
        secondPeer.send(b"x")
        self.turn()
        self.assertEqual(received, [b"header body"])

    def test_scheduledCall(self) -> None:
        """A reply waits for calls scheduled without delay, and includes their data."""
        recorder, peer = self.adopt()

        def reply(data: bytes) -> None:
            recorder.transport.write(b"header ")
            self.reactor.callLater(0, recorder.transport.write, b"body")
            self.reactor.callLater(0, self.reactor.callLater, 0, self.reactor.stop)

        recorder.react = reply
        peer.send(b"x")
        with sends(recorder.transport) as patched:
            self.reactor.run(installSignalHandlers=False)
        self.assertEqual(sent(patched), [b"header body"])

    def test_rest(self) -> None:
        """Data that the kernel does not accept is sent later, before data written after it."""
        recorder, peer = self.adopt()
        long = bytes(range(256)) * 40_000
        recorder.transport.write(long)
        self.turn()
        recorder.transport.write(b"the end")
        self.assertEqual(self.receive(peer, len(long) + 7), long + b"the end")

    def test_notCopied(self) -> None:
        """The rest of a large write is not copied."""
        recorder, _peer = self.adopt()
        long = bytes(10_000_000)
        recorder.transport.write(long)
        self.turn()
        self.assertIs(recorder.transport.dataBuffer, long)

    def test_full(self) -> None:
        """If the kernel accepts nothing, everything is sent later."""
        recorder, peer = self.adopt()
        recorder.transport.write(b"later")
        with sends(recorder.transport) as full:
            full.send.side_effect = BlockingIOError(EAGAIN, "full")
            self.turn()
        self.assertEqual(self.receive(peer, 5), b"later")
        peer.close()
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionDone)

    def test_pushProducer(self) -> None:
        """A push producer is paused above 64 KiB of unsent data, and resumed when all is sent."""
        recorder, peer = self.adopt()
        producer = RecordingProducer()
        recorder.transport.registerProducer(producer, True)
        recorder.transport.write(b"short")
        self.turn()
        self.assertEqual(producer.calls, [])
        recorder.transport.write(bytes(10_000_000))
        self.turn()
        self.assertEqual(producer.calls, ["pause"])
        self.receive(peer, 10_000_005)
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_pausedByTheWrite(self) -> None:
        """The write that exceeds the limit pauses a push producer; it is resumed after the turn."""
        recorder, _peer = self.adopt()
        producer = RecordingProducer()
        recorder.transport.registerProducer(producer, True)
        recorder.transport.write(bytes(65_536))
        self.assertEqual(producer.calls, [])
        recorder.transport.write(b"x")
        self.assertEqual(producer.calls, ["pause"])
        self.turn()
        self.assertEqual(producer.calls, ["pause", "resume"])
        recorder.transport.write(bytes(65_537))
        self.assertEqual(producer.calls, ["pause", "resume", "pause"])

    def test_largeReply(self) -> None:
        """
        A reply above the limit pauses a push producer if the kernel does not accept it, or at once
        if it is written in several pieces; then it is resumed when they are sent.
        """
        limit = 65_536
        for pieces, accepted, calls in (
            ([4 * limit], 4 * limit, []),
            ([4 * limit], limit, ["pause"]),
            ([limit, limit], 2 * limit, ["pause", "resume"]),
        ):
            recorder, peer = self.adopt()
            recorder.transport.registerProducer(producer := RecordingProducer(), True)
            recorder.react = lambda data, write=recorder.transport.write, pieces=pieces: [
                write(bytes(size)) for size in pieces
            ]
            with sends(recorder.transport) as patched:
                patched.send.side_effect = lambda data, accepted=accepted: min(accepted, len(data))
                peer.send(b"x")
                self.turnUntil(lambda recorder=recorder: recorder.pieces)
            self.assertEqual(producer.calls, calls)

    def test_pullProducer(self) -> None:
        """A pull producer is resumed when its data has been sent."""
        recorder, _peer = self.adopt()
        producer = RecordingProducer()
        recorder.transport.registerProducer(producer, False)
        self.assertEqual(producer.calls, ["resume"])
        recorder.transport.write(b"produced")
        self.turn()
        self.assertEqual(producer.calls, ["resume"] * 2)

    def test_pullProducerInReply(self) -> None:
        """A pull producer registered when data arrives is resumed too."""
        recorder, peer = self.adopt()
        producer = RecordingProducer()

        def reply(data: bytes) -> None:
            recorder.transport.registerProducer(producer, False)
            recorder.transport.write(b"produced")

        recorder.react = reply
        peer.send(b"x")
        self.turn()
        self.assertEqual(producer.calls, ["resume"] * 2)

    def test_idlePullProducer(self) -> None:
        """A pull producer that has written nothing is not resumed because data arrives."""
        recorder, peer = self.adopt()
        recorder.transport.registerProducer(producer := RecordingProducer(), False)
        peer.send(b"x")
        self.turnUntil(lambda: recorder.pieces)
        self.turn()
        self.assertEqual(producer.calls, ["resume"])
        self.assertEqual(self.reactor.getWriters(), [])

    def test_sentEarly(self) -> None:
        """A reply is sent before dataReceived returns if that runs the reactor."""
        recorder, peer = self.adopt()
        recorder.react = lambda data: [recorder.transport.write(b"reply"), self.reactor.iterate(0)]
        peer.send(b"x")
        self.turn()
        self.assertEqual(peer.recv(10), b"reply")
        recorder.react = lambda data: [self.reactor.iterate(0) for _ in range(2)]
        peer.send(b"x")
        self.turn()
        self.assertEqual(self.reactor.getWriters(), [])

    def test_notBytes(self) -> None:
        """Data of other types than bytes raises TypeError, as on a stock transport."""
        recorder, _peer = self.adopt()
        with self.assertRaises(TypeError):
            recorder.transport.write("text")
        with self.assertRaises(TypeError):
            recorder.transport.writeSequence([b"bytes", "text"])

    def test_exception(self) -> None:
        """Data written before an exception in the same event is discarded, as by Twisted."""
        recorder, peer = self.adopt()

        def fail(data: bytes) -> None:
            recorder.transport.write(b"half a reply")
            raise ZeroDivisionError

        recorder.react = fail
        peer.send(b"x")
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        recorder.reason.trap(ZeroDivisionError)
        self.assertEqual(peer.recv(20), b"")

    def test_aborted(self) -> None:
        """Data written in the same turn as abortConnection is discarded."""
        recorder, peer = self.adopt()
        recorder.transport.write(b"before")
        recorder.transport.abortConnection()
        recorder.transport.write(b"after")
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionAborted)
        with self.assertRaises(ConnectionResetError):
            peer.recv(10)

    def test_writtenAfterAbort(self) -> None:
        """Data written after abortConnection is discarded, also if the turn ends before it."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            recorder, _peer = self.adopt(family)
            recorder.transport.abortConnection()
            recorder.transport.write(b"after")
            with sends(recorder.transport) as patched:
                self.reactor.doIteration(0)
            self.assertEqual(sent(patched), [])

    def test_abortedInEvent(self) -> None:
        """Data written together with abortConnection in dataReceived is discarded."""
        recorder, peer = self.adopt()

        def abort(data: bytes) -> None:
            recorder.transport.write(b"before")
            recorder.transport.abortConnection()

        recorder.react = abort
        peer.send(b"x")
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionAborted)
        with self.assertRaises(ConnectionResetError):
            peer.recv(10)

    def test_closedByPeer(self) -> None:
        """A normal close received before a timed call writes is reported as such."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            recorder, peer = self.adopt(family)
            peer.close()
            recorder.transport.write(b"to no one")
            self.turnUntil(lambda recorder=recorder: recorder.reason)
            recorder.reason.trap(ConnectionDone)

    def test_reset(self) -> None:
        """After a send that fails due to a reset, the end of input is a lost connection."""
        recorder, _peer = self.adopt()
        recorder.transport.write(b"to no one")
        with sends(recorder.transport) as failing:
            failing.send.side_effect = ConnectionResetError(ECONNRESET, "reset")
            self.turn()
            failing.recv.side_effect = lambda size: b""
            self.assertIsInstance(recorder.transport.doRead(), ConnectionLost)

    def test_halfClosed(self) -> None:
        """A write after a half-close is discarded, and the connection stays open."""
        recorder, peer = self.adopt()
        recorder.transport.loseWriteConnection()
        self.turn()
        recorder.transport.write(b"too late")
        self.assertEqual(peer.recv(10), b"")
        peer.close()
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionDone)

    def test_readAfterHalfClose(self) -> None:
        """Data that arrives after a half-close is received until the peer closes."""
        recorder, peer = self.adopt()
        recorder.transport.loseWriteConnection()
        self.turn()
        for data in (b"first", b"second"):
            peer.send(data)
            self.turnUntil(lambda data=data: data in recorder.pieces)
        self.turn()
        self.assertIsNone(recorder.reason)
        peer.close()
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionDone)


class CloseTests(TurnTestCase):
    def test_resetAtTheEnd(self) -> None:
        """A connection that was reset before it is closed is lost, also with nothing to send."""
        recorder, _peer = self.adopt()
        recorder.transport.loseConnection()
        with sends(recorder.transport) as failing:
            failing.send.side_effect = BrokenPipeError(EPIPE, "reset")
            self.turn()
        recorder.reason.trap(ConnectionLost)

    def test_atTheEndOfTheTurn(self) -> None:
        """loseConnection returns before the connection is closed at the end of the turn."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            recorder, peer = self.adopt(family)
            recorder.transport.write(b"the end")
            recorder.transport.loseConnection()
            self.assertIsNone(recorder.reason)
            self.turn()
            recorder.reason.trap(ConnectionDone)
            self.assertEqual([peer.recv(10), peer.recv(10)], [b"the end", b""])

    def test_scheduledCall(self) -> None:
        """Calls scheduled without delay run before the connection closes, and may still write."""
        recorder, peer = self.adopt()

        def close(data: bytes) -> None:
            recorder.transport.loseConnection()
            self.reactor.callLater(0, recorder.transport.write, b"bye")
            self.reactor.callLater(0, self.reactor.callLater, 0, self.reactor.stop)

        recorder.react = close
        peer.send(b"x")
        self.reactor.run(installSignalHandlers=False)
        self.assertEqual(peer.recv(10), b"bye")
        recorder.reason.trap(ConnectionDone)

    def test_queue(self) -> None:
        """Data queued before or after loseConnection is sent first."""
        for isFirst in (True, False):
            recorder, peer = self.adopt()
            long = bytes(10_000_000)
            if isFirst:
                recorder.transport.write(long)
            recorder.transport.loseConnection()
            if not isFirst:
                recorder.transport.write(long)
            self.assertEqual(self.receive(peer, len(long)), long)
            self.turnUntil(lambda recorder=recorder: recorder.reason)
            recorder.reason.trap(ConnectionDone)

    def test_producer(self) -> None:
        """A producer registered after loseConnection keeps the connection until it unregisters."""
        recorder, _peer = self.adopt()
        recorder.transport.loseConnection()
        recorder.transport.registerProducer(RecordingProducer(), False)
        self.turn()
        self.assertIsNone(recorder.reason)
        recorder.transport.unregisterProducer()
        self.turnUntil(lambda: recorder.reason)

    def test_postponed(self) -> None:
        """A transport of a subclass may put off its close, or give another reason for it."""
        for why in (None, ConnectionLost()):
            recorder, _peer = self.adopt()
            with mock.patch.object(recorder.transport, "_postLoseConnection", return_value=why):
                recorder.transport.loseConnection()
                self.turn()
            self.assertIs(recorder.reason is None, why is None)

    def test_aborted(self) -> None:
        """abortConnection after loseConnection aborts."""
        recorder, _peer = self.adopt()
        recorder.transport.loseConnection()
        recorder.transport.abortConnection()
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionAborted)


class ReadTests(TurnTestCase):
    def test_unanswered(self) -> None:
        """A receive that the protocol does not answer sends nothing, not even an empty piece."""
        recorder, peer = self.adopt()
        peer.send(b"x")
        with sends(recorder.transport) as sending:
            self.turn()
            sending.send.assert_not_called()
        self.assertEqual(recorder.pieces, [b"x"])

    def test_UNIX(self) -> None:
        """Connections of UNIX sockets receive, too."""
        recorder, peer = self.adopt(socket.AF_UNIX)
        peer.send(b"received")
        self.turn()
        self.assertEqual(recorder.pieces, [b"received"])

    def test_nothingThere(self) -> None:
        """A receive without data keeps the connection; one that fails loses it."""
        recorder, _peer = self.adopt()
        self.assertIsNone(recorder.transport.doRead())
        with sends(recorder.transport) as failing:
            failing.recv.side_effect = OSError(ECONNRESET, "reset")
            self.assertIsInstance(recorder.transport.doRead(), ConnectionLost)

    def test_whileBlocked(self) -> None:
        """Data is received while an earlier reply is unsent."""
        recorder, peer = self.adopt()
        recorder.transport.write(bytes(10_000_000))
        self.turn()
        peer.send(b"x")
        self.turn()
        self.assertEqual(recorder.pieces, [b"x"])
