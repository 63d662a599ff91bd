from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed, TargetError
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import ALIVE_INTERVAL, FINISH, GO, LoadReport
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.workers import HUNG_AFTER, START_TIMEOUT, LoadWorkerPool
from echoproto.processes.childprocess import STOP_GRACE
from echoproto.text.units import SECOND
from tests.fakeprocesses import FakeProcess, FakeProcessReactor
from tests.measure.load.assignments import makeAssignment
from tests.report.sampleresults import loadResult

MISSING = "the rest of its share is missing"


def countsOf(sent: int) -> IntervalCounts:
    """The counts of a second with this many messages."""
    counts = IntervalCounts()
    counts.sent = sent
    return counts


class LoadWorkerPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.intervals: list[int] = []
        self.failures: list[str] = []
        self.assignments = [makeAssignment(index=index) for index in range(2)]
        self.pool = self.startPool()
        self.first, self.second = self.processes = self.reactor.spawned

    def startPool(self) -> LoadWorkerPool:
        pool = LoadWorkerPool(
            self.reactor,
            LoadPlan(connections=2),
            self.assignments,
            lambda interval, counts: self.intervals.append(interval.sent),
            self.failures.append,
        )
        pool.start()
        return pool

    def report(self, process: FakeProcess, **values: Any) -> None:
        process.report(LoadReport(**values).encode())

    def startSending(self) -> None:
        for process in self.processes:
            self.report(process)

    def finish(self, process: FakeProcess, **values: Any) -> None:
        self.report(process, **(values or {"result": loadResult()}))
        process.end()

    def test_start(self) -> None:
        """Each worker receives its assignment, and starts to send when all are ready."""
        self.assertIn(
            "from echoproto.measure.load.worker import runLoadWorker", self.first.command[-1]
        )
        self.report(self.first)
        for process, assignment in zip(self.processes, self.assignments, strict=True):
            self.assertEqual(process.messages, [assignment])
        self.report(self.second)
        for process in self.processes:
            self.assertEqual(process.messages[1:], [GO])

    def test_target(self) -> None:
        """Its target is that of the workers."""
        self.assertEqual(self.pool.target, self.assignments[0].target)

    def test_cancelled(self) -> None:
        """If the result is cancelled, all workers are killed."""
        self.startSending()
        self.pool.result.cancel()
        for process in self.processes:
            self.assertEqual(process.signals, [signal.SIGKILL])
            process.end()
        self.failureResultOf(self.pool.result, CancelledError)

    def test_sum(self) -> None:
        """A second is reported when all workers have reported it; the result is the sum."""
        self.startSending()
        for process in self.processes:
            self.report(process, counts=countsOf(4))
        self.assertEqual(self.intervals, [8])
        self.assertEqual(self.pool.stage(), (0.1, (8, 0, 0)))
        self.finish(self.first)
        self.assertNoResult(self.pool.result)
        self.finish(self.second)
        result = self.successResultOf(self.pool.result)
        self.assertEqual((result.sent, len(result.workers)), (8, 2))
        self.assertEqual((result.workers[0].plan, self.failures), (self.assignments[0].plan, []))

    def test_killed(self) -> None:
        """A worker that dies is reported; the result has what it had reported before."""
        self.startSending()
        self.report(self.first, counts=countsOf(4))
        self.first.end(signal=signal.SIGKILL)
        self.assertEqual(self.failures, [f"worker 1 was killed by signal 9; {MISSING}"])
        self.finish(self.second)
        result = self.successResultOf(self.pool.result)
        self.assertEqual((result.sent, result.failedWorkers), (4, {1: self.failures[0]}))
        self.assertEqual(result.limits[-1], self.failures[0])

    def test_killedBeforeReady(self) -> None:
        """The other workers do not wait for one that dies before it is ready."""
        self.report(self.second)
        self.first.end(status=1)
        self.assertEqual(self.second.messages[-1], GO)
        self.assertEqual(self.failures, [f"worker 1 exited with status 1; {MISSING}"])

    def test_killedAtStart(self) -> None:
        """A worker that ends just before the start does not affect the others."""
        self.report(self.first)
        self.first.inputClosed = True
        self.report(self.second)
        self.assertEqual(self.second.messages[-1], GO)

    def test_someFail(self) -> None:
        """A worker that fails while others succeed is reported."""
        self.report(self.second)
        self.finish(self.first, error=ConnectionClosed("refused"))
        self.finish(self.second)
        result = self.successResultOf(self.pool.result)
        self.assertEqual(self.failures, ["worker 1: refused"])
        self.assertEqual(result.failedWorkers, {1: "worker 1: refused"})

    def test_hung(self) -> None:
        """A worker that does not report, as after SIGSTOP, is killed; its share is missing."""
        self.startSending()
        self.report(self.second, counts=countsOf(3))
        for _ in range(round(HUNG_AFTER) - 1):
            self.reactor.advance(ALIVE_INTERVAL)
            self.report(self.first, isAlive=True)
        self.finish(self.first)
        self.assertEqual(self.second.signals, [])
        self.reactor.advance(ALIVE_INTERVAL)
        self.reactor.advance(0)
        self.assertEqual(self.second.signals, [signal.SIGKILL])
        self.second.end(signal=signal.SIGKILL)
        self.assertEqual(self.successResultOf(self.pool.result).sent, 3)
        [failure] = self.failures
        self.assertEqual(
            failure,
            f"worker 2 did not report for 15 s and was killed; {MISSING}",
        )
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_hungStart(self) -> None:
        """A worker that does not even start is killed, and the others begin."""
        self.report(self.first)
        for _ in range(round(START_TIMEOUT)):
            self.reactor.advance(1)
            self.report(self.first, isAlive=True)
        self.reactor.advance(0)
        self.assertEqual((self.first.signals, self.second.signals), ([], [signal.SIGKILL]))
        self.second.end(signal=signal.SIGKILL)
        self.assertEqual(self.first.messages[-1], GO)
        self.assertRegex(self.failures[0], "^worker 2 did not report for 60 s and was killed; ")

    def test_allFail(self) -> None:
        """If all workers fail, the result fails with the error of the first."""
        for process in self.processes:
            self.finish(process, error=ConnectionClosed("refused"))
        self.failureResultOf(self.pool.result, ConnectionClosed)
        self.assertEqual(self.failures, [])

    def test_allKilled(self) -> None:
        """If all workers die, the result fails."""
        for process in self.processes:
            process.end(status=1)
        self.failureResultOf(self.pool.result, TargetError)

    def test_malformedReport(self) -> None:
        """A malformed report is reported as a failure, and otherwise ignored."""
        self.first.report(b"nonsense")
        self.assertRegex(self.failures[0], "^worker 1 sent a malformed report: ")
        self.startSending()
        self.assertEqual(self.first.messages[-1], GO)

    def test_finish(self) -> None:
        """finish() waits for the workers' replies, and kills those that do not end in time."""
        self.startSending()
        self.pool.finish()
        self.assertFalse(self.first.inputClosed or self.second.inputClosed)
        self.assertEqual([process.messages[-1] for process in self.processes], [FINISH] * 2)
        self.finish(self.first)
        self.reactor.advance(STOP_GRACE)
        self.assertEqual(self.second.signals, [])
        self.reactor.advance(LoadPlan().timeout / SECOND)
        self.assertEqual((self.first.signals, self.second.signals), ([], [signal.SIGKILL]))
        self.second.end(signal=signal.SIGKILL)
        self.successResultOf(self.pool.result)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_finishAgain(self) -> None:
        """
        A second finish(), as of another Ctrl-C, ends the load at once, with the results so far.
        Workers that do not end then are killed.
        """
        self.startSending()
        self.pool.finish()
        self.pool.finish()
        self.assertTrue(self.first.inputClosed and self.second.inputClosed)
        self.finish(self.first)
        self.reactor.advance(STOP_GRACE)
        self.assertEqual((self.first.signals, self.second.signals), ([], [signal.SIGKILL]))
        self.second.end(signal=signal.SIGKILL)
        self.assertEqual(len(self.successResultOf(self.pool.result).workers), 1)
        self.assertEqual(self.failures, [f"worker 2 was killed by signal 9; {MISSING}"])

    def test_finishBeforeReady(self) -> None:
        """Workers that are stopped before all are ready do not send, which is not their failure."""
        self.report(self.first)
        self.pool.finish()
        self.second.end()
        self.assertEqual(self.first.messages[-1], FINISH)
        self.first.end()
        self.failureResultOf(self.pool.result, TargetError)
        self.assertEqual(self.failures, [])

    def test_stopAgain(self) -> None:
        """A second stop() kills the workers."""
        self.startSending()
        self.pool.stop()
        self.pool.stop()
        for process in self.processes:
            self.assertEqual(process.signals, [signal.SIGKILL])
            process.end(signal=signal.SIGKILL)
        self.failureResultOf(self.pool.result)
        self.assertEqual((self.reactor.getDelayedCalls(), self.failures), ([], []))

    def test_stopped(self) -> None:
        """Nothing is left scheduled when all workers have ended."""
        self.startSending()
        self.pool.stop()
        for process in self.processes:
            self.finish(process)
        self.successResultOf(self.pool.result)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotSpawn(self) -> None:
        """A process that cannot be started is reported, and the others run the load."""
        self.reactor.failures = 1
        pool = self.startPool()
        self.finish(self.reactor.spawned[-1])
        self.successResultOf(pool.result)
        [line] = self.failures
        self.assertIn("worker 1: cannot start a process: Too many open files; raise the", line)

    def test_cannotSpawnAny(self) -> None:
        """If no process can be started, the result fails."""
        self.reactor.failures = 2
        self.failureResultOf(self.startPool().result, TargetError)
