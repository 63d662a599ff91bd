"""
A run second by second: what was sent in each, and what came of it.

Of probes made at the end, by :mod:`.ping.statistics` of what it keeps of each; of a load as it goes, by :mod:`.load.counters`. Read again by
:mod:`echoproto.report.reading`, and drawn.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from echoproto.units import SECOND

#: In place of the round trip of a probe that was under way at the end, and does not count; of one without a reply it is -1.
UNDER_WAY = -2

#: Intervals of a run at most. A longer run has wider ones: whole seconds, as few as will do.
MOST = 1000


@dataclass(frozen=True)
class Interval:
    """
    A part of a run. Times are in nanoseconds, and ``None`` where nothing was received.

    :ivar at: its start, since the first probe was sent or the load began.
    :ivar sent: probes or messages that were sent in it.
    :ivar received: of probes, how many of these were answered, whenever that was; of a load, the replies that came in it.
    :ivar wrong: of a load, how many of the replies were wrong.
    """

    at: int
    sent: int
    received: int
    minimum: int | None = None
    median: int | None = None
    p99: int | None = None
    maximum: int | None = None
    wrong: int | None = None

    def values(self) -> dict[str, int | None]:
        """Plain values for JSON."""
        wrong = {} if self.wrong is None else {"wrong": self.wrong}
        return {
            "at_ns": self.at,
            "sent": self.sent,
            "received": self.received,
            **wrong,
            "min_ns": self.minimum,
            "p50_ns": self.median,
            "p99_ns": self.p99,
            "max_ns": self.maximum,
        }


def intervalsOf(sentAt: array[int], took: array[int]) -> tuple[int, list[Interval]]:
    """
    The intervals of a run, without a gap, and how wide they are.

    :param sentAt: when each probe was sent; never less than the one before.
    :param took: of each its round trip, less than 0 where it has none.
    """
    if not sentAt:
        return SECOND, []
    began = sentAt[0]
    seconds = (sentAt[-1] - began) // SECOND + 1
    width = -(-seconds // MOST) * SECOND
    starts = range(0, seconds * SECOND, width)
    edges = [bisect_left(sentAt, began + each) for each in starts] + [len(sentAt)]
    parts = zip(starts, edges, edges[1:], strict=False)
    return width, [_interval(at, took[first:last]) for at, first, last in parts]


def widened(width: int, intervals: Sequence[Interval]) -> tuple[int, Sequence[Interval]]:
    """
    No more than :data:`MOST` for a picture: as many neighbours as it takes are one, whose median is that of their medians, and whose
    99th percentile is the longest of theirs.
    """
    each = -(-len(intervals) // MOST) or 1
    starts = range(0, len(intervals), each)
    return width * each, [_joined(intervals[start : start + each]) for start in starts]


def _joined(intervals: Sequence[Interval]) -> Interval:
    heard = [each for each in intervals if each.received]
    at, sent = intervals[0].at, sum(each.sent for each in intervals)
    if not heard:
        return Interval(at, sent, 0)
    least, middle, high, most = (sorted(getattr(each, name) for each in heard) for name in _TIMES)
    received = sum(each.received for each in heard)
    return Interval(at, sent, received, least[0], middle[len(heard) // 2], high[-1], most[-1])


_TIMES = ("minimum", "median", "p99", "maximum")


def _interval(at: int, took: array[int]) -> Interval:
    times = sorted(each for each in took if each >= 0)
    sent = len(took) - took.count(UNDER_WAY)
    if not times:
        return Interval(at, sent, 0)
    middle, high = (_rank(len(times), percent) for percent in (50, 99))
    return Interval(at, sent, len(times), times[0], times[middle], times[high], times[-1])


def _rank(count: int, percent: int) -> int:
    """Where in so many, sorted, the first is that so many of a hundred do not exceed."""
    return -(-count * percent // 100) - 1
