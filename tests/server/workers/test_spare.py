from __future__ import annotations

import signal
from errno import EAGAIN
from os import strerror
from typing import Any, cast

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.server.workers.restarts import STABLE_AFTER
from echoproto.server.workers.spare import Spare
from echoproto.server.workers.workerprocess import HUNG_AFTER, SILENT_AFTER, WorkerProcess
from tests.fakeprocesses import FakeProcessReactor


class SpareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.failures = 0
        self.spare = Spare(self.reactor, self.spawn)
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )

    def spawn(self) -> WorkerProcess:
        if self.failures:
            self.failures -= 1
            raise OSError(EAGAIN, strerror(EAGAIN))
        worker = WorkerProcess(
            self.reactor, lambda worker, line: None, lambda worker, how, isClean: self.exited(how)
        )
        reactor: Any = self.reactor
        worker.spawn(reactor, "module", "function")
        return worker

    def exited(self, how: str) -> None:
        self.spare.exited()

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.observer]

    def test_take(self) -> None:
        """It is started once, and taken once."""
        self.assertIsNone(self.spare.take())
        self.spare.start()
        self.spare.start()
        [process] = self.reactor.spawned
        taken = self.spare.take()
        assert taken is not None
        self.assertIs(taken.transport, process)
        self.assertIsNone(self.spare.take())

    def test_ends(self) -> None:
        """When it ends, another one is started later, or at once on demand."""
        self.spare.start()
        self.reactor.spawned[0].end(1)
        self.reactor.advance(STABLE_AFTER)
        self.assertEqual(len(self.reactor.spawned), 2)
        self.reactor.spawned[1].end(1)
        self.spare.start()
        self.assertEqual(len(self.reactor.spawned), 3)
        self.reactor.spawned[2].end(1)
        self.spare.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotStart(self) -> None:
        """If it cannot be started, that is logged and tried again later."""
        self.failures = 1
        self.spare.start()
        [line] = self.logged()
        self.assertIn(f"no spare worker can be started: {strerror(EAGAIN)}; raise", line)
        self.reactor.advance(STABLE_AFTER)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_hangs(self) -> None:
        """One that stops to report is not taken, but killed."""
        self.spare.start()
        [process] = self.reactor.spawned
        process.report(b"spare")
        self.reactor.pump([1] * (int(SILENT_AFTER) + 1))
        self.assertIsNone(self.spare.take())
        self.reactor.pump([1] * int(HUNG_AFTER - SILENT_AFTER + 1))
        self.assertEqual(process.signals, [signal.SIGKILL])
        process.end(None, signal.SIGKILL)
        self.assertEqual(
            self.logged(),
            [
                "the spare worker has not reported for 3 s",
                "the spare worker hangs and is killed",
                "the spare worker was killed by signal 9",
            ],
        )

    def test_stop(self) -> None:
        """At a stop it is killed without a word, and no other one is started."""
        self.spare.start()
        [process] = self.reactor.spawned
        stopped, again = self.spare.stop(), self.spare.stop()
        self.assertEqual(process.signals, [signal.SIGKILL])
        self.assertIs(stopped, again)
        self.assertNoResult(stopped)
        process.end(None, signal.SIGKILL)
        self.successResultOf(stopped)
        self.spare.start()
        self.assertEqual((len(self.reactor.spawned), self.logged()), (1, []))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopWithout(self) -> None:
        """A stop without a spare is over at once, and cancels the next start."""
        self.failures = 1
        self.spare.start()
        self.successResultOf(self.spare.stop())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_endsAtStop(self) -> None:
        """A spare that ends by itself just when it is killed is reported once."""
        self.spare.start()
        stopped = self.spare.stop()
        self.reactor.spawned[0].end(1)
        self.successResultOf(stopped)
        self.assertEqual(self.logged(), [])
