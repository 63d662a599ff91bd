from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from math import ceil
from random import Random
from statistics import fmean, pstdev
from unittest import mock

from hdrh.histogram import HdrHistogram
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure import latency
from echoproto.measure.latency import LONGEST_TIME_NS, PERCENTILES, LatencyHistogram, nearestRank


def histogramOf(times: list[int]) -> LatencyHistogram:
    made = LatencyHistogram()
    for time in times:
        made.add(time)
    return made


def exact(times: list[int], percent: float) -> int:
    """The smallest time that ``percent`` percent of the times do not exceed."""
    return sorted(times)[max(ceil(len(times) * percent / 100), 1) - 1]


class LatencyHistogramTests(SynchronousTestCase):
    def setUp(self) -> None:
        random = Random(862)
        #: Round trips as a network has them: most short, few very long.
        self.times = [round(random.lognormvariate(13, 1.5)) for _ in range(20_000)]

    def test_percentiles(self) -> None:
        """Every percentile is within 0.1 % of the exact one of the raw list."""
        histogram = histogramOf(self.times)
        for percent in (0.1, 1, 10, 25, 75, 95, 99.99, *PERCENTILES.values()):
            wanted = exact(self.times, percent)
            self.assertLessEqual(
                abs(histogram.percentile(percent) - wanted), wanted / 1000, percent
            )
        self.assertEqual(histogram.percentile(100), max(self.times))

    def test_exact(self) -> None:
        """Count, extremes, mean and standard deviation are exact."""
        histogram = histogramOf(self.times)
        self.assertEqual(
            (histogram.count, histogram.minimum, histogram.maximum),
            (len(self.times), min(self.times), max(self.times)),
        )
        self.assertAlmostEqual(histogram.mean, fmean(self.times), places=3)
        self.assertAlmostEqual(histogram.deviation, pstdev(self.times), places=3)

    def test_buckets(self) -> None:
        """Each time is within the limits of its bucket, which differ by 0.1 % at most."""
        buckets = histogramOf(self.times).buckets()
        self.assertEqual((buckets[0][0], buckets[-1][1]), (min(self.times), max(self.times)))
        wanted = sorted(self.times)
        for least, most, count in buckets:
            self.assertTrue(all(least <= value <= most for value in wanted[:count]))
            self.assertLessEqual(most - least, least / 1000)
            del wanted[:count]
        self.assertEqual(wanted, [])

    def test_none(self) -> None:
        """Without any time, all figures are 0."""
        histogram = LatencyHistogram()
        self.assertEqual(
            (histogram.mean, histogram.deviation, histogram.percentile(50), histogram.minimum),
            (0, 0, 0, 0),
        )

    def test_outside(self) -> None:
        """Times outside the range of the histogram are counted, and the extremes stay exact."""
        histogram = histogramOf([0, LONGEST_TIME_NS * 5])
        self.assertEqual(
            (histogram.minimum, histogram.maximum, histogram.count), (0, LONGEST_TIME_NS * 5, 2)
        )

    def test_many(self) -> None:
        """Memory is bounded by the number of buckets, whatever the number of different times."""
        histogram = histogramOf([1, *range(10_000_000, 20_000_000, 100)])
        self.assertEqual((histogram.count, histogram.minimum), (100_001, 1))
        self.assertLess(len(histogram._counts), 50_000)
        self.assertLess(abs(histogram.percentile(50) - 15_000_000), 15_000)

    def test_library(self) -> None:
        """Percentiles are those of the HDR library."""
        histogram = histogramOf(self.times)
        state = histogram.state()
        histogram = HdrHistogram.decode(state["histogram"])
        for name, percent in PERCENTILES.items():
            self.assertEqual(state[f"{name}_ns"], histogram.get_value_at_percentile(percent))

    def test_quantiles(self) -> None:
        """The extremes and the printed percentiles have names, and ascend."""
        found = histogramOf([1, 2, 3]).quantiles()
        self.assertEqual(list(found), ["min", *PERCENTILES, "max"])
        self.assertEqual(list(found.values()), [1, 2, 3, 3, 3, 3, 3])

    def test_nearestRank(self) -> None:
        """A percentile is the smallest time that this percentage of the times does not exceed."""
        for count in range(1, 400):
            histogram = histogramOf(list(range(1, count + 1)))
            for percent in (50, 90, 99, 99.9):
                rank = histogram.percentile(percent)
                self.assertGreaterEqual(rank * 1000, round(percent * 10) * count)
                self.assertLess((rank - 1) * 1000, round(percent * 10) * count)
        self.assertEqual(nearestRank(0, 50), 1)

    def test_merge(self) -> None:
        """Merged histograms equal one with all times, in any order."""
        first, second = histogramOf(self.times[:5000]), histogramOf(self.times[5000:])
        merged = LatencyHistogram()
        for histogram in (second, LatencyHistogram(), first):
            merged.merge(histogram)
        whole = histogramOf(self.times)
        self.assertEqual(merged.state(), whole.state())

    def test_stored(self) -> None:
        """A histogram is the same after JSON, even with times that exceed its range."""
        for times in (self.times, [], [5, LONGEST_TIME_NS * 2, LONGEST_TIME_NS * 5]):
            state = histogramOf(times).state()
            self.assertEqual(
                LatencyHistogram.restored(json.loads(json.dumps(state))).state(), state
            )


class ExtraTests(SynchronousTestCase):
    def test_missing(self) -> None:
        """Without the extra, the import error has the remedy."""
        spec = spec_from_file_location("again", latency.__file__)
        assert spec is not None and spec.loader is not None
        with (
            mock.patch.dict(sys.modules, {"hdrh.histogram": None}),
            self.assertRaisesRegex(ImportError, r"pip install -e '\.\[measure\]'") as caught,
        ):
            spec.loader.exec_module(module_from_spec(spec))
        self.assertEqual(caught.exception.name, "hdrh.histogram")
