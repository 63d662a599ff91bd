"""
A load divided among worker processes, one per processor.

Each does its share (:mod:`.worker`) and reports every second; the counters are added exactly (:mod:`.partition`).
"""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from echoproto.childprocess import ChildProcess
from echoproto.errors import EchoprotoError, TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import GO, LoadAssignment, LoadReport
from echoproto.measure.load.partition import ResultAggregator
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.units import SECOND

#: Seconds beyond the timeout of replies until a worker that should stop is killed.
STOP_GRACE = 5.0


class _Worker(ChildProcess):
    """One worker process."""

    result: LoadResult | None = None
    error: EchoprotoError | None = None
    isReady = False

    def __init__(self, pool: LoadWorkerPool, number: int) -> None:
        self._pool = pool
        self.number = number

    def lineReceived(self, line: bytes) -> None:
        """See :class:`~echoproto.childprocess.ChildProcess`."""
        self._pool.reported(self, LoadReport.fromLine(line))

    def ended(self, how: str, status: int | None) -> None:
        """See :class:`~echoproto.childprocess.ChildProcess`."""
        self._pool.ended(self, how)


class LoadWorkerPool:
    """
    A load by several processes; a :class:`~echoproto.measure.measurement.Measurement`.

    :param reactor: spawns them.
    :param plan: the plan of the whole load.
    :param assignments: the share of each worker.
    :param onInterval: called with each second when all workers have reported it.
    :param onFault: called with a line for each worker that died or gave up while others succeeded.
    :ivar target: the target.
    :ivar result: fires with the sum of all results; fails if there is none.
    """

    def __init__(
        self,
        reactor: Any,
        plan: LoadPlan,
        assignments: Sequence[LoadAssignment],
        onInterval: Callable[[Interval, IntervalCounts], None],
        onFault: Callable[[str], None],
    ) -> None:
        self.result: Deferred[LoadResult] = Deferred(lambda _: self._cancel())
        self.target = assignments[0].target
        self._isCancelled = False
        self._reactor = reactor
        self._plan = plan
        self._assignments = assignments
        self._onFault = onFault
        self._sum = ResultAggregator(len(assignments), onInterval)
        self._workers = [_Worker(self, number) for number in range(len(assignments))]
        self._isStopping = False
        self._killing: Any = None

    def start(self) -> None:
        """Start all workers; they begin when the last one is ready."""
        for worker, assignment in zip(self._workers, self._assignments, strict=True):
            try:
                worker.spawn(self._reactor, "echoproto.measure.load.worker", "runLoadWorker")
            except OSError as error:
                # The others end, and the load fails.
                worker.hasEnded = True
                worker.error = TargetError(
                    f"no process could be started: {error.strerror}; see ulimit"
                )
                self.ended(worker, "")
                continue
            worker.send(pickle.dumps(assignment))

    def stage(self) -> tuple[float, tuple[int, int, int]]:
        """See :class:`~echoproto.measure.load.generator.LoadGenerator`; of the seconds that all have reported."""
        figures = self._sum.counters.figures
        elapsed = len(self._sum.counters.intervals) * SECOND
        return self._plan.share(elapsed, figures[0]), figures

    def stop(self) -> None:
        """Stop sending, and end when all replies have arrived; a second call ends at once."""
        if self._isStopping:
            self._kill()
            return
        self._isStopping = True
        for worker in self._running():
            worker.closeInput()
        self._killing = self._reactor.callLater(
            STOP_GRACE + self._plan.timeout / SECOND, self._kill
        )

    def _cancel(self) -> None:
        """Kill the workers, as a cancelled ``Deferred`` cannot wait for their results."""
        self._isCancelled = True
        self._kill()

    def _kill(self) -> None:
        for worker in self._running():
            worker.signal(signal.SIGKILL)

    def _running(self) -> list[_Worker]:
        return [worker for worker in self._workers if not worker.hasEnded]

    def reported(self, worker: _Worker, report: LoadReport) -> None:
        """A report arrived from ``worker``."""
        if report.counts is not None:
            self._sum.second(worker.number, report.counts)
        elif report.result is not None:
            worker.result = replace(report.result, plan=self._assignments[worker.number].plan)
        else:
            worker.error = report.error
            worker.isReady = report.error is None
            self._beginIfReady()

    def _beginIfReady(self) -> None:
        """Begin when all running workers are ready, or have given up."""
        if all(worker.isReady or worker.error is not None for worker in self._running()):
            for worker in self._running():
                if worker.isReady:
                    worker.isReady = False
                    worker.send(GO)

    def ended(self, worker: _Worker, how: str) -> None:
        """``worker`` has ended."""
        self._sum.ended(worker.number)
        if worker.result is None and worker.error is None:
            self._onFault(f"worker {worker.number + 1} died: {how}")
        if self._running():
            self._beginIfReady()
        else:
            self._end()

    def _end(self) -> None:
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        if self._isCancelled:
            return
        results = [worker.result for worker in self._workers if worker.result is not None]
        errors = [
            (worker.number, worker.error) for worker in self._workers if worker.error is not None
        ]
        if results:
            for number, error in errors:
                self._onFault(f"worker {number + 1}: {error}")
            self.result.callback(self._sum.result(self._plan, results))
        else:
            died = TargetError("all workers died")
            self.result.errback(next((error for _, error in errors), died))
