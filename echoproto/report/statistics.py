"""
What chance does to counts: exact sums over the binomial and the hypergeometric distribution, and the normal one where these are wide.

Pure; used by :mod:`.compare`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import ceil, sqrt
from statistics import NormalDist

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.result import StoredResult

#: Standard deviations from which on the normal distribution is as good: it is off by less than one in ten thousand of a deviation.
WIDE = 1000.0

# Of the likeliest value, below which a weight does not matter.
_NOTHING = 1e-20


def binomialQuantile(trials: int, share: float, level: float) -> int:
    """
    The least number that so many of ``trials`` do not exceed with a probability of ``level`` or more.

    :param share: how likely each is to count.
    """
    odds = share / (1 - share)
    deviation = sqrt(trials * share * (1 - share))
    if deviation > WIDE:
        return ceil(NormalDist(trials * share, deviation).inv_cdf(level))
    likeliest = min(int((trials + 1) * share), trials)
    weights = _weights(likeliest, 0, trials, lambda k: (trials - k) / (k + 1) * odds)
    numbers = sorted(weights)
    upTo = list(accumulate(weights[each] for each in numbers))
    return numbers[bisect_left(upTo, level * upTo[-1])]


def fisherExact(hits: int, trials: int, otherHits: int, otherTrials: int) -> float:
    """
    How likely two shares are to differ as much as they do, or more, where they come of the same chance (Fisher's exact test, twice
    its smaller side).

    :param hits: how many counted of ``trials``.
    """
    every, total = trials + otherTrials, hits + otherHits
    if not 0 < total < every or not trials or not otherTrials:
        return 1.0
    mean = total * trials / every
    deviation = sqrt(mean * (otherTrials / every) * (every - total) / (every - 1))
    distance = abs(hits - mean)
    if deviation > WIDE:
        return min(1.0, 2 * NormalDist().cdf(-max(distance - 0.5, 0) / deviation))
    least, most = max(0, total - otherTrials), min(total, trials)
    likeliest = min(max((total + 1) * (trials + 1) // (every + 2), least), most)

    def ratio(k: int) -> float:
        return (total - k) * (trials - k) / ((k + 1) * (otherTrials - total + k + 1))

    weights = _weights(likeliest, least, most, ratio)
    tail = sum(weight for k, weight in weights.items() if (k >= hits if hits > mean else k <= hits))
    return min(1.0, 2 * tail / sum(weights.values()))


def _weights(
    likeliest: int, least: int, most: int, ratio: Callable[[int], float]
) -> dict[int, float]:
    """
    How likely each number is beside the likeliest.

    :param ratio: how likely a number's next is beside it.
    """
    found = {likeliest: 1.0}
    weight, number = 1.0, likeliest
    while number < most and weight > _NOTHING:
        weight *= ratio(number)
        number += 1
        found[number] = weight
    weight, number = 1.0, likeliest
    while number > least and weight > _NOTHING:
        number -= 1
        weight /= ratio(number)
        found[number] = weight
    return found


#: Batches at most, and how many there must be to tell anything.
BATCHES = 20
ENOUGH = 8


def timesDesignEffect(result: StoredResult) -> float:
    """How many exchanges tell as much as one that is independent, of times; 1 where they are, or where that is not known."""
    if not result.times.count:
        return 1.0
    position = _positionIn(result.times)

    def median(each: Interval) -> float:
        return position(each.median or 0)

    def high(each: Interval) -> float:
        return position(each.p99 or 0)

    heard = [each for each in result.intervals if each.received]
    return max(_inflation(heard, median, 50), _inflation(heard, high, 99))


def lossDesignEffect(result: StoredResult) -> float:
    """The same of losses."""
    batches = _batches([each for each in result.intervals if each.sent])
    sent = [sum(each.sent for each in batch) for batch in batches]
    lost = [sum(max(each.sent - each.received, 0) for each in batch) for batch in batches]
    share = sum(lost) / sum(sent) if batches else 0.0
    if not 0 < share < 1:
        return 1.0
    excess = sum((few - n * share) ** 2 / n for few, n in zip(lost, sent, strict=True))
    return max(1.0, excess / (share * (1 - share)) / (len(batches) - 1))


def _positionIn(times: LatencyHistogram) -> Callable[[int], float]:
    """Tells which share of all times is below one: so it matters by how many others a time is longer, and not by how much."""
    buckets = times.buckets()
    ends = [most for _, most, _ in buckets]
    below = list(accumulate((count for _, _, count in buckets), initial=0))

    def position(time: int) -> float:
        at = min(bisect_left(ends, time), len(ends) - 1)
        return (below[at] + below[at + 1]) / 2 / times.count

    return position


def _inflation(
    intervals: Sequence[Interval], position: Callable[[Interval], float], percent: int
) -> float:
    batches = _batches(intervals)
    if not batches:
        return 1.0
    counts = [sum(each.received for each in batch) for batch in batches]
    sums = [sum(each.received * position(each) for each in batch) for batch in batches]
    mean = sum(sums) / sum(counts)
    found = sum((part - n * mean) ** 2 / n for part, n in zip(sums, counts, strict=True))
    # What chance alone would make of it.
    expected = sum(
        sum(each.received**2 * _variance(each.received, percent) for each in batch) / n
        for batch, n in zip(batches, counts, strict=True)
    )
    return max(1.0, found / (len(batches) - 1) / (expected / len(batches)))


def _variance(count: int, percent: int) -> float:
    """Of the position of a percentile of so many independent times, whatever their distribution: that of a Beta distribution."""
    rank = -(-count * percent // 100)
    return rank * (count - rank + 1) / ((count + 1) ** 2 * (count + 2))


def _batches(intervals: Sequence[Interval]) -> list[Sequence[Interval]]:
    """As many intervals in each, save for one less in some; none where there are not enough."""
    count = min(len(intervals), BATCHES)
    if count < ENOUGH:
        return []
    edges = [len(intervals) * each // count for each in range(count + 1)]
    return [intervals[first:last] for first, last in pairwise(edges)]
