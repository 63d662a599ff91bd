"""
The server's worker processes: started, replaced when they die, drained and reloaded.

One more process than there are workers is kept as a spare (:mod:`.spare`). Before a stop closes the
listening sockets, every worker accepts the clients that wait in its queue (:mod:`.lastaccept`).

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
from echoproto.server.workers.lastaccept import LastAcceptance
from echoproto.server.workers.restarts import MAX_FAILED_STARTS, RestartPolicy
from echoproto.server.workers.spare import Spare
from echoproto.server.workers.workerprocess import WorkerProcess, WorkerStart


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
        self._spare = Spare(reactor, self._spawn)
        self._policy = RestartPolicy(count)
        self._starts: dict[int, IDelayedCall] = {}
        self._waiting: list[Deferred[None]] = []
        self._lastAcceptance = LastAcceptance(reactor)
        self._isDraining = self._isStopping = False
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
        """End the drains of the workers now, or as soon as they begin, which is now."""
        self._isStopping = True
        self._lastAcceptance.end()
        if self._isDraining:
            self._stopWorkers()

    async def acceptWaiting(self) -> None:
        """
        Let all workers accept the clients that wait, also those that wait to be replaced or die
        meanwhile. Then end the spare, which has copies of the sockets.
        """
        isOver = self._isStopping or self._policy.hasGivenUp
        accepted = self._lastAcceptance.begin(() if isOver else range(self._count))
        for worker in self._workers.values():
            worker.accept()
        self._startPending()
        await accepted
        await self._spare.stop()

    def _startPending(self) -> None:
        for number in list(self._starts):
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
            for worker in self._workers.values():
                worker.drain(seconds - self._lastAcceptance.seconds)
            if self._isStopping:
                self._stopWorkers()
        if not self._workers:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._waiting.append(drained)
        return drained

    def _stopWorkers(self) -> None:
        for worker in self._workers.values():
            worker.stop()

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
            elif "accepted" in report and worker.number is not None:
                self._lastAcceptance.received(worker.number)
        except (ValueError, TypeError) as error:
            self._log.error(
                "worker {number} sent a malformed report: {error}",
                number=worker.number,
                error=error,
            )

    def _becameReady(self, worker: WorkerProcess) -> None:
        worker.hasServed = True
        self._policy.served()
        if worker.number is not None and self._policy.hasDied(worker.number):
            self._log.info("worker {number} serves again", number=worker.number)
        if self.isReady:
            self._onReady()
            if not self._lastAcceptance.hasBegun:
                self._spare.start()

    def _exited(self, worker: WorkerProcess, how: str, isClean: bool) -> None:
        """``worker`` has ended: replace it, unless the pool is draining."""
        number = worker.number
        if number is None:
            self._spare.exited()
            return
        del self._workers[number]
        self.counters.retire(number)
        if self._isDraining:
            self.isClean &= isClean or not (worker.hasServed or worker.hasHung)
            if not self._workers:
                self._drained()
        else:
            self.isClean &= not (worker.hasHung and self._lastAcceptance.hasBegun)
            self._replace(number, worker, how)

    def _replace(self, number: int, worker: WorkerProcess, how: str) -> None:
        if worker.hasServed:
            self._policy.ran(number, self._reactor.seconds() - worker.assignedAt)
        if self._policy.hasGivenUp:
            return
        self.restarts += 1
        if worker.hasServed:
            self._lastAcceptance.expect(number)
            self._startLater(number)
        else:
            self._startFailed(number, f"{how}; see the log above")

    def _startFailed(self, number: int, how: str) -> None:
        self._policy.startFailed()
        if self._policy.hasGivenUp:
            self._cancelStarts()
            self._lastAcceptance.end()
            self._onFailure(
                f"workers cannot start: {MAX_FAILED_STARTS} in a row failed, and the last one {how}"
            )
        else:
            self._startLater(number)
            self._lastAcceptance.received(number)

    def _startLater(self, number: int) -> None:
        delay = self._policy.nextDelay(number)
        self._starts[number] = self._reactor.callLater(delay, self._assign, number)

    def _assign(self, number: int) -> None:
        """Make the spare, or a new process, the worker with this number."""
        self._starts.pop(number, None)
        if self._policy.hasGivenUp:
            return
        try:
            worker = self._spare.take() or self._spawn()
        except OSError as error:
            how = f"could not be started: {explainStartError(error)}"
            self._log.error("worker {number} {how}", number=number, how=how)
            self._startFailed(number, how)
            return
        self._workers[number] = worker
        worker.assign(number, self._prepare().assignmentOf(number))
        if self._lastAcceptance.hasBegun:
            worker.accept()

    def _spawn(self) -> WorkerProcess:
        start = self._prepare()
        worker = WorkerProcess(self._reactor, self._reportReceived, self._exited)
        worker.spawn(
            self._reactor, "echoproto.server.workers.worker", "runWorker", start.descriptors
        )
        worker.send(start.config)
        return worker

    def _drained(self) -> None:
        waiting, self._waiting = self._waiting, []
        for drained in waiting:
            drained.callback(None)
