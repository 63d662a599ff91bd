"""
Probes one target: connects, sends probes at their times, and ends.

:mod:`.exchange` sends them, and receives the replies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.failures import failureReason
from echoproto.client.targets.interfaces import ITarget
from echoproto.errors import ExchangeError
from echoproto.measure.ping.echoplus import EchoPlusStatistics
from echoproto.measure.ping.exchange import ProbeExchange
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.schedule import ProbeSchedule
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND

#: Nanoseconds between the start of connecting and the first probe. Meanwhile the server accepts the
#: connection, the kernel enables timestamps (it does so when the first socket requests them), and
#: processes run that had to wait during our start.
CONNECT_AHEAD = 30_000_000


class Pinger:
    """
    The probing of one target.

    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param record: counts the probes and replies.
    :param plan: when to send.
    :param onReply: called with each :class:`~echoproto.measure.ping.statistics.ProbeOutcome`.
    :param preparedAt: when the lookup of the name began, from which the deadline counts.
    :ivar onUnanswered: called with the last probe, if its reply is awaited when the next is due.
    :ivar target: the target.
    :ivar result: fires with a :class:`PingResult` at the end; fails if the target can never be
        reached. Cancelled, it fires with the figures so far.
    """

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        record: PingStatistics,
        plan: PingPlan,
        onReply: Callable[[ProbeOutcome], None],
        preparedAt: int,
    ) -> None:
        self.result: Deferred[PingResult] = Deferred(lambda _: self.stop())
        self.onUnanswered: Callable[[int], None] = lambda sequence: None
        self.target = target
        self._clock = clock
        self._monotonicNs = monotonicNs
        self._record = record
        self._plan = plan
        self._preparedAt = preparedAt
        self._exchange = ProbeExchange(
            target, clock, monotonicNs, record, plan.timeout, onReply, self._settled
        )
        self._channel, self._awaited = self._exchange.channel, self._exchange.awaited
        self._next: IDelayedCall | None = None
        self._deadline: DeadlineCall | None = None
        self._schedule = ProbeSchedule(plan.interval)
        # Whether a probe is due that waits for the reply to the one before it.
        self._isHeld = False
        self._isOver = False

    def start(self, delay: int = 0) -> None:
        """
        See :class:`~echoproto.client.measurement.Measurement`.

        :param delay: nanoseconds until the first probe.
        """
        now = self._monotonicNs()
        if self._plan.deadline is not None:
            remaining = max(self._preparedAt + self._plan.deadline - now, 0)
            self._deadline = DeadlineCall(self._clock, remaining / SECOND, self._expired)
        self._began = self._schedule.due = now + delay
        if delay and self._plan.reconnect:
            self._next = self._later(delay, self._probeOnTime)
        elif delay:
            self._next = self._later(delay - CONNECT_AHEAD, self._connect)
        else:
            self._probe()

    def _connect(self) -> None:
        """Connect before the first probe is due, so that it finds kernel and server prepared."""
        self._channel.open().addBoth(self._connected)

    def _connected(self, result: Failure | None) -> None:
        if not self._isOver:
            now = self._monotonicNs()
            # The time to connect is no delay by this process.
            self._schedule.due = max(self._schedule.due, now)
            first = self._probeOnTime if result is None else partial(self._notOpened, result)
            self._next = self._later(self._schedule.due - now, first)

    def snapshot(self) -> PingResult:
        """The figures so far."""
        self._record.dropped = self._channel.dropped
        return PingResult(
            self.target.name,
            self._plan,
            self._record,
            max(self._monotonicNs() - self._began, 0),
            self._channel.connecting,
            self._channel.securing,
            self._schedule.heldUp,
            self._schedule.delayed,
            self._hint,
        )

    @property
    def _hint(self) -> str:
        record = self._record
        return record.hint if isinstance(record, EchoPlusStatistics) else str(self.target.hint)

    def _expired(self) -> None:
        """End at the deadline; the first probe is lost if it still waits for its connection."""
        if self._channel.isOpening and not self._record.sent:
            self._exchange.loseNext("no connection before the deadline")
        self.stop()

    def stop(self) -> None:
        """End now: probes without a reply are lost, unless it could not be expected yet."""
        if self._isOver:
            return
        self._isOver = True
        self._exchange.dismiss()
        snapshot = self.snapshot()
        self._end()
        self.result.callback(snapshot)

    def _end(self) -> None:
        self._isOver = True
        for call in (self._next, self._deadline):
            if call is not None and call.active():
                call.cancel()
        self._exchange.end()

    def _later(self, time: int, call: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(max(time, 0) / SECOND, call)

    def _probeOnTime(self) -> None:
        """Send a probe, or later if this process was held up."""
        now = self._monotonicNs()
        self._schedule.called(now)
        if self._schedule.postpone():
            self._next = self._later(self._schedule.due - now, self._probeOnTime)
            return
        if (last := self._record.sent - 1) in self._awaited:
            self.onUnanswered(last)
        self._probe()

    def _probe(self) -> None:
        """Send a probe, over a new connection if necessary."""
        self._next = None
        if self._plan.reconnect:
            # The last probe needs its connection until it is answered or lost.
            self._isHeld = bool(self._awaited)
            if self._isHeld:
                return
            self._exchange.close()
            if self._isOver:
                return
        if self._channel.isOpen:
            self._send()
        elif (reason := self._exchange.unusedReason) and not self._record.sent:
            # Another attempt at once would double the connections to a server that refuses.
            self._exchange.loseNext(reason)
            self._scheduleNext()
        else:
            self._channel.open().addCallbacks(lambda _: self._send(), self._notOpened)

    def _notOpened(self, failure: Failure) -> None:
        if self._isOver:
            return
        if failure.check(ConnectBindError) or not failure.check(ConnectError, ExchangeError):
            self._end()
            self.result.errback(failure)
            return
        self._exchange.loseNext(failureReason(failure))
        self._scheduleNext()

    def _send(self) -> None:
        self._exchange.send()
        self._scheduleNext()

    def _scheduleNext(self) -> None:
        """Schedule the next probe, if there is one."""
        if self._isOver:
            return
        if self._isAllSent:
            self._endIfDone()
        elif self._record.sent < self._plan.preload:
            self._next = self._later(0, self._probe)
        else:
            self._next = self._later(self._schedule.advance(self._monotonicNs()), self._probeOnTime)

    @property
    def _isAllSent(self) -> bool:
        return self._plan.count is not None and self._record.sent >= self._plan.count

    def _settled(self, isReply: bool) -> None:
        """A probe is answered or lost: continue or end if that was awaited."""
        if self._isOver:
            return
        if isReply and self._plan.adaptive and not self._awaited and self._next is not None:
            self._next.cancel()
            self._schedule.due = self._monotonicNs()
            self._next = self._later(0, self._probeOnTime)
        if self._isHeld and not self._awaited:
            self._probe()
        else:
            self._endIfDone()

    def _endIfDone(self) -> None:
        if not self._isAllSent or self._channel.isOpening or self._awaited:
            return
        wait = self._exchange.lateReplyTime
        if wait <= 0:
            self.stop()
        elif self._next is None:
            self._next = self._later(wait, self.stop)
