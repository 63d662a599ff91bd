"""
A row of the table and its promises; the rounds of a measurement, their ratios and the verdicts.

A round measures every competitor in turn, and the next one in reverse order, so that anything that
slows the machine down affects all of them. Ratios are those of figures of the same round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.build import BenchmarkError
from benchmarks.competitors import OURS, Competitor

KEPT = "kept"
MISSED = "missed"
UNCLEAR = "unclear: the rounds vary more than the difference"

#: With fewer rounds there is no verdict. All of five figures lie on one side of their true median
#: in one case of sixteen.
MINIMUM_ROUNDS = 5

#: The figure of each competitor, by name.
Round = Mapping[str, float]


@dataclass(frozen=True)
class Promise:
    """
    Our figure is at most ``bound`` times another's.

    :ivar to: the other's name; empty for a bound on our figure itself.
    :ivar bound: the greatest ratio.
    :ivar reason: why it is missed, if it is.
    """

    to: str
    bound: float
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """
    One measurement of several competitors; less is better.

    :ivar name: its title on the page.
    :ivar unit: the unit of its figures.
    :ivar measure: measures a competitor; its argument is the duration in seconds.
    :ivar competitors: ours, those of the promises, and the best peer.
    :ivar others: the competitors that a quick run omits.
    :ivar headline: whether it leads the page and belongs to a quick run.
    """

    name: str
    unit: str
    measure: Callable[[Competitor, float], float]
    competitors: Sequence[Competitor]
    promises: Sequence[Promise] = ()
    others: Sequence[Competitor] = ()
    headline: bool = False


@dataclass(frozen=True)
class MedianRange:
    """The median of some figures, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


def medianRange(figures: Iterable[float]) -> MedianRange:
    """The median and the range of at least one figure."""
    values = list(figures)
    return MedianRange(median(values), min(values), max(values))


@dataclass(frozen=True)
class PromiseResult:
    """
    A promise and the measured ratio.

    :ivar ratio: our figure to the other's, over the rounds.
    :ivar rounds: the number of rounds.
    """

    promise: Promise
    ratio: MedianRange
    rounds: int

    @property
    def verdict(self) -> str:
        """Kept or missed if all rounds agree; otherwise that it is unclear, and why."""
        if self.rounds < MINIMUM_ROUNDS:
            return f"unclear: fewer than {MINIMUM_ROUNDS} rounds"
        if self.ratio.least <= self.promise.bound < self.ratio.greatest:
            return UNCLEAR
        return KEPT if self.ratio.greatest <= self.promise.bound else MISSED


@dataclass(frozen=True)
class RowResult:
    """
    A row and the figures of its rounds.

    :ivar rounds: the figures of the competitors that were measured in every round.
    :ivar missing: why the others were not, by name.
    """

    row: Row
    rounds: Sequence[Round]
    missing: Mapping[str, str]

    def figures(self) -> dict[str, MedianRange]:
        """The median and the range of each measured competitor, in the order of the row."""
        names = [competitor.name for competitor in (*self.row.competitors, *self.row.others)]
        return {
            name: medianRange(figures[name] for figures in self.rounds)
            for name in names
            if name in self.rounds[0]
        }

    def promises(self) -> list[PromiseResult]:
        """The results of the promises whose competitors were measured."""
        return [
            PromiseResult(promise, self._ratio(promise.to), len(self.rounds))
            for promise in self.row.promises
            if {OURS, promise.to or OURS} <= self.rounds[0].keys()
        ]

    def _ratio(self, other: str) -> MedianRange:
        return medianRange(
            # A short measurement may find no processor time at all.
            figures[OURS] / theirs if (theirs := figures.get(other, 1.0)) else math.inf
            for figures in self.rounds
        )


def measureRow(row: Row, rounds: int, seconds: float, quick: bool = False) -> RowResult:
    """
    Measure a row, in rounds of alternating order; a competitor that fails is omitted.

    :param seconds: the duration of each measurement.
    :param quick: whether to measure without :attr:`Row.others`.
    """
    competitors = [*row.competitors, *([] if quick else row.others)]
    missing = {other.name: other.missing for other in competitors if other.missing}
    measured: list[dict[str, float]] = []
    for _ in range(rounds):
        measured.append({})
        for competitor in competitors:
            if competitor.name not in missing:
                try:
                    measured[-1][competitor.name] = row.measure(competitor, seconds)
                except BenchmarkError as error:
                    missing[competitor.name] = str(error)
        competitors.reverse()
    complete = [
        {name: figure for name, figure in figures.items() if name not in missing}
        for figures in measured
    ]
    return RowResult(row, complete, missing)
