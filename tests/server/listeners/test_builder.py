from __future__ import annotations

import sys
from math import inf
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.processes.resources import Limit
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import CONNECTION_MEMORY, RESERVED_MEMORY, Settings
from echoproto.server.listeners.builder import ListenerBuilder, ListenerRuntime
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from echoproto.transports.proxyprotocol import ProxyProtocolFactory
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import serverPEM

DESCRIPTORS = Limit(1024, "RLIMIT_NOFILE")

HEADER = b"PROXY TCP4 198.51.100.1 192.0.2.2 5000 7\r\n"


class ListenerBuilderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = inf
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def builder(self, **settings: Any) -> ListenerBuilder:
        return ListenerBuilder(
            self.clock, Settings([], **settings), DESCRIPTORS, Limit(self.memory, "memory.max")
        )

    def build(self, text: str, service: str = "echo", **settings: Any) -> ListenerRuntime:
        [listener] = parseListener(service, text)
        return self.builder(**settings).build(listener)

    def connect(self, serving: ListenerRuntime) -> tuple[RecordingProtocol, StreamPair]:
        client = RecordingProtocol()
        return client, StreamPair(client, serving.service.buildProtocol(CLIENT_ADDRESS))

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.log]

    def test_limitText(self) -> None:
        """The default number of connections has its reason: descriptors or memory."""
        self.assertEqual(
            self.builder().limitText,
            "at most 992 connections per process: RLIMIT_NOFILE is 1,024",
        )
        self.memory = RESERVED_MEMORY + 100 * CONNECTION_MEMORY
        self.assertEqual(
            self.builder().limitText,
            "at most 100 connections per process: memory.max is 80,216,064",
        )
        self.assertEqual(self.builder().connections.room, 100)
        self.assertEqual(self.builder(maxConnections=200).connections.room, 200)

    def test_moreThanMemory(self) -> None:
        """A number of the operator holds, with a warning if memory may not suffice for it."""
        self.memory = RESERVED_MEMORY + 100 * CONNECTION_MEMORY
        self.assertEqual(self.builder(maxConnections=100).limitText, "")
        self.assertIn(
            "--max-connections 200 may need more memory than there is: memory.max is 80,216,064",
            self.builder(maxConnections=200).limitText,
        )

    def test_site(self) -> None:
        """A status listener reads a PROXY header from trusted sources, if it is to."""
        site: Any = Factory.forProtocol(RecordingProtocol)
        self.assertIs(self.builder().buildSite(Listener("status", "tcp:7"), site), site)
        [listener] = parseListener("status", "tcp:7:proxy=v1:trust=192.0.2.1")
        factory: Any = self.builder().buildSite(listener, site)
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "192.0.2.9", 7)))
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        client.link.write(HEADER + b"GET")
        pair.pump()
        served: Any = pair.server.protocol
        self.assertEqual(served.received, b"GET")

    def test_services(self) -> None:
        """Each service on each carrier has the settings."""
        deadlines = Timeouts(idle=1.0)
        for text, service, made in (
            ("tcp:7", "echo", EchoFactory),
            ("tcp:7", "greeting", GreetingFactory),
            ("udp:7", "echo", EchoDatagramProtocol),
            ("udp:7", "greeting", GreetingDatagramProtocol),
            ("udp:7", "udp-plus", EchoPlusDatagramProtocol),
        ):
            serving = self.build(text, service, greeting=b"Moin", deadlines=deadlines)
            self.assertIs(type(serving.service), made)
            if service == "greeting":
                self.assertEqual(serving.service.text, b"Moin")
            if text == "tcp:7":
                self.assertIs(serving.service.timeouts, deadlines)

    def test_faults(self) -> None:
        """A listener with faults has its service with faults, and their counts and log."""
        serving = self.build("tcp:7:fault=corrupt=100%")
        client, pair = self.connect(serving)
        client.link.write(b"x" * 1024)
        pair.pump()
        self.assertNotEqual(client.received, b"x" * 1024)
        self.assertEqual(serving.watched.counts.faults, {"corrupt": 1})
        serving.report()
        self.assertIn("faults on purpose: 1 corrupt", self.logged()[-1])
        client.link.loseConnection()
        pair.pump()
        for service, base in (
            ("echo", EchoDatagramProtocol),
            ("greeting", GreetingDatagramProtocol),
        ):
            serving = self.build("udp:7:fault=loss=100%", service, faultSeed=5)
            self.assertIsInstance(serving.service, base)
            serving.service.datagramReceived(b"x", ("192.0.2.1", 5000))
            self.assertEqual(serving.watched.counts.faults, {"loss": 1})

    def test_limitsAreForAll(self) -> None:
        """Limits hold for all listeners together: connections, and datagrams of one source."""
        builder = self.builder(maxConnections=1, datagramRate=1.0)
        streams = [builder.build(Listener("echo", f"tcp:{port}")) for port in (7, 8)]
        self.connect(streams[0])
        self.assertIsNone(streams[1].service.buildProtocol(CLIENT_ADDRESS))
        datagrams = [builder.build(Listener("echo", f"udp:{port}")) for port in (7, 8)]
        self.assertIs(datagrams[0].service.admission, datagrams[1].service.admission)

    def test_limits(self) -> None:
        """The limits of the settings are those of admission."""
        for settings in (
            {"maxPerSource": 1},
            {"connectionRate": 0.5, "connectionBurst": 1.0},
            {"maxConnections": 1},
        ):
            serving = self.build("tcp:7", **settings)
            self.connect(serving)
            self.assertIsNone(serving.service.buildProtocol(CLIENT_ADDRESS))
        allowed = self.build("tcp:7", networks=AddressFilter(allow=("192.0.2.1",)))
        self.connect(allowed)
        self.assertIsNone(allowed.service.buildProtocol(IPv4Address("TCP", "192.0.2.9", 7)))
        denied = self.build(
            "udp:7", networks=AddressFilter(deny=("192.0.2.1",)), refusedPorts=frozenset()
        )
        self.assertIsNone(denied.service.admission.refusal("192.0.2.3", 7))
        self.assertIsNotNone(denied.service.admission.refusal("192.0.2.1", 7))

    def test_tooFewDescriptors(self) -> None:
        """Too few file descriptors are a StartupError."""
        few = Limit(32, "RLIMIT_NOFILE")
        self.assertRaises(StartupError, ListenerBuilder, self.clock, Settings([]), few, DESCRIPTORS)

    def test_observers(self) -> None:
        """Events of a listener are logged under its name, and counted."""
        serving = self.build("tcp:7")
        client, pair = self.connect(serving)
        client.link.write(b"hello")
        pair.pump()
        self.assertEqual(serving.watched.bytesReceived, 5)
        client.link.loseConnection()
        pair.pump()
        [line] = self.logged()
        self.assertTrue(line.startswith("echo on tcp:7 from 192.0.2.1:50000 finished"), line)
        self.assertEqual(serving.watched.counts.ended["finished"], 1)

    def test_name(self) -> None:
        """An open listener has one name, that of its place, in its log and in the metrics."""
        serving = self.build("tcp:0:interface=127.0.0.1").at("tcp 127.0.0.1:5000")
        client, pair = self.connect(serving)
        client.link.loseConnection()
        pair.pump()
        serving.report()
        self.assertTrue(self.logged()[0].startswith("echo on tcp 127.0.0.1:5000 ended 1 more"))
        self.assertEqual(
            serving.watched.labels, {"service": "echo", "listener": "tcp 127.0.0.1:5000"}
        )

    def test_refusals(self) -> None:
        """Every reason why a client may be refused is counted from the start."""
        plain = [
            "too many connections",
            "too many connections from the source",
            "source is not allowed",
            "source over its rate",
        ]
        header = [
            "source is not a trusted proxy",
            "no PROXY header",
            "PROXY header took too long",
            "PROXY header too long",
            "PROXY header malformed",
            "PROXY header checksum wrong",
        ]
        self.assertEqual(list(self.build("tcp:7").watched.counts.refused), plain)
        behind = self.build("tcp:7:proxy=any").watched
        self.assertEqual(behind.counts.refused, dict.fromkeys(plain + header, 0))
        datagrams = self.build("udp:7").watched.datagrams
        greeting = self.build("udp:7", "greeting").watched.datagrams
        assert datagrams is not None and greeting is not None
        self.assertEqual(set(datagrams().refused.values()), {0})
        self.assertEqual(
            greeting().refused.keys() - datagrams().refused.keys(),
            {"text of our own reply", "reply longer than request"},
        )

    def test_drain(self) -> None:
        """A stream listener is drained; a datagram listener has nothing to drain."""
        serving = self.build("tcp:7")
        client, pair = self.connect(serving)
        drained = serving.drain(5.0)
        self.assertNoResult(drained)
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(drained)
        self.successResultOf(self.build("udp:7").drain(5.0))

    def test_reportDatagrams(self) -> None:
        """The log of a datagram listener reports new totals."""
        serving = self.build("udp:7")
        serving.service._refused["source port could loop"] += 2
        serving.report()
        serving.report()
        [line] = self.logged()
        self.assertIn("echo on udp:7 refused 2 datagrams: 2 source port could loop", line)

    def test_proxy(self) -> None:
        """With a PROXY header the announced client is the peer, and the drain waits for headers."""
        serving = self.build("tcp:7:proxy=v1:trust=192.0.2.0/24")
        self.assertIs(type(serving.service), ProxyProtocolFactory)
        client, pair = self.connect(serving)
        client.link.write(HEADER + b"hello")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertIn("from 198.51.100.1:5000 finished", self.logged()[0])
        self.connect(serving)
        self.assertNoResult(serving.drain(0.0))
        self.clock.advance(0.1)

    def test_tls(self) -> None:
        """TLS is below the service, and above the PROXY header."""
        with TemporaryDirectory() as folder:
            path = f"{folder}/server.pem"
            with open(path, "wb") as file:
                file.write(serverPEM())
            serving = self.build(f"tcp:7:tlsCert={path}")
            self.assertIs(type(serving.service), TLSStreamFactory)
            self.assertIsNotNone(serving.context)
            self.assertIn("TLS handshake failed", serving.watched.counts.refused)
            serving = self.build(f"tcp:7:tlsCert={path}:proxy=any")
            self.assertIs(type(serving.service.wrapped), TLSStreamFactory)

    def test_plainNeedsNoTLS(self) -> None:
        """A server without TLS does not import its libraries."""
        self.patch(sys, "modules", {**sys.modules, "echoproto.transports.tls": None})
        self.assertIs(type(self.build("tcp:7").service), EchoFactory)
