"""
What there is to see of saved results, on the axes of a picture: it decides what is drawn, and not what it looks like on its page.

Called by :mod:`.figures`. Needs matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import log10
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from echoproto.measure.intervals import widened
from echoproto.report.result import StoredResult

#: The colours of results, in their order: told apart by most eyes, on white and on black.
COLOURS = ("#2f7de1", "#e8782a", "#1fa37a", "#c054c0", "#a08a1d", "#d9435e", "#17a2b8", "#8a8f98")

#: Results with the numbers of their colours.
Numbered = list[tuple[int, StoredResult]]

# Bars of a histogram, and how many times the shortest the longest must be for a scale by powers.
_BARS = 60
_WIDE = 8

_NINES = ("0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %")


def overTime(axes: Any, results: Numbered) -> None:
    """How long exchanges took in the course of the run: each of them, or their median and how they are spread in each second."""
    for number, each in results:
        if each.probes:
            _probes(axes, COLOURS[number], each)
        else:
            _bands(axes, COLOURS[number], each)
    _scaleTimes(axes.yaxis, axes.set_yscale, *_extremes(results))
    axes.set_xlabel("seconds")


def _probes(axes: Any, colour: str, result: StoredResult) -> None:
    answered = [each for each in result.probes if each[1] is not None]
    at, took = [at / 1e9 for at, _ in answered], [(time or 0) / 1e6 for _, time in answered]
    axes.plot(at, took, ".", color=colour, markersize=3, alpha=0.7)
    lost = [at / 1e9 for at, time in result.probes if time is None]
    # At the lower edge, whatever the scale.
    axes.plot(lost, [0.02] * len(lost), "x", color=colour, transform=axes.get_xaxis_transform())


def _bands(axes: Any, colour: str, result: StoredResult) -> None:
    """The median in each second, from the shortest to the 99th percentile in light, and the longest as dots."""
    _, intervals = widened(result.width, result.intervals)
    heard = [each for each in intervals if each.received]
    at = [each.at / 1e9 for each in heard]
    least, middle, high, most = (
        [(getattr(each, name) or 0) / 1e6 for each in heard]
        for name in ("minimum", "median", "p99", "maximum")
    )
    axes.fill_between(at, least, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(at, middle, color=colour, linewidth=1.4)
    axes.plot(at, most, ".", color=colour, markersize=2.5)


def rates(axes: Any, results: Numbered) -> None:
    """How many were sent and answered each second."""
    highest = 1.0
    for number, each in results:
        width, intervals = widened(each.width, each.intervals)
        # The last is not a whole one, save by chance.
        whole = intervals[:-1] or intervals
        edges = [one.at / 1e9 for one in whole] + [(whole[-1].at + width) / 1e9]
        for name, line in (("sent", ":"), ("received", "-")):
            found = [getattr(one, name) * 1e9 / width for one in whole]
            highest = max(highest, *found)
            axes.stairs(found, edges, baseline=None, color=COLOURS[number], linestyle=line)
    axes.set_ylim(0, highest * 1.08)
    axes.set_xlabel("seconds (dotted: sent; line: answered)")


def histogram(axes: Any, results: Numbered) -> None:
    """Which share of exchanges took how long."""
    lowest, highest = _extremes(results)
    edges = _edges(lowest / 1e6, highest / 1e6)
    for number, each in results:
        middles = [(least + most) / 2e6 for least, most, _ in each.times.buckets()]
        shares = [count * 100 / each.times.count for _, _, count in each.times.buckets()]
        common = {"bins": edges, "weights": shares, "color": COLOURS[number]}
        axes.hist(middles, histtype="stepfilled", alpha=0.22, **common)
        axes.hist(middles, histtype="step", linewidth=1.4, **common)
    _scaleTimes(axes.xaxis, axes.set_xscale, lowest, highest)
    axes.set_ylabel("% of exchanges")


def _edges(lowest: float, highest: float) -> list[float]:
    """Of bars that look as wide as each other, and hold the outermost times."""
    if _isWide(lowest, highest):
        return [lowest * (highest / lowest) ** (each / _BARS) for each in range(_BARS)] + [
            highest * 1.001
        ]
    # Of times that are all alike any will do.
    margin = (highest - lowest) / _BARS or highest / 100 or 1e-6
    return [lowest + (each - 1) * margin for each in range(_BARS + 3)]


def percentiles(axes: Any, results: Numbered) -> None:
    """How long at most the best of them took, by the number of nines of their share: 90 %, 99 % and so on are as far from each other."""
    furthest = 1.0
    for number, each in results:
        count, buckets = each.times.count, each.times.buckets()
        below = [0, *accumulate(count for _, _, count in buckets)][:-1]
        nines = [-log10(1 - before / count) for before in below]
        times = [most / 1e6 for _, most, _ in buckets]
        furthest = max(furthest, log10(count))
        axes.step([*nines, log10(count)], [*times, times[-1]], where="post", color=COLOURS[number])
    _scaleTimes(axes.yaxis, axes.set_yscale, *_extremes(results))
    shown = _NINES[: int(furthest) + 1]
    axes.set_xticks(range(len(shown)), shown)
    axes.set_xlim(0, furthest * 1.02)


def _extremes(results: Numbered) -> tuple[int, int]:
    times = [each.times for _, each in results]
    return min(each.minimum for each in times), max(each.maximum for each in times)


def _isWide(lowest: float, highest: float) -> bool:
    return lowest > 0 and highest / lowest >= _WIDE


def _scaleTimes(axis: Any, setScale: Callable[[str], None], lowest: int, highest: int) -> None:
    """By powers where the times are far from each other."""
    if _isWide(lowest, highest):
        setScale("log")
        subs = (1.0,) if highest / lowest > 1000 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axis.set_label_text("milliseconds")
