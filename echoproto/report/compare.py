"""
Whether two results differ significantly.

Each percentile has a confidence interval at :data:`CONFIDENCE` from order statistics (the binomial
distribution of the ranks), which holds for any distribution of times. Two percentiles differ
significantly if their intervals do not overlap; two loss ratios differ significantly if Fisher's
exact test rejects their equality at the same level. A comparison has six figures, so at most 5 %
of the comparisons of two runs of the same server at the same time report any difference. Exchanges
that depend on each other count for fewer, as far as the intervals of a run show the dependence
(:mod:`.statistics`).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from echoproto.errors import ReportError
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.report.merge import checkSameKind
from echoproto.report.result import StoredResult
from echoproto.report.statistics import (
    binomialQuantile,
    fisherExact,
    lossDesignEffect,
    timesDesignEffect,
)

#: Confidence level of all figures of a comparison together.
OVERALL_CONFIDENCE = 0.95

#: Confidence level of each interval and of the test of losses.
CONFIDENCE = 1 - (1 - OVERALL_CONFIDENCE) / (len(PERCENTILES) + 1)


class ComparisonVerdict(Enum):
    """The second result compared to the first."""

    MORE = "more"
    LESS = "less"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Estimate:
    """
    A figure with its confidence interval.

    :ivar value: nanoseconds, or a loss ratio, which has no interval; ``None`` without any times.
    :ivar low: lower bound.
    :ivar high: upper bound; ``None`` if there are too few samples.
    """

    value: float | None
    low: float = 0.0
    high: float | None = None


@dataclass(frozen=True)
class MetricDifference:
    """
    One figure of both results.

    :ivar name: ``p50`` and so on, or ``loss``.
    :ivar pValue: p-value of equal loss ratios; ``None`` for times.
    """

    name: str
    a: Estimate
    b: Estimate
    verdict: ComparisonVerdict
    pValue: float | None = None

    @property
    def ratio(self) -> float | None:
        """The second figure divided by the first; ``None`` if that is 0, or one is missing."""
        a, b = self.a.value, self.b.value
        return None if b is None or not a else b / a

    def __str__(self) -> str:
        """The verdict in words."""
        if self.verdict is ComparisonVerdict.UNKNOWN:
            return "too few samples"
        if self.verdict is ComparisonVerdict.SAME:
            return "no significant difference"
        isMore = self.verdict is ComparisonVerdict.MORE
        more, less = ("more", "less") if self.name == "loss" else ("slower", "faster")
        return f"significantly {more if isMore else less}{self._factor()}"

    def _factor(self) -> str:
        if self.ratio is None:
            return ""
        if self.ratio >= 3:
            return f", by a factor of {self.ratio:.1f}"
        percent = abs(self.ratio - 1) * 100
        return f", by {percent:.0f} %" if percent >= 10 else f", by {percent:.1f} %"


@dataclass(frozen=True)
class Comparison:
    """
    A comparison of two results.

    :ivar effectiveSizes: effective sample size of each.
    :ivar differences: of each of :data:`PERCENTILES`, and of the losses.
    """

    a: StoredResult
    b: StoredResult
    effectiveSizes: tuple[int, int]
    differences: tuple[MetricDifference, ...]


def compare(a: StoredResult, b: StoredResult) -> Comparison:
    """
    Compare two results.

    :raise ReportError: they are of different kinds, or have no times.
    """
    checkSameKind(a, b, "compared")
    if not a.measured:
        raise ReportError(
            f"{a.source} has no times to compare; only results of ping and load have them"
        )
    sizes = _effectiveSize(a), _effectiveSize(b)
    times = [
        MetricDifference(name, first, second, _verdict(first, second))
        for name, first, second in zip(
            PERCENTILES,
            _estimates(a.times, sizes[0]),
            _estimates(b.times, sizes[1]),
            strict=True,
        )
    ]
    return Comparison(a, b, sizes, (*times, _losses(a, b)))


def _effectiveSize(result: StoredResult) -> int:
    return round(result.times.count / timesDesignEffect(result))


def _estimates(times: LatencyHistogram, effectiveSize: int) -> list[Estimate]:
    percents = PERCENTILES.values()
    if not times.count:
        return [Estimate(None) for _ in percents]
    buckets = times.buckets()
    upTo = list(accumulate(count for _, _, count in buckets))
    estimates = []
    for value, percent in zip(times.percentiles(*percents), percents, strict=True):
        low, high = ranks(effectiveSize, percent / 100)
        # The ranks of the same quantiles in all times: the k-th of n independent times estimates
        # the quantile k / (n + 1). The bounds are those of buckets, so that times that differ
        # only by rounding do not differ significantly.
        first = low * (times.count + 1) // (effectiveSize + 1)
        last = -(-high * (times.count + 1) // (effectiveSize + 1))
        lower = buckets[bisect_left(upTo, first)][0] if low else 0
        upper = buckets[bisect_left(upTo, last)][1] if high <= effectiveSize else None
        estimates.append(Estimate(value, lower, upper))
    return estimates


def ranks(count: int, quantile: float) -> tuple[int, int]:
    """
    The ranks, in a sorted sample, of the confidence interval of a quantile.

    :param count: size of the sample.
    :return: two ranks; 0 and ``count`` + 1 mean that a bound is missing.
    """
    outside = (1 - CONFIDENCE) / 2
    low = binomialQuantile(count, quantile, outside)
    return low, binomialQuantile(count, quantile, 1 - outside) + 1


def _verdict(a: Estimate, b: Estimate) -> ComparisonVerdict:
    if b.high is not None and a.low > b.high:
        return ComparisonVerdict.LESS
    if a.high is not None and b.low > a.high:
        return ComparisonVerdict.MORE
    return ComparisonVerdict.UNKNOWN if None in (a.high, b.high) else ComparisonVerdict.SAME


def _losses(a: StoredResult, b: StoredResult) -> MetricDifference:
    pValue = fisherExact(*_effectiveLosses(a), *_effectiveLosses(b))
    verdict = ComparisonVerdict.SAME
    if pValue < 1 - CONFIDENCE:
        verdict = ComparisonVerdict.MORE if b.lossRatio > a.lossRatio else ComparisonVerdict.LESS
    if not a.sent or not b.sent:
        verdict = ComparisonVerdict.UNKNOWN
    return MetricDifference("loss", Estimate(a.lossRatio), Estimate(b.lossRatio), verdict, pValue)


def _effectiveLosses(result: StoredResult) -> tuple[int, int]:
    effect = lossDesignEffect(result)
    return round(result.lost / effect), round(result.sent / effect)
