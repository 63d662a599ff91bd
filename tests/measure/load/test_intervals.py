from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.intervals import IntervalTimer
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
        for _ in range(4):
            self.clock.advance(0.5)
        self.assertEqual((len(self.counters.intervals), self.timer.heldUp), (2, 0))

    def test_pause(self) -> None:
        """After a pause of this process the missed seconds are closed, and later ones in time."""
        self.timer.start()
        self.clock.advance(3.2)
        self.assertEqual(len(self.counters.intervals), 3)
        self.assertEqual(self.timer.heldUp, round(2.2 * SECOND))
        self.clock.advance(0.8)
        self.assertEqual(len(self.counters.intervals), 4)
