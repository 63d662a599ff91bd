from __future__ import annotations

from bisect import bisect_right
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.status.histogram import Histogram


class HistogramTests(SynchronousTestCase):
    def test_empty(self) -> None:
        """An empty histogram has all of its bounds, with count 0."""
        histogram = Histogram([1.0, 2.0])
        self.assertEqual(histogram.cumulative(), [(1.0, 0), (2.0, 0), (inf, 0)])
        self.assertEqual((histogram.count, histogram.sum), (0, 0.0))

    def test_equalToABound(self) -> None:
        """A value equal to a bound is counted there, and values above all bounds in the last."""
        histogram = Histogram([1.0, 2.0])
        for value in (0.0, 1.0, 1.5, 7.5):
            histogram.add(value)
        self.assertEqual(histogram.cumulative(), [(1.0, 2), (2.0, 3), (inf, 4)])
        self.assertEqual((histogram.count, histogram.sum), (4, 10.0))

    @given(st.lists(st.floats(0, 10)), st.sets(st.floats(0, 10), min_size=1).map(sorted))
    def test_cumulative(self, values: list[float], bounds: list[float]) -> None:
        """For any values, a bucket counts the values up to its bound."""
        histogram = Histogram(bounds)
        for value in values:
            histogram.add(value)
        expected = [(bound, bisect_right(sorted(values), bound)) for bound in (*bounds, inf)]
        self.assertEqual(histogram.cumulative(), expected)

    def test_bounds(self) -> None:
        """Missing, equal or descending bounds raise ValueError."""
        for bounds in ([], [1.0, 1.0], [2.0, 1.0]):
            self.assertRaises(ValueError, Histogram, bounds)

    def test_state(self) -> None:
        """The state of a histogram restores another first."""
        first, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
        first.add(1.5)
        other.restore(first.state())
        first.add(3.0)
        self.assertEqual((other.cumulative(), other.sum), ([(1.0, 0), (2.0, 1), (inf, 1)], 1.5))
