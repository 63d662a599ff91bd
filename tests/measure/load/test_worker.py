from __future__ import annotations

import io
import pickle
import signal
import sys
from typing import Any

from twisted.internet import stdio
from twisted.internet.defer import fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed, TargetError
from echoproto.measure.load import worker as loadworker
from echoproto.measure.load.messages import GO, LoadReport
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.worker import LoadWorker, runLoadWorker
from echoproto.protocols.echo import EchoFactory
from echoproto.targets.target import Target
from echoproto.testing import endpointTo
from echoproto.units import SECOND
from tests.cli.commandcase import RunningReactor
from tests.measure.load.assignments import ordered


class Pipes(StringTransport):
    """Tells when it is closed."""

    def loseConnection(self) -> None:
        super().loseConnection()
        self.protocol.connectionLost()

    protocol: Any


class WorkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = RunningReactor()
        self.lab.running = True
        self.endpoint, self.pairs = endpointTo(EchoFactory(self.lab))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: self.endpoint.connect(factory))
        self.addCleanup(self.end)

    def end(self) -> None:
        for each in self.pairs:
            each.client.abortConnection()
            each.pump()

    def work(self, *arguments: Any, **values: Any) -> Any:
        self.pipes = Pipes()
        work = LoadWorker(self.lab, ordered(*arguments, **values))
        self.pipes.protocol = work
        work.makeConnection(self.pipes)
        return work

    def said(self) -> list[LoadReport]:
        found = [LoadReport.fromLine(each) for each in self.pipes.value().splitlines()]
        self.pipes.clear()
        return found

    def pump(self) -> None:
        for _ in range(5):
            self.pairs[0].pump()

    def test_work(self) -> None:
        """It is ready, begins when it is told, tells what it has counted and what became of it, and ends."""
        work = self.work(plan=LoadPlan(connections=1, duration=None, count=3))
        self.assertEqual(self.said(), [LoadReport()])
        self.assertEqual(self.pairs, [])
        work.dataReceived(GO)
        self.pump()
        second, last = self.said()
        assert second.counts is not None and last.result is not None
        self.assertEqual((second.counts.sent, last.result.received), (3, 3))
        self.assertTrue(self.lab.stopped)

    def test_open(self) -> None:
        """In an open loop it has times, which it does not tell."""
        work = self.work(rate=10.0, plan=LoadPlan(connections=1, duration=SECOND, rate=10.0))
        work.dataReceived(GO)
        work.readConnectionLost()
        self.lab.advance(LoadPlan().timeout / SECOND)
        [*_, last] = self.said()
        assert last.result is not None
        self.assertEqual((last.result.plan.times, last.result.plan.open), (None, True))

    def test_nobody(self) -> None:
        """Where nobody is there it says so."""
        self.patch(self.endpoint, "connect", lambda factory: fail(ConnectionRefusedError()))
        self.work().dataReceived(GO)
        error = self.said()[-1].error
        self.assertIsInstance(error, ConnectionClosed)
        self.assertEqual(str(error), "refused: nothing listens there")
        self.assertTrue(self.lab.stopped)

    def test_cannot(self) -> None:
        """What cannot be asked is an error of ours."""
        self.work(target=Target("x", "endpoint", path="nonsense:"))
        self.assertIsInstance(self.said()[-1].error, TargetError)

    def test_early(self) -> None:
        """When the command is gone before it is ready, or takes no more, it ends; once."""
        work = LoadWorker(self.lab, ordered())
        work.readConnectionLost()
        self.assertTrue(self.lab.stopped)
        self.lab.running = False
        self.lab.stopped = False
        work.writeConnectionLost()
        self.assertFalse(self.lab.stopped)


class MainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def orders(self, data: bytes) -> None:
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    def test_gone(self) -> None:
        """It ends if the parent has ended before there was an assignment."""
        self.orders(b"")
        self.assertEqual(runLoadWorker(), 0)

    def test_main(self) -> None:
        """It does as it is ordered, and leaves Ctrl-C to the command."""
        self.orders(pickle.dumps(ordered()))
        lab = RunningReactor()
        lab.act = lambda turn: lab.stop()
        self.patch(loadworker, "installReactor", lambda name: lab)
        made: list[Any] = []
        self.patch(stdio, "StandardIO", lambda work, **named: made.append((work, named)))
        self.assertEqual(runLoadWorker(), 0)
        [(work, named)] = made
        self.assertIsInstance(work, LoadWorker)
        self.assertEqual(named, {"stdin": 0, "stdout": 3, "reactor": lab})
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
