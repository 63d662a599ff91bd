"""
Saved results and comparisons as tables of words, for a terminal and for a page.

Pure: what is written how wide is decided where it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from echoproto.measure.latency import PERCENTILES
from echoproto.report.compare import Comparison, Estimate, MetricDifference
from echoproto.report.result import StoredResult
from echoproto.units import milliseconds, size

#: What is shown of replies where there is any, by the names of :attr:`StoredResult.counts`.
SEEN = ("wrong", "corrupt", "duplicates", "reordered")


@dataclass(frozen=True)
class Column:
    """
    :ivar title: above it.
    :ivar cells: one in each row.
    :ivar isWords: whether it is read from the left, as no number is.
    """

    title: str
    cells: tuple[str, ...]
    isWords: bool = False


def resultColumns(
    results: Sequence[StoredResult],
) -> tuple[list[Column], list[Column], list[Column]]:
    """
    A row for each result.

    :return: whose it is; what became of what was sent; and how long that took, in milliseconds.
    """

    def column(title: str, cell: Callable[[StoredResult], str], isWords: bool = False) -> Column:
        return Column(title, tuple(cell(each) for each in results), isWords)

    names = [column("target", lambda each: each.target, True)]
    if len({each.files for each in results}) > 1:
        names.append(column("file", lambda each: each.origin, True))
    counts = [
        column("command", lambda each: each.command, True),
        column("sent", lambda each: _amount(each, each.sent)),
        column("received", lambda each: _amount(each, each.received)),
        column("lost", lambda each: f"{_amount(each, each.lost)} ({each.lossRatio * 100:.2f} %)"),
        *(column(name, _seen(name)) for name in _shown(results)),
        column("rate", _rate),
    ]
    times = [column("times in ms", lambda each: each.measured, True)]
    values = [_times(each) for each in results]
    times += [
        Column(title, tuple(each[number] for each in values))
        for number, title in enumerate(("min", *PERCENTILES, "max"))
    ]
    return names, counts, times


def comparisonColumns(comparison: Comparison) -> tuple[list[Column], list[Column], list[Column]]:
    """A row for each figure: its name, what it is, and what that means."""
    differences = comparison.differences

    def column(
        title: str, cell: Callable[[MetricDifference], str], isWords: bool = False
    ) -> Column:
        return Column(title, tuple(cell(each) for each in differences), isWords)

    figures = [
        column("A", lambda each: _estimate(each, each.a)),
        column("B", lambda each: _estimate(each, each.b)),
        column("B/A", lambda each: "" if each.ratio is None else f"{each.ratio:.3f}"),
    ]
    return [column("in ms", lambda each: each.name, True)], figures, [column("B is", str, True)]


def sides(comparison: Comparison) -> list[str]:
    """Which is which, in words."""
    named = zip("AB", (comparison.a, comparison.b), comparison.independent, strict=True)
    return [f"{name}: {each.target}, {_basis(each, n)} ({each.origin})" for name, each, n in named]


def _basis(result: StoredResult, independent: int) -> str:
    count = result.times.count
    less = f", which tell as much as {independent} independent ones" if independent < count else ""
    return f"{result.measured} of {count} exchanges{less}"


def _amount(result: StoredResult, count: int) -> str:
    return size(count) if result.inBytes else str(count)


def _rate(result: StoredResult) -> str:
    return f"{size(result.rate)}/s" if result.inBytes else f"{result.rate:.1f}/s"


def _shown(results: Sequence[StoredResult]) -> list[str]:
    return [name for name in SEEN if any(each.counts.get(name) for each in results)]


def _seen(name: str) -> Callable[[StoredResult], str]:
    return lambda each: str(each.counts.get(name, ""))


def _times(result: StoredResult) -> list[str]:
    times = result.times
    if not times.count:
        return [""] * (len(PERCENTILES) + 2)
    values = [times.minimum, *times.percentiles(*PERCENTILES.values()), times.maximum]
    return [milliseconds(each) for each in values]


def _estimate(difference: MetricDifference, estimate: Estimate) -> str:
    if difference.chance is not None:
        return f"{estimate.value * 100:.2f} %"
    most = "?" if estimate.high is None else milliseconds(estimate.high)
    return f"{milliseconds(estimate.value)} ({milliseconds(estimate.low)} to {most})"
