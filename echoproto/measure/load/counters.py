"""
The counts of a load, per second and in total.

:mod:`.connections` write to the counts of the current second at every exchange; these are added to
the total at its end. Knows no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from echoproto.client.targets.failures import reasonsAfterAnswer
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.text.units import SECOND


class IntervalCounts:
    """
    Messages and replies of an interval.

    :ivar sent: messages sent.
    :ivar wrong: wrong replies, and unexpected data.
    :ivar duplicates: duplicate datagrams.
    :ivar bytesSent: bytes of the messages.
    :ivar bytesReceived: bytes of the replies.
    :ivar service: times from sending to reply; its count is the number of replies.
    :ivar response: in an open loop, times from when messages were due to their replies.
    :ivar late: in an open loop, times from when messages were due to when they were sent; not
        the time in which no connection was ready.
    """

    def __init__(self) -> None:
        self.sent = self.wrong = self.duplicates = self.bytesSent = self.bytesReceived = 0
        self.service = LatencyHistogram()
        self.response = LatencyHistogram()
        self.late = LatencyHistogram()

    def __bool__(self) -> bool:
        """Whether anything was counted."""
        return bool(self.sent or self.wrong or self.duplicates or self.service.count)

    @property
    def times(self) -> LatencyHistogram:
        """The response times, or in a closed loop the service times."""
        return self.response if self.response.count else self.service

    def add(self, other: IntervalCounts) -> None:
        """Add the counts of another interval."""
        self.sent += other.sent
        self.wrong += other.wrong
        self.duplicates += other.duplicates
        self.bytesSent += other.bytesSent
        self.bytesReceived += other.bytesReceived
        self.service.merge(other.service)
        self.response.merge(other.response)
        self.late.merge(other.late)

    def interval(self, at: int) -> Interval:
        """Summarize it as an interval that began at ``at``."""
        times = self.times
        median, p99 = times.percentiles(50, 99)
        figures = (times.minimum, median, p99, times.maximum) if times.count else ()
        return Interval(at, self.sent, self.service.count, self.wrong, *figures)


class LoadCounters:
    """
    Counts second by second.

    :param onInterval: called at the end of each second.
    :ivar begin: messages sent before this time do not count, nor do their replies.
    :ivar counts: the current second; replaced when it ends.
    :ivar total: the sum of all seconds that have ended.
    :ivar intervals: these seconds.
    """

    def __init__(
        self,
        onInterval: Callable[[Interval, IntervalCounts], None] = lambda interval, counts: None,
    ) -> None:
        self._onInterval = onInterval
        self.restart(0)

    def restart(self, begin: int) -> None:
        """Reset everything, and count messages that are sent at ``begin`` or later."""
        self.begin = begin
        self.counts, self.total = IntervalCounts(), IntervalCounts()
        self.intervals: list[Interval] = []

    def closeInterval(self) -> None:
        """End the current second."""
        counts, self.counts = self.counts, IntervalCounts()
        interval = counts.interval(len(self.intervals) * SECOND)
        self.intervals.append(interval)
        self.total.add(counts)
        self._onInterval(interval, counts)

    @property
    def figures(self) -> tuple[int, int, int]:
        """Messages sent, replies received and wrong replies so far."""
        total, counts = self.total, self.counts
        return (
            total.sent + counts.sent,
            total.service.count + counts.service.count,
            total.wrong + counts.wrong,
        )

    # Any: the fields of the result that are not counted here.
    def result(self, errors: Counter[str], **values: Any) -> LoadResult:
        """Make the result; ``errors`` and ``values`` are its fields that are not counted here."""
        total = self.total
        return LoadResult(
            errors=reasonsAfterAnswer(errors) if total.service.count else errors,
            sent=total.sent,
            received=total.service.count,
            wrong=total.wrong,
            duplicates=total.duplicates,
            bytesSent=total.bytesSent,
            bytesReceived=total.bytesReceived,
            response=total.response,
            service=total.service,
            late=total.late,
            intervals=tuple(self.intervals),
            **values,
        )

    def foreign(self, size: int) -> None:
        """Count received bytes that are the reply to no message."""
        self.counts.wrong += 1
        self.counts.bytesReceived += size
