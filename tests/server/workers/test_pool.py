from __future__ import annotations

import signal
from typing import cast

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.childprocess import MAX_LINE_BYTES
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.histogram import Histogram
from echoproto.server.monitoring.looplag import BOUNDS
from echoproto.server.workers.aggregate import Snapshot, snapshot
from echoproto.server.workers.pool import (
    FAILED_STARTS,
    GRACE,
    STABLE_AFTER,
    Start,
    WorkerPool,
)
from tests.server.fakeprocesses import FakeProcess, FakeProcesses

DRAIN = 5.0


def counted(accepted: int) -> Snapshot:
    """A snapshot of a worker that has accepted so many connections, all open."""
    counts = ListenerCounters()
    counts.accepted = accepted
    return snapshot([MonitoredListener("echo", "tcp here:7", counts)], Histogram(BOUNDS))


class CrewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcesses()
        self.events: list[str] = []
        self.crew = WorkerPool(
            self.reactor,
            2,
            lambda: Start(b"orders ", {4: 40}, lambda number: b"duty %d" % number),
            lambda: self.events.append("ready"),
            self.events.append,
        )
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )
        self.crew.start()

    def logged(self) -> list[str]:
        return [formatEvent(each) for each in self.observer]

    def allReady(self) -> None:
        for each in self.reactor.spawned[:2]:
            each.report(ready=True)

    def on(self, number: int) -> list[FakeProcess]:
        """The process that is on duty as that worker, if there is one."""
        duty = b"orders duty %d" % number
        return [each for each in self.reactor.spawned if each.orders == duty and not each.over]

    def test_start(self) -> None:
        """Each worker gets its orders on its standard input, its sockets, and our outputs."""
        first, second = self.reactor.spawned
        self.assertEqual((first.orders, second.orders), (b"orders duty 0", b"orders duty 1"))
        self.assertEqual(second.childFDs, {0: "w", 1: 1, 2: 2, 3: "r", 4: 40})
        self.assertIn("from echoproto.server.workers.worker import runWorker", first.command[-1])

    def test_ready(self) -> None:
        """The crew is ready when each worker has said so."""
        self.reactor.spawned[0].report(ready=True)
        self.assertEqual((self.crew.running, self.crew.ready, self.events), (1, False, []))
        self.reactor.spawned[1].report(ready=True)
        self.assertEqual((self.crew.running, self.crew.ready, self.events), (2, True, ["ready"]))

    def test_restart(self) -> None:
        """A worker that dies is replaced at once, by the spare one; and that is counted and logged."""
        self.allReady()
        spare = self.reactor.spawned[2]
        self.assertEqual(spare.orders, b"orders ")
        self.reactor.spawned[1].end(None, signal.SIGKILL)
        self.assertEqual(self.logged(), ["worker 1 ended with signal 9"])
        self.reactor.advance(0)
        self.assertEqual(spare.orders, b"orders duty 1")
        self.assertEqual((self.crew.restarts, self.crew.ready), (1, False))
        self.assertEqual(len(self.reactor.spawned), 3)
        spare.report(ready=True)
        self.assertEqual([each.orders for each in self.reactor.spawned[3:]], [b"orders "])

    def test_spareEnds(self) -> None:
        """A spare that ends is logged, and replaced later; a worker that dies before is replaced by a new process."""
        self.allReady()
        self.reactor.spawned[2].report(snapshot=counted(1))
        self.assertEqual(self.crew.sums.watched(), [])
        self.reactor.spawned[2].end(None, signal.SIGKILL)
        self.assertEqual(self.logged(), ["the spare worker ended with signal 9"])
        self.reactor.spawned[0].end(1)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.spawned[3].orders, b"orders duty 0")
        self.reactor.advance(STABLE_AFTER)
        self.assertEqual(self.reactor.spawned[4].orders, b"orders ")
        self.reactor.spawned[3].report(ready=True)
        self.assertEqual(len(self.reactor.spawned), 5)
        self.assertEqual((self.crew.restarts, self.crew.ready), (1, True))

    def test_backoff(self) -> None:
        """One that dies soon after each start is started again after longer and longer times."""
        self.allReady()
        for delay in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0):
            self.on(1)[0].end(1)
            if delay:
                self.reactor.advance(delay - 0.1)
                self.assertEqual(self.on(1), [])
            self.reactor.advance(0.1 if delay else 0)
            self.on(1)[0].report(ready=True)
        self.reactor.advance(STABLE_AFTER)
        self.on(1)[0].end(1)
        self.reactor.advance(0)
        self.assertEqual(len(self.on(1)), 1)

    def test_giveUp(self) -> None:
        """When one start after another fails we give up, with one line that says so."""
        for _ in range(FAILED_STARTS):
            self.reactor.spawned[-1].end(1)
            self.reactor.advance(1)
        self.assertEqual(
            self.events, ["workers cannot start: 3 in a row ended with status 1; see the log above"]
        )
        self.assertEqual(len(self.reactor.spawned), 2 + FAILED_STARTS - 1)

    def test_drain(self) -> None:
        """A drain asks all to stop, and is over when all are."""
        self.allReady()
        done = self.crew.drain(DRAIN)
        again = self.crew.drain(DRAIN)
        for each in self.reactor.spawned:
            self.assertNoResult(done)
            self.assertEqual(each.signals, [signal.SIGTERM])
            each.end()
        self.successResultOf(done)
        self.successResultOf(again)
        self.assertEqual((self.crew.clean, self.reactor.getDelayedCalls()), (True, []))
        self.successResultOf(self.crew.drain(DRAIN))

    def test_drainHangs(self) -> None:
        """A worker that does not stop is killed some seconds after its drain should be over, which is no clean stop."""
        self.allReady()
        self.crew.drain(DRAIN)
        self.crew.stopAtOnce()
        first, second, spare = self.reactor.spawned
        second.end()
        spare.end(None, signal.SIGTERM)
        self.reactor.advance(DRAIN + GRACE)
        self.assertEqual(first.signals, [signal.SIGTERM, signal.SIGTERM, signal.SIGKILL])
        first.end(None, signal.SIGKILL)
        self.assertFalse(self.crew.clean)

    def test_drainAtStart(self) -> None:
        """Whoever is not ready yet ends by the signal, which is clean; who was to be started is not."""
        self.reactor.spawned[0].end(1)
        done = self.crew.drain(DRAIN)
        self.reactor.spawned[1].end(None, signal.SIGTERM)
        self.successResultOf(done)
        self.assertEqual((len(self.reactor.spawned), self.crew.clean), (2, True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reload(self) -> None:
        """All are told to reload; one that is over, and not reaped yet, is no trouble."""
        self.reactor.spawned[0].over = True
        self.allReady()
        self.crew.reload()
        self.assertEqual([each.signals for each in self.reactor.spawned], [[], [signal.SIGHUP], []])

    def test_sums(self) -> None:
        """What the workers count is summed; a dead one's connections are no longer open, but counted."""
        self.allReady()
        for each in self.reactor.spawned:
            each.report(snapshot=counted(3))
        self.reactor.spawned[0].end(1)
        [watched] = self.crew.sums.watched()
        self.assertEqual((watched.counts.accepted, watched.counts.open), (6, 3))

    def test_nonsense(self) -> None:
        """Reports that are none are logged and not counted; one without an end is dropped."""
        worker = self.reactor.spawned[0].protocol
        for line in (b"{", b"3", b'{"snapshot": 3}', b"{}"):
            worker.childDataReceived(3, line + b"\n")
        self.assertEqual(len(self.logged()), 3)
        worker.childDataReceived(3, b"x" * (MAX_LINE_BYTES + 1))
        worker.childDataReceived(3, b'{"ready": true}\n')
        self.assertEqual(self.crew.running, 1)
