from __future__ import annotations

import io
import json
import os
import pickle
import signal
import sys
from typing import Any, cast
from unittest import mock

from twisted.internet import stdio
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from echoproto.childprocess import REPORTS
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.runner import ForegroundRunner
from echoproto.server.workers import worker
from echoproto.server.workers.worker import (
    SNAPSHOT_INTERVAL,
    SupervisorPipe,
    WorkerAssignment,
    WorkerConfig,
    WorkerProgram,
    runWorker,
)
from tests.server.fakemachine import FakeMachine

SETTINGS = Settings([[Listener("echo", "tcp:7")]])

ORDERS = WorkerConfig(SETTINGS, "poll", "json", ForegroundRunner())


class WorkerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reports = SupervisorPipe(self.reactor)
        self.transport = StringTransport()
        self.reports.makeConnection(self.transport)

    def reported(self) -> list[Any]:
        """What was reported since the last time."""
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(each) for each in lines]


class ReportsTests(WorkerTestCase):
    def test_supervisorGone(self) -> None:
        """When the supervisor's end is closed we stop, once, whichever end is noticed first."""
        verifyObject(IHalfCloseableProtocol, self.reports)
        # Twisted before 25.5 says that a new reactor has stopped.
        self.reactor.running, self.reactor.hasStopped = True, False
        self.reports.writeConnectionLost()
        self.assertFalse(self.reactor.hasStopped)
        self.reports.readConnectionLost()
        self.assertTrue(self.reactor.hasStopped)
        self.reactor.running = self.reactor.hasStopped = False
        self.reports.connectionLost()
        self.assertFalse(self.reactor.hasStopped)


class WorkerProgramTests(WorkerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )
        self.program = WorkerProgram(self.reactor, SETTINGS, self.reports, FakeMachine().machine())
        self.program.privilegedStartService()
        self.program.startService()
        self.reactor.run()

    def test_ready(self) -> None:
        """It tells when it serves, then its figures every second; and does not announce its listeners."""
        ready, first = self.reported()
        self.assertEqual(ready, {"ready": True})
        self.assertEqual(list(first["snapshot"]["listeners"]), ["echo\ntcp :0"])
        self.reactor.advance(SNAPSHOT_INTERVAL)
        self.assertEqual(len(self.reported()), 1)
        self.assertFalse(
            [each for each in self.observer if "listening" in (formatEvent(each) or "")]
        )

    def test_reload(self) -> None:
        """It is ready once, also when it has read its certificates again."""
        self.reported()
        self.program._reload()
        self.assertEqual(self.reported(), [])

    def test_stop(self) -> None:
        """When it has drained it tells its last figures, and leaves nothing scheduled; also if it is stopped twice."""
        self.reported()
        self.successResultOf(self.program.stopService())
        [last] = self.reported()
        self.assertIn("snapshot", last)
        self.successResultOf(self.program.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class MainTests(WorkerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def tell(self, *told: object) -> None:
        """Give it these on its standard input, and the end."""
        stream = io.BytesIO(b"".join(map(pickle.dumps, told)))
        self.patch(sys, "stdin", mock.Mock(buffer=stream))

    def test_main(self) -> None:
        """
        It reads its orders from standard input, then its duty; closes what is not its own, and reports on a descriptor of its
        own. Ctrl-C is left to the supervisor.
        """
        reading, writing = os.pipe()
        self.tell(ORDERS, WorkerAssignment(SETTINGS.groups, [reading, writing]))
        with (
            mock.patch.object(worker, "installReactor", return_value=self.reactor) as install,
            mock.patch.object(worker, "startLog") as log,
            mock.patch.object(stdio, "StandardIO") as pipes,
            mock.patch.object(ForegroundRunner, "run", return_value=0) as run,
        ):
            self.assertEqual(runWorker(), 0)
        for each in (reading, writing):
            with self.assertRaises(OSError):
                os.close(each)
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        install.assert_called_once_with("poll")
        log.assert_called_once_with("json")
        self.assertEqual(pipes.call_args[1]["stdout"], REPORTS)
        self.assertIsInstance(run.call_args[0][1], WorkerProgram)

    def test_neverNeeded(self) -> None:
        """It ends, all well, when the supervisor has ended before there was anything to do."""
        with (
            mock.patch.object(worker, "installReactor"),
            mock.patch.object(worker, "startLog"),
        ):
            for told in ([], [ORDERS]):
                self.tell(*told)
                self.assertEqual(runWorker(), 0)

    def test_malformed(self) -> None:
        """A malformed configuration ends it."""
        self.patch(sys, "stdin", mock.Mock(buffer=io.BytesIO(b"nonsense")))
        with self.assertRaises(pickle.UnpicklingError):
            runWorker()
