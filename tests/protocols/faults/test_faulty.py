from __future__ import annotations

from collections import Counter
from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.api import LoadPlan, PingPlan, load, ping, verify
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.measure.verify.integrity import FaultKind
from echoproto.protocols.connections import CHECK_INTERVAL
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.protocols.faults import faulty
from echoproto.protocols.faults.faultplan import parseFaults
from echoproto.protocols.faults.faulty import addStreamFaults, withDatagramFaults
from echoproto.protocols.greeting import (
    SERVER_GREETING,
    GreetingDatagramProtocol,
    GreetingFactory,
)
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.streamfactory import DRAIN_SILENCE
from echoproto.testing import DatagramWire, RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.endpoints import MemoryEndpoint
from echoproto.testing.streams import CLIENT_ADDRESS
from echoproto.text.units import SECOND
from tests.transports.fakeudpsocket import PEER, FakeSocketPort
from tests.transports.test_pktinfo import DESTINATION, pktinfo

MS = SECOND // 1000

SEEDS = range(20)


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counts: Counter[str] = Counter()
        self.observer = RecordingObserver()

    def connect(
        self, text: str, kind: Any = EchoFactory, size: int = 1 << 20
    ) -> tuple[RecordingProtocol, StreamPair]:
        self.factory = kind(self.clock, self.observer)
        addStreamFaults(self.factory, parseFaults(text), 1, self.counts)
        client = RecordingProtocol()
        return client, StreamPair(client, self.factory.buildProtocol(CLIENT_ADDRESS))

    def advance(self, pair: StreamPair, seconds: float) -> None:
        self.clock.advance(seconds)
        pair.pump()

    def test_fromTheStart(self) -> None:
        """The kinds of the plan are counted from 0."""
        self.connect("delay=1s corrupt=1%")
        self.assertEqual(self.counts, Counter({"delay": 0, "corrupt": 0}))

    def test_corrupt(self) -> None:
        """Changed bytes are echoed and counted."""
        client, pair = self.connect("corrupt=100%")
        client.link.write(bytes(2048))
        pair.pump()
        self.assertEqual(sum(map(bool, client.received)), 2)
        self.assertEqual(self.counts["corrupt"], 2)

    def test_closeAfter(self) -> None:
        """After its bytes are echoed the connection is closed in order, once."""
        client, pair = self.connect("close-after=10")
        client.link.write(b"12345")
        pair.pump()
        client.link.write(b"67890 more")
        pair.pump()
        client.link.write(b"more")
        client.link.loseConnection()
        pair.pump()
        self.assertEqual(client.received, b"1234567890")
        self.assertEqual(self.counts["close-after"], 1)
        [summary] = self.observer.ended
        self.assertEqual(
            (summary.ending, summary.bytesReceived, summary.bytesSent),
            (CloseReason.FINISHED, 19, 10),
        )

    def test_delay(self) -> None:
        """Data and the FIN after it are delayed, in order."""
        client, pair = self.connect("delay=2s±1s")
        for piece in (b"abc", b"def", b"ghi"):
            client.link.write(piece)
            pair.pump()
        client.link.loseWriteConnection()
        pair.pump()
        self.advance(pair, 0.9)
        self.assertEqual(client.received, b"")
        self.advance(pair, 2.1)
        self.assertEqual(client.received, b"abcdefghi")
        self.assertEqual(self.observer.ended[0].ending, CloseReason.FINISHED)
        self.assertEqual(self.counts["delay"], 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reset(self) -> None:
        """Delayed data is lost with the connection, and nothing stays scheduled."""
        client, pair = self.connect("delay=2s")
        client.link.write(b"abc")
        pair.pump()
        client.link.abortConnection()
        pair.pump()
        self.assertEqual(self.observer.ended[0].ending, CloseReason.UNUSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silentFIN(self) -> None:
        """A FIN without delayed data is handled at once."""
        client, pair = self.connect("delay=2s")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(len(self.observer.ended), 1)

    def test_drain(self) -> None:
        """A drain waits for delayed data, and for the silence after it."""
        client, pair = self.connect("delay=2s")
        client.link.write(b"abc")
        pair.pump()
        drained = self.factory.drain(10.0)
        for _ in range(19):
            self.advance(pair, 0.1)
        self.assertEqual(client.received, b"")
        for _ in range(round(DRAIN_SILENCE * 10) + 4):
            self.advance(pair, 0.1)
        self.assertEqual(client.received, b"abc")
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(drained)

    def test_backpressure(self) -> None:
        """Nothing is read while too many bytes are delayed, or while the client reads nothing."""
        self.patch(faulty, "MAX_DELAYED_BYTES", 100_000)
        client, pair = self.connect("delay=1s")
        client.link.write(bytes(1_000_000))
        pair.pump()
        protocol: Any = pair.server.protocol
        self.assertFalse(pair.server.reading)
        self.assertLessEqual(protocol._delayed.size, 100_000 + 65_536)
        protocol.pauseProducing()
        client.link.pauseProducing()
        self.advance(pair, 1.0)
        self.assertTrue(protocol._paused)
        self.assertFalse(pair.server.reading)
        client.link.resumeProducing()
        pair.pump()
        client.link.write(bytes(200_000))
        pair.pump()
        self.assertFalse(pair.server.reading)
        protocol.pauseProducing()
        protocol.resumeProducing()
        self.assertFalse(pair.server.reading)
        for _ in range(20):
            self.advance(pair, CHECK_INTERVAL)
        self.assertEqual(len(client.received), 1_200_000)

    def test_manyConnections(self) -> None:
        """
        While too many bytes of all connections are delayed, each has no more than one receive, and
        all are echoed in the end; a lost connection gives its bytes back.
        """
        self.patch(faulty, "MAX_DELAYED_LISTENER_BYTES", 300_000)
        client, pair = self.connect("delay=1s")
        others = [RecordingProtocol() for _ in range(5)]
        pairs = [
            pair,
            *(StreamPair(other, self.factory.buildProtocol(CLIENT_ADDRESS)) for other in others),
        ]
        for opened in pairs:
            opened.client.write(bytes(200_000))
            opened.pump()
        total = cast(Any, pair.server.protocol).delayedTotal
        self.assertLessEqual(total.size, 300_000 + len(pairs) * 65_536)
        self.assertEqual([opened.server.reading for opened in pairs[2:]], [False] * 4)
        pairs[-1].client.abortConnection()
        pairs[-1].pump()
        for _ in range(10):
            self.clock.advance(1.0)
            for opened in pairs:
                opened.pump()
        for protocol in (client, *others[:-1]):
            self.assertEqual(len(protocol.received), 200_000)
        self.assertEqual(total.size, 0)

    def test_greeting(self) -> None:
        """The greeting service is delayed as well."""
        client, pair = self.connect("delay=1s", GreetingFactory)
        client.link.write(b"hello")
        pair.pump()
        self.assertEqual(client.received, b"")
        self.advance(pair, 1.0)
        self.assertEqual(client.received, SERVER_GREETING)
        client.link.loseConnection()
        pair.pump()


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.counts: Counter[str] = Counter()

    def serve(self, text: str, seed: int = 1) -> Any:
        make = withDatagramFaults(EchoDatagramProtocol, parseFaults(text), seed, self.counts)
        service: Any = make(self.wire)
        self.port = self.wire.listenUDP(7, service)
        return service

    def receive(self, service: Any, *datagrams: bytes) -> None:
        for datagram in datagrams:
            service.datagramReceived(datagram, ("192.0.2.1", 5000))

    def sent(self) -> list[bytes]:
        found = [datagram.data for datagram in self.wire.pending]
        self.wire.pending.clear()
        return found

    def test_fromTheStart(self) -> None:
        """The kinds of the plan are counted from 0, and the order if delays vary."""
        self.serve("delay=2s±1s loss=1%")
        self.assertEqual(self.counts, Counter({"delay": 0, "loss": 0, "reorder": 0}))

    def test_atOnce(self) -> None:
        """Without a delay, datagrams are answered at once: never, once or twice."""
        service = self.serve("loss=50% duplicate=50%")
        self.receive(service, *(bytes([number]) for number in range(100)))
        totals, sent = service.totals(), self.sent()
        self.assertEqual(totals.received, 100)
        self.assertEqual(totals.answered, len(sent))
        self.assertEqual(len(set(sent)), 100 - self.counts["loss"])
        self.assertEqual(len(sent) - len(set(sent)), self.counts["duplicate"])

    def test_reorder(self) -> None:
        """Datagrams of a source that are overtaken are counted."""
        service = self.serve("delay=10s±10s duplicate=20%")
        numbers = [bytes([number]) for number in range(100)]
        self.receive(service, *numbers)
        self.wire.advance(20)
        highest, overtaken, seen = b"", 0, set()
        for data in self.sent():
            overtaken += data not in seen and data < highest
            seen.add(data)
            highest = max(highest, data)
        self.assertEqual(seen, set(numbers))
        self.assertEqual(self.counts["reorder"], overtaken)
        self.assertGreater(overtaken, 20)

    def test_services(self) -> None:
        """Every service can have faults."""
        for service in (EchoPlusDatagramProtocol, GreetingDatagramProtocol):
            make: Any = withDatagramFaults(service, parseFaults("delay=1s"), 1, self.counts)
            served = make(self.wire)
            port = self.wire.listenUDP(0, served)
            self.receive(served, bytes(40), bytes(40))
            self.wire.advance(1)
            self.assertEqual(len(self.sent()), 2)
            port.stopListening()

    def test_delayedFromTheirDestination(self) -> None:
        """A delayed datagram is answered from the address that it was sent to."""
        make = withDatagramFaults(EchoDatagramProtocol, parseFaults("delay=1s"), 1, self.counts)
        service, other = make(self.wire), pktinfo(*[bytes([192, 0, 2, 10])] * 2)
        port: Any = FakeSocketPort(7, service, reactor=cast(Any, MemoryReactorClock()))
        port.startListening()
        port.socket.waiting += [(b"one", [pktinfo()], 0, PEER), (b"two", [other], 0, PEER)]
        port.doRead()
        self.wire.advance(1)
        sent = {data: ancillary[0][2][4:8] for data, ancillary, _ in port.socket.sent}
        self.assertEqual(sent, {b"one": DESTINATION, b"two": bytes([192, 0, 2, 10])})

    def test_tooMany(self) -> None:
        """Beyond the limit datagrams are dropped, and counted as errors."""
        self.patch(faulty, "MAX_DELAYED_DATAGRAM_BYTES", 1000)
        service = self.serve("delay=1s")
        self.receive(service, bytes(900), bytes(900), bytes(1))
        self.wire.advance(1)
        self.assertEqual([len(data) for data in self.sent()], [900, 900])
        self.assertEqual(service.totals().errors, {"too many delayed": 1})

    def test_stop(self) -> None:
        """Datagrams that are delayed when the port is closed are counted as errors."""
        service = self.serve("delay=1s")
        self.receive(service, b"a", b"b")
        self.port.stopListening()
        self.assertEqual(service.totals().errors, {"delayed at the stop": 2})
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_stopWithoutDelayed(self) -> None:
        """A port without delayed datagrams is closed without errors."""
        service = self.serve("delay=1s")
        self.port.stopListening()
        self.assertEqual(service.totals().errors, {})


class MeasuredTests(SynchronousTestCase):
    """The measuring commands find the faults that were counted, and no others."""

    def setUp(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wire = DatagramWire()
        self.monotonicNs = lambda: round(self.wire.seconds() * SECOND)

    def serve(self, text: str, seed: int) -> None:
        self.counts.clear()
        self.wire = DatagramWire()
        make = withDatagramFaults(EchoDatagramProtocol, parseFaults(text), seed, self.counts)
        self.wire.listenUDP(7, make(self.wire))

    def factory(self, text: str, seed: int) -> EchoFactory:
        self.counts.clear()
        factory = EchoFactory(self.wire)
        addStreamFaults(factory, parseFaults(text), seed, self.counts)
        return factory

    def test_pingUDP(self) -> None:
        """ping over UDP: lost, duplicate, corrupt, reordered."""
        for seed in SEEDS:
            self.serve("delay=20ms±15ms loss=5% duplicate=5% corrupt=5%", seed)
            plan = PingPlan(count=200, interval=5 * MS, timeout=SECOND)
            result = ping(
                self.wire, "udp://127.0.0.1:7", plan, size=64, monotonicNs=self.monotonicNs
            )
            while not result.called:
                self.wire.deliverAll()
                self.wire.advance(0.001)
            record = self.successResultOf(result).record
            found = record.counts
            self.assertEqual(
                (record.lost, found[OutcomeKind.DUPLICATE], found[OutcomeKind.CORRUPT]),
                (self.counts["loss"], self.counts["duplicate"], self.counts["corrupt"]),
                seed,
            )
            self.assertEqual(found[OutcomeKind.REORDERED], self.counts["reorder"], seed)
            self.assertEqual(
                self.counts["delay"], 200 - self.counts["loss"] + self.counts["duplicate"]
            )
            self.assertGreaterEqual(record.times.minimum, 5 * MS)

    def test_loadUDP(self) -> None:
        """load over UDP: lost, duplicate, wrong."""
        for seed in SEEDS:
            self.serve("loss=5% duplicate=5% corrupt=5%", seed)
            # So large that no changed byte is one of the sequence number: that would make the
            # datagram a duplicate of another.
            plan = LoadPlan(
                connections=1,
                count=300,
                duration=None,
                timeout=SECOND // 10,
                sizes=(1000, 1000),
            )
            result = load(
                self.wire, "udp://127.0.0.1:7", plan, monotonicNs=self.monotonicNs, seed=seed
            )
            while not result.called:
                if self.wire.pending:
                    self.wire.deliver(1)
                else:
                    self.wire.advance(0.01)
            found = self.successResultOf(result)
            # A run ends with the first reply to its last datagram.
            self.counts["duplicate"] -= len(self.wire.pending)
            self.assertEqual(
                (found.sent - found.received + found.wrong, found.duplicates, found.wrong),
                (
                    self.counts["loss"] + self.counts["corrupt"],
                    self.counts["duplicate"],
                    self.counts["corrupt"],
                ),
                seed,
            )

    def pumped(self, endpoint: MemoryEndpoint, result: Any) -> Any:
        for _ in range(100_000):
            if result.called:
                break
            for pair in endpoint.pairs[-2:]:
                pair.pump()
            self.wire.advance(0.001)
        return self.successResultOf(result)

    def connectTo(self, text: str, seed: int) -> MemoryEndpoint:
        endpoint = MemoryEndpoint(self.factory(text, seed))
        self.patch(TCP4ClientEndpoint, "connect", lambda self, factory: endpoint.connect(factory))
        return endpoint

    def test_pingTCP(self) -> None:
        """ping over TCP: corrupt replies, and a new connection after each that was closed."""
        for seed in SEEDS:
            endpoint = self.connectTo("delay=2ms corrupt=20% close-after=4KiB", seed)
            plan = PingPlan(count=200, interval=20 * MS)
            made = ping(self.wire, "127.0.0.1:7", plan, size=64, monotonicNs=self.monotonicNs)
            result = self.pumped(endpoint, made)
            found = result.record.counts
            self.assertEqual(found[OutcomeKind.CORRUPT], self.counts["corrupt"], seed)
            self.assertEqual((result.record.received, self.counts["delay"]), (200, 200), seed)
            self.assertEqual(result.connecting.count, self.counts["close-after"] + 1)

    def test_loadTCP(self) -> None:
        """load over TCP: wrong replies, and closed connections."""
        for seed in SEEDS:
            endpoint = self.connectTo("corrupt=20% close-after=4KiB", seed)
            plan = LoadPlan(connections=1, count=200, duration=None)
            made = load(self.wire, "127.0.0.1:7", plan, monotonicNs=self.monotonicNs)
            result = self.pumped(endpoint, made)
            self.assertEqual(result.wrong, self.counts["corrupt"], seed)
            self.assertEqual(sum(result.errors.values()), self.counts["close-after"], seed)
            self.assertEqual(result.sent, 200)

    def test_verify(self) -> None:
        """verify over TCP: flipped bytes, and the place where the connection was closed."""
        for seed in SEEDS:
            endpoint = self.connectTo("corrupt=2% close-after=1MiB", seed)
            size = 3 << 19
            made = verify(
                self.wire, "127.0.0.1:7", size=size, seed=seed, monotonicNs=self.monotonicNs
            )
            result = self.pumped(endpoint, made)
            flipped = [fault for fault in result.faults if fault.kind is FaultKind.FLIPPED]
            self.assertEqual(sum(fault.length for fault in flipped), self.counts["corrupt"], seed)
            self.assertEqual(result.received, 1 << 20)
            self.assertEqual(
                result.counts, {FaultKind.FLIPPED: len(flipped), FaultKind.CUT: 1}, seed
            )
            self.assertEqual(self.counts["close-after"], 1)
