from __future__ import annotations

import json
import signal
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.processes.childprocess import STOP_GRACE
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.workers.aggregate import Snapshot, snapshot
from echoproto.server.workers.lastaccept import ACCEPT_TIMEOUT
from echoproto.server.workers.pool import WorkerPool
from echoproto.server.workers.restarts import MAX_FAILED_STARTS, STABLE_AFTER
from echoproto.server.workers.worker import WorkerOrder
from echoproto.server.workers.workerprocess import (
    HUNG_AFTER,
    SILENT_AFTER,
    START_TIMEOUT,
    WorkerStart,
)
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS
from tests.fakeprocesses import FakeProcess, FakeProcessReactor

DRAIN = 5.0


def snapshotOf(accepted: int) -> Snapshot:
    """The snapshot of a worker that has accepted this many connections, all still open."""
    counters = ListenerCounters()
    counters.accepted = accepted
    return snapshot([MonitoredListener("echo", "tcp here:7", counters)], Histogram(BOUNDS))


def report(process: FakeProcess, **values: Any) -> None:
    """Report this to the supervisor."""
    process.report(json.dumps(values).encode())


class WorkerPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.events: list[str] = []
        start: Any = WorkerStart
        self.pool = WorkerPool(
            self.reactor,
            2,
            lambda: start("config", {4: 40}, lambda number: f"assignment {number}"),
            lambda: self.events.append("ready"),
            self.events.append,
        )
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )
        self.pool.start()

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.observer]

    def allReady(self) -> None:
        for process in self.reactor.spawned[:2]:
            report(process, ready=True)

    def acceptWaiting(self) -> Deferred[None]:
        """Begin a stop."""
        return Deferred.fromCoroutine(self.pool.acceptWaiting())

    def accepted(self) -> None:
        """Begin a stop, in which all workers report that no client waits, and the spare ends."""
        accepted = self.acceptWaiting()
        for process in self.reactor.spawned[:2]:
            self.assertEqual(process.messages[-1], WorkerOrder.ACCEPT)
            report(process, accepted=True)
        for process in self.reactor.spawned[2:]:
            self.assertEqual(process.signals, [signal.SIGKILL])
            self.assertNoResult(accepted)
            process.end(None, signal.SIGKILL)
        self.successResultOf(accepted)

    def processesOf(self, number: int) -> list[FakeProcess]:
        """The processes that run as this worker: one or none."""
        messages = ["config", f"assignment {number}"]
        return [
            process
            for process in self.reactor.spawned
            if process.messages == messages and not process.hasEnded
        ]

    def test_start(self) -> None:
        """Each worker receives the configuration, its assignment, the sockets and our outputs."""
        first, second = self.reactor.spawned
        self.assertEqual(first.messages, ["config", "assignment 0"])
        self.assertEqual(second.messages, ["config", "assignment 1"])
        self.assertEqual(second.childFDs, {0: "w", 1: 1, 2: 2, 3: "r", 4: 40})
        self.assertIn("from echoproto.server.workers.worker import runWorker", first.command[-1])

    def test_ready(self) -> None:
        """The pool is ready when each worker has reported that it is."""
        report(self.reactor.spawned[0], ready=True)
        self.assertEqual((self.pool.running, self.pool.isReady, self.events), (1, False, []))
        report(self.reactor.spawned[1], ready=True)
        self.assertEqual((self.pool.running, self.pool.isReady, self.events), (2, True, ["ready"]))

    def test_restart(self) -> None:
        """A worker that dies is replaced at once by the spare, which is counted and logged."""
        self.allReady()
        spare = self.reactor.spawned[2]
        self.assertEqual(spare.messages, ["config"])
        self.reactor.spawned[1].end(None, signal.SIGKILL)
        self.assertEqual(self.logged(), ["worker 1 was killed by signal 9"])
        self.reactor.advance(0)
        self.assertEqual(spare.messages, ["config", "assignment 1"])
        self.assertEqual((self.pool.restarts, self.pool.isReady), (1, False))
        self.assertEqual(len(self.reactor.spawned), 3)
        report(spare, ready=True)
        self.assertEqual(self.logged()[1:], ["worker 1 serves again"])
        self.assertEqual([process.messages for process in self.reactor.spawned[3:]], [["config"]])

    def test_spareEnds(self) -> None:
        """A spare that ends is logged, and replaced later; until then, a dead worker is replaced by
        a new process."""
        self.allReady()
        report(self.reactor.spawned[2], snapshot=snapshotOf(1))
        self.assertEqual(self.pool.counters.listeners(), [])
        self.reactor.spawned[2].end(None, signal.SIGKILL)
        self.assertEqual(self.logged(), ["the spare worker was killed by signal 9"])
        self.reactor.spawned[0].end(1)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.spawned[3].messages, ["config", "assignment 0"])
        self.reactor.advance(STABLE_AFTER)
        self.assertEqual(self.reactor.spawned[4].messages, ["config"])
        report(self.reactor.spawned[3], ready=True)
        self.assertEqual(len(self.reactor.spawned), 5)
        self.assertEqual((self.pool.restarts, self.pool.isReady), (1, True))

    def test_backoff(self) -> None:
        """A worker that keeps dying is restarted after longer and longer delays."""
        self.allReady()
        for delay in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0):
            self.processesOf(1)[0].end(1)
            if delay:
                self.reactor.advance(delay - 0.1)
                self.assertEqual(self.processesOf(1), [])
            self.reactor.advance(0.1 if delay else 0)
            report(self.processesOf(1)[0], ready=True)
        self.reactor.advance(STABLE_AFTER)
        self.processesOf(1)[0].end(1)
        self.reactor.advance(0)
        self.assertEqual(len(self.processesOf(1)), 1)

    def test_giveUp(self) -> None:
        """If no worker has ever served, the pool gives up after several failed starts, with one
        line."""
        for _ in range(MAX_FAILED_STARTS):
            self.reactor.spawned[-1].end(1)
            self.reactor.advance(1)
        self.assertEqual(
            self.events,
            [
                (
                    "workers cannot start: 3 in a row failed, "
                    "and the last one exited with status 1; see the log above"
                )
            ],
        )
        self.assertEqual(len(self.reactor.spawned), 2 + MAX_FAILED_STARTS - 1)

    def test_keepTrying(self) -> None:
        """Once a worker has served, failed starts end nothing: the pool keeps trying."""
        self.allReady()
        self.reactor.spawned[2].end(1)
        self.reactor.spawned[1].end(1)
        self.reactor.failures = 5
        self.reactor.advance(0)
        for delay in (0.5, 1.0, 2.0, 4.0, 8.0):
            self.assertEqual(self.processesOf(1), [])
            self.reactor.advance(delay)
            report(self.reactor.spawned[0], snapshot=snapshotOf(1))
        report(self.processesOf(1)[0], ready=True)
        self.assertEqual((self.pool.running, self.reactor.stopped), (2, False))
        self.assertEqual(self.events, ["ready", "ready"])
        self.assertIn(
            "worker 1 could not be started: Too many open files; "
            "raise the limit of open files (ulimit -n, systemd's LimitNOFILE=)",
            self.logged(),
        )

    def test_noSpare(self) -> None:
        """A spare that cannot be started is tried again later."""
        self.reactor.failures = 1
        self.allReady()
        [line] = self.logged()
        self.assertIn("no spare worker can be started: Too many open files; raise the limit", line)
        self.assertEqual(len(self.reactor.spawned), 2)
        for _ in range(int(STABLE_AFTER)):
            self.allReady()
            self.reactor.advance(1)
        self.assertEqual(self.reactor.spawned[2].messages, ["config"])

    def test_firstStartFails(self) -> None:
        """If no process can be started at all, the pool gives up."""
        self.reactor.failures = 2 * MAX_FAILED_STARTS
        pool = WorkerPool(self.reactor, 1, self.pool._prepare, self.fail, self.events.append)
        pool.start()
        self.reactor.pump([0.0, 0.5, 1.0])
        [event] = self.events
        self.assertIn("could not be started: Too many open files; raise the limit", event)
        self.assertNotIn("see the log", event)

    def test_giveUpOnce(self) -> None:
        """
        Once it has given up, the pool starts no more processes and reports no further failures,
        whether starts fail or workers end.
        """
        reactor = FakeProcessReactor()
        pool = WorkerPool(reactor, 7, self.pool._prepare, self.fail, self.events.append)
        reactor.failures = MAX_FAILED_STARTS - 1
        pool.start()
        self.assertEqual(len(reactor.spawned), 5)
        for process in reactor.spawned:
            process.end(1)
            reactor.advance(1)
        self.assertEqual((len(self.events), len(reactor.spawned), pool.restarts), (1, 5, 1))
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.successResultOf(pool.drain(DRAIN))

    def test_giveUpAtOnce(self) -> None:
        """If the first starts fail, the workers after them are not tried."""
        reactor = FakeProcessReactor()
        pool = WorkerPool(reactor, 7, self.pool._prepare, self.fail, self.events.append)
        reactor.failures = MAX_FAILED_STARTS
        pool.start()
        self.assertEqual((len(self.events), reactor.spawned), (1, []))
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_hangs(self) -> None:
        """A worker whose reports stop is not ready, then killed, and replaced."""
        self.allReady()
        first, second, spare = self.reactor.spawned
        self.reactor.advance(SILENT_AFTER - 1)
        report(second, snapshot=snapshotOf(1))
        self.reactor.advance(1)
        self.assertEqual((self.pool.running, self.pool.isReady), (1, False))
        for _ in range(int(HUNG_AFTER - SILENT_AFTER)):
            self.assertEqual(first.signals, [])
            self.reactor.advance(1)
            report(second, snapshot=snapshotOf(1))
        self.assertEqual((first.signals, second.signals), ([signal.SIGKILL], []))
        first.end(None, signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual(spare.messages, ["config", "assignment 0"])
        self.assertEqual(
            self.logged(),
            [
                "worker 0 has not reported for 3 s",
                "worker 0 hangs and is killed",
                "worker 0 was killed by signal 9",
            ],
        )

    def test_reportsAgain(self) -> None:
        """A worker that was only late is ready again."""
        self.allReady()
        self.reactor.advance(SILENT_AFTER)
        self.assertEqual(self.pool.running, 0)
        for process in self.reactor.spawned[:2]:
            report(process, snapshot=snapshotOf(1))
        self.assertEqual(self.pool.running, 2)
        self.assertEqual(self.logged()[-1], "worker 1 reports again")

    def test_supervisorStopped(self) -> None:
        """While the supervisor itself was stopped, no report is missed."""
        self.allReady()
        self.reactor.advance(100.0)
        for process in self.reactor.spawned:
            report(process, snapshot=snapshotOf(1))
        self.reactor.advance(1)
        self.assertEqual((self.pool.running, self.logged()), (2, []))

    def test_startHangs(self) -> None:
        """A worker that never becomes ready is killed, and another one started."""
        first = self.reactor.spawned[0]
        self.reactor.advance(START_TIMEOUT)
        self.reactor.advance(0)
        self.assertEqual(first.signals, [signal.SIGKILL])
        first.end(None, signal.SIGKILL)
        self.reactor.advance(0)
        self.assertEqual(self.processesOf(0), [self.reactor.spawned[2]])

    def test_acceptWhileStarting(self) -> None:
        """Before a stop, workers whose start is delayed are started at once, and waited for."""
        self.allReady()
        for _ in range(2):
            self.processesOf(1)[0].end(1)
            self.reactor.advance(0)
        self.assertEqual(self.processesOf(1), [])
        accepted = self.acceptWaiting()
        last = self.reactor.spawned[-1]
        self.assertEqual(last.messages, ["config", "assignment 1", WorkerOrder.ACCEPT])
        report(self.reactor.spawned[0], accepted=True)
        self.assertNoResult(accepted)
        report(last, ready=True)
        report(last, accepted=True)
        self.successResultOf(accepted)
        self.assertEqual(len(self.reactor.spawned), 4)

    def test_diesBeforeAccepting(self) -> None:
        """A worker that dies at a stop, before or after its report, is replaced and waited for."""
        self.allReady()
        accepted = self.acceptWaiting()
        first, second, spare = self.reactor.spawned
        report(first, accepted=True)
        first.end(None, signal.SIGKILL)
        report(second, accepted=True)
        self.reactor.advance(0)
        self.assertEqual(spare.messages, ["config", "assignment 0", WorkerOrder.ACCEPT])
        self.assertNoResult(accepted)
        report(spare, accepted=True)
        self.successResultOf(accepted)
        self.assertTrue(self.pool.isClean)

    def test_hangsBeforeAccepting(self) -> None:
        """One that hangs at a stop is killed soon and replaced, which is not a clean stop."""
        self.allReady()
        accepted = self.acceptWaiting()
        first, second, spare = self.reactor.spawned
        report(first, accepted=True)
        for _ in range(int(SILENT_AFTER)):
            report(first, snapshot=snapshotOf(1))
            self.assertEqual(second.signals, [])
            self.reactor.advance(1)
        self.reactor.advance(0)
        self.assertEqual(second.signals, [signal.SIGKILL])
        second.end(None, signal.SIGKILL)
        self.reactor.advance(0)
        report(spare, accepted=True)
        self.successResultOf(accepted)
        self.assertFalse(self.pool.isClean)

    def test_cannotAccept(self) -> None:
        """A stop does not wait for a worker that cannot be started."""
        self.allReady()
        self.reactor.spawned[2].end(1)
        accepted = self.acceptWaiting()
        first, second = self.reactor.spawned[:2]
        second.end(None, signal.SIGKILL)
        self.reactor.failures = 1
        report(first, accepted=True)
        self.assertNoResult(accepted)
        self.reactor.advance(0)
        self.successResultOf(accepted)

    def test_neverAccepts(self) -> None:
        """A stop does not wait for long, and that time is part of the drain."""
        accepted = self.acceptWaiting()
        self.reactor.advance(ACCEPT_TIMEOUT)
        self.reactor.advance(0)
        self.successResultOf(accepted)
        self.pool.drain(DRAIN)
        self.reactor.advance(DRAIN + STOP_GRACE - ACCEPT_TIMEOUT - 0.1)
        self.assertEqual(self.reactor.spawned[0].signals, [])
        self.reactor.pump([0.1, 0])
        self.assertEqual(self.reactor.spawned[0].signals, [signal.SIGKILL])

    def test_drain(self) -> None:
        """A drain is an order to all workers, and is over when all have ended."""
        self.allReady()
        self.accepted()
        drains = [self.pool.drain(DRAIN), self.pool.drain(DRAIN)]
        for process in self.reactor.spawned[:2]:
            self.assertNoResult(drains[0])
            self.assertEqual((process.messages[-1], process.signals), (WorkerOrder.DRAIN, []))
            process.end()
        for drain in drains:
            self.successResultOf(drain)
        self.assertEqual((self.pool.isClean, self.reactor.getDelayedCalls()), (True, []))
        self.assertEqual(self.logged(), [])
        self.successResultOf(self.pool.drain(DRAIN))

    def test_drainHangs(self) -> None:
        """A worker that does not end in time is killed, which is not a clean stop."""
        self.allReady()
        self.accepted()
        self.pool.drain(DRAIN)
        self.pool.stopAtOnce()
        first, second, _ = self.reactor.spawned
        second.end()
        self.reactor.advance(STOP_GRACE)
        self.assertEqual(first.messages[-2:], [WorkerOrder.DRAIN, WorkerOrder.STOP])
        self.assertEqual(first.signals, [signal.SIGKILL])
        first.end(None, signal.SIGKILL)
        self.assertFalse(self.pool.isClean)
        self.assertEqual(
            self.logged(), ["worker 0 hangs and is killed", "worker 0 was killed by signal 9"]
        )

    def test_stopBeforeDrain(self) -> None:
        """An order to end the drains that comes before them is sent when they begin, at once."""
        self.allReady()
        self.pool.stopAtOnce()
        first, second, spare = self.reactor.spawned
        self.assertEqual(first.messages[-1], "assignment 0")
        accepted = self.acceptWaiting()
        spare.end(None, signal.SIGKILL)
        self.successResultOf(accepted)
        self.pool.drain(DRAIN)
        for process in (first, second):
            self.assertEqual(process.messages[-2:], [WorkerOrder.DRAIN, WorkerOrder.STOP])
            process.end()

    def test_stopWhileAccepting(self) -> None:
        """Such an order ends the wait for workers that accept the waiting clients."""
        accepted = self.acceptWaiting()
        self.assertNoResult(accepted)
        self.pool.stopAtOnce()
        self.successResultOf(accepted)

    def test_giveUpWhileAccepting(self) -> None:
        """So does the end of a pool whose workers cannot start."""
        self.reactor.spawned[0].end(1)
        accepted = self.acceptWaiting()
        self.reactor.failures = 2
        self.reactor.spawned[1].end(1)
        self.reactor.pump([0.5, 0.5, 1])
        self.successResultOf(accepted)
        self.assertEqual(len(self.events), 1)
        self.successResultOf(self.acceptWaiting())

    def test_startHangsInDrain(self) -> None:
        """Neither is it if the worker was not ready yet: clients may wait in its queue."""
        self.pool.drain(DRAIN)
        self.reactor.spawned[1].end()
        self.reactor.advance(DRAIN + STOP_GRACE)
        self.reactor.spawned[0].end(None, signal.SIGKILL)
        self.assertFalse(self.pool.isClean)

    def test_drainAtStart(self) -> None:
        """During a start, a worker may end by the signal, and no further one is started."""
        self.reactor.spawned[0].end(1)
        drain = self.pool.drain(DRAIN)
        self.reactor.spawned[1].end(None, signal.SIGTERM)
        self.successResultOf(drain)
        self.assertEqual((len(self.reactor.spawned), self.pool.isClean), (2, True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_send(self) -> None:
        """A message is sent to all workers; one that has just ended is skipped."""
        self.reactor.spawned[0].inputClosed = True
        self.allReady()
        self.pool.send("news")
        first, second, spare = (process.messages for process in self.reactor.spawned)
        self.assertNotIn("news", [*first, *spare])
        self.assertEqual(second[-1], "news")

    def test_counters(self) -> None:
        """Counters are added up; connections of a dead worker are counted, but no longer open."""
        self.allReady()
        for process in self.reactor.spawned:
            report(process, snapshot=snapshotOf(3))
        self.reactor.spawned[0].end(1)
        [listener] = self.pool.counters.listeners()
        self.assertEqual((listener.counts.accepted, listener.counts.open), (6, 3))

    def test_malformedReport(self) -> None:
        """Malformed reports are logged and ignored; an unknown one is ignored."""
        process = self.reactor.spawned[0]
        for line in (b"{", b"3", b'{"snapshot": 3}', b"{}"):
            process.report(line)
        self.assertEqual(len(self.logged()), 3)
        self.assertRegex(self.logged()[0], "^worker 0 sent a malformed report: ")
        report(process, ready=True)
        self.assertEqual(self.pool.running, 1)
