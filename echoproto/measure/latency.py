"""
How times are spread: an HDR histogram for percentiles and merging, exact sums for the rest.

Nothing per value is kept. Times are whole nanoseconds. Percentiles are right within 0.1 %, whatever the number of values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate
from math import sqrt
from operator import mul
from typing import Any

from hdrh.histogram import HdrHistogram

#: Times from a nanosecond to an hour are told apart by their first three digits; what is longer counts as an hour.
LONGEST = 3_600_000_000_000
_DIGITS = 3

# A histogram of three digits has a bucket for each value of so many bits, and for each with zeros behind them.
_BITS = 11

# Times that are counted at once: enough that the sums cost little, few enough that nobody waits for them.
_BATCH = 256

# So many parts of buckets may be more than there are buckets.
_FINE = 10_000

#: The percentiles that are printed and stored, by name.
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


def _least(time: int) -> int:
    """The least value of the histogram's bucket that holds a time."""
    shift = max(time.bit_length() - _BITS, 0)
    return time >> shift << shift


def _greatest(least: int) -> int:
    """The greatest value of a histogram's bucket; the least that it holds is 1."""
    return max(least + (1 << max(least.bit_length() - _BITS, 0)) - 1, 1)


class LatencyHistogram:
    """Many times, of which only how they are spread is kept."""

    def __init__(self) -> None:
        self._count = self._minimum = self._maximum = 0
        self._sum = self._squares = 0
        # By the least value of a bucket of the histogram, or of a part of one.
        self._counts: defaultdict[int, int] = defaultdict(int)
        # Times that are not counted yet: many at once cost less.
        self._room = _FINE
        self._recent: list[int] = []

    def add(self, time: int) -> None:
        """Count one time, in nanoseconds."""
        recent = self._recent
        recent.append(time)
        if len(recent) >= _BATCH:
            self._settle()

    def _settle(self) -> None:
        """Count those that are not counted yet."""
        recent = self._recent
        if not recent:
            return
        least = min(recent)
        self._minimum = min(self._minimum, least) if self._count else least
        self._maximum = max(self._maximum, max(recent))
        self._count += len(recent)
        self._sum += sum(recent)
        self._squares += sum(map(mul, recent, recent))
        counts = self._counts
        # As fine as the shortest needs: to look for the bucket of each takes three times as long.
        shift = max(least.bit_length() - _BITS, 0)
        for time in recent:
            counts[time >> shift << shift] += 1
        recent.clear()
        if len(counts) > self._room:
            self._room = 2 * len(self._buckets()) + _FINE

    def _buckets(self) -> Mapping[int, int]:
        """How many there were, by the least value of each of the histogram's buckets."""
        self._settle()
        fine, self._counts = self._counts, defaultdict(int)
        for time, count in fine.items():
            self._counts[_least(min(time, LONGEST))] += count
        return self._counts

    @property
    def count(self) -> int:
        """How many there were."""
        return self._count + len(self._recent)

    @property
    def minimum(self) -> int:
        """The shortest, exactly; 0 where there was none."""
        self._settle()
        return self._minimum

    @property
    def maximum(self) -> int:
        """The longest, exactly; 0 where there was none."""
        self._settle()
        return self._maximum

    def merge(self, other: LatencyHistogram) -> None:
        """Count also what ``other`` has counted; nothing is lost by it."""
        buckets = other._buckets()
        if not buckets:
            return
        self._minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self._maximum = max(self._maximum, other.maximum)
        self._count += other._count
        self._sum += other._sum
        self._squares += other._squares
        for least, count in buckets.items():
            self._counts[least] += count

    @property
    def mean(self) -> float:
        """The average; 0 where there was none."""
        self._settle()
        return self._sum / self._count if self._count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation, which ping calls mdev."""
        self._settle()
        if not self._count:
            return 0.0
        # Of integers of any length, so that nothing cancels out.
        return sqrt(max(self._squares * self._count - self._sum * self._sum, 0)) / self._count

    def percentile(self, percent: float) -> int:
        """The time that so many of a hundred do not exceed."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> list[int]:
        """Several of them."""
        counts = self._buckets()
        if not counts:
            return [0 for _ in percents]
        # As the histogram has them, which takes ten times as long.
        buckets = sorted(counts)
        upTo = list(accumulate(counts[each] for each in buckets))
        ranks = [max(int(each * self._count / 100 + 0.5), 1) for each in percents]
        found = [_greatest(buckets[bisect_left(upTo, each)]) for each in ranks]
        return [min(max(each, self._minimum), self._maximum) for each in found]

    def _histogram(self) -> Any:
        made = HdrHistogram(1, LONGEST, _DIGITS)
        for least, count in self._buckets().items():
            made.record_value(min(max(least, 1), LONGEST), count)
        return made

    def buckets(self) -> list[tuple[int, int, int]]:
        """Of each bucket of the histogram its least and its greatest time and how many it has, from the shortest to the longest."""
        least, most = self.minimum, self.maximum
        return [
            (min(max(first, least), most), min(_greatest(first), most), count)
            for first, count in sorted(self._buckets().items())
        ]

    def state(self) -> dict[str, Any]:
        """Plain values for JSON: times in ``_ns``, and the histogram (HdrHistogram V2, compressed, Base64)."""
        percentiles = zip(PERCENTILES, self.percentiles(*PERCENTILES.values()), strict=True)
        return {
            "count": self.count,
            "min_ns": self.minimum,
            "mean_ns": round(self.mean),
            "max_ns": self.maximum,
            "mdev_ns": round(self.deviation),
            **{f"{name}_ns": each for name, each in percentiles},
            # Digits, as JSON's numbers are not exact so far.
            "sum_ns": str(self._sum),
            "squares_ns2": str(self._squares),
            "histogram": self._histogram().encode().decode("ascii"),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> LatencyHistogram:
        """What :meth:`state` told of."""
        made = cls()
        made._count, made._minimum, made._maximum = (
            state[each] for each in ("count", "min_ns", "max_ns")
        )
        made._sum, made._squares = int(state["sum_ns"]), int(state["squares_ns2"])
        for each in HdrHistogram.decode(state["histogram"]).get_recorded_iterator():
            # The greatest of its bucket.
            made._counts[_least(each.value_iterated_to)] = each.count_added_in_this_iter_step
        return made
