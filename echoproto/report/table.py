"""
Stored results and comparisons as columns of text, for terminals and pages, which decide on widths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from echoproto.measure.latency import PERCENTILES
from echoproto.report.compare import (
    OVERALL_CONFIDENCE,
    Comparison,
    Estimate,
    MetricDifference,
)
from echoproto.report.notes import differenceNotes, resultNotes
from echoproto.report.result import StoredResult
from echoproto.report.statistics import MIN_BATCHES
from echoproto.text.units import milliseconds, size

#: The kinds of replies that have a column if there are any (:attr:`StoredResult.counts`).
COUNT_COLUMNS = ("wrong", "corrupt", "duplicates", "reordered")


@dataclass(frozen=True)
class Column:
    """
    A column of a table.

    :ivar title: its heading.
    :ivar cells: one for each row.
    :ivar isWords: whether it is aligned left, as numbers are not.
    """

    title: str
    cells: tuple[str, ...]
    isWords: bool = False


#: The columns that identify a row, and two groups of other columns.
ColumnGroups = tuple[list[Column], list[Column], list[Column]]


def resultColumns(results: Sequence[StoredResult]) -> ColumnGroups:
    """A row for each result: its target, its counts, and its times in milliseconds."""

    def column(title: str, cell: Callable[[StoredResult], str], isWords: bool = False) -> Column:
        return Column(title, tuple(map(cell, results)), isWords)

    names = [column("target", lambda result: result.target, True)]
    if len({result.files for result in results}) > 1:
        names.append(column("file", lambda result: result.source, True))
    counts = [
        column("command", lambda result: result.command, True),
        column("sent", lambda result: _amount(result, result.sent)),
        column("received", lambda result: _amount(result, result.received)),
        column("lost", _lost),
        *(column(name, _count(name)) for name in _shown(results)),
        column("rate", _rate),
    ]
    values = [_times(result) for result in results]
    times = [
        Column(title, tuple(row[index] for row in values))
        for index, title in enumerate(("min", *PERCENTILES, "max"))
    ]
    return names, counts, [column("in ms", lambda result: result.measured, True), *times]


def comparisonColumns(comparison: Comparison) -> ColumnGroups:
    """A row for each figure: its name, its values, and the verdict."""
    differences = comparison.differences

    def column(
        title: str, cell: Callable[[MetricDifference], str], isWords: bool = False
    ) -> Column:
        return Column(title, tuple(map(cell, differences)), isWords)

    figures = [
        column("A", lambda difference: _estimate(difference, difference.a)),
        column("B", lambda difference: _estimate(difference, difference.b)),
        column("B/A", _ratio),
    ]
    names = [column("in ms", lambda difference: difference.name, True)]
    return names, figures, [column("B is", str, True)]


def sides(comparison: Comparison) -> list[str]:
    """The two sides, a line each; then different options, and notes on the sides."""
    named = zip("AB", (comparison.a, comparison.b), comparison.effectiveSizes, strict=True)
    results = (comparison.a, comparison.b)
    return [
        *(
            f"{name}: {result.target}, {_sample(result, effectiveSize)} ({_origin(result)})"
            for name, result, effectiveSize in named
        ),
        *(f"warning: {note}" for note in differenceNotes(results)),
        *resultNotes(results),
    ]


def certaintyNotes(comparison: Comparison) -> list[str]:
    """How sure the verdicts are, in words."""
    confidence = (
        f"{OVERALL_CONFIDENCE:.0%} sure: if the servers are equal and their exchanges independent, "
        f"at most {1 - OVERALL_CONFIDENCE:.0%} of such comparisons report a difference. "
        "A difference that is not significant may still exist."
    )
    lines = [confidence]
    for name, result in zip("AB", (comparison.a, comparison.b), strict=True):
        if len(result.intervals) < MIN_BATCHES:
            lines.append(
                f"Less sure: {name} has fewer than {MIN_BATCHES} intervals, which would show how "
                "much its exchanges depend on each other; measure for longer."
            )
    return lines


def _origin(result: StoredResult) -> str:
    return ", ".join(part for part in (result.source, result.started, *result.hosts) if part)


def _sample(result: StoredResult, effectiveSize: int) -> str:
    count = result.times.count
    effective = f", effective sample size {effectiveSize}" if effectiveSize < count else ""
    return f"{result.measured} of {count} exchanges{effective}"


def _amount(result: StoredResult, count: int) -> str:
    return size(count) if result.inBytes else str(count)


def _lost(result: StoredResult) -> str:
    return f"{_amount(result, result.lost)} ({result.lossRatio * 100:.2f} %)"


def _rate(result: StoredResult) -> str:
    return f"{size(result.rate)}/s" if result.inBytes else f"{result.rate:.1f}/s"


def _shown(results: Sequence[StoredResult]) -> list[str]:
    return [name for name in COUNT_COLUMNS if any(result.counts.get(name) for result in results)]


def _count(name: str) -> Callable[[StoredResult], str]:
    return lambda result: str(result.counts.get(name, ""))


def _times(result: StoredResult) -> list[str]:
    times = result.times
    if not times.count:
        return [""] * (len(PERCENTILES) + 2)
    return [milliseconds(value) for value in times.quantiles().values()]


def _ratio(difference: MetricDifference) -> str:
    return "" if difference.ratio is None else f"{difference.ratio:.3f}"


def _estimate(difference: MetricDifference, estimate: Estimate) -> str:
    if estimate.value is None:
        return ""
    if difference.pValue is not None:
        return f"{estimate.value * 100:.2f} %"
    high = "?" if estimate.high is None else milliseconds(estimate.high)
    return f"{milliseconds(estimate.value)} ({milliseconds(estimate.low)} to {high})"
