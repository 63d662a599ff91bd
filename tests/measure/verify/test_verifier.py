from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import MAX_KEPT_FAULTS, STOPPED, Verifier, VerifyResult
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel, Target


class TickingVerifier(Verifier):
    """Finds a fault every second."""

    seconds = 0
    kind = FaultKind.FLIPPED

    def snapshot(self, ending: str = "") -> VerifyResult:
        return self._result(7, 10, 20, self.seconds * SECOND, ending)

    def finish(self) -> None:
        self._end("")

    def _begin(self) -> None:
        self._later(1, self._tick)

    def _tick(self) -> None:
        self.seconds += 1
        self._note(Fault(self.kind, self.seconds, 1))
        self._begin()


class VerifierTests(SynchronousTestCase):
    def begin(self, opening: Deferred[Any]) -> TickingVerifier:
        self.clock = Clock()
        self.found: list[Fault] = []
        target = Target()
        target.instead = [opening]
        verifier = TickingVerifier(target, self.clock, lambda: 0, SECOND, self.found.append)
        verifier.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(verifier.stop)
        return verifier

    def test_faults(self) -> None:
        """All faults are counted and reported; the first ones are kept."""
        channel = FakeChannel()
        verifier = self.begin(succeed(channel))
        # An expired deadline takes one more turn.
        self.clock.pump([1, 0] * (MAX_KEPT_FAULTS + 1))
        verifier.finish()
        result = self.successResultOf(verifier.result)
        self.assertEqual(result.counts, {FaultKind.FLIPPED: MAX_KEPT_FAULTS + 1})
        self.assertEqual(result.faults, tuple(self.found[:-1]))
        self.assertEqual((result.ending, channel.closed), ("", True))

    def test_countedOnly(self) -> None:
        """A reordered datagram is counted, and neither reported nor kept."""
        verifier = self.begin(succeed(FakeChannel()))
        verifier.kind = FaultKind.REORDERED
        self.clock.pump([1, 0])
        result = verifier.snapshot()
        self.assertEqual(result.counts, {FaultKind.REORDERED: 1})
        self.assertEqual((result.faults, self.found), ((), []))

    def test_result(self) -> None:
        """It has the seed, the bytes and their rate."""
        verifier = self.begin(succeed(FakeChannel()))
        self.assertEqual(verifier.snapshot().rate, 0)
        self.clock.pump([1, 0, 1, 0])
        result = verifier.snapshot("why")
        self.assertEqual((result.target, result.seed, result.sent), ("tcp://lab1:7", 7, 10))
        self.assertEqual((result.received, result.rate, result.ending), (20, 10, "why"))

    def test_refused(self) -> None:
        """Without a connection it fails."""
        verifier = self.begin(fail(ConnectionRefusedError()))
        self.failureResultOf(verifier.result, ConnectionRefusedError)

    def test_stopped(self) -> None:
        """Cancelled or stopped it fires once with the figures so far, connected or not."""
        for opening in (succeed(FakeChannel()), Deferred()):
            verifier = self.begin(opening)
            verifier.result.cancel()
            verifier.stop()
            result = self.successResultOf(verifier.result)
            self.assertEqual((result.ending, result.counts.total()), (STOPPED, 0))
