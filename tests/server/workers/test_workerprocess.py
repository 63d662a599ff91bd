from __future__ import annotations

import signal
from typing import Any, cast

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.processes.childprocess import STOP_GRACE
from echoproto.server.workers.worker import WorkerOrder
from echoproto.server.workers.workerprocess import (
    HUNG_AFTER,
    SILENT_AFTER,
    START_TIMEOUT,
    WorkerProcess,
)
from tests.fakeprocesses import FakeProcess, FakeProcessReactor


class WorkerProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.events: list[tuple[object, ...]] = []
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )
        self.worker = WorkerProcess(
            self.reactor,
            lambda worker, line: self.events.append((worker.number, line)),
            lambda worker, how, isClean: self.events.append((worker.number, how, isClean)),
        )
        reactor: Any = self.reactor
        self.worker.spawn(reactor, "module", "function")

    @property
    def process(self) -> FakeProcess:
        return self.reactor.spawned[0]

    def assign(self) -> None:
        """Make the process worker 3."""
        assignment: Any = "assignment"
        self.worker.assign(3, assignment)

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.observer]

    def test_spare(self) -> None:
        """A process without an assignment must report, too."""
        self.process.report(b"spare")
        self.reactor.pump([1] * (int(HUNG_AFTER) + 2))
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.events, [(None, b"spare"), (None, "was killed by signal 9", False)])
        self.assertEqual(
            self.logged(),
            [
                "the spare worker has not reported for 3 s",
                "the spare worker hangs and is killed",
                "the spare worker was killed by signal 9",
            ],
        )
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_discard(self) -> None:
        """A discarded spare is killed without a word."""
        self.worker.discard()
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual((self.logged(), self.worker.hasHung), ([], False))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_assign(self) -> None:
        """A process that does not report in time after its start is killed."""
        self.reactor.advance(5)
        self.assign()
        self.assertEqual((self.process.messages, self.worker.assignedAt), (["assignment"], 5))
        self.reactor.advance(START_TIMEOUT - 6)
        self.assertEqual(self.process.signals, [])
        self.reactor.pump([1, 1, 1])
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.assertEqual(self.logged(), ["worker 3 hangs and is killed"])
        self.assertTrue(self.worker.hasHung)

    def test_silent(self) -> None:
        """A worker that stops to report is not ready until it reports again."""
        self.assign()
        self.worker.hasServed = True
        self.process.report(b"one")
        self.assertTrue(self.worker.isReady)
        self.reactor.pump([1] * (int(SILENT_AFTER) + 2))
        self.assertFalse(self.worker.isReady)
        self.process.report(b"two")
        self.assertTrue(self.worker.isReady)
        self.assertEqual(
            self.logged(), ["worker 3 has not reported for 3 s", "worker 3 reports again"]
        )

    def test_hangs(self) -> None:
        """A worker that stays silent is killed, and nothing is left scheduled at its end."""
        self.assign()
        self.process.report(b"one")
        self.reactor.pump([1] * (int(HUNG_AFTER) + 4))
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_assignedHangs(self) -> None:
        """A spare that stops to report and is assigned is killed after the same time."""
        self.process.report(b"spare")
        self.reactor.advance(1)
        self.assign()
        self.reactor.pump([1] * (int(HUNG_AFTER) + 1))
        self.assertEqual(self.process.signals, [signal.SIGKILL])

    def test_accept(self) -> None:
        """At a stop, a worker that reports nothing more is killed at once."""
        self.assign()
        self.worker.hasServed = True
        self.process.report(b"one")
        self.reactor.pump([1, 1])
        self.worker.accept()
        self.assertEqual(self.process.messages[-1], WorkerOrder.ACCEPT)
        self.reactor.pump([1, 1])
        self.assertEqual(self.process.signals, [])
        self.reactor.pump([1, 1])
        self.assertEqual(self.process.signals, [signal.SIGKILL])

    def test_acceptWhileStarting(self) -> None:
        """A worker that starts up meanwhile has its time."""
        self.process.report(b"spare")
        self.assign()
        self.worker.accept()
        self.reactor.pump([1] * (int(SILENT_AFTER) + 2))
        self.assertEqual(self.process.signals, [])

    def test_drain(self) -> None:
        """The end of a worker that drains is expected."""
        self.assign()
        self.worker.drain(5.0)
        self.reactor.pump([1, 1])
        self.process.report(b"one")
        self.assertEqual(self.process.messages[-1], WorkerOrder.DRAIN)
        self.process.end()
        self.assertEqual(self.events, [(3, b"one"), (3, "exited with status 0", True)])
        self.assertEqual((self.logged(), self.reactor.getDelayedCalls()), ([], []))

    def test_longDrain(self) -> None:
        """One that stops to report is killed long before the end of a long drain."""
        self.assign()
        self.worker.hasServed = True
        self.process.report(b"one")
        self.worker.accept()
        self.worker.drain(3600.0)
        self.process.report(b"one")
        self.reactor.pump([1] * (int(HUNG_AFTER) - 1))
        self.assertEqual(self.process.signals, [])
        self.reactor.pump([1, 1])
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopHangs(self) -> None:
        """The order to end a long drain is obeyed in time, too."""
        self.assign()
        self.worker.drain(3600.0)
        self.worker.stop()
        self.assertEqual(self.process.messages[-1], WorkerOrder.STOP)
        self.reactor.advance(STOP_GRACE)
        self.assertEqual(self.process.signals, [signal.SIGKILL])

    def test_drainHangs(self) -> None:
        """One that does not end in time is killed, and one that fails meanwhile is logged."""
        self.assign()
        self.worker.drain(5.0)
        self.reactor.advance(5.0 + STOP_GRACE)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(
            self.logged(), ["worker 3 hangs and is killed", "worker 3 was killed by signal 9"]
        )
