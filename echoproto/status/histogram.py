"""A histogram with fixed bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Any


class Histogram:
    """
    Counts values between bounds.

    :param bounds: inclusive upper bounds, ascending, at least one. Values above the last one are
        counted too.
    :raise ValueError: there are no bounds, or they do not ascend.
    :ivar sum: the sum of all values.
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
        """Its content as plain values, for :meth:`restore` in another process."""
        return {"counts": list(self._counts), "sum": self.sum}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace its content by the :meth:`state` of a histogram with the same bounds."""
        self._counts, self.sum = list(state["counts"]), state["sum"]

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound with the number of values up to it; last ``inf`` with the number of all."""
        return list(zip((*self._bounds, inf), accumulate(self._counts), strict=True))
