"""
The worker processes of ``echoproto load --workers``, as one measurement: started, told to begin at once, stopped, and their figures added.

Run by :mod:`echoproto.cli.runner`. What a worker does is :mod:`.worker`; how shares are made and added :mod:`echoproto.measure.load.partition`.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from echoproto.errors import EchoprotoError, TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import GO, REPORTS, LoadAssignment, LoadReport
from echoproto.measure.load.partition import ResultAggregator
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.units import SECOND

#: Seconds that a worker has to tell its result and end when it is stopped and has awaited its replies; then it is killed.
GRACE = 5.0


class _Worker(ProcessProtocol):
    """One process."""

    result: LoadResult | None = None
    error: EchoprotoError | None = None

    def __init__(self, crew: LoadWorkerPool, number: int) -> None:
        self._crew = crew
        self._line = b""
        self.number = number
        self.waiting = self.over = False

    def tell(self, data: bytes) -> None:
        """Write to its standard input."""
        transport: Any = self.transport
        # Its pipe is gone where it has died just now.
        with suppress(KeyError):
            transport.writeToChild(0, data)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Take its reports."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._crew.reported(self, LoadReport.of(line))

    def stop(self) -> None:
        """It is enough."""
        transport: Any = self.transport
        transport.closeChildFD(0)

    def kill(self) -> None:
        """It has not stopped."""
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess(signal.SIGKILL)

    def processEnded(self, reason: Failure) -> None:
        """It is over."""
        self.over = True
        ended: Any = reason.value
        how = f"signal {ended.signal}" if ended.signal else f"status {ended.exitCode}"
        self._crew.ended(self, how)


class LoadWorkerPool:
    """
    A load by several processes.

    :param reactor: spawns them.
    :param plan: of the whole.
    :param orders: of each worker.
    :param tell: called with each second when all have told theirs.
    :param fault: called with a line for each worker that died or had to give up, where others have not.
    :ivar target: the target.
    :ivar result: fires with the sum of all results; fails where there is none.
    """

    def __init__(
        self,
        reactor: Any,
        plan: LoadPlan,
        orders: Sequence[LoadAssignment],
        tell: Callable[[Interval, IntervalCounts], None],
        fault: Callable[[str], None],
    ) -> None:
        self.result: Deferred[LoadResult] = Deferred(lambda _: self._cancel())
        self._isCancelled = False
        self.target = orders[0].target
        self._reactor = reactor
        self._plan = plan
        self._orders = orders
        self._fault = fault
        self._joint = ResultAggregator(len(orders), tell)
        self._workers = [_Worker(self, number) for number in range(len(orders))]
        self._stopping = False
        self._killing: Any = None

    def start(self) -> None:
        """Start all; they begin when the last is ready."""
        for worker, orders in zip(self._workers, self._orders, strict=True):
            try:
                self._spawn(worker)
            except OSError as error:
                # Those that run are to end, and nothing else is to be awaited.
                worker.over = True
                worker.error = TargetError(
                    f"no process could be started: {error.strerror}; see ulimit"
                )
                self.ended(worker, "")
                continue
            worker.tell(pickle.dumps(orders))

    def _spawn(self, worker: _Worker) -> None:
        # It imports from where we do, and not from the folder that it happens to run in.
        run = f"import sys; sys.path[:] = {sys.path!r}; from echoproto.measure.load.worker import main; sys.exit(main())"
        self._reactor.spawnProcess(
            worker,
            sys.executable,
            [sys.executable, "-c", run],
            env=os.environ,
            childFDs={0: "w", 1: 1, 2: 2, REPORTS: "r"},
        )

    def stage(self) -> tuple[float, tuple[int, int, int]]:
        """As of :class:`~echoproto.measure.load.generator.LoadGenerator`; of the seconds that all have told."""
        figures = self._joint.counters.figures
        elapsed = len(self._joint.counters.intervals) * SECOND
        return self._plan.share(elapsed, figures[0]), figures

    def stop(self) -> None:
        """Send no more, and end when all replies have come; said again, end now."""
        if self._stopping:
            self._kill()
            return
        self._stopping = True
        for each in self._left():
            each.stop()
        self._killing = self._reactor.callLater(GRACE + self._plan.timeout / SECOND, self._kill)

    def _cancel(self) -> None:
        """Kill the workers, as a cancelled ``Deferred`` cannot wait for their results."""
        self._isCancelled = True
        self._kill()

    def _kill(self) -> None:
        for each in self._left():
            each.kill()

    def _left(self) -> list[_Worker]:
        return [each for each in self._workers if not each.over]

    def reported(self, worker: _Worker, report: LoadReport) -> None:
        """A worker says something."""
        if report.counts is not None:
            self._joint.second(worker.number, report.counts)
        elif report.result is not None:
            worker.result = replace(report.result, plan=self._orders[worker.number].plan)
        else:
            worker.error = report.error
            worker.waiting = report.error is None
            self._beginIfReady()

    def _beginIfReady(self) -> None:
        """Begin when all that can are ready."""
        if all(each.waiting or each.error is not None for each in self._left()):
            for each in self._left():
                if each.waiting:
                    each.waiting = False
                    each.tell(GO)

    def ended(self, worker: _Worker, how: str) -> None:
        """A worker is over."""
        self._joint.ended(worker.number)
        if worker.result is None and worker.error is None:
            self._fault(f"worker {worker.number + 1} died: {how}")
        if self._left():
            self._beginIfReady()
        else:
            self._end()

    def _end(self) -> None:
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        if self._isCancelled:
            return
        results = [each.result for each in self._workers if each.result is not None]
        errors = [(each.number, each.error) for each in self._workers if each.error is not None]
        if results:
            for number, error in errors:
                self._fault(f"worker {number + 1}: {error}")
            self.result.callback(self._joint.result(self._plan, results))
        else:
            died = TargetError("no worker has come to its end")
            self.result.errback(next((error for _, error in errors), died))
