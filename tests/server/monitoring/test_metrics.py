from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, GreetingDatagramProtocol, GreetingFactory
from echoproto.protocols.observer import CloseReason, DatagramTotals
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory
from echoproto.server.monitoring.counters import (
    CONNECTION_BOUNDS,
    ListenerCounters,
    MonitoredListener,
)
from echoproto.server.monitoring.metrics import WorkerCounts, exposition
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS, INTERVAL, LoopLag
from echoproto.testing import DatagramWire, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS

#: Values on the page by name, followed by the values of their labels in the order of the names.
Figures = dict[tuple[str, ...], float]

PLACE = "tcp 0.0.0.0:7"


def figures(
    watched: Iterable[MonitoredListener], draining: bool = False, delay: Any = None
) -> Figures:
    """Render and parse the page; fails if a value is duplicated."""
    page = exposition(watched, draining, delay or Histogram(BOUNDS))
    families = text_string_to_metric_families(page.decode("utf-8"))
    samples = [sample for family in families for sample in family.samples]
    read = {}
    for sample in samples:
        values = [value for _, value in sorted(sample.labels.items())]
        read[(sample.name.removeprefix("echoproto_"), *values)] = sample.value
    assert len(read) == len(samples), page
    return read


def named(name: str, figures: Figures) -> Figures:
    """Return the values with this name."""
    return {key: value for key, value in figures.items() if key[0] == name}


