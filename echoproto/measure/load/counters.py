"""
What a load counts: in all, and in each second.

:mod:`.connections` write to the running second for every exchange, so that is plain; :mod:`.generator` adds it to the whole when it is over.
Knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.units import SECOND


class IntervalCounts:
    """
    Messages and replies of some time.

    :ivar sent: messages.
    :ivar wrong: replies that were wrong, and what came that nobody had asked for.
    :ivar duplicates: datagrams that came again.
    :ivar bytesSent: of the messages.
    :ivar bytesReceived: of the replies.
    :ivar service: times from when messages were sent; as many as there were replies.
    :ivar response: in an open loop, times from when they should have been.
    :ivar late: in an open loop, how much later than that they were sent.
    """

    def __init__(self) -> None:
        self.sent = self.wrong = self.duplicates = self.bytesSent = self.bytesReceived = 0
        self.service, self.response, self.late = (
            LatencyHistogram(),
            LatencyHistogram(),
            LatencyHistogram(),
        )

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.sent or self.wrong or self.duplicates or self.service.count)

    def add(self, other: IntervalCounts) -> None:
        """Count also what ``other`` has counted."""
        self.sent += other.sent
        self.wrong += other.wrong
        self.duplicates += other.duplicates
        self.bytesSent += other.bytesSent
        self.bytesReceived += other.bytesReceived
        self.service.merge(other.service)
        self.response.merge(other.response)
        self.late.merge(other.late)

    def interval(self, at: int) -> Interval:
        """What is told of it, as a second that began at ``at``."""
        times = self.response if self.response.count else self.service
        known = Interval(at, self.sent, self.service.count, wrong=self.wrong)
        if not times.count:
            return known
        median, p99 = times.percentiles(50, 99)
        return replace(known, minimum=times.minimum, median=median, p99=p99, maximum=times.maximum)


class LoadCounters:
    """
    Counts second by second.

    :param tell: called with each second when it is over.
    :ivar begin: what was sent before is not counted, nor its reply.
    :ivar counts: of the running second; anew with each.
    :ivar total: of all seconds that are over.
    :ivar intervals: these seconds.
    """

    def __init__(
        self, tell: Callable[[Interval, IntervalCounts], None] = lambda *second: None
    ) -> None:
        self._tell = tell
        self.restart(0)

    def restart(self, begin: int) -> None:
        """Forget what there is, and count what is sent from ``begin`` on."""
        self.begin = begin
        self.counts, self.total = IntervalCounts(), IntervalCounts()
        self.intervals: list[Interval] = []

    def turn(self) -> None:
        """The running second is over."""
        counts, self.counts = self.counts, IntervalCounts()
        interval = counts.interval(len(self.intervals) * SECOND)
        self.intervals.append(interval)
        self.total.add(counts)
        self._tell(interval, counts)

    @property
    def figures(self) -> tuple[int, int, int]:
        """What was sent, received and wrong so far."""
        both = (self.total, self.counts)
        return (
            sum(each.sent for each in both),
            sum(each.service.count for each in both),
            sum(each.wrong for each in both),
        )

    def result(self, **values: Any) -> LoadResult:
        """What became of it; ``values`` are those that are not counted here."""
        total = self.total
        return LoadResult(
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
        """Bytes have come that nobody has asked for."""
        self.counts.wrong += 1
        self.counts.bytesReceived += size
