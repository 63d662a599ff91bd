from __future__ import annotations

import signal
from typing import Any, cast
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.server.notifier import Notifier
from echoproto.server.privileges import Identity
from echoproto.server.workers import sharedsockets
from echoproto.server.workers.restarts import MAX_FAILED_STARTS
from echoproto.server.workers.supervisor import Supervisor
from echoproto.server.workers.worker import WorkerAssignment, WorkerConfig, WorkerOrder
from tests.fakeprocesses import FakeProcessReactor
from tests.server.fakemachine import FakeMachine
from tests.server.workers.test_pool import report, snapshotOf


class FakeSocket:
    """A socket with this descriptor."""

    family, type = 2, 1

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def setsockopt(self, *arguments: int) -> None:
        pass


@implementer(IListeningPort)
class FakeStreamPort:
    """A port with such a socket."""

    def __init__(self, number: int) -> None:
        self.socket = FakeSocket(number)
        self.closed = False

    def stopReading(self) -> None:
        pass

    def startListening(self) -> None:
        raise NotImplementedError

    def stopListening(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)

    def getHost(self) -> Any:
        return None


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.fake = FakeMachine()
        self.ports: list[FakeStreamPort] = []
        self.patch(sharedsockets, "openStream", self._open)
        groups = [[Listener("echo", "tcp:7")], [Listener("status", "tcp:9100")]]
        self.supervisor = self.started(self.reactor, Settings(groups, waitWhenFull=True))

    def started(self, reactor: Any, settings: Settings) -> Supervisor:
        supervisor = Supervisor(
            reactor,
            settings,
            2,
            lambda settings: WorkerConfig(settings, None, "text", Identity()),
            self.fake.machine(),
            Notifier({}, 0),
        )
        supervisor.privilegedStartService()
        supervisor.startService()
        return supervisor

    def _open(self, *arguments: Any) -> FakeStreamPort:
        self.ports.append(FakeStreamPort(40 + len(self.ports)))
        return self.ports[-1]

    def allReady(self) -> None:
        for process in self.reactor.spawned[:2]:
            report(process, ready=True)

    def accepted(self) -> None:
        """All workers report that they have accepted the waiting clients, and the spare ends."""
        for process in self.reactor.spawned:
            if not process.hasEnded and len(process.messages) > 1:
                self.assertEqual(process.messages[-1], WorkerOrder.ACCEPT)
                report(process, accepted=True)
        for process in self.reactor.spawned:
            if process.signals:
                process.end(None, signal.SIGKILL)

    def test_messages(self) -> None:
        """Each worker is to serve the listeners on its own sockets, without the status listener."""
        second = self.reactor.spawned[1]
        config: WorkerConfig
        assignment: WorkerAssignment
        config, assignment = second.messages
        [[listener]] = assignment.groups
        self.assertEqual((listener.service, listener.description), ("echo", "tcp:7"))
        assert listener.passed is not None
        self.assertEqual(second.childFDs[listener.passed.descriptor], 41)
        self.assertEqual([second.childFDs[other] for other in assignment.others], [40])
        self.assertTrue(config.settings.waitWhenFull)

    def test_ready(self) -> None:
        """It is ready when all workers are."""
        self.assertEqual(
            (self.supervisor.ready(), self.supervisor.notReadyReason()), (False, "starting")
        )
        self.allReady()
        self.assertTrue(self.supervisor.ready())

    def test_metrics(self) -> None:
        """The metrics are the sums over all workers, and include the number of workers."""
        self.allReady()
        for process in self.reactor.spawned[:2]:
            report(process, snapshot=snapshotOf(3))
        page = self.supervisor.metrics().decode()
        for line in (
            'echoproto_connections_accepted_total{listener="tcp here:7",service="echo"} 6.0',
            "echoproto_workers 2.0",
            "echoproto_worker_restarts_total 0.0",
        ):
            self.assertIn(line, page)

    def test_reload(self) -> None:
        """SIGHUP reads the certificates, and sends their contents to the workers."""
        self.allReady()
        loaded = [TLSFiles("cert.pem", "key.pem", contents={"cert.pem": b"C", "key.pem": b"K"})]
        self.patch(ListenerService, "certificates", mock.Mock(loaded=lambda: loaded))
        self.fake.signals[signal.SIGHUP]()
        first, second, spare = self.reactor.spawned
        for process in (first, second):
            self.assertEqual(process.messages[-1][0].contents, loaded[0].contents)
        self.assertEqual(len(spare.messages), 1)

    def test_stop(self) -> None:
        """
        Stopped, it closes its sockets when the workers have accepted the waiting clients, and
        drains the workers; it ends when they have ended.
        """
        self.allReady()
        stopped = self.supervisor.stopService()
        self.assertEqual([port.closed for port in self.ports], [False, False])
        self.accepted()
        self.assertEqual([port.closed for port in self.ports], [True, True])
        for process in self.reactor.spawned[:2]:
            self.assertEqual(process.messages[-1], WorkerOrder.DRAIN)
        self.allReady()
        self.assertFalse(self.supervisor.ready())
        self.fake.signals[signal.SIGTERM]()
        self.assertEqual(self.reactor.spawned[0].messages[-1], WorkerOrder.STOP)
        for process in self.reactor.spawned[:2]:
            self.assertNoResult(stopped)
            process.end()
        self.successResultOf(stopped)
        self.assertEqual(self.supervisor.exitStatus, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lameDuck(self) -> None:
        """In the lame-duck time, which is the supervisor's alone, the workers go on serving."""
        self.supervisor._lameDuck = 3.0
        self.allReady()
        stopped = self.supervisor.stopService()
        self.assertEqual(self.supervisor.notReadyReason(), "stopping")
        self.reactor.spawned[0].end(1)
        self.reactor.advance(0)
        self.assertIsInstance(self.reactor.spawned[2].messages[-1], WorkerAssignment)
        for process in self.reactor.spawned[1:]:
            self.assertNotIn(WorkerOrder.DRAIN, process.messages)
            self.assertEqual(process.messages[0].settings.lameDuck, 0)
        self.reactor.advance(3)
        self.accepted()
        for process in self.reactor.spawned[1:]:
            self.assertEqual(process.messages[-1], WorkerOrder.DRAIN)
            process.end()
        self.successResultOf(stopped)

    def test_totals(self) -> None:
        """The totals at the end are the sums over all workers."""
        log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)
        self.allReady()
        self.supervisor.stopService()
        self.accepted()
        for process in self.reactor.spawned[:2]:
            report(process, snapshot=snapshotOf(3))
            process.end()
        [line] = [formatEvent(event) for event in log if event.get("event") == "closed"]
        self.assertIn("echo on tcp here:7 closed: 6 connections; ended: 6 lost;", line)

    def test_stopWhileReplacing(self) -> None:
        """A worker that waits to be replaced is replaced before the sockets are closed, so that it
        serves the clients in its queue."""
        self.allReady()
        for process in (self.reactor.spawned[0], self.reactor.spawned[2]):
            process.end(1)
            self.reactor.advance(0)
        stopped = self.supervisor.stopService()
        replacement = self.reactor.spawned[-1]
        self.assertEqual(len(replacement.messages), 3)
        self.accepted()
        self.assertEqual(replacement.messages[-1], WorkerOrder.DRAIN)
        self.assertNotIn(-1, replacement.childFDs.values())
        for process in self.reactor.spawned:
            if not process.hasEnded:
                process.end()
        self.successResultOf(stopped)

    def test_giveUp(self) -> None:
        """If the workers cannot be started, it reports that, stops, and its exit status is 1."""
        for _ in range(MAX_FAILED_STARTS):
            self.reactor.spawned[-1].end(1)
            self.reactor.advance(1)
        self.assertTrue(self.reactor.stopped)
        self.assertIn("workers cannot start", self.fake.complaints[0])
        self.assertEqual(self.supervisor.exitStatus, 1)

    def test_giveUpBeforeRunning(self) -> None:
        """It may give up before the reactor runs, and then stops it as soon as it runs."""
        reactor = FakeProcessReactor(isRunning=False)
        reactor.failures = MAX_FAILED_STARTS
        supervisor = self.started(reactor, Settings([[Listener("echo", "tcp:7")]]))
        reactor.advance(1)
        reactor.run()
        self.assertTrue(reactor.stopped)
        self.assertEqual((len(self.fake.complaints), supervisor.exitStatus), (1, 1))
        self.successResultOf(supervisor.stopService())
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_giveUpWhileStopping(self) -> None:
        """A reactor that a signal has stopped already is not stopped again."""
        self.reactor.stop()
        self.test_giveUp()

    def test_killed(self) -> None:
        """If a worker had to be killed, the exit status is 1."""
        self.allReady()
        self.supervisor.stopService()
        self.accepted()
        for process in self.reactor.spawned[:2]:
            process.end(None, signal.SIGKILL)
        self.assertEqual(self.supervisor.exitStatus, 1)
