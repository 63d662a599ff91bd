from __future__ import annotations

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.ramp import RampStep, rampRates, rampTimes
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf


class RampTests(SynchronousTestCase):
    def test_rates(self) -> None:
        """Rates rise by the same factor, from the first to the last."""
        found = [round(rate) for rate in rampRates(1000, 8000, 4)]
        self.assertEqual(found, [1000, 2000, 4000, 8000])
        self.assertEqual(rampRates(5, 50, 1), (5,))

    def test_times(self) -> None:
        """Each rate is kept for its time; the last one goes on."""
        times = [at / SECOND for at in islice(rampTimes((2, 4), SECOND), 9)]
        self.assertEqual(times, [0, 0.5, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5])

    def test_missing(self) -> None:
        """Too few replies in a step have their number as the reason."""
        counts = IntervalCounts()
        counts.service.merge(histogramOf(*range(19)))
        self.assertEqual(RampStep(10, 2 * SECOND, counts).missing, "")
        self.assertEqual(RampStep(11, 2 * SECOND, counts).missing, "19 of 22 replies in time")
