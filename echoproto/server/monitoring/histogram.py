"""
How values are spread, in a few numbers: what a scrape of the metrics reads, and nothing per value kept.

Used by :mod:`echoproto.server.monitoring.metrics` and :mod:`echoproto.server.monitoring.looplag`; knows no unit, no clock and no format.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Any


class Histogram:
    """
    Counts values by the bounds they lie between.

    :param bounds: upper bounds, each belonging to what is below it; ascending, and at least one. Values above the
        last are counted too.
    :raise ValueError: the bounds are none or do not ascend.
    :ivar sum: all values together.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        if not bounds or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"bounds must ascend: {bounds}")
        self.sum = 0.0
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def state(self) -> dict[str, Any]:
        """What it has, of plain values, for :meth:`restore` in another process."""
        return {"counts": list(self._counts), "sum": self.sum}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Count instead what :meth:`state` told of a histogram with the same bounds."""
        self._counts, self.sum = list(state["counts"]), state["sum"]

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound with how many values were at most that; last ``inf`` with the count of all."""
        return list(zip((*self._bounds, inf), accumulate(self._counts), strict=True))
