"""
How times are spread: an HDR histogram for percentiles and merging, exact sums for the rest.

Nothing per value is kept. Times are whole nanoseconds. Percentiles are right within 0.1 %, whatever the number of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

from hdrh.histogram import HdrHistogram

#: Times from a nanosecond to an hour are told apart by their first three digits; what is longer counts as an hour.
LONGEST = 3_600_000_000_000
_DIGITS = 3

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
        self._histogram = HdrHistogram(1, LONGEST, _DIGITS)

    def add(self, time: int) -> None:
        """Count one time, in nanoseconds."""
        self.minimum = min(self.minimum, time) if self.count else time
        self.maximum = max(self.maximum, time)
        self.count += 1
        self._sum += time
        self._squares += time * time
        self._histogram.record_value(min(max(time, 1), LONGEST))

    def merge(self, other: Spread) -> None:
        """Count also what ``other`` has counted; nothing is lost by it."""
        if not other.count:
            return
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self._sum += other._sum
        self._squares += other._squares
        self._histogram.add(other._histogram)

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
        if percent >= 100 or not self.count:
            return self.maximum
        found: int = self._histogram.get_value_at_percentile(percent)
        return min(max(found, self.minimum), self.maximum)

    def state(self) -> dict[str, Any]:
        """Plain values for JSON: times in ``_ns``, and the histogram (HdrHistogram V2, compressed, Base64)."""
        return {
            "count": self.count,
            "min_ns": self.minimum,
            "mean_ns": round(self.mean),
            "max_ns": self.maximum,
            "mdev_ns": round(self.deviation),
            **{f"{name}_ns": self.percentile(each) for name, each in PERCENTILES.items()},
            # Digits, as JSON's numbers are not exact so far.
            "sum_ns": str(self._sum),
            "squares_ns2": str(self._squares),
            "histogram": self._histogram.encode().decode("ascii"),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Spread:
        """What :meth:`state` told of."""
        made = cls()
        made.count, made.minimum, made.maximum = state["count"], state["min_ns"], state["max_ns"]
        made._sum, made._squares = int(state["sum_ns"]), int(state["squares_ns2"])
        made._histogram.add(HdrHistogram.decode(state["histogram"]))
        return made
