"""
Statistics of counts and of dependent samples, for :mod:`.compare`: binomial quantiles, Fisher's
exact test, and design effects, which are estimated from the variance between parts of a run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import ceil, sqrt
from statistics import NormalDist

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram, nearestRank
from echoproto.report.result import StoredResult

#: Standard deviation from which on the normal distribution replaces the exact one; the quantiles
#: differ by less than a ten-thousandth of it.
NORMAL_DEVIATION = 1000.0

# Weights below this share of the largest one are left out of sums.
_NEGLIGIBLE_WEIGHT = 1e-20

#: Maximum and minimum number of batches from which a design effect is estimated.
MAX_BATCHES = 20
MIN_BATCHES = 8


def binomialQuantile(trials: int, probability: float, level: float) -> int:
    """The smallest number of successes whose cumulative probability is ``level`` or more."""
    odds = probability / (1 - probability)
    deviation = sqrt(trials * probability * (1 - probability))
    if deviation > NORMAL_DEVIATION:
        return ceil(NormalDist(trials * probability, deviation).inv_cdf(level))
    mode = min(int((trials + 1) * probability), trials)
    weights = _weights(mode, 0, trials, lambda k: (trials - k) / (k + 1) * odds)
    numbers = sorted(weights)
    upTo = list(accumulate(weights[number] for number in numbers))
    return numbers[bisect_left(upTo, level * upTo[-1])]


def fisherExact(hits: int, trials: int, otherHits: int, otherTrials: int) -> float:
    """The p-value of Fisher's exact test of two ratios: twice its smaller tail."""
    allTrials, allHits = trials + otherTrials, hits + otherHits
    if not 0 < allHits < allTrials or not trials or not otherTrials:
        return 1.0
    mean = allHits * trials / allTrials
    variance = mean * (otherTrials / allTrials) * (allTrials - allHits) / (allTrials - 1)
    deviation = sqrt(variance)
    if deviation > NORMAL_DEVIATION:
        # With a continuity correction.
        distance = max(abs(hits - mean) - 0.5, 0)
        return min(1.0, 2 * NormalDist().cdf(-distance / deviation))
    least, most = max(0, allHits - otherTrials), min(allHits, trials)
    mode = min(max((allHits + 1) * (trials + 1) // (allTrials + 2), least), most)

    def ratio(k: int) -> float:
        return (allHits - k) * (trials - k) / ((k + 1) * (otherTrials - allHits + k + 1))

    weights = _weights(mode, least, most, ratio)
    tail = sum(weight for k, weight in weights.items() if (k >= hits if hits > mean else k <= hits))
    return min(1.0, 2 * tail / sum(weights.values()))


def _weights(mode: int, least: int, most: int, ratio: Callable[[int], float]) -> dict[int, float]:
    """
    The probability of each number divided by that of the mode.

    :param ratio: the probability of the next number divided by that of a number.
    """
    weights = {mode: 1.0}
    for number in range(mode + 1, most + 1):
        weights[number] = weights[number - 1] * ratio(number - 1)
        if weights[number] < _NEGLIGIBLE_WEIGHT:
            break
    for number in range(mode - 1, least - 1, -1):
        weights[number] = weights[number + 1] / ratio(number)
        if weights[number] < _NEGLIGIBLE_WEIGHT:
            break
    return weights


def timesDesignEffect(result: StoredResult) -> float:
    """Number of exchanges per independent one, for times; 1 if it is unknown."""
    if not result.times.count:
        return 1.0
    position = _quantileFunction(result.times)
    answered = [interval for interval in result.intervals if interval.received]
    return max(
        _varianceRatio(answered, lambda interval: position(interval.median or 0), 50),
        _varianceRatio(answered, lambda interval: position(interval.p99 or 0), 99),
    )


def lossDesignEffect(result: StoredResult) -> float:
    """Number of exchanges per independent one, for losses; 1 if it is unknown."""
    batches = _batches([interval for interval in result.intervals if interval.sent])
    sent = [sum(interval.sent for interval in batch) for batch in batches]
    lost = [
        sum(max(interval.sent - interval.received, 0) for interval in batch) for batch in batches
    ]
    ratio = sum(lost) / sum(sent) if batches else 0.0
    if not 0 < ratio < 1:
        return 1.0
    found = sum((few - n * ratio) ** 2 / n for few, n in zip(lost, sent, strict=True))
    return max(1.0, found / (ratio * (1 - ratio)) / (len(batches) - 1))


def _quantileFunction(times: LatencyHistogram) -> Callable[[int], float]:
    """The share of times below a time: ranks are used, since outliers must not dominate."""
    buckets = times.buckets()
    ends = [highest for _, highest, _ in buckets]
    below = list(accumulate((count for _, _, count in buckets), initial=0))

    def position(time: int) -> float:
        index = min(bisect_left(ends, time), len(ends) - 1)
        return (below[index] + below[index + 1]) / 2 / times.count

    return position


def _varianceRatio(
    intervals: Sequence[Interval], position: Callable[[Interval], float], percent: int
) -> float:
    """The variance between batches divided by that of independent times; at least 1."""
    batches = _batches(intervals)
    if not batches:
        return 1.0
    counts = [sum(interval.received for interval in batch) for batch in batches]
    sums = [sum(interval.received * position(interval) for interval in batch) for batch in batches]
    mean = sum(sums) / sum(counts)
    found = sum((part - n * mean) ** 2 / n for part, n in zip(sums, counts, strict=True))
    expected = sum(
        sum(interval.received**2 * _rankVariance(interval.received, percent) for interval in batch)
        / n
        for batch, n in zip(batches, counts, strict=True)
    )
    return max(1.0, found / (len(batches) - 1) / (expected / len(batches)))


def _rankVariance(count: int, percent: int) -> float:
    """Variance of the rank of a percentile of independent times, as a share (Beta distribution)."""
    rank = nearestRank(count, percent)
    return rank * (count - rank + 1) / ((count + 1) ** 2 * (count + 2))


def _batches(intervals: Sequence[Interval]) -> list[Sequence[Interval]]:
    """Consecutive intervals in batches of nearly equal size; none if there are too few."""
    count = min(len(intervals), MAX_BATCHES)
    if count < MIN_BATCHES:
        return []
    edges = [len(intervals) * index // count for index in range(count + 1)]
    return [intervals[first:last] for first, last in pairwise(edges)]
