"""
The charts of stored results, drawn on matplotlib axes; :mod:`.figures` places them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from math import log10

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from echoproto.measure.intervals import widened
from echoproto.report.result import StoredResult

#: The colours of results, in order; distinct for most eyes, on white and on black.
COLOURS = ("#2f7de1", "#e8782a", "#1fa37a", "#c054c0", "#a08a1d", "#d9435e", "#17a2b8", "#8a8f98")

#: Results with the index of their colour.
Numbered = list[tuple[int, StoredResult]]

# Number of bars of a histogram.
_BARS = 60

# Ratio of the longest time to the shortest from which on the scale is logarithmic.
_LOGARITHMIC_RATIO = 8

_NINES = ("0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %")


def overTime(axes: Axes, results: Numbered) -> None:
    """The times in the course of the run: of each probe, or their distribution in each interval."""
    for number, result in results:
        if result.probes:
            _probes(axes, COLOURS[number], result)
        else:
            _bands(axes, COLOURS[number], result)
    _scaleTimes(axes.yaxis, axes.set_yscale, *_extremes(results))
    axes.set_xlabel("seconds")


def _probes(axes: Axes, colour: str, result: StoredResult) -> None:
    answered = [(at / 1e9, time / 1e6) for at, time in result.probes if time is not None]
    at, times = [at for at, _ in answered], [time for _, time in answered]
    axes.plot(at, times, ".", color=colour, markersize=3, alpha=0.7)
    lost = [at / 1e9 for at, time in result.probes if time is None]
    # At the lower edge, whatever the scale.
    axes.plot(lost, [0.02] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform())


def _bands(axes: Axes, colour: str, result: StoredResult) -> None:
    """The median as a line, the minimum to the 99th percentile as a band, the maximum as dots."""
    _, intervals = widened(result.width, result.intervals)
    answered = [interval for interval in intervals if interval.received]
    at = [interval.at / 1e9 for interval in answered]
    minima, medians, p99s, maxima = (
        [(getattr(interval, name) or 0) / 1e6 for interval in answered]
        for name in ("minimum", "median", "p99", "maximum")
    )
    axes.fill_between(at, minima, p99s, color=colour, alpha=0.22, linewidth=0)
    axes.plot(at, medians, color=colour, linewidth=1.4)
    axes.plot(at, maxima, ".", color=colour, markersize=2.5)


def rates(axes: Axes, results: Numbered) -> None:
    """Exchanges sent and answered per second."""
    highest = 1.0
    for number, result in results:
        width, intervals = widened(result.width, result.intervals)
        # The last interval is usually shorter.
        whole = intervals[:-1] or intervals
        edges = [interval.at / 1e9 for interval in whole] + [(whole[-1].at + width) / 1e9]
        for name, line in (("sent", ":"), ("received", "-")):
            found = [getattr(interval, name) * 1e9 / width for interval in whole]
            highest = max(highest, *found)
            axes.stairs(found, edges, baseline=None, color=COLOURS[number], linestyle=line)
    axes.set_ylim(0, highest * 1.08)
    axes.set_xlabel("seconds (dotted: sent; line: answered)")


def histogram(axes: Axes, results: Numbered) -> None:
    """The distribution of times."""
    lowest, highest = _extremes(results)
    edges = _edges(lowest / 1e6, highest / 1e6)
    for number, result in results:
        buckets = result.times.buckets()
        centres = [(low + high) / 2e6 for low, high, _ in buckets]
        shares = [count * 100 / result.times.count for _, _, count in buckets]
        draw = partial(axes.hist, centres, edges, weights=shares, color=COLOURS[number])
        draw(histtype="stepfilled", alpha=0.22)
        draw(histtype="step", linewidth=1.4)
    _scaleTimes(axes.xaxis, axes.set_xscale, lowest, highest)
    axes.set_ylabel("% of exchanges")


def _edges(lowest: float, highest: float) -> list[float]:
    """The edges of bars that look equally wide and include the extremes."""
    if _isLogarithmic(lowest, highest):
        ratio = highest / lowest
        edges = [lowest * ratio ** (index / _BARS) for index in range(_BARS)]
        return [*edges, highest * 1.001]
    # If all times are equal, any width will do.
    width = (highest - lowest) / _BARS or highest / 100 or 1e-6
    return [lowest + (index - 1) * width for index in range(_BARS + 3)]


def percentiles(axes: Axes, results: Numbered) -> None:
    """The percentiles, on a scale by the number of nines: 90 %, 99 % and so on are equidistant."""
    furthest = 1.0
    for number, result in results:
        count, buckets = result.times.count, result.times.buckets()
        below = [0, *accumulate(count for _, _, count in buckets)][:-1]
        nines = [-log10(1 - before / count) for before in below]
        times = [high / 1e6 for _, high, _ in buckets]
        furthest = max(furthest, log10(count))
        axes.step([*nines, log10(count)], [*times, times[-1]], where="post", color=COLOURS[number])
    _scaleTimes(axes.yaxis, axes.set_yscale, *_extremes(results))
    shown = _NINES[: int(furthest) + 1]
    axes.set_xticks(range(len(shown)), shown)
    axes.set_xlim(0, furthest * 1.02)
    axes.set_xlabel("percentile")


def _extremes(results: Numbered) -> tuple[int, int]:
    minima = [result.times.minimum for _, result in results]
    return min(minima), max(result.times.maximum for _, result in results)


def _isLogarithmic(lowest: float, highest: float) -> bool:
    return lowest > 0 and highest / lowest >= _LOGARITHMIC_RATIO


def _scaleTimes(axis: Axis, setScale: Callable[[str], None], lowest: int, highest: int) -> None:
    if _isLogarithmic(lowest, highest):
        setScale("log")
        subs = (1.0,) if highest / lowest > 1000 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axis.set_label_text("milliseconds")
