from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.schedule import ProbeSchedule
from echoproto.units import SECOND


class ProbeScheduleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.schedule = ProbeSchedule(SECOND)

    def test_onTime(self) -> None:
        """A probe that is slightly late does not delay the following ones."""
        for now in (0, SECOND + SECOND // 20, 2 * SECOND):
            self.schedule.called(now)
            self.assertEqual(self.schedule.advance(now), SECOND - now % SECOND)
        self.assertEqual((self.schedule.heldUp, self.schedule.delayed), (0, 0))

    def test_heldUp(self) -> None:
        """After a pause one missed probe is sent at once, and the others are delayed."""
        self.schedule.called(5 * SECOND)
        self.assertEqual(self.schedule.advance(5 * SECOND), -SECOND)
        self.assertEqual(self.schedule.heldUp, 5 * SECOND)
        self.assertEqual((self.schedule.due, self.schedule.delayed), (4 * SECOND, 3 * SECOND))

    def test_connecting(self) -> None:
        """The time to connect does not count as a delay of this process."""
        self.schedule.called(0)
        self.schedule.advance(5 * SECOND)
        self.assertEqual((self.schedule.heldUp, self.schedule.delayed), (0, 0))
