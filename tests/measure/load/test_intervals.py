from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.intervals import TICK, IntervalTimer
from echoproto.measure.load.plan import MAX_HELD_UP_NS
from echoproto.measure.load.timers import Timers
from echoproto.text.units import SECOND


class IntervalTimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = LoadCounters()
        self.timers = Timers(self.clock)
        self.addCleanup(self.timers.end)
        self.timer = IntervalTimer(self.counters, self.timers, self.now)

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def test_seconds(self) -> None:
        """The counts begin with the first second, and every second is closed at its end."""
        self.counters.counts.sent = 5
        self.clock.advance(3)
        self.timer.start()
        self.assertEqual((self.counters.begin, self.counters.figures), (3 * SECOND, (0, 0, 0)))
        for _ in range(20):
            self.clock.advance(0.1)
        self.assertEqual(len(self.counters.intervals), 2)
        self.assertLess(self.timer.heldUp, MAX_HELD_UP_NS)

    def test_pause(self) -> None:
        """After a pause of this process the missed seconds are closed, and later ones in time."""
        self.timer.start()
        self.clock.advance(3.2)
        self.assertEqual(len(self.counters.intervals), 3)
        self.assertEqual(self.timer.heldUp, round(3.2 * SECOND) - TICK)
        self.clock.advance(0.8)
        self.assertEqual(len(self.counters.intervals), 4)

    def test_shortPause(self) -> None:
        """A pause is measured wherever in a second it begins, up to a tick."""
        for begins in (0.05, 0.45, 0.95):
            self.setUp()
            self.timer.start()
            self.clock.pump([0.05] * round(begins / 0.05))
            self.clock.advance(0.5)
            self.assertGreater(self.timer.heldUp, SECOND // 2 - TICK - 1000)
            self.assertLess(self.timer.heldUp, SECOND // 2 + 1000)
