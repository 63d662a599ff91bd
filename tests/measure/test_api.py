from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.target import Target
from echoproto.errors import TargetError
from echoproto.measure import api
from echoproto.measure.api import (
    Fault,
    LoadPlan,
    PingPlan,
    PingResult,
    ProbeOutcome,
    load,
    ping,
    prepareLoad,
    preparePing,
    verify,
)
from echoproto.measure.ping.echoplus import EchoPlusStatistics
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.testing import DatagramWire, endpointTo
from tests.fakeprocesses import FakeProcessReactor

SECOND = 1_000_000_000


class PingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.seen: list[ProbeOutcome] = []

    def ping(self, **named: Any) -> Deferred[PingResult]:
        return ping(
            self.wire,
            "udp://127.0.0.1:7",
            onReply=self.seen.append,
            monotonicNs=lambda: round(self.wire.seconds() * SECOND),
            **named,
        )

    def test_api(self) -> None:
        """A program probes a server, and receives the result as values."""
        self.wire.listenUDP(7, EchoDatagramProtocol(self.wire))
        pinging = self.ping(
            plan=PingPlan(count=2, interval=SECOND // 10), size=100, session=b"test"
        )
        self.wire.deliverAll()
        self.wire.advance(0.1)
        self.wire.advance(0.01)
        self.wire.deliverAll()
        result = self.successResultOf(pinging)
        self.assertEqual((result.target, result.record.received), ("udp://127.0.0.1:7", 2))
        self.assertEqual([outcome.time for outcome in self.seen], [0, SECOND // 100])
        self.assertEqual([outcome.size for outcome in self.seen], [100, 100])
        self.assertEqual(len(self.wire.ports), 1)

    def test_udpPlus(self) -> None:
        """UDPEchoPlus is probed over UDP only, with probes that have room for its fields."""
        plan = PingPlan(count=1, mode="udp-plus")
        self.wire.listenUDP(7, EchoPlusDatagramProtocol(self.wire))
        pinging = self.ping(plan=plan)
        self.wire.deliverAll()
        self.assertIsInstance(self.successResultOf(pinging).record, EchoPlusStatistics)
        for target, size in (("udp://127.0.0.1:7", 43), ("tcp://127.0.0.1:7", 64)):
            failure = self.failureResultOf(ping(self.wire, target, plan, size=size), TargetError)
            self.assertIn("probes of 44 bytes or more", str(failure.value))

    def test_cancelled(self) -> None:
        """Without a count, a ping runs until it is cancelled, and has a result."""
        pinging = self.ping()
        self.wire.deliverAll()
        pinging.cancel()
        self.assertEqual(self.successResultOf(pinging).record.sent, 1)
        self.assertEqual([outcome.kind for outcome in self.seen], [OutcomeKind.LOST])

    def test_sessions(self) -> None:
        """Every run has its own session, so replies to one are foreign to another."""
        for _ in range(2):
            self.ping(size=20)
        first, second = (datagram.data for datagram in self.wire.pending)
        self.assertEqual(first[:4], second[:4])
        self.assertNotEqual(first[4:8], second[4:8])
        for port in list(self.wire.ports.values()):
            port.stopListening()

    def test_wrong(self) -> None:
        """An invalid target raises an exception; one that cannot be reached fails."""
        with self.assertRaises(ValueError):
            preparePing(self.wire, "lab1:port")
        failing = preparePing(self.wire, Target("", "unix", path="/x"), size=0)
        self.failureResultOf(failing, TargetError)


class VerifyTests(SynchronousTestCase):
    def test_api(self) -> None:
        """A program verifies a stream."""
        clock = Clock()
        endpoint, pairs = endpointTo(EchoFactory(clock))
        self.patch(TCP4ClientEndpoint, "connect", lambda self, factory: endpoint.connect(factory))
        found: list[Fault] = []
        verifying = verify(clock, "127.0.0.1:7", size=100_000, seed=7, onFault=found.append)
        pairs[0].pump()
        result = self.successResultOf(verifying)
        self.assertEqual((result.received, result.faults, found), (100_000, (), []))
        pairs[0].client.abortConnection()
        pairs[0].pump()

    def test_wrong(self) -> None:
        """UDP cannot be verified, as it is not a stream."""
        self.failureResultOf(verify(Clock(), Target("", "udp")), TargetError)


class LoadTests(SynchronousTestCase):
    def test_api(self) -> None:
        """A program loads a server with messages of random sizes in a range."""
        clock = Clock()
        endpoint, pairs = endpointTo(EchoFactory(clock))
        self.patch(TCP4ClientEndpoint, "connect", lambda self, factory: endpoint.connect(factory))
        loading = load(
            clock,
            "127.0.0.1:7",
            LoadPlan(connections=1, count=100, duration=None, sizes=(1, 9)),
            seed=7,
        )
        pairs[0].pump()
        result = self.successResultOf(loading)
        self.assertEqual((result.received, result.wrong), (100, 0))
        self.assertLess(abs(result.bytesSent - 500), 100)
        pairs[0].client.abortConnection()
        pairs[0].pump()

    def test_datagrams(self) -> None:
        """A load over UDP works; messages too small for a sequence number are an error."""
        wire = DatagramWire()
        wire.listenUDP(7, EchoDatagramProtocol(wire), "127.0.0.1")
        plan = LoadPlan(connections=1, count=100, duration=None)
        loading = load(wire, "udp://127.0.0.1:7", replace(plan, sizes=(8, 20)), seed=7)
        wire.deliverAll()
        result = self.successResultOf(loading)
        self.assertEqual((result.received, result.wrong, result.duplicates), (100, 0, 0))
        self.assertLess(abs(result.bytesSent - 1400), 200)
        for wrong in (replace(plan, sizes=(7, 20)), replace(plan, reconnect=True)):
            self.failureResultOf(load(wire, "udp://127.0.0.1:7", wrong), TargetError)

    def test_rate(self) -> None:
        """A rate makes an open loop, whose send times are computed."""
        wire = DatagramWire()
        wire.listenUDP(7, EchoDatagramProtocol(wire), "127.0.0.1")
        plan = LoadPlan(connections=1, count=1, duration=None, rate=100.0)
        loading = load(wire, "udp://127.0.0.1:7", plan, monotonicNs=lambda: 0)
        wire.deliverAll()
        self.assertEqual(self.successResultOf(loading).response.count, 1)

    def test_workers(self) -> None:
        """Several processes share a load; each gets its part of the plan."""
        reactor: Any = FakeProcessReactor()
        plan = LoadPlan(connections=3, rate=100.0, arrivals="poisson")
        pool = self.successResultOf(prepareLoad(reactor, "127.0.0.1:7", plan, workers=2))
        pool.start()
        first, second = (process.messages[0] for process in reactor.spawned)
        self.assertEqual([first.plan.connections, second.plan.connections], [2, 1])
        self.assertEqual((first.plan.rate, first.plan.arrivals, first.index), (50, "poisson", 0))
        self.assertEqual(pool.target, first.target)

    def test_addresses(self) -> None:
        """Connections use all addresses in turn, from the one whose turn it is, or the first."""
        turns: list[int | None] = []

        def make(*arguments: Any) -> Deferred[Any]:
            turns.append(None if arguments[4] is None else arguments[4].turn)
            return Deferred()

        self.patch(api, "makeTarget", make)
        for plan in (LoadPlan(firstConnection=7), LoadPlan(allAddresses=False)):
            prepareLoad(Clock(), "lab1", plan)
        self.assertEqual(turns, [7, None])
