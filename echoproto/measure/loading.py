"""
Loads one target over many connections, and times every exchange.

Called by :func:`echoproto.measure.load`. In a *closed loop* each connection has so many messages under way, and a reply draws the
next. In an *open loop* messages are sent at their times (:mod:`.arrivals`), whatever has become of those before, and the
*response time* counts from when a message should have been sent: a server that stops is not asked less because it is slow
(coordinated omission). The *service time* counts from when it was sent. Every byte that comes back is compared.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.roads import IEars
from echoproto.measure.loadresult import LoadPlan, LoadResult
from echoproto.measure.pinging import SECOND, reasonOf
from echoproto.measure.spread import Spread

#: The kernel's clock for waiting has milliseconds (epoll_wait(2)); what is due sooner is waited for without sleep.
SPIN = 1_100_000

#: Seconds after which a connection that has ended is made again.
AGAIN = 0.1


@implementer(IEars)
class _Lane:
    """One connection: knows which message the next reply must be."""

    def __init__(self, load: Loading) -> None:
        self.road: Any = None
        # Message, when it should have been sent, and when it was.
        self.awaited: deque[tuple[bytes, int, int]] = deque()
        self._load = load
        self._rest = b""

    def heard(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.roads.IEars`."""
        now = self._load.now()
        awaited = self.awaited
        # Mostly a reply comes whole and alone.
        if not self._rest and awaited and reply == awaited[0][0]:
            self._load.answered(self, awaited.popleft(), now, True)
            return
        self._rest += reply
        while awaited and len(self._rest) >= len(awaited[0][0]):
            message = awaited.popleft()
            size = len(message[0])
            piece, self._rest = self._rest[:size], self._rest[size:]
            self._load.answered(self, message, now, piece == message[0])
        if not awaited and self._rest:
            self._load.foreign(len(self._rest))
            self._rest = b""

    def gone(self, reason: str) -> None:
        """See :class:`~echoproto.client.roads.IEars`."""
        self.road = None
        self._rest = b""
        self.awaited.clear()
        self._load.gone(self, reason)


