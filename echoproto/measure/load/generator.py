"""
Loads one target over many connections, and times every exchange.

In a *closed loop* each connection has a fixed number of messages under way, and each reply is
followed by the next message. In an *open loop* messages are sent at their times (:mod:`.schedule`)
whatever the replies, and the *response time* counts from when a message was due: a slow server gets
no fewer messages (coordinated omission). The *service time* counts from when it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.interfaces import ITarget
from echoproto.errors import TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.connections import PipelinedConnection, SequentialConnection
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.cpu import CPUTime
from echoproto.measure.load.datagrams import DatagramFlow
from echoproto.measure.load.intervals import IntervalTimer
from echoproto.measure.load.loops import BUSY_WAIT_NS, ClosedLoop, OpenLoop
from echoproto.measure.load.plan import MAX_START_LATENESS_NS, LoadPlan, LoadResult
from echoproto.measure.load.pool import ConnectionPool, LoadConnection
from echoproto.measure.load.reconnection import RenewedConnection
from echoproto.measure.load.start import TOO_LATE, LoadStart


class LoadGenerator:
    """
    A load on one target.

    :param target: a stream has no size.
    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param cpuTime: the CPU time of this process.
    :param messages: the messages, without end.
    :param plan: what to do.
    :param onInterval: called at the end of each second.
    :param spin: nanoseconds before a message is due from which on we wait in a busy loop.
    :ivar result: fires with a :class:`LoadResult` at the end; fails if no connection can be made.
        Cancelled, it fires with the figures so far.
    """

    _sending = _over = False
    _begin = _ended = _lastReplyAt = 0
    # Replies counted when the time of the last was noted.
    _received = 0
    _droppedBefore = _beganLate = 0
    _cpuBefore = _cpuAfter = CPUTime()

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        cpuTime: Callable[[], CPUTime],
        messages: Iterator[bytes],
        plan: LoadPlan,
        onInterval: Callable[[Interval, IntervalCounts], None] = lambda interval, counts: None,
        spin: int = BUSY_WAIT_NS,
    ) -> None:
        self.result: Deferred[LoadResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._monotonicNs = monotonicNs
        self._cpuTime = cpuTime
        self._plan = plan
        self._counters = LoadCounters(onInterval)
        self._pool = ConnectionPool(
            target, self._connection, clock, monotonicNs, plan.timeout, self._attempted
        )
        self._timers = self._pool.timers
        self._intervals = IntervalTimer(self._counters, self._timers, monotonicNs)
        sent = messages if plan.count is None else self._limited(messages, plan.count)
        kind: type[ClosedLoop | OpenLoop] = ClosedLoop if plan.times is None else OpenLoop
        self._loop = kind(
            self._pool, self._counters, sent, plan, self._finished, self._connectionLost, spin
        )
        self._start = LoadStart(self._pool, plan, self._beginSending)

    def _connection(self) -> LoadConnection:
        if self._plan.reconnect:
            return RenewedConnection(self._loop, self._pool)
        if not self.target.ordered:
            return DatagramFlow(self._loop)
        if isinstance(self._loop, ClosedLoop) and self._plan.window == 1:
            return SequentialConnection(self._loop)
        return PipelinedConnection(self._loop)

    def stage(self) -> tuple[float, tuple[int, int, int]]:
        """How much is done, from 0 to 1; messages sent, replies received, wrong replies."""
        figures = self._counters.figures
        elapsed = self._monotonicNs() - self._begin if self._start.hasBegun else 0
        return self._plan.share(elapsed, figures[0]), figures

    def start(self) -> None:
        """Connect, and begin (:class:`.LoadStart`)."""
        self._begin = self._ended = self._monotonicNs()
        self._counters.restart(self._begin)
        self._start.connect()

    def _attempted(self, connection: LoadConnection | None) -> None:
        if connection is None:
            self._replaceConnection()
        else:
            self._loop.opened(connection)
        self._start.proceed()

    def _beginSending(self) -> None:
        now = self._begin = self._monotonicNs()
        planned = now if self._plan.beginAt is None else self._plan.beginAt
        self._beganLate = now - planned
        isOver = self._plan.duration is not None and self._beganLate >= self._plan.duration
        if isOver or not self._pool.connections:
            self._leave()
            self.result.errback(Failure(TargetError(TOO_LATE)) if isOver else self._pool.failure)
            return
        self._sending = True
        self._cpuBefore = self._cpuTime()
        # An open loop goes on without a reply, and on a stream that may still arrive.
        if self._plan.reconnect or isinstance(self._loop, ClosedLoop) or not self.target.ordered:
            self._pool.checkTimeouts()
        if self._plan.warmup:
            self._timers.later(self._plan.warmup, self._beginCounting)
        else:
            self._beginCounting()
        if self._plan.duration is not None:
            self._timers.later(planned + self._plan.duration - now, self._stopSending)
        self._loop.start(planned if self._beganLate <= MAX_START_LATENESS_NS else now)

    def _limited(self, messages: Iterator[bytes], count: int) -> Iterator[bytes]:
        """Yield the messages of the plan; sending ends with the last."""
        yield from islice(messages, count - 1)
        self._awaitReplies()
        yield next(messages)

    def _finished(self) -> None:
        """A reply was received, or given up, and no message follows it."""
        if not self._sending:
            if (received := self._counters.figures[1]) != self._received:
                self._received, self._lastReplyAt = received, self._monotonicNs()
            self._endIfIdle()

    def _connectionLost(self, connection: LoadConnection, reason: str) -> None:
        self._pool.remove(connection, reason)
        self._replaceConnection()
        if self._start.hasBegun and not self._sending:
            self._endIfIdle()

    def _replaceConnection(self) -> None:
        """Replace a lost or failed connection, while there is something to send."""
        if self._sending or self._start.isWaiting:
            self._pool.openLater()
            if self._sending and not self._pool.connections and self._plan.duration is None:
                # Nothing else would end the load.
                self._timers.later(self._plan.timeout, self._abandon, self._counters.figures)

    def _abandon(self, before: tuple[int, int, int]) -> None:
        """End the load if no connection is open, and nothing was sent since."""
        if not self._pool.connections and self._counters.figures == before:
            self._pool.errors["no connection left"] += 1
            self._stopSending()

    def _beginCounting(self) -> None:
        """End the warm-up."""
        self._intervals.start()
        self._droppedBefore = self._pool.dropped

    def _stopSending(self) -> None:
        if self._sending:
            self._loop.loseUnsent(self._monotonicNs())
            self._awaitReplies()
            self._loop.messages = iter(())
            self._endIfIdle()

    def _awaitReplies(self) -> None:
        if not self._sending:
            return
        self._sending = False
        self._received = self._counters.figures[1]
        self._ended = self._monotonicNs()
        self._loop.stop()
        self._cpuAfter = self._cpuTime()
        self._timers.limit(self._plan.timeout, self._expired)

    def _expired(self) -> None:
        """Messages still have no reply."""
        self._pool.giveUpAll()
        self.stop()

    def _endIfIdle(self) -> None:
        if self._pool.isIdle:
            self.stop()

    def finish(self) -> None:
        """Stop sending, and end when no reply is awaited any more; called again, end now."""
        if self._sending:
            self._stopSending()
        else:
            self.stop()

    def stop(self) -> None:
        """End now."""
        if self._over:
            return
        if self._sending:
            self._loop.loseUnsent(self._monotonicNs())
            self._awaitReplies()
        if self._counters.counts:
            self._counters.closeInterval()
        try:
            result = self._makeResult()
            self._leave()
        except Exception:  # noqa: BLE001 - whatever it is, the load must end
            self.result.errback()
        else:
            self.result.callback(result)

    def _makeResult(self) -> LoadResult:
        before, after = self._cpuBefore, self._cpuAfter
        elapsed = max(self._ended - self._begin, 1)
        return self._counters.result(
            target=self.target.name,
            plan=self._plan,
            began=self._counters.begin,
            duration=max(self._ended, self._lastReplyAt) - min(self._counters.begin, self._ended),
            connected=self._pool.connected,
            connectFailures=self._pool.failures,
            disconnects=self._pool.disconnects,
            connecting=self._pool.connecting,
            errors=self._pool.errors,
            busy=(after.used - before.used) / elapsed,
            waited=(after.queued - before.queued) / elapsed,
            dropped=self._pool.dropped - self._droppedBefore,
            beganLate=self._beganLate,
            heldUp=self._intervals.heldUp,
            hint=self.target.hint,
        )

    def _leave(self) -> None:
        self._over = True
        self._pool.close()
