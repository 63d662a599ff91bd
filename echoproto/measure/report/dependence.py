"""
How much the exchanges of a run know of each other: one that is slow is seldom slow alone, and losses come in bursts.

Pure; used by :mod:`.comparing`, whose tests are of independent exchanges. The run is cut into batches of seconds. Where these differ from
each other by more than chance would have it, so many times more, the exchanges tell as much as so many times fewer that are independent
(the design effect; batch means).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from echoproto.measure.intervals import Interval
from echoproto.measure.report.saved import Saved
from echoproto.measure.spread import Spread

#: Batches at most, and how many there must be to tell anything.
BATCHES = 20
ENOUGH = 8


def timesInflation(result: Saved) -> float:
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


def lossInflation(result: Saved) -> float:
    """The same of losses."""
    batches = _batches([each for each in result.intervals if each.sent])
    sent = [sum(each.sent for each in batch) for batch in batches]
    lost = [sum(max(each.sent - each.received, 0) for each in batch) for batch in batches]
    share = sum(lost) / sum(sent) if batches else 0.0
    if not 0 < share < 1:
        return 1.0
    excess = sum((few - n * share) ** 2 / n for few, n in zip(lost, sent, strict=True))
    return max(1.0, excess / (share * (1 - share)) / (len(batches) - 1))


def _positionIn(times: Spread) -> Callable[[int], float]:
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