class Loading:
    """
    A load on one target.

    :param target: a :class:`~echoproto.client.probing.StreamTarget` without a size.
    :param clock: calls later.
    :param now: the time in nanoseconds, which never goes back.
    :param spent: the time of ours that a processor has spent, in nanoseconds.
    :param messages: what is sent, one after the other and again.
    :param plan: what to do.
    :param spin: nanoseconds before a message's time from which on we wait without sleep.
    :ivar result: fires with a :class:`LoadResult` at the end; fails where no connection can be made. Cancelled, it ends and fires
        with what there is.
    """

    def __init__(
        self,
        target: Any,
        clock: IReactorTime,
        now: Callable[[], int],
        spent: Callable[[], int],
        messages: Sequence[bytes],
        plan: LoadPlan,
        spin: int = SPIN,
    ) -> None:
        self.result: Deferred[LoadResult] = Deferred(lambda _: self.stop())
        self.target = target
        self.now = now
        self._clock = clock
        self._spent = spent
        self._messages = cycle(messages)
        self._plan = plan
        self._spin = spin
        self._lanes: list[_Lane] = []
        self._opening: set[Deferred[Any]] = set()
        self._calls: set[IDelayedCall] = set()
        self._turn = 0
        self._all = self._sent = self._received = self._wrong = 0
        self._bytesSent = self._bytesReceived = 0
        self._response, self._service, self._late, self._connecting = (Spread() for _ in range(4))
        self._errors: Counter[str] = Counter()
        self._unopened = 0
        self._begun = self._sending = self._over = False
        self._begin = self._counting = self._ended = self._spentBefore = 0

    # Connecting

    def start(self) -> None:
        """Connect; the load begins when each connection is made, or cannot be."""
        self._begin = self._counting = self._ended = self.now()
        self._unopened = self._plan.connections
        for _ in range(self._plan.connections):
            self._open(_Lane(self))

    def _open(self, lane: _Lane) -> None:
        opening = self.target.open(lane)
        self._opening.add(opening)
        timer = self._later(self._plan.timeout, opening.cancel)

        def opened(result: Any) -> None:
            self._opening.discard(opening)
            self._unopened -= 1
            self._cancel(timer)
            if isinstance(result, Failure):
                self._errors[reasonOf(result)] += 1
                self._failure = result
            elif self._over:
                result.close()
            else:
                lane.road = result
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
        self._begin = self.now()
        self._counting = self._begin + self._plan.warmup
        self._spentBefore = self._spent()
        if self._plan.duration is not None:
            self._later(self._plan.duration, self._enough)
        if self._plan.times is not None:
            self._due = next(self._plan.times)
            self._arrive()
        for lane in list(self._lanes):
            self._fill(lane)

    # Sending

    def _fill(self, lane: _Lane) -> None:
        """In a closed loop: as many under way as there may be."""
        if self._plan.times is None:
            while self._sending and len(lane.awaited) < self._plan.window:
                now = self.now()
                self._send(lane, now, now)

    def _arrive(self) -> None:
        """In an open loop: send what is due."""
        times: Any = self._plan.times
        while self._sending and self._lanes:
            now = self.now()
            due = self._begin + self._due
            if due > now:
                self._later(max(due - now - self._spin, 0), self._arrive)
                return
            self._turn += 1
            self._send(self._lanes[self._turn % len(self._lanes)], due, now)
            self._due = next(times)
        if self._sending:
            # No connection; those that are made again are looked for.
            self._later(SPIN, self._arrive)

    def _send(self, lane: _Lane, due: int, now: int) -> None:
        message = next(self._messages)
        lane.awaited.append((message, due, now))
        self._all += 1
        if due >= self._counting:
            self._sent += 1
            self._bytesSent += len(message)
            if self._plan.times is not None:
                self._late.add(now - due)
        lane.road.send(message)
        if self._all == self._plan.count:
            self._enough()

    # What comes

    def answered(self, lane: _Lane, message: tuple[bytes, int, int], now: int, right: bool) -> None:
        """A reply has come."""
        data, due, sentAt = message
        if due >= self._counting:
            self._received += 1
            self._bytesReceived += len(data)
            self._wrong += not right
            self._service.add(now - sentAt)
            if self._plan.times is not None:
                self._response.add(now - due)
        if self._sending:
            self._fill(lane)
        else:
            self._endIfDone()

    def foreign(self, size: int) -> None:
        """Bytes have come that nobody has asked for."""
        self._wrong += 1
        self._bytesReceived += size

    def gone(self, lane: _Lane, reason: str) -> None:
        """A connection has ended; another takes its place."""
        self._errors[reason] += 1
        self._lanes.remove(lane)
        if self._sending:
            self._unopened += 1
            self._later(round(AGAIN * SECOND), self._open, _Lane(self))
        else:
            self._endIfDone()

    # The end

    def _enough(self) -> None:
        """Send no more; wait for the replies."""
        if self._sending:
            self._sending = False
            self._ended = self.now()
            self._spentAfter = self._spent()
            self._later(self._plan.timeout, self.stop)
            self._endIfDone()

    def _endIfDone(self) -> None:
        if not any(each.awaited for each in self._lanes):
            self.stop()

    def stop(self) -> None:
        """End now."""
        if self._over:
            return
        if self._sending:
            self._sending = False
            self._ended = self.now()
            self._spentAfter = self._spent()
        result = self._snapshot()
        self._leave()
        self.result.callback(result)

    def _snapshot(self) -> LoadResult:
        wall = self._ended - self._begin
        busy = (self._spentAfter - self._spentBefore) / wall if wall else 0.0
        return LoadResult(
            target=self.target.name,
            plan=self._plan,
            duration=max(self._ended - self._counting, 0),
            sent=self._sent,
            received=self._received,
            wrong=self._wrong,
            bytesSent=self._bytesSent,
            bytesReceived=self._bytesReceived,
            response=self._response,
            service=self._service,
            late=self._late,
            connecting=self._connecting,
            errors=self._errors,
            busy=busy,
        )

    def _leave(self) -> None:
        self._over = True
        for call in self._calls:
            call.cancel()
        for opening in list(self._opening):
            opening.cancel()
        for lane in self._lanes:
            lane.road.close()

    def _later(self, time: int, call: Callable[..., Any], *arguments: Any) -> IDelayedCall:
        made: IDelayedCall

        def run() -> None:
            self._calls.discard(made)
            call(*arguments)

        made = self._clock.callLater(time / SECOND, run)
        self._calls.add(made)
        return made

    def _cancel(self, call: IDelayedCall) -> None:
        self._calls.discard(call)
        if call.active():
            call.cancel()
