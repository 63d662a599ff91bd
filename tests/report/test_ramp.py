from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.ramp import RampStep
from echoproto.report.ramp import heldRate, rampLines
from echoproto.units import SECOND
from tests.report.sampleresults import histogramOf


class RampTextTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Every rate has a line, with the reason if it was not held, and the highest is named."""
        counts = IntervalCounts()
        counts.service.merge(histogramOf(1, 3))
        held, failed = RampStep(2, SECOND, counts), RampStep(4, SECOND, counts, ["p99<2ms"])
        times = "2.0 exchanges/s, p50 1.000 ms, p99 3.000 ms"
        expected = [f"at 2.0/s: {times}", f"at 4.0/s: {times}; not held: p99<2ms"]
        self.assertEqual(rampLines([held, failed]), [*expected, "highest rate that held: 2.0/s"])
        self.assertEqual(rampLines([failed])[-1], "no rate was held")
        self.assertEqual((rampLines([]), heldRate([])), ([], 0))
