from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify.integrity import Fault, FaultKind, IntegrityChecker
from echoproto.measure.verify.pattern import PatternStream
from echoproto.measure.verify.streams import (
    MAX_EXCESS_BYTES,
    WINDOW_SIZE,
    WRITE_SIZE,
    StreamVerifier,
)
from echoproto.measure.verify.verifier import STOPPED
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel

#: How long silence may last.
PATIENCE = 2 * SECOND


class EchoChannel(FakeChannel):
    """An echo that is advanced by a test, and may damage the data."""

    def __init__(self, canFinish: bool = True) -> None:
        super().__init__()
        self.data = bytearray()
        self.canFinish = canFinish
        self.finished = False

    def send(self, message: bytes) -> None:
        self.data += message

    def loseWriteConnection(self) -> bool:
        self.finished = True
        return self.canFinish


class Target:
    """Opens one channel, or fires a Deferred that a test has provided."""

    name, hint = "tcp://lab1:7", ""

    def __init__(self, canFinish: bool = True) -> None:
        self.channel = EchoChannel(canFinish)
        self.opening: Deferred[Any] = succeed(self.channel)

    def open(self, receiver: Any) -> Deferred[Any]:
        return self.opening


class StreamVerifierTests(SynchronousTestCase):
    def begin(
        self, size: int | None = 3 * WINDOW_SIZE, target: Target | None = None
    ) -> StreamVerifier:
        self.clock = Clock()
        self.target = target if target is not None else Target()
        server: Any = self.target
        self.told: list[Fault] = []
        verifying = StreamVerifier(
            server,
            self.clock,
            lambda: round(self.clock.seconds() * SECOND),
            IntegrityChecker(PatternStream(1)),
            size,
            PATIENCE,
            self.told.append,
        )
        verifying.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(verifying.stop)
        return verifying

    def echo(
        self, verifying: StreamVerifier, harm: Callable[[bytes], bytes] = lambda data: data
    ) -> None:
        """Echo until no data is left; then, after a half-close, the server's FIN follows."""
        channel = self.target.channel
        while channel.data and not channel.closed:
            data, channel.data = bytes(channel.data), bytearray()
            verifying.replyReceived(harm(data))
        if channel.finished and channel.canFinish:
            verifying.connectionLost("the server closed the connection")

    def test_right(self) -> None:
        """A complete and correct echo has no faults."""
        verifying = self.begin()
        self.clock.advance(1)
        self.echo(verifying)
        result = self.successResultOf(verifying.result)
        self.assertEqual(
            (result.sent, result.received, result.duration),
            (3 * WINDOW_SIZE, 3 * WINDOW_SIZE, SECOND),
        )
        self.assertEqual(
            (result.counts.total(), result.ending, result.rate), (0, "", 3 * WINDOW_SIZE)
        )

    def test_window(self) -> None:
        """No more than a window is under way, whatever the server does."""
        verifying = self.begin(None)
        self.assertEqual(len(self.target.channel.data), WINDOW_SIZE)
        verifying.replyReceived(bytes(self.target.channel.data[: WRITE_SIZE - 1]))
        self.assertEqual(len(self.target.channel.data), WINDOW_SIZE)
        verifying.replyReceived(bytes(self.target.channel.data[WRITE_SIZE - 1 : WRITE_SIZE]))
        self.assertEqual(len(self.target.channel.data), WINDOW_SIZE + WRITE_SIZE)

    def test_noHalfClose(self) -> None:
        """Without half-close, the last byte ends it."""
        verifying = self.begin(WINDOW_SIZE, Target(canFinish=False))
        self.echo(verifying)
        result = self.successResultOf(verifying.result)
        self.assertEqual((result.received, result.ending), (WINDOW_SIZE, ""))
        channel = self.target.channel
        self.assertEqual((channel.closed, channel.aborted), (True, False))

    def test_noHalfCloseInPieces(self) -> None:
        """Without half-close, it waits for the last byte."""
        verifying = self.begin(WINDOW_SIZE, Target(canFinish=False))
        verifying.replyReceived(bytes(self.target.channel.data[:-1]))
        self.assertNoResult(verifying.result)
        verifying.replyReceived(bytes(self.target.channel.data[-1:]))
        self.successResultOf(verifying.result)

    def test_harmed(self) -> None:
        """Faults are reported and counted, and checking continues."""

        def flip(data: bytes) -> bytes:
            return b"".join(
                bytes([data[number] ^ 1]) + data[number + 1 : number + 1000]
                for number in range(0, len(data), 1000)
            )

        verifying = self.begin(WINDOW_SIZE)
        self.echo(verifying, flip)
        result = self.successResultOf(verifying.result)
        self.assertEqual(result.counts, {FaultKind.FLIPPED: WINDOW_SIZE // 1000 + 1})
        self.assertEqual((len(self.told), result.ending), (WINDOW_SIZE // 1000 + 1, ""))

    def test_cut(self) -> None:
        """If the server closes too early, the stream is cut, with a reason."""
        verifying = self.begin()
        verifying.replyReceived(bytes(self.target.channel.data[:1000]))
        verifying.connectionLost("connection lost")
        result = self.successResultOf(verifying.result)
        self.assertEqual(self.told, [Fault(FaultKind.CUT, 1000, WINDOW_SIZE - 1000)])
        self.assertEqual(result.ending, "connection lost")

    def test_notAll(self) -> None:
        """If the server closes before all was sent, the stream is cut."""
        verifying = self.begin(None)
        verifying._integrity.offset = verifying._integrity.sent
        verifying.connectionLost("the server closed the connection")
        self.assertEqual(
            self.successResultOf(verifying.result).ending, "the server closed the connection"
        )

    def test_noEcho(self) -> None:
        """If the server sends much more than it receives, the verification ends."""
        verifying = self.begin(None)
        for _ in range((WINDOW_SIZE + MAX_EXCESS_BYTES) // WRITE_SIZE + 1):
            verifying.replyReceived(bytes(WRITE_SIZE))
        result = self.successResultOf(verifying.result)
        self.assertEqual(result.ending, "the server sends more than it receives")
        self.assertTrue(self.target.channel.aborted)

    def test_silent(self) -> None:
        """If no data is received within the timeout, the verification ends."""
        verifying = self.begin()
        self.clock.pump([0.5] * 3)
        verifying.replyReceived(bytes(self.target.channel.data[:1000]))
        self.clock.pump([0.5] * 3)
        self.assertNoResult(verifying.result)
        self.clock.advance(0.5)
        result = self.successResultOf(verifying.result)
        self.assertEqual(
            (result.ending, result.counts[FaultKind.CUT]), ("no data received for 2 s", 1)
        )

    def test_finish(self) -> None:
        """finish() stops sending, and ends with the last byte, or at once if not connected."""
        verifying = self.begin(None)
        verifying.finish()
        self.echo(verifying)
        self.assertEqual(self.successResultOf(verifying.result).sent, WINDOW_SIZE)
        target = Target()
        opening, target.opening = target.opening, Deferred()
        verifying = self.begin(None, target)
        verifying.finish()
        target.opening.callback(self.successResultOf(opening))
        self.echo(verifying)
        self.assertEqual(self.successResultOf(verifying.result).sent, 0)

    def test_stopped(self) -> None:
        """After a stop, bytes under way are not a fault."""
        verifying = self.begin()
        verifying.result.cancel()
        result = self.successResultOf(verifying.result)
        self.assertEqual((result.ending, result.counts.total()), (STOPPED, 0))
