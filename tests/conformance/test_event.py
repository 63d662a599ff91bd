from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.event import Event


class EventTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.event = Event(self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def test_set(self) -> None:
        """An event wakes a waiter once, and is ignored without a waiter."""
        self.event.set()
        waiting = self.event.wait(2.0)
        self.assertNoResult(waiting)
        self.event.set()
        self.assertTrue(self.successResultOf(waiting))
        self.event.set()

    def test_late(self) -> None:
        """A wait that times out returns False, and a later event is ignored."""
        waiting = self.event.wait(2.0)
        self.clock.advance(2.0)
        self.assertIs(self.successResultOf(waiting), False)
        self.event.set()

    def test_cancelled(self) -> None:
        """A wait can be cancelled."""
        waiting = self.event.wait(2.0)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.event.set()
