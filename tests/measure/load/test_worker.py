from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any

from twisted.internet import stdio
from twisted.internet.defer import fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.target import Target
from echoproto.errors import ConnectionClosed, TargetError
from echoproto.measure.load import worker as workerModule
from echoproto.measure.load.messages import ALIVE_INTERVAL, FINISH, GO, LoadReport
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.worker import LoadWorker, runLoadWorker
from echoproto.processes.childprocess import IGNORED_SIGNALS, encodeMessage
from echoproto.protocols.echo import EchoFactory
from echoproto.testing import endpointTo
from echoproto.text.units import SECOND
from tests.cli.commandcase import RunningReactor
from tests.fakeprocesses import standardInput
from tests.measure.load.assignments import makeAssignment

GO_MESSAGE = encodeMessage(GO)
FINISH_MESSAGE = encodeMessage(FINISH)


class ClosingTransport(StringTransport):
    """A transport that reports its close to its protocol."""

    protocol: Any

    def loseConnection(self) -> None:
        super().loseConnection()
        self.protocol.connectionLost()


class LoadWorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = RunningReactor()
        self.reactor.running = True
        self.endpoint, self.pairs = endpointTo(EchoFactory(self.reactor))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: self.endpoint.connect(factory))
        self.addCleanup(self.abortConnections)

    def abortConnections(self) -> None:
        for pair in self.pairs:
            pair.client.abortConnection()
            pair.pump()

    def makeWorker(self, *arguments: Any, **values: Any) -> LoadWorker:
        self.transport = ClosingTransport()
        worker = LoadWorker(self.reactor, makeAssignment(*arguments, **values))
        self.transport.protocol = worker
        worker.makeConnection(self.transport)
        return worker

    def reports(self) -> list[LoadReport]:
        """The reports since the last call."""
        reports = [LoadReport.decode(line) for line in self.transport.value().splitlines()]
        self.transport.clear()
        return reports

    def test_load(self) -> None:
        """It reports that it is ready, sends when it may, and reports its counts and its result."""
        worker = self.makeWorker(plan=LoadPlan(connections=1, duration=None, count=3))
        self.assertEqual(self.reports(), [LoadReport()])
        self.assertEqual(self.pairs, [])
        worker.dataReceived(GO_MESSAGE)
        for _ in range(5):
            self.pairs[0].pump()
        second, last = self.reports()
        assert second.counts is not None and last.result is not None
        self.assertEqual((second.counts.sent, last.result.received), (3, 3))
        self.assertTrue(self.reactor.stopped)

    def test_alive(self) -> None:
        """Until it ends it reports every second that it runs."""
        worker = self.makeWorker()
        self.reports()
        self.reactor.advance(ALIVE_INTERVAL)
        self.assertEqual(self.reports(), [LoadReport(isAlive=True)])
        worker.readConnectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_openLoop(self) -> None:
        """In an open loop it has send times, which are not in its result."""
        worker = self.makeWorker(plan=LoadPlan(connections=1, duration=SECOND, rate=10.0))
        worker.dataReceived(GO_MESSAGE)
        worker.dataReceived(FINISH_MESSAGE)
        self.reactor.advance(LoadPlan().timeout / SECOND)
        [*_, last] = self.reports()
        assert last.result is not None
        self.assertEqual((last.result.plan.times, last.result.plan.open), (None, True))

    def test_finish(self) -> None:
        """At an early end it waits for replies; when its input is closed it ends at once."""
        worker = self.makeWorker(plan=LoadPlan(connections=1, duration=SECOND))
        worker.dataReceived(GO_MESSAGE)
        worker.dataReceived(FINISH_MESSAGE)
        self.assertIsNone(self.reports()[-1].result)
        worker.readConnectionLost()
        result = self.reports()[-1].result
        assert result is not None
        self.assertEqual((result.sent, result.lost), (1, 1))

    def test_refused(self) -> None:
        """If the server refuses connections, it reports that."""
        self.patch(self.endpoint, "connect", lambda factory: fail(ConnectionRefusedError()))
        self.makeWorker().dataReceived(GO_MESSAGE)
        error = self.reports()[-1].error
        self.assertIsInstance(error, ConnectionClosed)
        self.assertEqual(str(error), "refused: nothing listens there")
        self.assertTrue(self.reactor.stopped)

    def test_invalidTarget(self) -> None:
        """A target that cannot be used is reported; a message after that is ignored."""
        worker = self.makeWorker(target=Target("x", "endpoint", path="nonsense:"))
        worker.dataReceived(GO_MESSAGE)
        self.assertIsInstance(self.reports()[-1].error, TargetError)

    def test_fault(self) -> None:
        """If anything raises while a worker ends, it reports that and stops."""
        self.patch(LoadWorker, "_finished", lambda worker, result: 1 / 0)
        worker = self.makeWorker(plan=LoadPlan(connections=1, duration=None, count=1))
        worker.dataReceived(GO_MESSAGE)
        self.reports()
        for _ in range(3):
            self.pairs[0].pump()
        self.assertEqual(
            str(self.reports()[-1].error), "internal error: ZeroDivisionError('division by zero')"
        )
        self.assertTrue(self.reactor.stopped)

    def test_poolGone(self) -> None:
        """If the pool is gone or stops before it is ready, or reads no more, it ends."""
        finish = partial(LoadWorker.dataReceived, data=FINISH_MESSAGE)
        for call in (LoadWorker.readConnectionLost, LoadWorker.writeConnectionLost, finish):
            self.reactor.stopped = False
            call(LoadWorker(self.reactor, makeAssignment()))
            self.assertTrue(self.reactor.stopped)


class RunLoadWorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in IGNORED_SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def setInput(self, *messages: object) -> None:
        self.patch(sys, "stdin", standardInput(*messages))

    def test_noAssignment(self) -> None:
        """If the parent ends before it sends an assignment, the status is 0."""
        self.setInput()
        self.assertEqual(runLoadWorker(), 0)

    def test_run(self) -> None:
        """It runs its assignment on the pipes to its parent, and ignores Ctrl-C."""
        self.setInput(makeAssignment())
        reactor = RunningReactor()
        reactor.act = lambda turn: reactor.stop()
        self.patch(workerModule, "installClientReactor", lambda: reactor)
        made: list[Any] = []
        self.patch(stdio, "StandardIO", lambda worker, **named: made.append((worker, named)))
        self.assertEqual(runLoadWorker(), 0)
        [(worker, named)] = made
        self.assertIsInstance(worker, LoadWorker)
        self.assertEqual(named, {"stdin": 0, "stdout": 3, "reactor": reactor})
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
