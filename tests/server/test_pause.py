from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.pause import Pause


class PauseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pause = Pause(self.clock)

    def test_time(self) -> None:
        """A pause ends after its time; one of no time has ended at once."""
        over = self.pause.begin(2.0)
        self.clock.advance(1.9)
        self.assertNoResult(over)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(over))
        self.assertIsNone(self.successResultOf(self.pause.begin(0.0)))
        self.assertFalse(self.pause.end())

    def test_end(self) -> None:
        """end() ends a pause early, and leaves nothing scheduled."""
        over = self.pause.begin(2.0)
        self.assertTrue(self.pause.end())
        self.assertIsNone(self.successResultOf(over))
        self.assertEqual(self.clock.getDelayedCalls(), [])
