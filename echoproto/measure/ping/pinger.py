"""
Sends probes to one target at their times, and listens for the replies.

Called by :func:`echoproto.measure.ping`. It keeps the time by a clock that is passed in, and speaks to the network by way of an
:class:`~echoproto.targets.interfaces.ITarget`; what a reply is worth is decided in :mod:`.statistics`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.errors import ConnectionClosed, EchoprotoError, ExchangeError
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.targets.failures import failureReason
from echoproto.targets.interfaces import IReplyReceiver
from echoproto.units import SECOND, seconds


@dataclass(frozen=True)
class PingPlan:
    """
    When to send, and how long to wait. Times are in nanoseconds.

    :ivar count: probes; ``None`` for any number.
    :ivar interval: between two.
    :ivar deadline: of all of it; ``None`` for none.
    :ivar timeout: how long a reply is awaited, and a connection.
    :ivar adaptive: send the next as soon as a reply has come.
    :ivar reconnect: a new connection for each.
    """

    count: int | None = None
    interval: int = SECOND
    deadline: int | None = None
    timeout: int = 2 * SECOND
    adaptive: bool = False
    reconnect: bool = False


@dataclass(frozen=True)
class PingResult:
    """
    What became of it.

    :ivar target: its name.
    :ivar plan: what was asked for.
    :ivar record: probes and replies.
    :ivar duration: nanoseconds from the first probe to the end.
    :ivar connecting: times of connections.
    :ivar securing: times of TLS handshakes.
    """

    target: str
    plan: PingPlan
    record: PingStatistics
    duration: int
    connecting: LatencyHistogram
    securing: LatencyHistogram


@implementer(IReplyReceiver)
class Pinger:
    """
    Probes to one target.

    :param target: an :class:`~echoproto.targets.interfaces.ITarget`.
    :param clock: calls later.
    :param now: the time in nanoseconds, which never goes back.
    :param record: counts.
    :param plan: when to send.
    :param tell: called with each :class:`~echoproto.measure.ping.statistics.ProbeOutcome`.
    :ivar target: what is probed.
    :ivar result: fires with a :class:`PingResult` at the end; fails with what says that the target can never be reached.
        Cancelled, it ends and fires with what there is.
    """

    def __init__(
        self,
        target: Any,
        clock: IReactorTime,
        now: Callable[[], int],
        record: PingStatistics,
        plan: PingPlan,
        tell: Callable[[ProbeOutcome], None],
    ) -> None:
        self.result: Deferred[PingResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._clock = clock
        self._now = now
        self._record = record
        self._plan = plan
        self._tell = tell
        self._channel: Any = None
        self._opening: Deferred[Any] | None = None
        self._connecting, self._securing = LatencyHistogram(), LatencyHistogram()
        # Sequence numbers of what has no reply yet, with what ends our waiting; and in the order of a stream.
        self._awaited: dict[int, IDelayedCall] = {}
        self._inOrder: deque[int] = deque()
        self._next: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        # Whether a probe is due, and waits for the one before it.
        self._held = False
        self._over = False

    def start(self) -> None:
        """Send the first probe."""
        self._began = self._now()
        if self._plan.deadline is not None:
            self._deadline = self._later(self._plan.deadline, self.stop)
        self._due = self._began
        self._turn()

    def snapshot(self) -> PingResult:
        """What there is so far."""
        duration = self._now() - self._began
        return PingResult(
            self.target.name, self._plan, self._record, duration, self._connecting, self._securing
        )

    def stop(self) -> None:
        """End now: what is awaited is lost, unless its reply could not be expected yet."""
        if self._over:
            return
        now = self._now()
        for sequence in self._awaited:
            self._record.dismiss(sequence, now)
        snapshot = self.snapshot()
        self._end()
        self.result.callback(snapshot)

    def _end(self) -> None:
        self._over = True
        for each in (self._next, self._deadline, *self._awaited.values()):
            if each is not None and each.active():
                each.cancel()
        if self._opening is not None:
            self._opening.cancel()
        self._close()

    def _later(self, time: int, call: Callable[..., Any], *arguments: Any) -> IDelayedCall:
        return self._clock.callLater(max(time, 0) / SECOND, call, *arguments)

    # The next probe

    def _turn(self) -> None:
        """It is time for the next probe."""
        self._next = None
        if self._plan.reconnect:
            # The last one has its connection until it is answered or lost.
            self._held = bool(self._awaited)
            if self._held:
                return
            self._close()
        if self._channel is None:
            self._open()
        else:
            self._send()

    def _open(self) -> None:
        opening = self._opening = self.target.open(self)
        timer = self._later(self._plan.timeout, opening.cancel)

        def opened(result: Any) -> Any:
            self._opening = None
            # Cancelled by nobody else, save at the end.
            impatient = not timer.active()
            if not impatient:
                timer.cancel()
            if isinstance(result, Failure) and impatient and not self._over:
                return Failure(ConnectionClosed(f"no connection in {seconds(self._plan.timeout)}"))
            return result

        opening.addBoth(opened)
        opening.addCallbacks(self._opened, self._notOpened)

    def _opened(self, channel: Any) -> None:
        if self._over:
            channel.close()
            return
        self._channel = channel
        for time, spread in (
            (channel.connectTime, self._connecting),
            (channel.handshakeTime, self._securing),
        ):
            if time is not None:
                spread.add(time)
        self._send()

    def _notOpened(self, failure: Failure) -> None:
        if self._over:
            return
        if failure.check(ConnectBindError) or not failure.check(ConnectError, ExchangeError):
            self._end()
            self.result.errback(failure)
            return
        self._record.send(self._now())
        self._tell(self._record.lose(self._record.sent - 1, failureReason(failure)))
        self._schedule()

    def _send(self) -> None:
        probe = self._record.send(self._now())
        sequence = self._record.sent - 1
        self._awaited[sequence] = self._later(self._plan.timeout, self._tooLate, sequence)
        self._inOrder.append(sequence)
        try:
            self._channel.send(probe)
        except (OSError, EchoprotoError) as error:
            self._lose(sequence, getattr(error, "strerror", None) or str(error))
        self._schedule()

    def _schedule(self) -> None:
        """When to send the next, if there is one."""
        if self._over:
            return
        if self._plan.count is not None and self._record.sent >= self._plan.count:
            self._endIfDone()
            return
        now = self._now()
        # Late by more than an interval, we do not make up for it: that would be a burst.
        self._due = max(self._due + self._plan.interval, now - self._plan.interval)
        self._next = self._later(self._due - now, self._turn)

    def _settled(self) -> None:
        """A probe is answered or lost: go on, or end, if that was waited for."""
        if self._held and not self._awaited:
            self._turn()
        else:
            self._endIfDone()

    def _endIfDone(self) -> None:
        enough = self._plan.count is not None and self._record.sent >= self._plan.count
        if enough and self._opening is None and not self._awaited:
            self.stop()

    # What comes

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        now = self._now()
        if self._channel is not None and self._channel.ordered:
            sequence = self._inOrder.popleft() if self._inOrder else None
            seen = self._record.receiveFor(sequence, reply, now)
        else:
            seen = self._record.receive(reply, now)
        if seen.sequence is not None:
            self._forget(seen.sequence)
        self._tell(seen)
        if self._plan.adaptive and not self._awaited and self._next is not None:
            self._next.cancel()
            self._due = now
            self._next = self._later(0, self._turn)
        self._settled()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        lasting = self._channel is not None and self._channel.connectionless
        if not lasting:
            self._channel = None
            self._inOrder.clear()
        for sequence in list(self._awaited):
            self._lose(sequence, reason)
        self._settled()

    def _tooLate(self, sequence: int) -> None:
        self._lose(sequence, f"no reply in {seconds(self._plan.timeout)}")
        self._settled()

    def _lose(self, sequence: int, reason: str) -> None:
        self._forget(sequence)
        self._tell(self._record.lose(sequence, reason))

    def _forget(self, sequence: int) -> None:
        timer = self._awaited.pop(sequence, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _close(self) -> None:
        channel, self._channel = self._channel, None
        self._inOrder.clear()
        if channel is not None:
            channel.close()
