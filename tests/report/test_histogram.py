from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.latency import LONGEST_TIME_NS, LatencyHistogram
from echoproto.report.histogram import histogramLines
from tests.report.sampleresults import histogramOf


class HistogramTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Every step between the shortest and the longest time has a row, with its bar."""
        self.assertEqual(
            histogramLines(histogramOf(1, 1, 1, 1, 2, 9)),
            [
                "<=       1.000 ms         4  66.67%  " + "#" * 40,
                "<=       2.000 ms         1  16.67%  " + "#" * 10,
                "<=       5.000 ms         0   0.00%",
                "<=      10.000 ms         1  16.67%  " + "#" * 10,
            ],
        )

    def test_limits(self) -> None:
        """It has no row without times, and one for the longest time; lines fit a terminal."""
        self.assertEqual(histogramLines(LatencyHistogram()), [])
        times = LatencyHistogram()
        times.add(2 * LONGEST_TIME_NS)
        [line] = histogramLines(times)
        self.assertLessEqual(len(line), 80)
