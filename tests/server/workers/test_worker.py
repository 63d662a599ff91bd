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
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.childprocess import REPORT_DESCRIPTOR
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.runner import ForegroundRunner
from echoproto.server.workers import worker
from echoproto.server.workers.worker import (
    SNAPSHOT_INTERVAL,
    SupervisorPipe,
    WorkerAssignment,
    WorkerConfig,
    WorkerService,
    runWorker,
)
from tests.server.fakemachine import FakeMachine

SETTINGS = Settings([[Listener("echo", "tcp:7")]])

CONFIG = WorkerConfig(SETTINGS, "poll", "json", ForegroundRunner())


class WorkerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.pipe = SupervisorPipe(self.reactor)
        self.transport = StringTransport()
        self.pipe.makeConnection(self.transport)

    def reports(self) -> list[Any]:
        """The reports since the last call."""
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(line) for line in lines]


class WorkerServiceTests(WorkerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.observer = EventLoggingObserver.createWithCleanup(
            cast(TestCase, self), globalLogPublisher
        )
        self.service = WorkerService(self.reactor, SETTINGS, self.pipe, FakeMachine().machine())
        self.service.privilegedStartService()
        self.service.startService()
        self.reactor.run()

    def test_ready(self) -> None:
        """It reports when it serves, then a snapshot every second; it does not announce its
        listeners."""
        ready, first = self.reports()
        self.assertEqual(ready, {"ready": True})
        self.assertEqual(list(first["snapshot"]["listeners"]), ["echo\ntcp :0"])
        self.reactor.advance(SNAPSHOT_INTERVAL)
        self.assertEqual(len(self.reports()), 1)
        self.assertFalse(
            [event for event in self.observer if "listening" in (formatEvent(event) or "")]
        )

    def test_reload(self) -> None:
        """It reports only once that it is ready, even after a reload."""
        self.reports()
        self.service._reload()
        self.assertEqual(self.reports(), [])

    def test_stop(self) -> None:
        """When it has drained it reports a last snapshot, and leaves nothing scheduled; it may be
        stopped twice."""
        self.reports()
        self.successResultOf(self.service.stopService())
        [last] = self.reports()
        self.assertIn("snapshot", last)
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class RunWorkerTests(WorkerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def setInput(self, *messages: object) -> None:
        """Send these messages to its standard input, and close it."""
        stream = io.BytesIO(b"".join(map(pickle.dumps, messages)))
        self.patch(sys, "stdin", mock.Mock(buffer=stream))

    def test_run(self) -> None:
        """It serves its assignment, closes the sockets of other workers, and ignores Ctrl-C."""
        reading, writing = os.pipe()
        self.setInput(CONFIG, WorkerAssignment(SETTINGS.groups, [reading, writing]))
        with (
            mock.patch.object(worker, "installReactor", return_value=self.reactor) as install,
            mock.patch.object(worker, "startLog") as log,
            mock.patch.object(stdio, "StandardIO") as pipes,
            mock.patch.object(ForegroundRunner, "run", return_value=0) as run,
        ):
            self.assertEqual(runWorker(), 0)
        for descriptor in (reading, writing):
            with self.assertRaises(OSError):
                os.close(descriptor)
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        install.assert_called_once_with("poll")
        log.assert_called_once_with("json", isShared=True)
        self.assertEqual(pipes.call_args[1]["stdout"], REPORT_DESCRIPTOR)
        self.assertIsInstance(run.call_args[0][1], WorkerService)

    def test_neverAssigned(self) -> None:
        """If the supervisor ends before it sends an assignment, the status is 0."""
        with (
            mock.patch.object(worker, "installReactor"),
            mock.patch.object(worker, "startLog"),
        ):
            for messages in ([], [CONFIG]):
                self.setInput(*messages)
                self.assertEqual(runWorker(), 0)
