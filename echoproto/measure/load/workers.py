"""
A load that several worker processes share, as one measurement.

What a worker does is in :mod:`.worker`; :mod:`.partition` splits the plan and adds the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.errors import EchoprotoError, TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import FINISH, GO, LoadAssignment, LoadReport
from echoproto.measure.load.partition import ResultAggregator
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.processes.childprocess import STOP_GRACE, ChildProcess, explainStartError
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND

#: Seconds without a report from the start of a process on, after which it is killed.
START_TIMEOUT = 60.0

#: Seconds without a further report, of which a worker sends one per second; then it is killed.
HUNG_AFTER = 15.0


class _LoadWorker(ChildProcess):
    """
    One worker process.

    :ivar isWaiting: whether it is ready and has not been started.
    """

    result: LoadResult | None = None
    error: EchoprotoError | None = None

    def __init__(self, pool: LoadWorkerPool, assignment: LoadAssignment) -> None:
        super().__init__()
        self._pool = pool
        self.assignment = assignment
        self.isWaiting = False
        self._silence: DeadlineCall | None = None
        self._hung = ""

    @property
    def number(self) -> int:
        """Its number in messages, from 1."""
        return self.assignment.index + 1

    def start(self, reactor: Any) -> None:  # IReactorProcess and IReactorTime
        """
        Start the process, which must report from then on.

        :raise OSError: see :meth:`.ChildProcess.spawn`.
        """
        self.spawn(reactor, "echoproto.measure.load.worker", "runLoadWorker")
        self.send(self.assignment)
        self._expectReport(reactor, START_TIMEOUT)

    def _expectReport(self, clock: IReactorTime, seconds: float) -> None:
        self._expectNothing()
        self._silence = DeadlineCall(clock, seconds, self._killHung, seconds)

    def _expectNothing(self) -> None:
        if self._silence is not None:
            self._silence.stop()

    def _killHung(self, seconds: float) -> None:
        self._hung = f"did not report for {seconds:g} s and was killed"
        self.kill()

    def reportReceived(self, line: bytes) -> None:
        """See :class:`.ChildProcess`."""
        self._expectReport(self._pool.reactor, HUNG_AFTER)
        self._pool.reportReceived(self, line)

    def exited(self, how: str, isClean: bool) -> None:
        """See :class:`.ChildProcess`."""
        self._expectNothing()
        self._pool.exited(self, self._hung or how, isClean)


class LoadWorkerPool:
    """
    A load by several processes; a :class:`~echoproto.client.measurement.Measurement`.

    :param reactor: starts the processes.
    :param plan: the plan of the whole load.
    :param assignments: the share of each worker, in the order of their indexes.
    :param onInterval: called with each second that all workers have reported.
    :param onWorkerFailure: called with one line for each worker that fails while others succeed.
    :ivar reactor: starts the processes, and calls later.
    :ivar target: the target.
    :ivar result: fires with the sum of all results; fails if no worker has one. Cancelled, it kills
        the workers.
    """

    def __init__(
        self,
        reactor: Any,  # IReactorProcess and IReactorTime
        plan: LoadPlan,
        assignments: Sequence[LoadAssignment],
        onInterval: Callable[[Interval, IntervalCounts], None],
        onWorkerFailure: Callable[[str], None],
    ) -> None:
        self.target = assignments[0].target
        self.result: Deferred[LoadResult] = Deferred(lambda _: self._cancel())
        self.reactor = reactor
        self._plan = plan
        self._onWorkerFailure = onWorkerFailure
        self._aggregator = ResultAggregator(len(assignments), onInterval)
        self._workers = [_LoadWorker(self, assignment) for assignment in assignments]
        # By their numbers.
        self._failures: dict[int, str] = {}
        # Those that did not end at once as they should: of interest only if others have a result.
        self._unreported: list[str] = []
        self._isFinishing = self._isStopping = self._isCancelled = False

    def start(self) -> None:
        """Start the processes; they begin to send when all are ready."""
        for worker in self._workers:
            try:
                worker.start(self.reactor)
            except OSError as error:
                worker.hasEnded = True
                worker.error = TargetError(f"cannot start a process: {explainStartError(error)}")
                self.exited(worker, "", isClean=False)

    def stage(self) -> tuple[float, tuple[int, int, int]]:
        """
        The progress; see :meth:`echoproto.measure.load.generator.LoadGenerator.stage`.

        Of the seconds that all workers have reported.
        """
        counters = self._aggregator.counters
        elapsed = len(counters.intervals) * SECOND
        return self._plan.share(elapsed, counters.figures[0]), counters.figures

    def finish(self) -> None:
        """Stop sending, and end when all replies are received; called again, end now."""
        if self._isFinishing:
            self.stop()
            return
        self._isFinishing = True
        for worker in self._running():
            worker.send(FINISH)
            worker.killAfter(self.reactor, self._plan.timeout / SECOND + STOP_GRACE)

    def stop(self) -> None:
        """End now, with the results so far; called again, kill the workers."""
        if self._isStopping:
            self._kill()
            return
        self._isFinishing = self._isStopping = True
        for worker in self._running():
            worker.closeInput()
            worker.killAfter(self.reactor, STOP_GRACE)

    def _cancel(self) -> None:
        """Kill the workers, as a cancelled ``Deferred`` cannot wait for their results."""
        self._isCancelled = True
        self._kill()

    def _kill(self) -> None:
        for worker in self._running():
            worker.kill()

    def _running(self) -> list[_LoadWorker]:
        return [worker for worker in self._workers if not worker.hasEnded]

    def reportReceived(self, worker: _LoadWorker, line: bytes) -> None:
        """A worker has sent a report."""
        try:
            report = LoadReport.decode(line)
        except ValueError as error:
            self._onWorkerFailure(f"worker {worker.number} sent a malformed report: {error}")
            return
        if report.isAlive:
            return
        if report.counts is not None:
            self._aggregator.second(worker.assignment.index, report.counts)
        elif report.result is not None:
            worker.result = replace(report.result, plan=worker.assignment.plan)
        else:
            worker.error = report.error
            worker.isWaiting = report.error is None
            self._startIfReady()

    def _startIfReady(self) -> None:
        """Let the workers send if none of them still prepares."""
        running = self._running()
        if not self._isFinishing and all(
            worker.isWaiting or worker.error is not None for worker in running
        ):
            for worker in running:
                if worker.isWaiting:
                    worker.isWaiting = False
                    worker.send(GO)

    def exited(self, worker: _LoadWorker, how: str, isClean: bool) -> None:
        """A worker has ended; if it was stopped before it was ready, without a report."""
        self._aggregator.ended(worker.assignment.index)
        isStopped = isClean and self._isFinishing
        if worker.result is None and worker.error is None and not isStopped:
            failure = f"worker {worker.number} {how}; the rest of its share is missing"
            self._failures[worker.number] = failure
            if self._isStopping:
                self._unreported.append(failure)
            else:
                self._onWorkerFailure(failure)
        if self._running():
            self._startIfReady()
        elif not self._isCancelled:
            self._fireResult()

    def _fireResult(self) -> None:
        results = [worker.result for worker in self._workers if worker.result is not None]
        errors = {w.number: w.error for w in self._workers if w.error is not None}
        if results:
            failures = {number: f"worker {number}: {error}" for number, error in errors.items()}
            for failure in (*failures.values(), *self._unreported):
                self._onWorkerFailure(failure)
            result = self._aggregator.result(self._plan, results)
            failures.update(self._failures)
            self.result.callback(replace(result, failedWorkers=failures))
        else:
            noResult = TargetError("no worker has sent a result")
            self.result.errback(next(iter(errors.values()), noResult))
