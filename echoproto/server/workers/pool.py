"""
The worker processes of a supervisor: start, replace, drain, reload, and collect their counters.

One spare process is started besides, ready for an assignment, and replaces a worker that dies: a
start would take a second on a busy machine, during which new clients would wait.

:mod:`echoproto.server.workers.worker` runs in a worker.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from echoproto.childprocess import ChildProcess
from echoproto.server.workers.aggregate import CounterAggregator

#: Seconds until a worker that died is replaced, by how often it has died in a row; the last one for
#: all further times.
RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

#: Seconds after which a worker counts as stable: its death is the first in a row.
STABLE_AFTER = 10.0

#: Number of starts in a row without any worker that served, after which the pool gives up.
FAILED_STARTS = 3

#: Seconds beyond its drain until a worker that should stop is killed.
GRACE = 5.0

#: The spare, among the numbers of workers to be started.
_SPARE = -1


@dataclass(frozen=True)
class Start:
    """
    How to start a worker.

    :ivar config: sent to its standard input at the start.
    :ivar descriptors: the descriptors that it inherits, by their numbers there.
    :ivar assignmentOf: sent next, when it becomes the worker of that number.
    """

    config: bytes
    descriptors: Mapping[int, int]
    assignmentOf: Callable[[int], bytes]


class _Worker(ChildProcess):
    """One worker process."""

    def __init__(self, pool: WorkerPool) -> None:
        self.number: int | None = None
        self.ready = False
        self.since = 0.0
        self._pool = pool

    def lineReceived(self, line: bytes) -> None:
        """See :class:`ChildProcess`."""
        self._pool.reported(self, line)

    def ended(self, how: str, status: int | None) -> None:
        """See :class:`ChildProcess`."""
        self._pool.ended(self, how, status == 0)


class WorkerPool:
    """
    A fixed number of workers.

    :param reactor: spawns them and measures the time.
    :param count: the number.
    :param prepare: how to start one.
    :param whenReady: called each time that all are ready.
    :param giveUp: called with one line if they cannot be started.
    :ivar restarts: the number of replacements.
    :ivar clean: whether all workers that had to stop did so by themselves.
    :ivar sums: their counters.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        prepare: Callable[[], Start],
        whenReady: Callable[[], object],
        giveUp: Callable[[str], object],
    ) -> None:
        self._reactor = reactor
        self._count = count
        self._prepare = prepare
        self._whenReady = whenReady
        self._giveUp = giveUp
        self._workers: dict[int, _Worker] = {}
        self._spare: _Worker | None = None
        self._deaths = [0] * count
        self._failedStarts = 0
        self._starting: dict[int, Any] = {}
        self._stopping: list[Deferred[None]] = []
        self._draining = False
        self._kill: Any = None
        self.restarts = 0
        self.clean = True
        self.sums = CounterAggregator()

    @property
    def running(self) -> int:
        """The number of ready workers."""
        return sum(worker.ready for worker in self._workers.values())

    @property
    def ready(self) -> bool:
        """Whether all are ready."""
        return self.running == self._count

    def start(self) -> None:
        """Start all."""
        for number in range(self._count):
            self._assign(number)

    def reload(self) -> None:
        """Make all read their certificates again."""
        for worker in self._workers.values():
            worker.signal(signal.SIGHUP)

    def stopAtOnce(self) -> None:
        """End their drains."""
        self._signal(signal.SIGTERM)

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Let all finish and end.

        :param seconds: the time for each; one that takes :data:`GRACE` longer is killed.
        :return: fires when all have ended.
        """
        if not self._draining:
            self._draining = True
            for call in self._starting.values():
                call.cancel()
            self._starting.clear()
            self._signal(signal.SIGTERM)
            self._kill = self._reactor.callLater(seconds + GRACE, self._signal, signal.SIGKILL)
        if not self._processes():
            self._allEnded()
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopping.append(stopped)
        return stopped

    def reported(self, worker: _Worker, line: bytes) -> None:
        """A line arrived from ``worker``."""
        try:
            report = json.loads(line)
            if "snapshot" in report and worker.number is not None:
                self.sums.update(worker.number, report["snapshot"])
            elif "ready" in report:
                self._isReady(worker)
        except (ValueError, TypeError) as error:
            self._log.error(
                "worker {number} sent a malformed report: {error}",
                number=worker.number,
                error=error,
            )

    def _isReady(self, worker: _Worker) -> None:
        worker.ready = True
        self._failedStarts = 0
        if self.ready:
            self._whenReady()
            self._startSpare()

    def _startSpare(self) -> None:
        self._starting.pop(_SPARE, None)
        if self._spare is None and not self._draining:
            self._spare = self._spawn()

    def ended(self, worker: _Worker, how: str, clean: bool) -> None:
        """``worker`` has ended: replace it, unless the pool is stopping."""
        number = worker.number
        if number is None:
            self._spare = None
        else:
            del self._workers[number]
            self.sums.bury(number)
        if self._draining:
            self.clean = self.clean and (clean or not worker.ready)
            if not self._processes():
                self._allEnded()
        elif number is None:
            self._log.error("the spare worker ended with {how}", how=how)
            self._starting[_SPARE] = self._reactor.callLater(STABLE_AFTER, self._startSpare)
        else:
            self._log.error("worker {number} ended with {how}", number=number, how=how)
            self._replace(number, worker, how)

    def _replace(self, number: int, worker: _Worker, how: str) -> None:
        self._failedStarts += not worker.ready
        if self._failedStarts >= FAILED_STARTS:
            self._giveUp(
                f"workers cannot start: {FAILED_STARTS} in a row ended with {how}; "
                "see the log above"
            )
            return
        lived = self._reactor.seconds() - worker.since
        self._deaths[number] = 0 if lived >= STABLE_AFTER else self._deaths[number]
        delay = RESTART_DELAYS[min(self._deaths[number], len(RESTART_DELAYS) - 1)]
        self._deaths[number] += 1
        self.restarts += 1
        self._starting[number] = self._reactor.callLater(delay, self._assign, number)

    def _assign(self, number: int) -> None:
        self._starting.pop(number, None)
        worker, self._spare = self._spare or self._spawn(), None
        worker.number = number
        worker.since = self._reactor.seconds()
        self._workers[number] = worker
        worker.send(self._prepare().assignmentOf(number))

    def _spawn(self) -> _Worker:
        start = self._prepare()
        worker = _Worker(self)
        worker.spawn(
            self._reactor,
            "echoproto.server.workers.worker",
            "runWorker",
            start.descriptors,
        )
        worker.send(start.config)
        return worker

    def _processes(self) -> list[_Worker]:
        # The spare first, so that its copies of the sockets are closed when a worker closes its
        # own.
        spare = [] if self._spare is None else [self._spare]
        return [*spare, *self._workers.values()]

    def _signal(self, number: int) -> None:
        for worker in self._processes():
            worker.signal(number)

    def _allEnded(self) -> None:
        if self._kill is not None and self._kill.active():
            self._kill.cancel()
        waiting, self._stopping = self._stopping, []
        for worker in waiting:
            worker.callback(None)
