"""
The plan of a load and its result, as values.

:mod:`.generator` makes the result; :mod:`echoproto.report` shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from echoproto.measure.clientlimits import DROPPED_REMEDY, heldUpLimit
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.protocols.deadlines import LATENESS
from echoproto.text.units import SECOND, counted, seconds

#: Share of a CPU from which on the client is reported as the limit.
SATURATED_SHARE = 0.9

#: Share of the time in the run queue from which on it is reported.
QUEUED_SHARE = 0.05

#: A message that is sent later than this, in nanoseconds, was not sent on time.
MAX_LATENESS_NS = 2_000_000

#: A load that begins by more than this late, in nanoseconds, did not begin on time.
MAX_START_LATENESS_NS = 50_000_000

#: Nanoseconds by which a timer may be late before the process was held up.
MAX_HELD_UP_NS = round(LATENESS * SECOND)

#: Datagrams per second that an echoproto server answers by default, from one source.
ECHOPROTO_DATAGRAM_RATE = 1000


@dataclass(frozen=True)
class LoadPlan:
    """
    What to send. Times are in nanoseconds.

    :ivar connections: number of connections.
    :ivar duration: how long to send; ``None`` to send until ``count``.
    :ivar count: number of messages on all connections; ``None`` for no limit.
    :ivar sizes: the least and the most bytes of a message, evenly distributed. A datagram has at
        least :data:`~.datagrams.MINIMUM_SIZE`.
    :ivar window: in a closed loop, messages under way on each connection.
    :ivar reconnect: whether each message has a connection of its own, not on UDP.
    :ivar times: when to send in an open loop, since its beginning; made of ``rate`` if ``None``.
    :ivar rate: messages per second of an open loop; ``None`` for a closed loop.
    :ivar rates: of an open loop whose rate rises: the rate of each step, of all parts together.
    :ivar step: length of a step.
    :ivar arrivals: intervals of an open loop: ``fixed`` or ``poisson``.
    :ivar beginAt: monotonic time at which to begin; ``None`` to begin when connected. The duration
        counts from it, even if the load begins later.
    :ivar part: the index and the number of the parts into which the send times of an open loop with
        ``fixed`` intervals are divided; :attr:`rate` is that of one part.
    :ivar firstConnection: index of the first connection among those of all parts.
    :ivar allAddresses: whether connections use all addresses of a name in turn.
    :ivar warmup: messages that are sent in this first part do not count.
    :ivar timeout: limit for connections and for replies; a datagram is given up then. The name
        lookup may take as long as sending and the last reply together.
    """

    connections: int = 10
    duration: int | None = 10 * SECOND
    count: int | None = None
    sizes: tuple[int, int] = (64, 64)
    window: int = 1
    reconnect: bool = False
    times: Iterator[int] | None = None
    rate: float | None = None
    rates: tuple[float, ...] = ()
    step: int = SECOND
    arrivals: str = "fixed"
    beginAt: int | None = None
    part: tuple[int, int] = (0, 1)
    firstConnection: int = 0
    allAddresses: bool = True
    warmup: int = 0
    timeout: int = 2 * SECOND

    def share(self, elapsed: int, sent: int) -> float:
        """How much is done after ``elapsed`` nanoseconds and ``sent`` messages, from 0 to 1."""
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
    The result of a load, without its warm-up. Times are in nanoseconds.

    :ivar target: name of the target.
    :ivar plan: the plan.
    :ivar began: monotonic time from which on messages count, in nanoseconds.
    :ivar duration: from the beginning to the last message or reply, whichever is later.
    :ivar sent: messages sent.
    :ivar received: replies received, right or wrong.
    :ivar wrong: wrong replies, and unexpected data.
    :ivar bytesSent: bytes of the messages.
    :ivar bytesReceived: bytes of the replies.
    :ivar service: times from sending to reply.
    :ivar response: in an open loop, times from when messages were due to their replies.
    :ivar late: in an open loop, times from when messages were due to when they were sent, without
        the time in which no connection was ready.
    :ivar connecting: times to connect.
    :ivar connected: number of connections that were opened; on UDP, of ports.
    :ivar connectFailures: number of attempts to connect that have failed.
    :ivar disconnects: number of connections that have ended before the load.
    :ivar errors: numbers of failed and lost connections, and of other errors, by reason.
    :ivar busy: our share of a CPU.
    :ivar waited: share of the time in which we waited for a CPU that ran others.
    :ivar duplicates: duplicate datagrams.
    :ivar dropped: datagrams that the kernel dropped because our receive buffers were full.
    :ivar beganLate: how much later than at the time of the plan it began.
    :ivar heldUp: the longest time by which a timer of this process was late.
    :ivar intervals: the seconds of the run; the last may be shorter.
    :ivar hint: why it cannot succeed with this server, and what to try; empty if it may.
    :ivar workers: the results of the processes that shared the load, if there were several.
    :ivar failedWorkers: a line for each process without a result, by its number from 1.
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
    began: int = 0
    connected: int = 0
    connectFailures: int = 0
    disconnects: int = 0
    waited: float = 0.0
    duplicates: int = 0
    dropped: int = 0
    beganLate: int = 0
    heldUp: int = 0
    hint: str = ""
    intervals: Sequence[Interval] = ()
    workers: Sequence[LoadResult] = ()
    failedWorkers: Mapping[int, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Replies per second."""
        return self.received * SECOND / self.duration if self.duration else 0.0

    @property
    def lost(self) -> int:
        """Messages without a reply, except for replies that our receive buffers dropped."""
        return max(self.sent - self.received - self.dropped, 0)

    @property
    def times(self) -> LatencyHistogram:
        """The response times, or in a closed loop the service times."""
        return self.response if self.response.count else self.service

    @property
    def hints(self) -> list[str]:
        """Probable reasons of lost replies, in words."""
        if self.target.startswith("udp:") and self.lost and not self.hint and self._isWithinRate:
            rate = f"{ECHOPROTO_DATAGRAM_RATE} datagrams per second and source"
            return [f"an echoproto server answers {rate}; its --datagram-rate 0 lifts that"]
        return []

    @property
    def _isWithinRate(self) -> bool:
        """
        Whether the replies are as many as the usual rate of an echoproto server permits, but not
        the messages. In a closed loop few are lost, because it waits for each of them.
        """
        rate = ECHOPROTO_DATAGRAM_RATE
        if max((second.sent for second in self.intervals), default=0) <= rate:
            return False
        # It begins with a burst of a second, or a little less.
        return rate * 9 // 10 <= self.received <= rate * (self.duration / SECOND + 1)

    @property
    def isComplete(self) -> bool:
        """Whether every connection was made and kept, and every message sent and answered."""
        hasTooFew = self.lost or self.sent < (self.plan.count or 0)
        return not (self.connectFailures or self.disconnects or hasTooFew)

    @property
    def limits(self) -> list[str]:
        """Reasons why the client may have limited the figures, in words; for each worker."""
        if self.workers:
            numbers = (number for number in count(1) if number not in self.failedWorkers)
            found = [
                f"worker {number}: {limit}"
                for number, worker in zip(numbers, self.workers, strict=False)
                for limit in worker.limits
            ]
            return [*found, *self.failedWorkers.values()]
        found = []
        # An open loop waits for the time of the next message in a busy loop.
        if not self.plan.open and self.busy + self.waited >= SATURATED_SHARE:
            shared = self.waited >= QUEUED_SHARE
            others = f", and other processes used it for {self.waited:.0%}" if shared else ""
            found.append(f"the client's CPU was busy for {self.busy:.0%} of the time{others}")
        if self.dropped:
            found.append(f"{counted(self.dropped, 'reply')} dropped {DROPPED_REMEDY}")
        if self.beganLate > MAX_START_LATENESS_NS:
            found.append(f"it began {seconds(round(self.beganLate, -6))} late")
        if self.heldUp > MAX_HELD_UP_NS:
            found.append(heldUpLimit(self.heldUp))
        if self.late.percentile(99) > MAX_LATENESS_NS:
            late = self.late.percentile(99) / 1e6
            found.append(f"1 % of the messages were sent {late:.1f} ms late or more")
        return found
