"""
A latency histogram: an HDR histogram for percentiles and merging, exact sums for the rest.

Memory does not depend on the number of values. Times are whole nanoseconds; percentiles are exact
within 0.1 %.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate
from math import ceil, sqrt
from operator import mul
from typing import Any

try:
    from hdrh.histogram import HdrHistogram
except ImportError as error:
    raise ImportError(
        "measuring needs hdrhistogram; in a clone: pip install -e '.[measure]'", name=error.name
    ) from error

#: One hour: times from a nanosecond to this keep three digits, and longer times count as this.
LONGEST_TIME_NS = 3_600_000_000_000
_DIGITS = 3

# A histogram of three digits has a bucket for each value of 11 bits, and for each such value
# followed by zeros.
_BITS = 11

# Times that are counted together: enough that the sums cost little, few enough to cause no pause.
_BATCH_SIZE = 256

#: The percentiles that are printed and stored, by name.
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}


def _lowest(time: int) -> int:
    """The lowest value of the histogram bucket of a time."""
    shift = max(time.bit_length() - _BITS, 0)
    return time >> shift << shift


def _highest(lowest: int) -> int:
    """The highest value of a histogram bucket; at least 1."""
    return max(lowest + (1 << max(lowest.bit_length() - _BITS, 0)) - 1, 1)


def nearestRank(count: int, percent: float) -> int:
    """The nearest rank, from 1, of a percentile of ``count`` sorted items."""
    # A float times a count may be just above a whole number.
    return max(ceil(count * Fraction(str(percent)) / 100), 1)


class LatencyHistogram:
    """The distribution of any number of times."""

    def __init__(self) -> None:
        self._count = self._minimum = self._maximum = 0
        self._sum = self._squares = 0
        # By the lowest value of each bucket.
        self._counts: defaultdict[int, int] = defaultdict(int)
        # Times that are not counted yet, as counting many together costs less.
        self._recent: list[int] = []

    def add(self, time: int) -> None:
        """Count one time, in nanoseconds."""
        recent = self._recent
        recent.append(time)
        if len(recent) >= _BATCH_SIZE:
            self._settle()

    def _settle(self) -> None:
        """Count the recent times."""
        recent = self._recent
        if not recent:
            return
        recent.sort()
        self._minimum = min(self._minimum, recent[0]) if self._count else recent[0]
        self._maximum = max(self._maximum, recent[-1])
        self._count += len(recent)
        self._sum += sum(recent)
        self._squares += sum(map(mul, recent, recent))
        if recent[-1] > LONGEST_TIME_NS:
            recent[:] = [min(time, LONGEST_TIME_NS) for time in recent]
        self._countSorted(recent)
        recent.clear()

    def _countSorted(self, times: list[int]) -> None:
        """Add times to their buckets; those with as many bits have buckets of the same width."""
        counts = self._counts
        begin = 0
        while begin < len(times):
            bits = times[begin].bit_length()
            end = bisect_left(times, 1 << bits, begin)
            shift = max(bits - _BITS, 0)
            for time in times[begin:end]:
                counts[time >> shift << shift] += 1
            begin = end

    def _buckets(self) -> Mapping[int, int]:
        """The count of each bucket, by its lowest value."""
        self._settle()
        return self._counts

    @property
    def count(self) -> int:
        """Number of times."""
        return self._count + len(self._recent)

    @property
    def minimum(self) -> int:
        """The shortest time, exactly; 0 without any."""
        self._settle()
        return self._minimum

    @property
    def maximum(self) -> int:
        """The longest time, exactly; 0 without any."""
        self._settle()
        return self._maximum

    def merge(self, other: LatencyHistogram) -> None:
        """Add the times of another histogram, without loss."""
        buckets = other._buckets()
        if not buckets:
            return
        self._minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self._maximum = max(self._maximum, other.maximum)
        self._count += other._count
        self._sum += other._sum
        self._squares += other._squares
        for lowest, count in buckets.items():
            self._counts[lowest] += count

    @property
    def mean(self) -> float:
        """The average; 0 without any time."""
        self._settle()
        return self._sum / self._count if self._count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation, which ping calls mdev."""
        self._settle()
        if not self._count:
            return 0.0
        # Integers of any length, so no digits are lost.
        return sqrt(max(self._squares * self._count - self._sum * self._sum, 0)) / self._count

    def percentile(self, percent: float) -> int:
        """The time that ``percent`` percent of the times do not exceed (:func:`nearestRank`)."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> list[int]:
        """Several percentiles."""
        counts = self._buckets()
        if not counts:
            return [0 for _ in percents]
        # The same values as of the HDR histogram, which takes ten times as long.
        buckets = sorted(counts)
        upTo = list(accumulate(counts[bucket] for bucket in buckets))
        ranks = [nearestRank(self._count, percent) for percent in percents]
        times = [_highest(buckets[bisect_left(upTo, rank)]) for rank in ranks]
        return [min(max(time, self._minimum), self._maximum) for time in times]

    def quantiles(self) -> dict[str, int]:
        """The minimum, the :data:`PERCENTILES` and the maximum, by name, in ascending order."""
        names = zip(PERCENTILES, self.percentiles(*PERCENTILES.values()), strict=True)
        return {"min": self.minimum, **dict(names), "max": self.maximum}

    def _histogram(self) -> Any:
        histogram = HdrHistogram(1, LONGEST_TIME_NS, _DIGITS)
        for lowest, count in self._buckets().items():
            histogram.record_value(min(max(lowest, 1), LONGEST_TIME_NS), count)
        return histogram

    def buckets(self) -> list[tuple[int, int, int]]:
        """The lowest time, the highest time and the count of each bucket, in ascending order."""
        minimum, maximum = self.minimum, self.maximum
        return [
            (min(max(lowest, minimum), maximum), min(_highest(lowest), maximum), count)
            for lowest, count in sorted(self._buckets().items())
        ]

    def state(self) -> dict[str, Any]:
        """
        Plain values for JSON.

        Times are in nanoseconds; the histogram is an HdrHistogram V2, compressed, in Base64.
        """
        return {
            "count": self.count,
            "mean_ns": round(self.mean),
            "mdev_ns": round(self.deviation),
            **{f"{name}_ns": time for name, time in self.quantiles().items()},
            # Strings, as JSON numbers of this size are not exact.
            "sum_ns": str(self._sum),
            "squares_ns2": str(self._squares),
            "histogram": self._histogram().encode().decode("ascii"),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> LatencyHistogram:
        """Restore a histogram from its :meth:`state`."""
        restored = cls()
        restored._count = state["count"]
        restored._minimum, restored._maximum = state["min_ns"], state["max_ns"]
        restored._sum, restored._squares = int(state["sum_ns"]), int(state["squares_ns2"])
        for step in HdrHistogram.decode(state["histogram"]).get_recorded_iterator():
            # The highest value of a bucket.
            restored._counts[_lowest(step.value_iterated_to)] = step.count_added_in_this_iter_step
        return restored
