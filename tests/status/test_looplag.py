from __future__ import annotations

from twisted.application.service import IService
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.status.looplag import BOUNDS, INTERVAL, LoopLag


class LoopLagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.delay = LoopLag(self.clock)

    def test_interface(self) -> None:
        """LoopLag provides IService and schedules nothing before it is started."""
        verifyObject(IService, self.delay)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onTime(self) -> None:
        """A punctual loop has a lag of 0, recorded in every interval."""
        self.delay.startService()
        self.clock.pump([INTERVAL] * 4)
        self.assertEqual((self.delay.histogram.count, self.delay.histogram.sum), (4, 0.0))

    def test_late(self) -> None:
        """A late call is recorded once with its delay."""
        self.delay.startService()
        self.clock.advance(INTERVAL + 4.0)
        self.clock.advance(INTERVAL + 0.25)
        self.assertEqual((self.delay.histogram.count, self.delay.histogram.sum), (2, 4.25))
        spread = dict(self.delay.histogram.cumulative())
        self.assertEqual((spread[0.1], spread[0.3], spread[3.0], spread[BOUNDS[-1]]), (0, 1, 1, 2))

    def test_clockSetBack(self) -> None:
        """The lag is never negative, even if the clock was set back."""
        self.delay.startService()
        [call] = self.clock.getDelayedCalls()
        self.clock.rightNow -= 60.0
        call.reset(0)
        self.clock.advance(0)
        self.assertEqual((self.delay.histogram.count, self.delay.histogram.sum), (1, 0.0))

    def test_stopped(self) -> None:
        """A stopped service schedules nothing, keeps its values, and can be stopped again."""
        self.delay.startService()
        self.clock.advance(INTERVAL + 1.0)
        self.delay.stopService()
        self.delay.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.delay.histogram.sum, self.delay.histogram.count), (1.0, 1))

    def test_restarted(self) -> None:
        """After a restart the histogram continues; the time between is not measured."""
        self.delay.startService()
        self.clock.advance(INTERVAL + 1.0)
        self.delay.stopService()
        self.clock.advance(60.0)
        self.delay.startService()
        self.clock.advance(INTERVAL + 0.5)
        self.assertEqual((self.delay.histogram.count, self.delay.histogram.sum), (2, 1.5))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
