from __future__ import annotations

import io
import pickle
import signal
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.runner import ForegroundRunner
from echoproto.server.systemd import Notifier
from echoproto.server.workers import sharedsockets as held
from echoproto.server.workers.pool import FAILED_STARTS
from echoproto.server.workers.supervisor import Supervisor
from echoproto.server.workers.worker import WorkerAssignment, WorkerConfig
from tests.server.fakemachine import FakeMachine
from tests.server.fakeprocesses import FakeProcesses
from tests.server.workers.test_pool import counted


class FakeSocket:
    """A socket of that number."""

    family, type = 2, 1

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number


@implementer(IListeningPort)
class FakeStreamPort:
    """What the held sockets are made of."""

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
        self.reactor = FakeProcesses()
        self.fake = FakeMachine()
        self.ports: list[FakeStreamPort] = []
        self.patch(held, "openStream", self._open)
        groups = [[Listener("echo", "tcp:7")], [Listener("status", "tcp:9100")]]
        self.supervisor = Supervisor(
            self.reactor,
            Settings(groups, waitWhenFull=True),
            2,
            lambda settings: WorkerConfig(settings, None, "text", ForegroundRunner()),
            self.fake.machine(),
            Notifier({}, 0),
        )
        self.supervisor.privilegedStartService()
        self.supervisor.startService()

    def _open(self, *arguments: Any) -> FakeStreamPort:
        self.ports.append(FakeStreamPort(40 + len(self.ports)))
        return self.ports[-1]

    def allReady(self) -> None:
        for each in self.reactor.spawned[:2]:
            each.report(ready=True)

    def test_orders(self) -> None:
        """Each worker is ordered to serve what was asked for, on its own sockets, without the status listener."""
        second = self.reactor.spawned[1]
        told = io.BytesIO(second.orders)
        orders: WorkerConfig = pickle.load(told)
        duty: WorkerAssignment = pickle.load(told)
        [[listener]] = duty.groups
        self.assertEqual((listener.service, listener.description), ("echo", "tcp:7"))
        assert listener.passed is not None
        self.assertEqual(second.childFDs[listener.passed.descriptor], 41)
        self.assertEqual([second.childFDs[each] for each in duty.others], [40])
        self.assertTrue(orders.settings.waitWhenFull)

    def test_ready(self) -> None:
        """It is ready when all workers are."""
        self.assertEqual(
            (self.supervisor.ready(), self.supervisor.notReadyReason()), (False, "starting")
        )
        self.allReady()
        self.assertTrue(self.supervisor.ready())

    def test_metrics(self) -> None:
        """The page has the sums, and how many workers there are."""
        self.allReady()
        for each in self.reactor.spawned[:2]:
            each.report(snapshot=counted(3))
        page = self.supervisor.metrics().decode()
        for line in (
            'echoproto_connections_accepted_total{listener="tcp here:7",service="echo"} 6.0',
            "echoproto_workers 2.0",
            "echoproto_worker_restarts_total 0.0",
        ):
            self.assertIn(line, page)

    def test_reload(self) -> None:
        """SIGHUP is passed on."""
        self.allReady()
        self.fake.signals[signal.SIGHUP]()
        self.assertEqual(
            [each.signals for each in self.reactor.spawned], [[signal.SIGHUP]] * 2 + [[]]
        )

    def test_stop(self) -> None:
        """When it is stopped its sockets are closed, the workers drain, and when they are over so is it."""
        self.allReady()
        done = self.supervisor.stopService()
        self.assertEqual([each.closed for each in self.ports], [True, True])
        self.assertEqual([each.signals for each in self.reactor.spawned], [[signal.SIGTERM]] * 3)
        self.allReady()
        self.assertFalse(self.supervisor.ready())
        self.fake.signals[signal.SIGTERM]()
        self.assertEqual(self.reactor.spawned[0].signals, [signal.SIGTERM] * 2)
        for each in self.reactor.spawned:
            self.assertNoResult(done)
            each.end()
        self.successResultOf(done)
        self.assertEqual(self.supervisor.exitStatus, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_giveUp(self) -> None:
        """When no worker can be started it says so, stops and ends with 1."""
        for _ in range(FAILED_STARTS):
            self.reactor.spawned[-1].end(1)
            self.reactor.advance(1)
        self.assertTrue(self.reactor.stopped)
        self.assertIn("workers cannot start", self.fake.complaints[0])
        self.assertEqual(self.supervisor.exitStatus, 1)

    def test_killed(self) -> None:
        """When a worker had to be killed the exit status is 1."""
        self.allReady()
        self.supervisor.stopService()
        for each in self.reactor.spawned:
            each.end(None, signal.SIGKILL)
        self.assertEqual(self.supervisor.exitStatus, 1)
