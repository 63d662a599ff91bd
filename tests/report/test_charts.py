from __future__ import annotations

from collections.abc import Callable
from math import log10
from typing import Any

from matplotlib.figure import Figure
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import MAX_INTEGER, Interval
from echoproto.report.charts import (
    COLOURS,
    Numbered,
    histogram,
    overTime,
    percentiles,
    rates,
)
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND
from tests.report.sampleresults import MS, storedResult


def plotted(plot: Callable[[Any, Numbered], None], *results: StoredResult) -> Any:
    """The axes after drawing."""
    figure = Figure()
    axes = figure.add_subplot()
    plot(axes, list(enumerate(results)))
    figure.draw_without_rendering()
    return axes


def ticks(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


class OverTimeTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """Each interval with replies has its median, a band around it, and its maximum."""
        axes = plotted(overTime, storedResult(1, 4))
        (median, longest), (band,) = axes.lines, axes.collections
        self.assertEqual(median.get_xydata().tolist(), [[0, 2]])
        self.assertEqual(longest.get_xydata().tolist(), [[0, 4]])
        heights = band.get_paths()[0].vertices[:, 1]
        self.assertEqual((min(heights), max(heights)), (1, 3))

    def test_probes(self) -> None:
        """If the probes are known, each reply is a dot, and each loss a cross at the edge."""
        probes = ((0, MS), (SECOND, None), (2 * SECOND, 3 * MS))
        answered, lost = plotted(overTime, storedResult(1, 3, probes=probes)).lines
        self.assertEqual(answered.get_xydata().tolist(), [[0, 1], [2, 3]])
        self.assertEqual((lost.get_xdata().tolist(), lost.get_marker()), ([1], "x"))
        answered, lost = plotted(overTime, storedResult(1, probes=((SECOND, None),))).lines
        self.assertEqual((len(answered.get_xdata()), len(lost.get_xdata())), (0, 1))

    def test_scale(self) -> None:
        """A wide range of times has a logarithmic scale with plain numbers."""
        near, far, further = (storedResult(1, longest) for longest in (3, 30, 30_000))
        for plot in (overTime, percentiles):
            self.assertEqual(plotted(plot, near).get_yscale(), "linear")
            self.assertEqual(plotted(plot, far).get_yscale(), "log")
        self.assertIn("5", ticks(plotted(percentiles, far).yaxis))
        axes = plotted(percentiles, near, further)
        self.assertIn("100", ticks(axes.yaxis))
        self.assertNotIn("5", ticks(axes.yaxis))


class RatesTests(SynchronousTestCase):
    def test_rates(self) -> None:
        """Sent is dotted, answered is a line; the last interval, often shorter, is left out."""
        seconds = tuple(
            Interval(second * SECOND, 10, 9 - second, UNSET, MS, MS, MS, MS) for second in range(3)
        )
        axes = plotted(rates, storedResult(1, width=2 * SECOND, intervals=seconds))
        sent, answered = axes.patches
        self.assertEqual((sent.get_linestyle(), answered.get_linestyle()), (":", "-"))
        self.assertEqual(sent.get_data().values.tolist(), [5, 5])
        self.assertEqual(answered.get_data().values.tolist(), [4.5, 4])
        self.assertEqual(answered.get_data().edges.tolist(), [0, 1, 3])

    def test_one(self) -> None:
        """A run of one interval shows it."""
        axes = plotted(
            rates, storedResult(1, intervals=(Interval(0, 10, 9, UNSET, MS, MS, MS, MS),))
        )
        self.assertEqual(axes.patches[1].get_data().values.tolist(), [9])


class HistogramTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """The bars of each result sum up to 100 %, whatever its number of exchanges."""
        for results in (
            (storedResult(1, 2, 3), storedResult(2)),
            (storedResult(1, 400), storedResult(5)),
        ):
            axes = plotted(histogram, *results)
            for colour, patch in zip(COLOURS, axes.patches[1::2], strict=False):
                heights = patch.get_xy()[:, 1]
                self.assertAlmostEqual(sum(heights) / 2, 100, places=6)
                self.assertIn(patch.get_edgecolor()[:3], [rgb(colour)])

    def test_wide(self) -> None:
        """The bars of a wide range of times have a logarithmic scale."""
        axes = plotted(histogram, storedResult(1, 400))
        self.assertEqual(axes.get_xscale(), "log")


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(part / 255 for part in bytes.fromhex(colour[1:]))


class PercentilesTests(SynchronousTestCase):
    def test_nines(self) -> None:
        """Percentiles are at the positions of their nines, the maximum at the end."""
        result = storedResult(*range(1, 1001))
        axes = plotted(percentiles, result)
        self.assertEqual(axes.get_xlabel(), "percentile")
        (line,) = axes.lines
        points = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for percent in (50, 90, 99, 99.8):
            place = -log10(1 - percent / 100)
            height = [y for x, y in points if x <= place - 1e-9][-1]
            self.assertAlmostEqual(height, result.times.percentile(percent) / 1e6, places=6)
        self.assertAlmostEqual(points[-1][0], 3)
        self.assertEqual(points[-1][1], 1000)
        self.assertEqual(ticks(axes.xaxis), ["0 %", "90 %", "99 %", "99.9 %"])

    def test_few(self) -> None:
        """A single time has a line too."""
        axes = plotted(percentiles, storedResult(5))
        self.assertEqual(axes.lines[0].get_ydata().tolist(), [5, 5])
        self.assertEqual(ticks(axes.xaxis), ["0 %", "90 %"])


class ExtremeTests(SynchronousTestCase):
    def test_drawn(self) -> None:
        """Times of 0, equal times, wide ranges and the largest times of a file are drawn."""
        one = Interval(0, 1, 1, UNSET, MAX_INTEGER, MAX_INTEGER, MAX_INTEGER, MAX_INTEGER)
        far = Interval(MAX_INTEGER, MAX_INTEGER, MAX_INTEGER, UNSET, 0, 0, 0, 0)
        for result in (
            storedResult(0),
            storedResult(0, 5),
            storedResult(5, 5),
            storedResult(1, 7_000_000),
            storedResult(MAX_INTEGER // MS),
            storedResult(1, width=1, intervals=(one, far)),
            storedResult(1, width=MAX_INTEGER, intervals=(one,)),
            storedResult(1, probes=((MAX_INTEGER, MAX_INTEGER), (0, 0))),
        ):
            for plot in (overTime, rates, histogram, percentiles):
                self.assertTrue(plotted(plot, result).has_data())
