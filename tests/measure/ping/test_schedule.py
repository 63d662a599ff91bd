from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.schedule import SETTLING_TIME, ProbeSchedule
from echoproto.text.units import SECOND


class ProbeScheduleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.schedule = ProbeSchedule(SECOND)

    def postponed(self, schedule: ProbeSchedule, now: int) -> bool:
        """Whether the probe that is due now is postponed."""
        schedule.called(now)
        return schedule.postpone()

    def test_onTime(self) -> None:
        """A probe that is slightly late does not delay the following ones."""
        for now in (0, SECOND + SECOND // 20, 2 * SECOND):
            self.assertFalse(self.postponed(self.schedule, now))
            self.assertEqual(self.schedule.advance(now), SECOND - now % SECOND)
        self.assertEqual((self.schedule.heldUp, self.schedule.delayed), (0, 0))

    def test_firstIsLate(self) -> None:
        """The first probe is sent however late it is; those that were missed are not."""
        now = 5 * SECOND + 1
        self.assertFalse(self.postponed(self.schedule, now))
        self.assertEqual(self.schedule.advance(now), -1)
        self.assertEqual((self.schedule.due, self.schedule.delayed), (5 * SECOND, 4 * SECOND))

    def test_heldUp(self) -> None:
        """After a pause nothing is sent until the next time at which a probe had been due."""
        for late, due in ((0, 4), (SECOND - SETTLING_TIME, 4), (SECOND - 1, 5)):
            schedule = ProbeSchedule(SECOND)
            self.assertFalse(self.postponed(schedule, 0))
            schedule.advance(0)
            self.assertTrue(self.postponed(schedule, 3 * SECOND + late))
            self.assertEqual(schedule.heldUp, 2 * SECOND + late)
            self.assertEqual((schedule.due, schedule.delayed), (due * SECOND, (due - 1) * SECOND))
            self.assertFalse(self.postponed(schedule, due * SECOND))

    def test_heldUpAgain(self) -> None:
        """A probe that has waited after a pause is sent, however late it is."""
        self.assertFalse(self.postponed(self.schedule, 0))
        self.schedule.advance(0)
        found = [self.postponed(self.schedule, 9 * SECOND * number) for number in (1, 2)]
        self.assertEqual(found, [True, False])
        self.schedule.advance(18 * SECOND)
        self.assertEqual((self.schedule.due, self.schedule.delayed), (18 * SECOND, 16 * SECOND))

    def test_connecting(self) -> None:
        """The time to connect does not count as a delay of this process."""
        self.schedule.called(0)
        self.schedule.advance(5 * SECOND)
        self.assertEqual((self.schedule.heldUp, self.schedule.delayed), (0, 0))
