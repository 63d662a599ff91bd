from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.workers.lastaccept import ACCEPT_TIMEOUT, LastAcceptance


class LastAcceptanceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.acceptance = LastAcceptance(self.clock)

    def test_reports(self) -> None:
        """It is over when every worker has reported."""
        finished = self.acceptance.begin(range(2))
        self.acceptance.received(1)
        self.assertNoResult(finished)
        self.acceptance.received(0)
        self.successResultOf(finished)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noWorker(self) -> None:
        """Without workers it is over at once."""
        self.successResultOf(self.acceptance.begin(()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_died(self) -> None:
        """A worker that has reported and dies is waited for again."""
        finished = self.acceptance.begin(range(2))
        self.acceptance.received(1)
        self.acceptance.expect(1)
        self.acceptance.received(0)
        self.assertNoResult(finished)
        self.acceptance.received(1)
        self.successResultOf(finished)

    def test_timeout(self) -> None:
        """It does not wait for ever, and a later report changes nothing."""
        finished = self.acceptance.begin(range(2))
        self.clock.advance(ACCEPT_TIMEOUT)
        self.clock.advance(0)
        self.successResultOf(finished)
        self.acceptance.received(0)
        self.acceptance.received(1)

    def test_beforeStop(self) -> None:
        """Deaths and reports before a stop have no effect on it."""
        self.acceptance.expect(7)
        self.acceptance.received(0)
        self.assertEqual((self.acceptance.hasBegun, self.acceptance.seconds), (False, 0))
        finished = self.acceptance.begin(range(1))
        self.acceptance.received(0)
        self.successResultOf(finished)

    def test_seconds(self) -> None:
        """It reports the time since it has begun."""
        self.clock.advance(5)
        self.acceptance.begin(range(1))
        self.clock.advance(1)
        self.assertEqual((self.acceptance.hasBegun, self.acceptance.seconds), (True, 1))
        self.acceptance.end()
