from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.clientlimits import heldUpLimit
from echoproto.text.units import SECOND


class LimitTests(SynchronousTestCase):
    def test_heldUp(self) -> None:
        """The time is in milliseconds, as other times are, and is rounded."""
        limit = heldUpLimit(SECOND // 4 + 14_000)
        self.assertEqual(limit, "this process was held up for 250 ms at a time")
