from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.clientlimits import heldUpLimit
from echoproto.units import SECOND


class LimitTests(SynchronousTestCase):
    def test_heldUp(self) -> None:
        """The time is in seconds."""
        self.assertEqual(heldUpLimit(3 * SECOND), "this process was held up for 3 s at a time")
