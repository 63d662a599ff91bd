"""
What a load is to do, and what became of it: values.

Made by whoever asks, and by :mod:`.generator`; read by :mod:`echoproto.report.text` and :mod:`echoproto.report.document`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.units import SECOND

#: Of one processor, from which on we are taken to have been the limit.
SATURATED = 0.9

#: What is late by more was not sent at its time.
LATE = 2_000_000


@dataclass(frozen=True)
class LoadPlan:
    """
    What to do. Times are in nanoseconds.

    :ivar connections: so many.
    :ivar duration: how long to send; ``None`` for until ``count``.
    :ivar count: messages in all; ``None`` for any number.
    :ivar window: messages under way on each connection, in a closed loop.
    :ivar times: when to send in an open loop, from the beginning; ``None`` for a closed one.
    :ivar rate: messages a second of an open loop, on average; ``None`` for a closed one.
    :ivar arrivals: of an open loop, ``fixed`` or ``poisson``.
    :ivar warmup: what is due so early is not counted.
    :ivar timeout: how long replies and connections are awaited; a datagram without a reply is given up then.
    """

    connections: int = 10
    duration: int | None = 10 * SECOND
    count: int | None = None
    window: int = 1
    times: Iterator[int] | None = None
    rate: float | None = None
    arrivals: str = "fixed"
    warmup: int = 0
    timeout: int = 2 * SECOND

    def share(self, elapsed: int, sent: int) -> float:
        """How much of it is done after so many nanoseconds and messages, from 0 to 1."""
        done = [elapsed / self.duration] if self.duration else []
        done += [sent / self.count] if self.count else []
        return min(max(done, default=0.0), 1.0)

    @property
    def open(self) -> bool:
        """Whether it is an open loop."""
        return self.times is not None or self.rate is not None


@dataclass(frozen=True)
class LoadResult:
    """
    What became of it, warm-up not counted.

    :ivar target: its name.
    :ivar plan: what was asked for.
    :ivar duration: nanoseconds from the beginning to the last message or its reply, whichever was later.
    :ivar sent: messages.
    :ivar received: replies, right or wrong.
    :ivar wrong: those that were wrong.
    :ivar bytesSent: of the messages.
    :ivar bytesReceived: of the replies.
    :ivar service: times from when messages were sent.
    :ivar response: in an open loop, times from when they should have been.
    :ivar late: in an open loop, how much later than that they were sent.
    :ivar connecting: times of connections.
    :ivar errors: how often a connection could not be made or has ended, or the network has said that nobody is there, by why.
    :ivar busy: our share of a processor.
    :ivar waited: the share of the time in which we waited for one that others had.
    :ivar duplicates: datagrams that came again.
    :ivar intervals: its seconds, one after the other; the last may be shorter.
    :ivar workers: where several processes have shared it, what each has done.
    """

    target: str
    plan: LoadPlan
    duration: int
    sent: int
    received: int
    wrong: int
    bytesSent: int
    bytesReceived: int
    response: LatencyHistogram
    service: LatencyHistogram
    late: LatencyHistogram
    connecting: LatencyHistogram
    errors: Counter[str]
    busy: float
    waited: float = 0.0
    duplicates: int = 0
    intervals: Sequence[Interval] = ()
    workers: Sequence[LoadResult] = ()

    @property
    def rate(self) -> float:
        """Replies a second."""
        return self.received * SECOND / self.duration if self.duration else 0.0

    @property
    def lost(self) -> int:
        """Messages without a reply."""
        return self.sent - self.received

    @property
    def limits(self) -> list[str]:
        """Why the figures may be ours rather than the server's, for people; of each worker where there are several."""
        if self.workers:
            return [
                f"worker {number}: {limit}"
                for number, each in enumerate(self.workers, 1)
                for limit in each.limits
            ]
        found = []
        # In an open loop we wait for the next message's time without sleep.
        if not self.plan.open and self.busy + self.waited >= SATURATED:
            others = f", and others had it for {self.waited:.0%}" if self.waited >= 0.05 else ""
            found.append(f"our processor was busy for {self.busy:.0%} of the time{others}")
        if self.late.percentile(99) > LATE:
            late = self.late.percentile(99) / 1e6
            found.append(f"one message in a hundred was sent {late:.1f} ms late or more")
        return found
