from __future__ import annotations

import json
import os
import signal
import socket
import sys
from dataclasses import replace
from typing import Any, cast
from unittest import mock

from twisted.internet import stdio
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto.errors import StartupError
from echoproto.processes.childprocess import IGNORED_SIGNALS, REPORT_DESCRIPTOR, encodeMessage
from echoproto.processes.parentpipe import ParentPipe, receiveMessage
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.server.privileges import Identity
from echoproto.server.systemd import PassedSocket
from echoproto.server.workers import worker
from echoproto.server.workers.worker import (
    SNAPSHOT_INTERVAL,
    WorkerAssignment,
    WorkerConfig,
    WorkerOrder,
    WorkerService,
    runWorker,
)
from tests.fakeprocesses import standardInput
from tests.server.fakemachine import FakeMachine

SETTINGS = Settings([[Listener("echo", "tcp:7")]])

CONFIG = WorkerConfig(SETTINGS, "poll", "json", Identity(0, 0, (0,)))


class PipeTransport(StringTransport):
    """The pipes; all reports are written at once."""

    protocol: ParentPipe

    def loseWriteConnection(self) -> None:
        self.protocol.writeConnectionLost()


class WorkerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.pipe = ParentPipe(self.reactor)
        self.transport = PipeTransport()
        self.transport.protocol = self.pipe
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

    def send(self, message: object) -> None:
        self.pipe.dataReceived(encodeMessage(message))

    def test_drain(self) -> None:
        """The order to drain stops the reactor; the order to stop ends the drain after that."""
        self.reactor.running = True
        stopped: list[str] = []
        self.patch(self.reactor, "stop", lambda: stopped.append("drain"))
        self.patch(self.service.listeners, "stopAtOnce", lambda: stopped.append("stop"))
        self.send(WorkerOrder.DRAIN)
        self.send(WorkerOrder.STOP)
        self.assertEqual(stopped, ["drain"])
        self.service.stopService()
        self.reactor.advance(0)
        self.assertEqual(stopped, ["drain", "stop"])

    def test_accept(self) -> None:
        """The order to accept is reported when the waiting clients are accepted, and the server
        goes on."""
        self.reports()
        done: list[str] = []
        self.patch(self.service.listeners, "acceptWaiting", lambda: done.append("accepted"))
        self.patch(self.reactor, "stop", lambda: done.append("stopped"))
        self.send(WorkerOrder.ACCEPT)
        self.assertEqual((done, self.reports()), (["accepted"], [{"accepted": True}]))
        self.service.stopService()

    def test_inherited(self) -> None:
        """When the drain begins it closes its copies of inherited sockets, before the ports."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            descriptor = os.dup(listening.fileno())
        passed = PassedSocket(descriptor, "", socket.SOCK_STREAM, socket.AF_INET)
        settings = replace(SETTINGS, groups=[[Listener("echo", "tcp:7", passed=passed)]])
        service = WorkerService(self.reactor, settings, self.pipe, FakeMachine().machine())
        service.startService()
        os.fstat(descriptor)

        def drain() -> Deferred[None]:
            self.assertRaises(OSError, os.fstat, descriptor)
            return succeed(None)

        self.patch(service.listeners, "drain", drain)
        self.successResultOf(service.stopService())
        self.assertRaises(OSError, os.fstat, descriptor)

    def test_certificates(self) -> None:
        """It uses the certificates that the supervisor has read."""
        files = TLSFiles("cert.pem", "key.pem", contents={"cert.pem": b"C", "key.pem": b"K"})
        received: list[Any] = []
        self.patch(ListenerService, "certificates", mock.Mock(replace=received.append))
        self.send([files])
        [[loaded]] = received
        self.assertEqual(loaded.contents, files.contents)
        self.service.stopService()

    def test_signals(self) -> None:
        """It handles no signals: the supervisor does."""
        before = [signal.getsignal(number) for number in IGNORED_SIGNALS]
        service = WorkerService(self.reactor, replace(SETTINGS, groups=[]), self.pipe)
        service.privilegedStartService()
        service.startService()
        service.stopService()
        self.assertEqual([signal.getsignal(number) for number in IGNORED_SIGNALS], before)

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
        for number in IGNORED_SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def setInput(self, *messages: object) -> None:
        """Send these messages to its standard input, and close it."""
        self.patch(sys, "stdin", standardInput(*messages))
        self.patch(worker, "awaitMessage", self.awaitMessage)

    def awaitMessage(self, interval: float, report: bytes) -> Any:
        """Check that the spare reports every second."""
        self.assertEqual((interval, json.loads(report)), (SNAPSHOT_INTERVAL, {"spare": True}))
        return receiveMessage()

    def test_run(self) -> None:
        """It serves its assignment, closes the sockets of other workers, and ignores signals."""
        reading, writing = os.pipe()
        self.setInput(CONFIG, WorkerAssignment(SETTINGS.groups, [reading, writing]))
        with (
            mock.patch.object(worker, "installReactor", return_value=self.reactor) as install,
            mock.patch.object(worker, "startLog") as log,
            mock.patch.object(stdio, "StandardIO") as pipes,
            mock.patch.object(worker, "runForeground", return_value=0) as run,
        ):
            self.assertEqual(runWorker(), 0)
        for descriptor in (reading, writing):
            with self.assertRaises(OSError):
                os.close(descriptor)
        for number in IGNORED_SIGNALS:
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)
        install.assert_called_once_with("poll")
        log.assert_called_once_with("json", isShared=True)
        self.assertEqual(pipes.call_args[1]["stdout"], REPORT_DESCRIPTOR)
        service = run.call_args[0][1]
        self.assertIsInstance(service, WorkerService)
        self.assertEqual(service._identity, CONFIG.identity)
        self.assertEqual(run.call_args[1], {"handleSignals": False})

    def test_cannotServe(self) -> None:
        """
        A worker that cannot serve reports one line in one write, unless it is reported already; the
        status is 1.
        """
        reports: list[str] = []
        self.patch(worker, "reportStartupError", reports.append)
        with (
            mock.patch.object(worker, "installReactor", return_value=self.reactor),
            mock.patch.object(worker, "startLog"),
            mock.patch.object(stdio, "StandardIO"),
            mock.patch.object(worker, "runForeground") as run,
        ):
            for said in (False, True):
                self.setInput(CONFIG, WorkerAssignment(SETTINGS.groups, []))
                run.side_effect = StartupError("no such thing", said)
                self.assertEqual(runWorker(), 1)
        self.assertEqual(reports, ["no such thing"])

    def test_neverAssigned(self) -> None:
        """If the supervisor ends before it sends an assignment, the status is 0."""
        with (
            mock.patch.object(worker, "installReactor"),
            mock.patch.object(worker, "startLog"),
        ):
            for messages in ([], [CONFIG]):
                self.setInput(*messages)
                self.assertEqual(runWorker(), 0)
