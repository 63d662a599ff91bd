"""
Whether two results differ by more than noise.

Called by ``echoproto report --compare``, and by programs. Of each percentile an interval is found in which that of all round trips
lies that there could have been, with a probability of :data:`CONFIDENCE`: between two of the measured ones, by their ranks (the
binomial distribution of how many are below), whatever their distribution. Two percentiles differ if their intervals do not meet. Losses
differ if chance alone would make such shares in less than one case of a hundred (Fisher's exact test). So of all five
verdicts on two runs one is wrong in five cases of a hundred at most, where both are of the same server at the same time and its
round trips know nothing of each other. As far as the seconds of a run show that they do (:mod:`.statistics`), they count for less.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from echoproto.errors import ReportError
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.report.merge import checkAlike
from echoproto.report.result import StoredResult
from echoproto.report.statistics import (
    binomialQuantile,
    fisherExact,
    lossDesignEffect,
    timesDesignEffect,
)

#: Of each interval, and of what is said of losses.
CONFIDENCE = 0.99


class ComparisonVerdict(Enum):
    """What can be said of the second beside the first."""

    MORE = "more"
    LESS = "less"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Estimate:
    """
    A figure, and where the true one may lie.

    :ivar value: nanoseconds, or a share.
    :ivar low: it is hardly less. Of a share 0.
    :ivar high: it is hardly more; ``None`` where there are too few to tell, and of a share.
    """

    value: float
    low: float = 0.0
    high: float | None = None


@dataclass(frozen=True)
class MetricDifference:
    """
    One figure of both results.

    :ivar name: ``p50`` and so on, or ``loss``.
    :ivar chance: how likely chance alone makes shares that differ so; ``None`` for times.
    """

    name: str
    a: Estimate
    b: Estimate
    verdict: ComparisonVerdict
    chance: float | None = None

    @property
    def ratio(self) -> float | None:
        """The second by the first; ``None`` where that is 0."""
        return self.b.value / self.a.value if self.a.value else None

    def __str__(self) -> str:
        """The verdict in words."""
        if self.verdict is ComparisonVerdict.UNKNOWN:
            return "too few to tell"
        if self.verdict is ComparisonVerdict.SAME:
            return "no difference that could be told"
        more = self.verdict is ComparisonVerdict.MORE
        word = (
            ("more" if more else "less") if self.name == "loss" else "slower" if more else "faster"
        )
        return f"{word}{self._by()}, more than noise"

    def _by(self) -> str:
        if self.ratio is None:
            return ""
        if self.ratio >= 3:
            return f" by a factor of {self.ratio:.1f}"
        percent = abs(self.ratio - 1) * 100
        return f" by {percent:.0f} %" if percent >= 10 else f" by {percent:.1f} %"


@dataclass(frozen=True)
class Comparison:
    """
    Two results.

    :ivar independent: how many independent exchanges tell as much as those of each.
    :ivar differences: of each of :data:`~echoproto.measure.latency.PERCENTILES`, and of the loss.
    """

    a: StoredResult
    b: StoredResult
    independent: tuple[int, int]
    differences: tuple[MetricDifference, ...]


def compare(a: StoredResult, b: StoredResult) -> Comparison:
    """
    Compare two results.

    :raise ReportError: they are of different kinds, or have no times.
    """
    checkAlike(a, b, "compared")
    for each in (a, b):
        if not each.measured:
            raise ReportError(
                f"{each.origin} has no times that could be compared; ping and load have"
            )
    independent = _independent(a), _independent(b)
    estimates = (_estimates(each.times, n) for each, n in zip((a, b), independent, strict=True))
    times = [
        MetricDifference(name, first, second, _verdict(first, second))
        for name, first, second in zip(PERCENTILES, *estimates, strict=True)
    ]
    return Comparison(a, b, independent, (*times, _losses(a, b)))


def _independent(result: StoredResult) -> int:
    return round(result.times.count / timesDesignEffect(result))


def _estimates(times: LatencyHistogram, independent: int) -> list[Estimate]:
    percents = PERCENTILES.values()
    buckets = times.buckets()
    below = list(accumulate(count for _, _, count in buckets))
    basis = max(independent, 1)
    found = []
    for value, percent in zip(times.percentiles(*percents), percents, strict=True):
        low, high = ranks(independent, percent / 100)
        # The same shares of all; and a time is known as well as its bucket is, so that what is only rounded does not differ.
        first, last = low * times.count // basis, -(-high * times.count // basis)
        least = buckets[bisect_left(below, first)][0] if low else 0
        most = buckets[bisect_left(below, last)][1] if high <= independent else None
        found.append(Estimate(value, least, most))
    return found


def ranks(count: int, share: float) -> tuple[int, int]:
    """
    Between which of so many times, sorted, the one lies that so large a share of all that there could be does not exceed.

    :return: two ranks; 0 is before the first, ``count`` + 1 behind the last.
    """
    outside = (1 - CONFIDENCE) / 2
    low, high = (binomialQuantile(count, share, each) for each in (outside, 1 - outside))
    return low, high + 1


def _verdict(a: Estimate, b: Estimate) -> ComparisonVerdict:
    if b.high is not None and a.low > b.high:
        return ComparisonVerdict.LESS
    if a.high is not None and b.low > a.high:
        return ComparisonVerdict.MORE
    return ComparisonVerdict.UNKNOWN if None in (a.high, b.high) else ComparisonVerdict.SAME


def _losses(a: StoredResult, b: StoredResult) -> MetricDifference:
    counts = [
        round(each / inflation)
        for side, inflation in ((a, lossDesignEffect(a)), (b, lossDesignEffect(b)))
        for each in (side.lost, side.sent)
    ]
    chance = fisherExact(*counts)
    verdict = ComparisonVerdict.SAME
    if chance < 1 - CONFIDENCE:
        verdict = ComparisonVerdict.MORE if b.lossRatio > a.lossRatio else ComparisonVerdict.LESS
    if not a.sent or not b.sent:
        verdict = ComparisonVerdict.UNKNOWN
    return MetricDifference("loss", Estimate(a.lossRatio), Estimate(b.lossRatio), verdict, chance)
