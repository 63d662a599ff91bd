from __future__ import annotations

import pickle
import signal
from errno import EMFILE
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.childprocess import REPORTS
from echoproto.errors import ConnectionClosed, TargetError
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import GO, LoadReport
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.workers import STOP_GRACE, LoadWorkerPool
from echoproto.units import SECOND
from tests.measure.load.assignments import ordered
from tests.report.sampleresults import loadResult
from tests.server.fakeprocesses import FakeProcess, FakeProcesses


class Process(FakeProcess):
    """One process, whose reports arrive in two pieces."""

    def say(self, **report: Any) -> None:
        """In two pieces."""
        line = LoadReport(**report).line()
        self.protocol.childDataReceived(REPORTS, line[:5])
        self.protocol.childDataReceived(REPORTS, line[5:])


class Processes(FakeProcesses):
    """The reactor; refuses so many."""

    refuse = 0

    def spawnProcess(
        self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Any
    ) -> FakeProcess:
        if self.refuse:
            self.refuse -= 1
            raise OSError(EMFILE, "Too many open files")
        self.spawned.append(Process(protocol, list(args), dict(childFDs)))
        return self.spawned[-1]


class LoadCrewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Processes()
        self.told: list[int] = []
        self.faults: list[str] = []
        self.orders = [ordered(index=index, of=2) for index in range(2)]
        self.pool = LoadWorkerPool(
            self.reactor,
            LoadPlan(connections=2),
            self.orders,
            lambda interval, counts: self.told.append(interval.sent),
            self.faults.append,
        )
        self.pool.start()
        self.first, self.second = self.processes = self.spawned()

    def spawned(self) -> list[Any]:
        return list(self.reactor.spawned)

    def begun(self) -> None:
        for each in self.processes:
            each.say()

    def finish(self, process: Any, **report: Any) -> None:
        process.say(**(report or {"result": loadResult()}))
        process.end()

    def test_orders(self) -> None:
        """Each is told what to do, and to begin when all are ready."""
        self.assertIn(
            "from echoproto.measure.load.worker import runLoadWorker", self.first.command[-1]
        )
        self.assertEqual([pickle.loads(each.orders) for each in self.processes], self.orders)
        self.first.say()
        self.assertFalse(self.first.orders.endswith(GO))
        self.second.say()
        for each in self.processes:
            self.assertTrue(each.orders.endswith(GO))
            self.assertEqual(each.orders.count(GO), 1)

    def test_cancelled(self) -> None:
        """If the result is cancelled, all workers are killed."""
        self.begun()
        self.pool.result.cancel()
        for process in self.processes:
            self.assertEqual(process.signals, [signal.SIGKILL])
            process.end()
        self.failureResultOf(self.pool.result, CancelledError)

    def test_sum(self) -> None:
        """Seconds are told when all have told theirs; the result is their sum."""
        self.begun()
        for each in self.processes:
            counts = IntervalCounts()
            counts.sent = 4
            each.say(counts=counts)
        self.assertEqual(self.told, [8])
        self.assertEqual(self.pool.stage(), (0.1, (8, 0, 0)))
        self.finish(self.first)
        self.assertNoResult(self.pool.result)
        self.finish(self.second)
        result = self.successResultOf(self.pool.result)
        self.assertEqual((result.sent, len(result.workers)), (8, 2))
        self.assertEqual((result.workers[0].plan, self.faults), (self.orders[0].plan, []))

    def test_died(self) -> None:
        """One that dies is told; what the others did is the result, and so is what it had told."""
        self.begun()
        counts = IntervalCounts()
        counts.sent = 4
        self.first.say(counts=counts)
        self.first.end(signal=9)
        self.assertEqual(self.faults, ["worker 1 died: signal 9"])
        self.finish(self.second)
        self.assertEqual(self.successResultOf(self.pool.result).sent, 4)

    def test_diedBefore(self) -> None:
        """The others need not wait for one that dies before it is ready, nor for one that cannot begin."""
        self.second.say()
        self.first.end(status=1)
        self.assertTrue(self.second.orders.endswith(GO))
        self.assertEqual(self.faults, ["worker 1 died: status 1"])

    def test_diedBetween(self) -> None:
        """One that dies when it should begin hinders nobody."""
        self.first.say()
        self.first.isClosed = True
        self.second.say()
        self.assertTrue(self.second.orders.endswith(GO))

    def test_some(self) -> None:
        """One that has to give up, while others do not, is told."""
        self.second.say()
        self.finish(self.first, error=ConnectionClosed("refused"))
        self.finish(self.second)
        self.successResultOf(self.pool.result)
        self.assertEqual(self.faults, ["worker 1: refused"])

    def test_none(self) -> None:
        """Where all give up it fails with why; where all die, too."""
        for each in self.processes:
            self.finish(each, error=ConnectionClosed("refused"))
        self.failureResultOf(self.pool.result, ConnectionClosed)
        self.assertEqual(self.faults, [])
        self.setUp()
        for each in self.processes:
            each.end(status=1)
        self.failureResultOf(self.pool.result, TargetError)

    def test_stop(self) -> None:
        """Stopped it tells all that it is enough, and kills who does not end when all replies were awaited."""
        self.begun()
        self.pool.stop()
        self.assertTrue(self.first.isClosed and self.second.isClosed)
        self.finish(self.first)
        self.reactor.advance(STOP_GRACE)
        self.assertEqual(self.second.signals, [])
        self.reactor.advance(LoadPlan().timeout / SECOND)
        self.assertEqual((self.first.signals, self.second.signals), ([], [9]))
        self.second.over = True
        self.second.protocol.signal(signal.SIGKILL)
        self.second.end(signal=9)
        self.successResultOf(self.pool.result)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_noProcess(self) -> None:
        """A process that cannot be started is told; those that can go on, and where none can it fails."""
        self.reactor.refuse = 1
        self.pool = LoadWorkerPool(
            self.reactor, LoadPlan(), self.orders, lambda *_: None, self.faults.append
        )
        self.pool.start()
        self.finish(self.spawned()[-1])
        self.successResultOf(self.pool.result)
        self.assertRegex(self.faults[-1], "worker 1: no process could be started: Too many open")
        self.reactor.refuse = 2
        self.pool = LoadWorkerPool(
            self.reactor, LoadPlan(), self.orders, lambda *_: None, self.faults.append
        )
        self.pool.start()
        self.failureResultOf(self.pool.result, TargetError)
        for each in self.processes:
            self.finish(each)

    def test_stopAgain(self) -> None:
        """Stopped again it kills who is left."""
        self.begun()
        self.pool.stop()
        self.pool.stop()
        self.assertEqual((self.first.signals, self.second.signals), ([9], [9]))
        for each in self.processes:
            each.end(signal=9)
        self.failureResultOf(self.pool.result)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """When all have ended nobody is killed."""
        self.begun()
        self.pool.stop()
        for each in self.processes:
            self.finish(each)
        self.successResultOf(self.pool.result)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
