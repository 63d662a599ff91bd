from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.workers.restarts import (
    MAX_FAILED_STARTS,
    RESTART_DELAYS,
    STABLE_AFTER,
    RestartPolicy,
)


class RestartPolicyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = RestartPolicy(2)

    def test_delays(self) -> None:
        """Each death of a worker in a row has a longer delay, up to the last; others have none."""
        delays = [self.policy.nextDelay(1) for _ in range(len(RESTART_DELAYS) + 1)]
        self.assertEqual(delays, [*RESTART_DELAYS, RESTART_DELAYS[-1]])
        self.assertEqual(self.policy.nextDelay(0), RESTART_DELAYS[0])

    def test_stable(self) -> None:
        """A worker that has run for long begins a new row when it dies."""
        self.policy.nextDelay(1)
        self.policy.ran(1, STABLE_AFTER - 1)
        self.assertTrue(self.policy.hasDied(1))
        self.policy.ran(1, STABLE_AFTER)
        self.assertFalse(self.policy.hasDied(1))
        self.assertEqual(self.policy.nextDelay(1), RESTART_DELAYS[0])

    def test_giveUp(self) -> None:
        """If no worker has ever served, a few failed starts are enough to give up."""
        for _ in range(MAX_FAILED_STARTS):
            self.assertFalse(self.policy.hasGivenUp)
            self.policy.startFailed()
        self.assertTrue(self.policy.hasGivenUp)

    def test_served(self) -> None:
        """Once a worker has served, no number of failed starts is."""
        self.policy.startFailed()
        self.policy.served()
        for _ in range(2 * MAX_FAILED_STARTS):
            self.policy.startFailed()
        self.assertFalse(self.policy.hasGivenUp)
