from __future__ import annotations

from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.periodic import PeriodicService


class PeriodicServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.call = Clock(), mock.Mock()
        self.service = PeriodicService(self.clock, 10.0, self.call)
        self.service.startService()

    def test_calls(self) -> None:
        """The call is made at the start and then at each interval, until the service stops."""
        self.assertEqual(self.call.call_count, 1)
        self.clock.pump([9.0, 1.0, 10.0])
        self.assertEqual(self.call.call_count, 3)
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fails(self) -> None:
        """A call that fails is logged; no further one is made, and the service stops as ever."""
        self.call.side_effect = ZeroDivisionError
        self.clock.advance(10)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.service.stopService()
