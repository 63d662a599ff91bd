"""
The server's worker processes: started, replaced when they die, drained and reloaded.

One more process than there are workers is kept as a spare. It has started up and waits for an
assignment, so that it can take the place of a worker that dies: starting a process takes up to a
second on a busy machine, and new clients would wait for it.

Used by :mod:`.supervisor`. The code that runs in a worker is in :mod:`.worker`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from echoproto.processes.childprocess import explainStartError
from echoproto.server.workers.aggregate import CounterAggregator
from echoproto.server.workers.worker import WorkerOrder
from echoproto.server.workers.workerprocess import WorkerProcess, WorkerStart

#: Seconds before a dead worker is restarted, by its deaths in a row; the last for all further ones.
RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

#: A worker that has run for this many seconds is stable: its next death begins a new row.
STABLE_AFTER = 10.0

#: Failed starts in a row after which the server gives up, if no worker has ever served.
MAX_FAILED_STARTS = 3

#: Stands for the spare among the numbers of the workers to be started.
_SPARE = -1


class WorkerPool:
    """
    A fixed number of workers.

    :param reactor: starts the processes and keeps the time.
    :param count: number of workers.
    :param prepare: called before each start.
    :param onReady: called each time that all workers are ready.
    :param onFailure: called with one line, once, when the workers cannot be started.
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
        self._workers: dict[int, WorkerProcess] = {}
        self._spare: WorkerProcess | None = None
        self._deaths = [0] * count
        self._failedStarts = 0
        self._hasServed = False
        self._starts: dict[int, IDelayedCall] = {}
        self._waiting: list[Deferred[None]] = []
        self._isDraining = self._isStopping = self._hasGivenUp = False
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

    def send(self, message: object) -> None:
        """Send a message to all workers."""
        for worker in self._workers.values():
            worker.send(message)

    def stopAtOnce(self) -> None:
        """End the drains of the workers now, or as soon as they begin."""
        self._isStopping = True
        if self._isDraining:
            self.send(WorkerOrder.STOP)

    def startPending(self) -> None:
        """Start at once the workers that would be started later."""
        for number in self._starts.keys() - {_SPARE}:
            self._starts[number].cancel()
            self._assign(number)

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Let all workers drain and end.

        :param seconds: how long each drain may take; see
            :meth:`~echoproto.server.workers.workerprocess.WorkerProcess.drain`.
        :return: fires when all processes have ended.
        """
        if not self._isDraining:
            self._isDraining = True
            self._cancelStarts()
            for worker in self._processes():
                worker.drain(seconds)
            if self._isStopping:
                self.send(WorkerOrder.STOP)
        if not self._processes():
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._waiting.append(drained)
        return drained

    def _cancelStarts(self) -> None:
        for start in self._starts.values():
            start.cancel()
        self._starts.clear()

    def _reportReceived(self, worker: WorkerProcess, line: bytes) -> None:
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

    def _becameReady(self, worker: WorkerProcess) -> None:
        worker.hasServed = self._hasServed = True
        self._failedStarts = 0
        if worker.number is not None and self._deaths[worker.number]:
            self._log.info("worker {number} serves again", number=worker.number)
        if self.isReady:
            self._onReady()
            self._startSpare()

    def _startSpare(self) -> None:
        self._starts.pop(_SPARE, None)
        if self._spare is not None or self._isDraining:
            return
        try:
            self._spare = self._spawn()
        except OSError as error:
            self._log.error("no spare worker can be started: {why}", why=explainStartError(error))
            self._scheduleSpare()

    def _scheduleSpare(self) -> None:
        self._starts[_SPARE] = self._reactor.callLater(STABLE_AFTER, self._startSpare)

    def _exited(self, worker: WorkerProcess, how: str, isClean: bool) -> None:
        """``worker`` has ended: replace it, unless the pool is draining."""
        number = worker.number
        if number is None:
            self._spare = None
        else:
            del self._workers[number]
            self.counters.retire(number)
        if self._isDraining:
            self.isClean &= isClean or not (worker.hasServed or worker.hasHung)
            if not self._processes():
                self._drained()
        elif number is None:
            self._scheduleSpare()
        else:
            self._replace(number, worker, how)

    def _replace(self, number: int, worker: WorkerProcess, how: str) -> None:
        if self._reactor.seconds() - worker.assignedAt >= STABLE_AFTER and worker.hasServed:
            self._deaths[number] = 0
        if self._hasGivenUp:
            return
        self.restarts += 1
        if worker.hasServed:
            self._startLater(number)
        else:
            self._startFailed(number, f"{how}; see the log above")

    def _startFailed(self, number: int, how: str) -> None:
        """Try again; but if no worker has ever served, the cause is not a passing one."""
        self._failedStarts += 1
        if self._failedStarts >= MAX_FAILED_STARTS and not self._hasServed:
            self._hasGivenUp = True
            self._cancelStarts()
            self._onFailure(
                f"workers cannot start: {MAX_FAILED_STARTS} in a row failed, and the last one {how}"
            )
        else:
            self._startLater(number)

    def _startLater(self, number: int) -> None:
        delay = RESTART_DELAYS[min(self._deaths[number], len(RESTART_DELAYS) - 1)]
        self._deaths[number] += 1
        self._starts[number] = self._reactor.callLater(delay, self._assign, number)

    def _assign(self, number: int) -> None:
        """Make the spare, or a new process, the worker with this number."""
        self._starts.pop(number, None)
        if self._hasGivenUp:
            return
        try:
            worker, self._spare = self._spare or self._spawn(), None
        except OSError as error:
            how = f"could not be started: {explainStartError(error)}"
            self._log.error("worker {number} {how}", number=number, how=how)
            self._startFailed(number, how)
            return
        self._workers[number] = worker
        worker.assign(number, self._prepare().assignmentOf(number))

    def _spawn(self) -> WorkerProcess:
        start = self._prepare()
        worker = WorkerProcess(self._reactor, self._reportReceived, self._exited)
        worker.spawn(
            self._reactor, "echoproto.server.workers.worker", "runWorker", start.descriptors
        )
        worker.send(start.config)
        return worker

    def _processes(self) -> list[WorkerProcess]:
        # The spare comes first, so that its copies of the sockets are closed before a worker closes
        # its own.
        spare = [] if self._spare is None else [self._spare]
        return [*spare, *self._workers.values()]

    def _drained(self) -> None:
        waiting, self._waiting = self._waiting, []
        for drained in waiting:
            drained.callback(None)
