"""
A run in intervals of a second or more: probes or messages sent, replies, and their times in
nanoseconds.

:mod:`.ping.statistics` makes them at the end of a run, :mod:`.load.counters` while it goes on;
:mod:`echoproto.report` stores and draws them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from echoproto.measure.latency import nearestRank
from echoproto.text.units import SECOND

#: Round-trip time of a probe that was under way at the end and does not count. That of a lost probe
#: is -1.
UNDER_WAY = -2

#: The largest integer in a document: histograms count with 62 bits.
MAX_INTEGER = (1 << 62) - 1

Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]

#: Maximum number of intervals of a run. A longer run has wider ones, of whole seconds.
MAX_INTERVALS = 1000


_JSON_NAMES = {
    "at": "at_ns",
    "minimum": "min_ns",
    "median": "p50_ns",
    "p99": "p99_ns",
    "maximum": "max_ns",
}


class Interval(Struct, frozen=True, rename=_JSON_NAMES):
    """A part of a run. Times are null if nothing was received."""

    at: Annotated[Count, Meta(description="Its beginning, since that of the run.")]
    sent: Count
    received: Annotated[
        Count,
        Meta(
            description="Of a ping, how many of these probes were answered, whenever; of a load, "
            "the replies received in the interval."
        ),
    ]
    wrong: Annotated[Count | UnsetType, Meta(description="Of a load, the wrong replies.")] = UNSET
    minimum: Count | None = None
    median: Count | None = None
    p99: Count | None = None
    maximum: Count | None = None

    def __post_init__(self) -> None:
        if self.received and None in (self.minimum, self.median, self.p99, self.maximum):
            raise ValueError("replies without times")


def intervalsOf(sentAt: array[int], took: array[int]) -> tuple[int, list[Interval]]:
    """
    Divide a run into intervals without gaps.

    :param sentAt: when each probe was sent, in ascending order.
    :param took: the round-trip time of each probe; negative if it has none.
    :return: the width of the intervals in nanoseconds, and the intervals.
    """
    if not sentAt:
        return SECOND, []
    began = sentAt[0]
    seconds = (sentAt[-1] - began) // SECOND + 1
    width = -(-seconds // MAX_INTERVALS) * SECOND
    return width, list(_parts(began, sentAt, took, range(0, seconds * SECOND, width)))


def secondsOf(
    began: int, sentAt: array[int], took: array[int], end: int, first: int = 0
) -> Iterator[Interval]:
    """
    Divide the last part of a run into seconds.

    :param began: when the run began.
    :param sentAt: when each probe of that part was sent.
    :param took: see :func:`intervalsOf`.
    :param end: number of seconds since the beginning of the run.
    :param first: the first second of that part, from 0.
    """
    return _parts(began, sentAt, took, range(first * SECOND, end * SECOND, SECOND))


def _parts(began: int, sentAt: array[int], took: array[int], starts: range) -> Iterator[Interval]:
    edges = [bisect_left(sentAt, began + start) for start in starts] + [len(sentAt)]
    parts = zip(starts, edges, edges[1:], strict=False)
    return (_interval(at, took[first:last]) for at, first, last in parts)


class IntervalSeries:
    """
    The seconds of a run of any length, as a bounded number of intervals.

    When there are too many, neighbours are joined, as :func:`widened` does.
    """

    def __init__(self) -> None:
        self.seconds = 0
        self._group = 1
        self._intervals: list[Interval] = []
        # The seconds of an interval that is not complete.
        self._rest: list[Interval] = []

    def add(self, second: Interval) -> None:
        """Add the next second."""
        self.seconds += 1
        self._rest.append(second)
        if len(self._rest) < self._group:
            return
        self._intervals.append(joined(self._rest))
        self._rest = []
        if len(self._intervals) >= 2 * MAX_INTERVALS:
            pairs = zip(self._intervals[::2], self._intervals[1::2], strict=True)
            self._intervals = [joined(pair) for pair in pairs]
            self._group *= 2

    def extended(self, seconds: Iterable[Interval]) -> tuple[int, Sequence[Interval]]:
        """The width of the intervals so far and of further seconds, and the intervals."""
        series = IntervalSeries()
        series._group, series._intervals = self._group, [*self._intervals]
        series._rest = [*self._rest]
        for second in seconds:
            series.add(second)
        rest = [joined(series._rest)] if series._rest else []
        return widened(series._group * SECOND, series._intervals + rest)


def widened(width: int, intervals: Sequence[Interval]) -> tuple[int, Sequence[Interval]]:
    """
    Join neighbours until there are at most :data:`MAX_INTERVALS`, for a chart.

    A joined interval has the median of the medians and the maximum of the 99th percentiles.
    """
    group = -(-len(intervals) // MAX_INTERVALS) or 1
    starts = range(0, len(intervals), group)
    return width * group, [joined(intervals[start : start + group]) for start in starts]


def joined(intervals: Sequence[Interval]) -> Interval:
    """
    Join intervals: the counts are added, the percentiles are as in :func:`widened`.
    """
    at, sent = intervals[0].at, sum(interval.sent for interval in intervals)
    known = [interval.wrong for interval in intervals if interval.wrong is not UNSET]
    wrong = sum(known) if known else UNSET
    answered = [interval for interval in intervals if interval.received]
    if not answered:
        return Interval(at, sent, 0, wrong)
    minima, medians, p99s, maxima = (
        sorted(getattr(interval, name) for interval in answered) for name in _TIMES
    )
    received = sum(interval.received for interval in answered)
    median = medians[nearestRank(len(answered), 50) - 1]
    return Interval(at, sent, received, wrong, minima[0], median, p99s[-1], maxima[-1])


_TIMES = ("minimum", "median", "p99", "maximum")


def _interval(at: int, took: array[int]) -> Interval:
    times = sorted(time for time in took if time >= 0)
    sent = len(took) - took.count(UNDER_WAY)
    if not times:
        return Interval(at, sent, 0)
    median, p99 = (times[nearestRank(len(times), percent) - 1] for percent in (50, 99))
    return Interval(at, sent, len(times), UNSET, times[0], median, p99, times[-1])
