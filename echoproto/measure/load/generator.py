"""
Loads one target over many connections, and times every exchange.

Called by :func:`echoproto.measure.load`. In a *closed loop* each connection has so many messages under way, and a reply draws the
next. In an *open loop* messages are sent at their times (:mod:`.schedule`), whatever has become of those before, and the
*response time* counts from when a message should have been sent: a server that stops is not asked less because it is slow
(coordinated omission). The *service time* counts from when it was sent. Every byte that comes back is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.errors import ConnectionClosed
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.connections import (
    ClosedLoop,
    OpenLoop,
    PipelinedConnection,
    SequentialConnection,
)
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.cpu import CPUTime
from echoproto.measure.load.datagrams import DatagramFlow
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.load.timers import Timers
from echoproto.targets.failures import failureReason
from echoproto.units import SECOND, seconds

#: The kernel's clock for waiting has milliseconds (epoll_wait(2)); what is due sooner is waited for without sleep.
SPIN = 1_100_000

#: Messages that are sent in one go where many are due.
BURST = 100

#: Seconds after which a connection that has ended is made again.
AGAIN = 0.1

#: How often in the time that a reply may take it is looked whether it is lost.
LOOKS = 10


class LoadGenerator:
    """
    A load on one target.

    :param target: a :class:`~echoproto.targets.stream.StreamTarget` without a size, or a
        :class:`~echoproto.targets.stream.UDPTarget`.
    :param clock: calls later.
    :param now: the time in nanoseconds, which never goes back.
    :param used: what we have had of a processor.
    :param messages: what is sent, one after the other, without an end.
    :param plan: what to do.
    :param tell: called with each second when it is over.
    :param spin: nanoseconds before a message's time from which on we wait without sleep.
    :ivar result: fires with a :class:`LoadResult` at the end; fails where no connection can be made. Cancelled, it ends and fires
        with what there is.
    """

    def __init__(
        self,
        target: Any,
        clock: IReactorTime,
        now: Callable[[], int],
        used: Callable[[], CPUTime],
        messages: Iterator[bytes],
        plan: LoadPlan,
        tell: Callable[[Interval, IntervalCounts], None] = lambda *second: None,
        spin: int = SPIN,
    ) -> None:
        self.result: Deferred[LoadResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._now = now
        self._used = used
        self._messages = messages
        self._plan = plan
        self._spin = spin
        self._tally = LoadCounters(tell)
        self._supply = self._supplied()
        shared = (now, self._tally, self._supply, self._idle, self._gone, self._trouble)
        self._closed = ClosedLoop(*shared) if plan.times is None else None
        self._loop = self._closed or OpenLoop(*shared)
        self._lanes: list[Any] = []
        self._opening: set[Deferred[Any]] = set()
        self._timers = Timers(clock)
        self._turn = 0
        self._connecting = LatencyHistogram()
        self._errors: Counter[str] = Counter()
        self._unopened = 0
        self._begun = self._sending = self._over = False
        self._begin = self._edge = self._ended = self._heard = self._looked = 0
        self._usedBefore = self._usedAfter = CPUTime()

    def _lane(self) -> Any:
        if not self.target.ordered:
            return DatagramFlow(self._loop)
        if self._closed is not None and self._plan.window == 1:
            return SequentialConnection(self._closed)
        return PipelinedConnection(self._loop)

    def stage(self) -> tuple[float, tuple[int, int, int]]:
        """How much of it is done, from 0 to 1; what was sent, received and wrong."""
        figures = self._tally.figures
        return self._plan.share(self._now() - self._begin, figures[0]), figures

    # Connecting

    def start(self) -> None:
        """Connect; the load begins when each connection is made, or cannot be."""
        self._begin = self._ended = self._now()
        self._tally.restart(self._begin)
        self._unopened = self._plan.connections
        for _ in range(self._plan.connections):
            self._open()

    def _open(self) -> None:
        lane = self._lane()
        opening = self.target.open(lane)
        self._opening.add(opening)
        late = False

        def tooLate() -> None:
            nonlocal late
            late = True
            opening.cancel()

        timer = self._timers.later(self._plan.timeout, tooLate)

        def opened(result: Any) -> None:
            self._opening.discard(opening)
            self._unopened -= 1
            self._timers.cancel(timer)
            if isinstance(result, Failure):
                if late:
                    waited = seconds(self._plan.timeout)
                    result = Failure(ConnectionClosed(f"no connection in {waited}"))
                self._errors[failureReason(result)] += 1
                self._failure = result
                self._openAgain()
            elif self._over:
                result.close()
            else:
                lane.opened(result)
                if result.connectTime is not None:
                    self._connecting.add(result.connectTime)
                self._lanes.append(lane)
                self._fill(lane)
            self._beginIfReady()

        opening.addBoth(opened)

    def _beginIfReady(self) -> None:
        if self._unopened or self._begun or self._over:
            return
        self._begun = True
        if not self._lanes:
            self._leave()
            self.result.errback(self._failure)
            return
        self._sending = True
        self._begin = self._now()
        self._usedBefore = self._used()
        # What is sent at its times goes on whatever becomes of it, and a stream may bring it late.
        if self._closed is not None or not self.target.ordered:
            self._looked = self._begin
            self._giveUp()
        if self._plan.warmup:
            self._timers.later(self._plan.warmup, self._count)
        else:
            self._count()
        if self._plan.duration is not None:
            self._timers.later(self._plan.duration, self._enough)
        if self._plan.times is not None:
            self._due = next(self._plan.times)
            self._arrive()
        for lane in list(self._lanes):
            self._fill(lane)

    # Sending

    def _supplied(self) -> Generator[bytes, None, None]:
        """All messages that are to be sent; with the last of them it is enough. Closed where it is enough before."""
        if self._plan.count is None:
            yield from self._messages
        else:
            yield from islice(self._messages, self._plan.count - 1)
            self._await()
            yield next(self._messages)

    def _fill(self, lane: Any) -> None:
        """In a closed loop: as many under way as there may be."""
        for _ in range(BURST):
            if self._closed is None or not self._sending or lane.underWay >= self._plan.window:
                return
            self._closed.draw(lane, self._now())
        # What comes meanwhile is to be heard; the connection may be over by then.
        self._timers.later(0, self._fillAgain, lane)

    def _fillAgain(self, lane: Any) -> None:
        if lane in self._lanes:
            self._fill(lane)

    def _arrive(self) -> None:
        """In an open loop: send what is due, or some of it, so that what comes is heard however late we are."""
        times: Any = self._plan.times
        for _ in range(BURST):
            if not self._sending:
                return
            if not self._lanes:
                # Those that are made again are looked for.
                self._timers.later(SPIN, self._arrive)
                return
            now = self._now()
            due = self._begin + self._due
            if due > now:
                self._timers.later(max(due - now - self._spin, 0), self._arrive)
                return
            self._turn += 1
            self._lanes[self._turn % len(self._lanes)].send(next(self._supply), due, now)
            self._due = next(times)
        self._timers.later(0, self._arrive)

    # What comes

    def _idle(self) -> None:
        """A reply has come, and draws no message."""
        if not self._sending:
            self._heard = self._now()
            self._endIfDone()

    def _giveUp(self) -> None:
        """Await no longer what does not come."""
        now, interval = self._now(), self._plan.timeout // LOOKS
        # Held up we have not heard yet what has come meanwhile.
        if now - self._looked < 2 * interval:
            for lane in list(self._lanes):
                lane.giveUp(now - self._plan.timeout, now)
        self._looked = now
        self._timers.later(interval, self._giveUp)

    def _trouble(self, reason: str) -> None:
        """The network says something of a channel that has not ended."""
        self._errors[reason] += 1

    def _gone(self, lane: Any, reason: str) -> None:
        """A connection has ended; another takes its place."""
        self._errors[reason] += 1
        self._lanes.remove(lane)
        if self._sending:
            self._openAgain()
        else:
            self._endIfDone()

    def _openAgain(self) -> None:
        """Make a connection in place of one that has ended or could not be made, as long as there is something to send."""
        if self._sending:
            self._unopened += 1
            self._timers.later(round(AGAIN * SECOND), self._open)
            if not self._lanes and self._plan.duration is None:
                # It would not end by itself.
                self._timers.later(self._plan.timeout, self._giveIn, self._tally.figures)

    def _giveIn(self, before: tuple[int, int, int]) -> None:
        """There is no connection any more: where nothing could be sent since, no more is."""
        if not self._lanes and self._tally.figures == before:
            self._errors["no connection any more"] += 1
            self._enough()

    # Seconds

    def _count(self) -> None:
        """The warm-up is over."""
        self._edge = self._now()
        self._tally.restart(self._edge)
        self._timers.later(SECOND, self._turnSecond)

    def _turnSecond(self) -> None:
        """A second is over, or more where we were held up."""
        now = self._now()
        while self._edge + SECOND <= now:
            self._edge += SECOND
            self._tally.turn()
        self._timers.later(self._edge + SECOND - now, self._turnSecond)

    # The end

    def _enough(self) -> None:
        """Send no more."""
        if self._sending:
            self._await()
            self._supply.close()
            self._endIfDone()

    def _await(self) -> None:
        """All is sent; wait for the replies."""
        self._sending = False
        self._ended = self._now()
        self._countMissed()
        self._usedAfter = self._used()
        self._timers.later(self._plan.timeout, self.stop)

    def _countMissed(self) -> None:
        """In an open loop: what was due while there was no connection could not be sent, and is lost."""
        times: Any = self._plan.times
        while times is not None and not self._lanes and self._begin + self._due <= self._ended:
            self._tally.counts.sent += 1
            self._due = next(times)

    def _endIfDone(self) -> None:
        if not any(each.underWay for each in self._lanes):
            self.stop()

    def finish(self) -> None:
        """Send no more, and end when all replies have come; now where that is so already."""
        if self._sending:
            self._enough()
        else:
            self.stop()

    def stop(self) -> None:
        """End now."""
        if self._over:
            return
        if self._sending:
            self._await()
        if self._tally.counts:
            self._tally.turn()
        result = self._snapshot()
        self._leave()
        self.result.callback(result)

    def _snapshot(self) -> LoadResult:
        before, after = self._usedBefore, self._usedAfter
        wall = max(self._ended - self._begin, 1)
        return self._tally.result(
            target=self.target.name,
            plan=self._plan,
            duration=max(self._ended, self._heard) - min(self._tally.begin, self._ended),
            connecting=self._connecting,
            errors=self._errors,
            busy=(after.spent - before.spent) / wall,
            waited=(after.waited - before.waited) / wall,
        )

    def _leave(self) -> None:
        self._over = True
        self._timers.end()
        for opening in list(self._opening):
            opening.cancel()
        for lane in self._lanes:
            lane.close()