class StreamTests(SynchronousTestCase):
    """Connections of an echo service, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = ListenerCounters()
        admission = ConnectionAdmission(self.clock.seconds, maximum=2)
        self.factory = EchoFactory(self.clock, self.counts, admission)
        self.watched = watchedStreams("echo", self.factory, self.counts)

    def figure(self, name: str, *labels: str) -> float:
        return figures([self.watched])[(name, *labels)]

    def test_fromTheStart(self) -> None:
        """Before any client, a stream listener has its metrics at 0, and no datagram metrics."""
        read = figures([self.watched])
        self.assertEqual(read["connections_open", PLACE, "echo"], 0)
        self.assertEqual(read["connections_accepted_total", PLACE, "echo"], 0)
        self.assertEqual(
            named("connections_ended_total", read),
            {("connections_ended_total", reason.value, PLACE, "echo"): 0 for reason in CloseReason},
        )
        self.assertEqual([key for key in read if "datagram" in key[0] or "greet" in key[0]], [])

    def test_bytesAreMonotonic(self) -> None:
        """Bytes are counted while a connection is open, and stay the same after its end."""
        pair, client = connected(self.factory)
        names = ("stream_received_bytes_total", "stream_sent_bytes_total")
        client.link.write(b"x" * 1000)
        pair.pump()
        self.assertEqual([self.figure(name, PLACE, "echo") for name in names], [1000, 1000])
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(self.counts.open, 0)
        self.assertEqual([self.figure(name, PLACE, "echo") for name in names], [1000, 1000])
        pair, client = connected(self.factory)
        client.link.write(b"y")
        pair.pump()
        self.assertEqual([self.figure(name, PLACE, "echo") for name in names], [1001, 1001])

    def test_connections(self) -> None:
        """Connections are counted as opened, open, ended by close reason, and refused by reason."""
        pair, client = connected(self.factory)
        connected(self.factory)
        self.assertIsNone(self.factory.buildProtocol(CLIENT_ADDRESS))
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(self.figure("connections_accepted_total", PLACE, "echo"), 2)
        self.assertEqual(self.figure("connections_open", PLACE, "echo"), 1)
        self.assertEqual(self.figure("connections_ended_total", "finished", PLACE, "echo"), 1)
        refused = ("connections_refused_total", PLACE, Refusal.FULL.value, "echo")
        self.assertEqual(self.figure(*refused), 1)

    def test_lengths(self) -> None:
        """Connection durations are a histogram with sum and count."""
        for seconds in (0.5, 2.0, 2.0):
            pair, client = connected(self.factory)
            self.clock.advance(seconds)
            client.link.loseWriteConnection()
            pair.pump()
        read = figures([self.watched])
        bucket = "connection_seconds_bucket"
        self.assertEqual(len(named(bucket, read)), len(CONNECTION_BOUNDS) + 1)
        self.assertEqual(
            [read[bucket, bound, PLACE, "echo"] for bound in ("0.3", "1.0", "3.0", "+Inf")],
            [0, 1, 3, 3],
        )
        self.assertEqual(read["connection_seconds_sum", PLACE, "echo"], 4.5)
        self.assertEqual(read["connection_seconds_count", PLACE, "echo"], 3)

    def test_greetings(self) -> None:
        """A greeting listener counts its greetings, on a stream too."""
        factory = GreetingFactory(self.clock, self.counts)
        pair, client = connected(factory)
        client.link.write(CLIENT_GREETING)
        pair.pump()
        client.link.loseWriteConnection()
        pair.pump()
        read = figures([watchedStreams("greeting", factory, self.counts)])
        self.assertEqual(read["greetings_total", PLACE, "greeting"], 1)
        self.assertEqual(read["stream_sent_bytes_total", PLACE, "greeting"], 34)


def connected(factory: StreamFactory) -> tuple[StreamPair, RecordingProtocol]:
    """Connect a client to a protocol of ``factory``."""
    client = RecordingProtocol()
    return StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS)), client


def watchedStreams(
    service: str, factory: StreamFactory, counts: ListenerCounters
) -> MonitoredListener:
    """A stream listener with its open connections."""
    return MonitoredListener(
        service, PLACE, counts, lambda: cast(set[StreamProtocol], factory.tracker.connections)
    )


class DatagramTests(SynchronousTestCase):
    PLACE = "udp [::]:7"

    def test_echo(self) -> None:
        """A datagram listener has totals, refusals and errors by name, and no connections."""
        wire = DatagramWire()
        service = EchoDatagramProtocol(wire)
        wire.listenUDP(7777, service)
        watched = MonitoredListener(
            "echo", self.PLACE, ListenerCounters(), datagrams=service.totals
        )
        service.datagramReceived(b"abc", ("192.0.2.1", 40_000))
        service.datagramReceived(b"x", ("192.0.2.1", 19))
        service.datagramReceived(b"x" * 70_000, ("192.0.2.1", 40_000))
        read = figures([watched])
        expected = {
            ("datagrams_received_total", self.PLACE, "echo"): 3,
            ("datagrams_answered_total", self.PLACE, "echo"): 1,
            ("datagram_received_bytes_total", self.PLACE, "echo"): 70_004,
            ("datagram_sent_bytes_total", self.PLACE, "echo"): 3,
            ("datagrams_refused_total", self.PLACE, Refusal.LOOPING_PORT.value, "echo"): 1,
            ("errors_total", "send EMSGSIZE", self.PLACE, "echo"): 1,
            ("datagrams_dropped_total", self.PLACE, "echo"): 0,
        }
        found = {key: value for key, value in read.items() if "echo" in key}
        self.assertEqual({key: found.pop(key) for key in expected}, expected)
        # Other reasons to refuse are there from the start.
        self.assertEqual({key[0] for key in found}, {"datagrams_refused_total"})
        self.assertEqual(set(found.values()), {0})

    def test_greeting(self) -> None:
        """Greetings are counted on datagrams too."""
        wire = DatagramWire()
        counts = ListenerCounters()
        service = GreetingDatagramProtocol(wire, counts)
        wire.listenUDP(7777, service)
        service.datagramReceived(CLIENT_GREETING, ("192.0.2.1", 40_000))
        read = figures(
            [MonitoredListener("greeting", self.PLACE, counts, datagrams=service.totals)]
        )
        self.assertEqual(read["greetings_total", self.PLACE, "greeting"], 1)


class ExpositionTests(SynchronousTestCase):
    def test_workers(self) -> None:
        """With worker processes, the page has the number of ready workers and of restarts."""
        page = exposition([], False, Histogram(BOUNDS), workers=WorkerCounts(3, 2)).decode()
        self.assertIn("echoproto_workers 3.0\n", page)
        self.assertIn("echoproto_log_errors_total 0.0\n", page)
        self.assertIn("echoproto_worker_restarts_total 2.0\n", page)
        self.assertNotIn("echoproto_worker", exposition([], False, Histogram(BOUNDS)).decode())

    def test_program(self) -> None:
        """Without a listener the page has the version, the drain and the loop's lag."""
        clock = Clock()
        delay = LoopLag(clock)
        delay.startService()
        clock.advance(INTERVAL + 0.25)
        read = figures([], delay=delay.histogram)
        self.assertEqual(read["info", echoproto.__version__], 1)
        self.assertEqual(read["draining",], 0)
        self.assertEqual(read["event_loop_delay_seconds_bucket", "0.1"], 0)
        self.assertEqual(read["event_loop_delay_seconds_bucket", "0.3"], 1)
        self.assertEqual(read["event_loop_delay_seconds_sum",], 0.25)
        self.assertEqual(figures([], draining=True)["draining",], 1)

    def test_listeners(self) -> None:
        """Every listener has its own values, and every metric one type and one short help text."""
        watched = [
            MonitoredListener("echo", PLACE, ListenerCounters()),
            MonitoredListener("greeting", PLACE, ListenerCounters()),
            MonitoredListener(
                "echo", "udp 0.0.0.0:7", ListenerCounters(), datagrams=DatagramTotals
            ),
        ]
        lines = exposition(watched, False, Histogram(BOUNDS)).decode("utf-8").splitlines()
        helps = [line for line in lines if line.startswith("# HELP ")]
        names = [line.split()[2] for line in helps]
        self.assertEqual(sorted(set(names)), sorted(names))
        self.assertEqual([line for line in helps if len(line) > 100 or not line.endswith(".")], [])
        self.assertEqual(
            [line.split()[2] for line in lines if line.startswith("# TYPE ")],
            names,
        )
        read = figures(watched)
        self.assertEqual(
            list(named("connections_open", read)),
            [("connections_open", PLACE, "echo"), ("connections_open", PLACE, "greeting")],
        )

    def test_faults(self) -> None:
        """Faults on purpose are counted by kind, for listeners with faults only."""
        faulty = ListenerCounters()
        faulty.faults.update({"loss": 3, "corrupt": 0})
        watched = [
            MonitoredListener("echo", PLACE, ListenerCounters()),
            MonitoredListener("echo", "udp here:7", faulty),
        ]
        self.assertEqual(
            named("faults_total", figures(watched)),
            {
                ("faults_total", "loss", "udp here:7", "echo"): 3,
                ("faults_total", "corrupt", "udp here:7", "echo"): 0,
            },
        )
        self.assertNotIn(b"faults", exposition(watched[:1], False, Histogram(BOUNDS)))

    def test_notText(self) -> None:
        """Undecodable bytes in a path are escaped."""
        read = figures([MonitoredListener("echo", "unix:/run/\udcff", ListenerCounters())])
        self.assertEqual(read["connections_open", "unix:/run/\\udcff", "echo"], 0)
