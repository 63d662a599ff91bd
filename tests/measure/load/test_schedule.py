from __future__ import annotations

from itertools import islice, pairwise
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.schedule import fixed, poisson
from echoproto.text.units import SECOND


class ArrivalTests(SynchronousTestCase):
    def test_fixed(self) -> None:
        """Send times follow the rate, and rounding errors do not accumulate."""
        self.assertEqual(list(islice(fixed(4), 3)), [0, SECOND // 4, SECOND // 2])
        self.assertEqual(next(islice(fixed(3), 3_000_000, None)), 1_000_000 * SECOND)

    def test_poisson(self) -> None:
        """Poisson intervals are exponentially distributed: 63 % are shorter than the mean."""
        times = list(islice(poisson(1000, Random(862)), 20_001))
        self.assertEqual(times[0], 0)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        mean = sum(gaps) / len(gaps)
        self.assertLess(abs(mean / SECOND * 1000 - 1), 0.03)
        # 1 - 1/e
        self.assertLess(abs(sum(gap < mean for gap in gaps) / len(gaps) - 0.632), 0.02)
