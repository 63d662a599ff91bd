"""
How times are spread: an HDR histogram for percentiles and merging, exact sums for the rest.

Nothing per value is kept. Times are whole nanoseconds. Percentiles are right within 0.1 %, whatever the number of values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import sqrt
from typing import Any

from hdrh.histogram import HdrHistogram

#: Times from a nanosecond to an hour are told apart by their first three digits; what is longer counts as an hour.
LONGEST = 3_600_000_000_000
_DIGITS = 3

# A histogram of three digits has a bucket for each value of so many bits, and for each with zeros behind them.
_BITS = 11

#: The percentiles that are printed and stored, by name.
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


class Spread:
    """
    Many times, of which only how they are spread is kept.

    :ivar count: how many there were.
    :ivar minimum: the shortest, exactly; 0 where there was none.
    :ivar maximum: the longest, exactly; 0 where there was none.
    """

    def __init__(self) -> None:
        self.count = self.minimum = self.maximum = 0
        self._sum = self._squares = 0
        # By the least value of each of the histogram's buckets: the histogram itself takes five times as long to count.
        self._counts: defaultdict[int, int] = defaultdict(int)

    def add(self, time: int) -> None:
        """Count one time, in nanoseconds."""
        self.maximum = max(self.maximum, time)
        if time < self.minimum or not self.count:
            self.minimum = time
        self.count += 1
        self._sum += time
        self._squares += time * time
        shift = time.bit_length() - _BITS
        self._counts[time >> shift << shift if shift > 0 else time] += 1

    def merge(self, other: Spread) -> None:
        """Count also what ``other`` has counted; nothing is lost by it."""
        if not other.count:
            return
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self._sum += other._sum
        self._squares += other._squares
        for least, count in other._counts.items():
            self._counts[least] += count

    @property
    def mean(self) -> float:
        """The average; 0 where there was none."""
        return self._sum / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation, which ping calls mdev."""
        if not self.count:
            return 0.0
        # Of integers of any length, so that nothing cancels out.
        return sqrt(max(self._squares * self.count - self._sum * self._sum, 0)) / self.count

    def percentile(self, percent: float) -> int:
        """The time that so many of a hundred do not exceed."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> list[int]:
        """Several of them."""
        histogram = self._histogram()
        found = [int(histogram.get_value_at_percentile(each)) for each in percents]
        return [
            self.maximum if percent >= 100 else min(max(each, self.minimum), self.maximum)
            for percent, each in zip(percents, found, strict=True)
        ]

    def _histogram(self) -> Any:
        made = HdrHistogram(1, LONGEST, _DIGITS)
        for least, count in self._counts.items():
            made.record_value(min(max(least, 1), LONGEST), count)
        return made

    def buckets(self) -> list[tuple[int, int, int]]:
        """Of each bucket of the histogram its least and its greatest time and how many it has, from the shortest to the longest."""
        least, most = self.minimum, self.maximum
        return [
            (
                min(max(first, least), most),
                min(first + (1 << max(first.bit_length() - _BITS, 0)) - 1, most),
                count,
            )
            for first, count in sorted(self._counts.items())
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
    def restored(cls, state: Mapping[str, Any]) -> Spread:
        """What :meth:`state` told of."""
        made = cls()
        made.count, made.minimum, made.maximum = state["count"], state["min_ns"], state["max_ns"]
        made._sum, made._squares = int(state["sum_ns"]), int(state["squares_ns2"])
        for each in HdrHistogram.decode(state["histogram"]).get_recorded_iterator():
            # The greatest of its bucket.
            shift = max(each.value_iterated_to.bit_length() - _BITS, 0)
            made._counts[each.value_iterated_to >> shift << shift] = (
                each.count_added_in_this_iter_step
            )
        return made
