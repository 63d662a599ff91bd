"""
Sends probes to one target at their times, and receives the replies.

Replies are classified by :mod:`.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.failures import failureReason, sendErrorReason
from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.errors import EchoprotoError, ExchangeError
from echoproto.measure.ping.awaited import AwaitedProbes
from echoproto.measure.ping.channel import NOT_READ, PingChannel
from echoproto.measure.ping.echoplus import EchoPlusStatistics
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.schedule import ProbeSchedule
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND, seconds

#: Nanoseconds between the start of connecting and the first probe. Meanwhile the server accepts the
#: connection, the kernel enables timestamps (it does so when the first socket requests them), and
#: processes run that had to wait during our start.
CONNECT_AHEAD = 30_000_000


@implementer(IReplyReceiver)
class Pinger:
    """
    The probing of one target.

    :param target: an :class:`~echoproto.client.targets.interfaces.ITarget`.
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
        target: Any,  # an ITarget; tests have simpler ones
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
        self._onReply = onReply
        self._preparedAt = preparedAt
        self._channel = PingChannel(target, self, clock, plan.timeout)
        self._awaited = AwaitedProbes(clock, plan.timeout, self._timedOut)
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
            self._record.send(self._monotonicNs())
            self._lose(0, "no connection before the deadline")
        self.stop()

    def stop(self) -> None:
        """End now: probes without a reply are lost, unless it could not be expected yet."""
        if self._isOver:
            return
        now = self._monotonicNs()
        for sequence in (*self._awaited.overdue, *self._awaited):
            self._record.dismiss(sequence, now)
        snapshot = self.snapshot()
        self._end()
        self.result.callback(snapshot)

    def _end(self) -> None:
        self._isOver = True
        self._awaited.end()
        for call in (self._next, self._deadline):
            if call is not None and call.active():
                call.cancel()
        self._channel.end(self._awaited.isComplete)
        self._awaited.disconnected()

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
            self._channel.close(self._awaited.isComplete)
            self._awaited.disconnected()
            self._record.dropped = self._channel.dropped
        if self._channel.isOpen:
            self._send()
        else:
            self._channel.open().addCallbacks(lambda _: self._send(), self._notOpened)

    def _notOpened(self, failure: Failure) -> None:
        if self._isOver:
            return
        if failure.check(ConnectBindError) or not failure.check(ConnectError, ExchangeError):
            self._end()
            self.result.errback(failure)
            return
        self._record.send(self._monotonicNs())
        self._onReply(self._record.lose(self._record.sent - 1, failureReason(failure)))
        self._scheduleNext()

    def _send(self) -> None:
        sequence, isBlocked = self._record.sent, self._channel.isBlocked
        if not isBlocked:
            # Before the clock is read, so that it is no part of the round trip.
            self._awaited.add(sequence, self._channel.isOrdered)
        probe = self._record.send(self._monotonicNs())
        if isBlocked:
            self._lose(sequence, NOT_READ)
        else:
            try:
                self._channel.send(probe)
            except (OSError, EchoprotoError) as error:
                self._lose(sequence, sendErrorReason(error))
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

    def _settled(self) -> None:
        """A probe is answered or lost: continue or end if that was awaited."""
        if self._isHeld and not self._awaited:
            self._probe()
        else:
            self._endIfDone()

    def _endIfDone(self) -> None:
        if not self._isAllSent or self._channel.isOpening or self._awaited:
            return
        wait = self._lateReplyTime()
        if wait <= 0:
            self.stop()
        elif self._next is None:
            self._next = self._later(wait, self.stop)

    def _lateReplyTime(self) -> int:
        """Nanoseconds in which late replies to the last probes may come, as to those before."""
        longest = self._record.times.maximum
        if longest <= self._plan.timeout or not self._awaited.overdue or not self._record.lost:
            return 0
        return self._record.sentAt(self._awaited.overdue[-1]) + 2 * longest - self._monotonicNs()

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        # In this order, so that a pause between the two cannot make a round trip too short.
        waited = self._channel.waited
        now = self._monotonicNs()
        if self._channel.isOrdered:
            outcome = self._record.receiveFor(self._awaited.next(), reply, now, waited)
        else:
            outcome = self._record.receive(reply, now, waited)
        if outcome.sequence is not None:
            self._awaited.discard(outcome.sequence)
        self._onReply(outcome)
        if self._plan.adaptive and not self._awaited and self._next is not None:
            self._next.cancel()
            self._schedule.due = self._monotonicNs()
            self._next = self._later(0, self._probeOnTime)
        self._settled()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        if self._channel.lost():
            self._awaited.disconnected()
        for sequence in self._awaited:
            self._lose(sequence, reason)
        self._settled()

    def _timedOut(self, sequence: int) -> None:
        self._lose(sequence, f"no reply in {seconds(self._plan.timeout)}")
        self._settled()

    def _lose(self, sequence: int, reason: str) -> None:
        self._awaited.discard(sequence)
        self._onReply(self._record.lose(sequence, reason))
