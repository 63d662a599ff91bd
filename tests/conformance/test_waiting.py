from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.waiting import Event


class NewsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.news = Event(self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def test_come(self) -> None:
        """Who waits is told, once; who does not wait is told nothing."""
        self.news.set()
        waiting = self.news.wait(2.0)
        self.assertNoResult(waiting)
        self.news.set()
        self.assertTrue(self.successResultOf(waiting))
        self.news.set()

    def test_late(self) -> None:
        """Where nothing comes in time that is told, and what comes later tells nobody."""
        waiting = self.news.wait(2.0)
        self.clock.advance(2.0)
        self.assertIs(self.successResultOf(waiting), False)
        self.news.set()

    def test_cancelled(self) -> None:
        """Waiting can be cancelled."""
        waiting = self.news.wait(2.0)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.news.set()
