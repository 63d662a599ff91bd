"""
The server's worker processes: started, replaced when they die, drained and reloaded.

One more process than there are workers is kept as a spare. It has started up and waits for an
assignment, so that it can take the place of a worker that dies: starting a process takes up to a
second on a busy machine, and new clients would wait for it.

Used by :mod:`.supervisor`. The code that runs in a worker is in :mod:`.worker`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from echoproto.childprocess import STOP_GRACE, ChildProcess
from echoproto.server.workers.aggregate import CounterAggregator
from echoproto.server.workers.worker import WorkerAssignment, WorkerConfig

#: Seconds before a dead worker is restarted, by its deaths in a row; the last for all further ones.
RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

#: A worker that has run for this many seconds is stable: its next death begins a new row.
STABLE_AFTER = 10.0

#: Failed starts in a row after which the server gives up.
MAX_FAILED_STARTS = 3

#: Stands for the spare among the numbers of the workers to be started.
_SPARE = -1


@dataclass(frozen=True)
class WorkerStart:
    """
    How to start a worker.

    :ivar config: its first message, when it is started.
    :ivar descriptors: the sockets that it inherits, by their descriptors there.
    :ivar assignmentOf: makes its second message, when it becomes the worker with this number.
    """

    config: WorkerConfig
    descriptors: Mapping[int, int]
    assignmentOf: Callable[[int], WorkerAssignment]


class _ServerWorker(ChildProcess):
    """
    One worker process.

    :ivar number: ``None`` for the spare.
    :ivar isReady: whether it serves.
    :ivar assignedAt: when it got its number, in seconds of the reactor.
    """

    def __init__(self, pool: WorkerPool) -> None:
        super().__init__()
        self.number: int | None = None
        self.isReady = False
        self.assignedAt = 0.0
        self._pool = pool

    def reportReceived(self, line: bytes) -> None:
        self._pool.reportReceived(self, line)

    def exited(self, how: str, isClean: bool) -> None:
        self._pool.exited(self, how, isClean)


class WorkerPool:
    """
    A fixed number of workers.

    :param reactor: starts the processes and keeps the time.
    :param count: number of workers.
    :param prepare: called before each start.
    :param onReady: called each time that all workers are ready.
    :param onFailure: called with one line when the workers cannot be started.
    :ivar restarts: workers started in place of one that had died.
    :ivar isClean: whether all workers that were stopped have stopped by themselves.
    :ivar counters: the sums of what the workers have counted.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # IReactorProcess and IReactorTime
        count: int,
        prepare: Callable[[], WorkerStart],
        onReady: Callable[[], object],
        onFailure: Callable[[str], object],
    ) -> None:
        self._reactor = reactor
        self._count = count
        self._prepare = prepare
        self._onReady = onReady
        self._onFailure = onFailure
        self._workers: dict[int, _ServerWorker] = {}
        self._spare: _ServerWorker | None = None
        self._deaths = [0] * count
        self._failedStarts = 0
        self._starts: dict[int, IDelayedCall] = {}
        self._waiting: list[Deferred[None]] = []
        self._isDraining = False
        self.restarts = 0
        self.isClean = True
        self.counters = CounterAggregator()

    @property
    def running(self) -> int:
        """Number of workers that are ready."""
        return sum(worker.isReady for worker in self._workers.values())

    @property
    def isReady(self) -> bool:
        """Whether all workers are ready."""
        return self.running == self._count

    def start(self) -> None:
        """Start all workers."""
        for number in range(self._count):
            self._assign(number)

    def reload(self) -> None:
        """Let all workers read their certificates again."""
        for worker in self._workers.values():
            worker.signal(signal.SIGHUP)

    def stopAtOnce(self) -> None:
        """Cut the drains of the workers short."""
        self._terminate()

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Let all workers drain and end.

        :param seconds: how long each drain may take; a worker that takes
            :data:`~echoproto.childprocess.STOP_GRACE` longer is killed.
        :return: fires when all processes have ended.
        """
        if not self._isDraining:
            self._isDraining = True
            for start in self._starts.values():
                start.cancel()
            self._starts.clear()
            self._terminate()
            for worker in self._processes():
                worker.killAfter(self._reactor, seconds + STOP_GRACE)
        if not self._processes():
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._waiting.append(drained)
        return drained

    def reportReceived(self, worker: _ServerWorker, line: bytes) -> None:
        """``worker`` has sent a report."""
        try:
            report = json.loads(line)
            if "snapshot" in report and worker.number is not None:
                self.counters.update(worker.number, report["snapshot"])
            elif "ready" in report:
                self._becameReady(worker)
        except (ValueError, TypeError) as error:
            self._log.error(
                "worker {number} sent a malformed report: {error}",
                number=worker.number,
                error=error,
            )

    def _becameReady(self, worker: _ServerWorker) -> None:
        worker.isReady = True
        self._failedStarts = 0
        if self.isReady:
            self._onReady()
            self._startSpare()

    def _startSpare(self) -> None:
        self._starts.pop(_SPARE, None)
        if self._spare is None and not self._isDraining:
            self._spare = self._spawn()

    def exited(self, worker: _ServerWorker, how: str, isClean: bool) -> None:
        """``worker`` has ended: replace it, unless the pool is draining."""
        number = worker.number
        if number is None:
            self._spare = None
        else:
            del self._workers[number]
            self.counters.retire(number)
        if self._isDraining:
            self.isClean = self.isClean and (isClean or not worker.isReady)
            if not self._processes():
                self._drained()
        elif number is None:
            self._log.error("the spare worker {how}", how=how)
            self._starts[_SPARE] = self._reactor.callLater(STABLE_AFTER, self._startSpare)
        else:
            self._log.error("worker {number} {how}", number=number, how=how)
            self._replace(number, worker, how)

    def _replace(self, number: int, worker: _ServerWorker, how: str) -> None:
        self._failedStarts += not worker.isReady
        if self._failedStarts >= MAX_FAILED_STARTS:
            self._onFailure(
                f"workers cannot start: {MAX_FAILED_STARTS} in a row ended before they were ready, "
                f"and the last one {how}; see the log above"
            )
            return
        if self._reactor.seconds() - worker.assignedAt >= STABLE_AFTER:
            self._deaths[number] = 0
        delay = RESTART_DELAYS[min(self._deaths[number], len(RESTART_DELAYS) - 1)]
        self._deaths[number] += 1
        self.restarts += 1
        self._starts[number] = self._reactor.callLater(delay, self._assign, number)

    def _assign(self, number: int) -> None:
        """Make the spare, or a new process, the worker with this number."""
        self._starts.pop(number, None)
        worker, self._spare = self._spare or self._spawn(), None
        worker.number = number
        worker.assignedAt = self._reactor.seconds()
        self._workers[number] = worker
        worker.send(self._prepare().assignmentOf(number))

    def _spawn(self) -> _ServerWorker:
        start = self._prepare()
        worker = _ServerWorker(self)
        worker.spawn(
            self._reactor, "echoproto.server.workers.worker", "runWorker", start.descriptors
        )
        worker.send(start.config)
        return worker

    def _processes(self) -> list[_ServerWorker]:
        # The spare comes first, so that its copies of the sockets are closed before a worker closes
        # its own.
        spare = [] if self._spare is None else [self._spare]
        return [*spare, *self._workers.values()]

    def _terminate(self) -> None:
        for worker in self._processes():
            worker.signal(signal.SIGTERM)

    def _drained(self) -> None:
        waiting, self._waiting = self._waiting, []
        for drained in waiting:
            drained.callback(None)
