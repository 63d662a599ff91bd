from __future__ import annotations

import os
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from echoproto.errors import StartupError
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.server import listening
from echoproto.server.certificates import TLSFiles
from echoproto.server.config.listeners import Listener, parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.listening import ListenerService
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.certificates import serverPEM
from tests.server.fakemachine import FakeMachine, failed


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.fake = FakeMachine()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def service(self, *groups: list[Listener], **options: Any) -> ListenerService:
        settings = Settings(groups, **options)
        return ListenerService(self.reactor, settings, self.fake.machine(), Factory)

    def connect(self, factory: Any) -> tuple[RecordingProtocol, StreamPair]:
        client = RecordingProtocol()
        return client, StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.log]


class ServiceTests(ServiceTestCase):
    def test_opensEach(self) -> None:
        """Every listener is opened with its service on its carrier, and is one log line."""
        echo, greeting = parseListener("echo", "7"), parseListener("greeting", "8")
        self.service(echo, greeting).privilegedStartService()
        self.assertEqual(
            [type(serving) for _, serving in self.fake.opened],
            [EchoFactory, EchoDatagramProtocol] * 2
            + [GreetingFactory, GreetingDatagramProtocol] * 2,
        )
        self.assertEqual(self.logged(), [])
        self.reactor.run()
        self.assertEqual(self.logged()[0], "echo is listening on tcp 0.0.0.0:7")
        self.assertEqual(self.logged()[-1], "greeting is listening on udp [::]:8")

    def test_notAnnounced(self) -> None:
        """With announce=False no addresses are logged."""
        settings = Settings([[Listener("echo", "tcp:7")]])
        ListenerService(self.reactor, settings, self.fake.machine(), announce=False).startService()
        self.assertEqual(self.logged(), [])

    def test_startWithoutPrivileged(self) -> None:
        """Without the privileged part, as twist starts it, the listeners are opened, once."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        self.assertEqual(len(self.fake.opened), 4)
        other = self.service(parseListener("echo", "7"))
        other.privilegedStartService()
        other.startService()
        self.assertEqual(len(self.fake.opened), 8)

    def test_withoutIPv6(self) -> None:
        """Without IPv6 a bare number is on IPv4 alone; explicit IPv6 addresses are not left out."""
        self.fake.ipv6 = False
        self.service(
            parseListener("echo", "7"), parseListener("echo", "8", ("::1",))
        ).startService()
        self.assertEqual(
            [port.listener.interface for port, _ in self.fake.opened],
            ["0.0.0.0", "0.0.0.0", "::1", "::1"],
        )

    def test_portZero(self) -> None:
        """Port 0 is one port that is free on every listener, one for each service."""
        self.service(parseListener("echo", "0"), parseListener("greeting", "0")).startService()
        self.assertEqual(self.fake.picked, [["0.0.0.0", "::"]] * 2)
        self.assertEqual(
            [port.listener.port for port, _ in self.fake.opened], [40_001] * 4 + [40_002] * 4
        )
        self.assertIn("tcp:40001:", self.fake.opened[0][0].listener.description)

    def test_allOrNone(self) -> None:
        """
        When one listener cannot be opened, the others are closed, and one line reports the reason.
        """
        error = CannotListenError("0.0.0.0", 8, failed(EADDRINUSE))
        self.fake.failing["udp:8"] = error
        service = self.service(parseListener("echo", "7"), parseListener("greeting", "8"))
        with self.assertRaises(StartupError) as raised:
            service.privilegedStartService()
        message = (
            "greeting cannot listen on udp 0.0.0.0:8: Address already in use; "
            "stop the program that listens there, or use another address"
        )
        self.assertEqual(str(raised.exception), message)
        self.assertEqual([port.closed for port, _ in self.fake.opened], ["abandoned"] * 5)
        self.assertEqual(self.fake.complaints, [message])

    def test_portZeroTakenMeanwhile(self) -> None:
        """
        If a picked port is taken before all its listeners are open, another is picked for all.
        """
        self.fake.failing["udp:40001"] = CannotListenError("", 40_001, failed(EADDRINUSE))
        self.service(parseListener("echo", "0")).startService()
        self.assertEqual(
            [(port.listener.port, port.closed) for port, _ in self.fake.opened],
            [(40_001, "abandoned")] + [(40_002, "")] * 4,
        )

    def test_noFreePort(self) -> None:
        """If no port is free on all carriers, one line reports it."""
        self.fake.noPort = failed(EADDRINUSE)
        with self.assertRaises(StartupError) as raised:
            self.service(parseListener("echo", "0")).privilegedStartService()
        self.assertIn("echo cannot listen on tcp 0.0.0.0:0", str(raised.exception))

    def test_twoZeros(self) -> None:
        """Two bare 0 are two ports, each the same on all its listeners."""
        self.service(parseListener("echo", "0"), parseListener("echo", "0")).startService()
        self.assertEqual(
            [port.listener.port for port, _ in self.fake.opened], [40_001] * 4 + [40_002] * 4
        )

    def test_portZeroOnAnotherMachinesAddress(self) -> None:
        """If no port can be picked, the message names the address that cannot be bound."""
        self.fake.noPort = CannotListenError("192.0.2.1", 0, failed(EADDRNOTAVAIL))
        listeners = parseListener("echo", "0", ("127.0.0.1", "192.0.2.1"))
        with self.assertRaises(StartupError) as raised:
            self.service(listeners).privilegedStartService()
        self.assertIn("cannot listen on tcp 192.0.2.1:0: Cannot", str(raised.exception))

    def test_stopTwice(self) -> None:
        """A second stop ends with the first."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        _, pair = self.connect(self.fake.opened[0][1])
        stops = [service.stopService(), service.stopService()]
        self.assertNoResult(stops[1])
        pair.client.loseConnection()
        pair.pump()
        for stop in stops:
            self.successResultOf(stop)

    def test_failingToClose(self) -> None:
        """A listener that does not close cleanly is logged in one line, and the drain continues."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        port, factory = self.fake.opened[0]
        port.stopError = failed(EACCES)
        client, pair = self.connect(factory)
        stopped = service.stopService()
        self.assertNoResult(stopped)
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.assertIn(
            "echo did not close tcp 0.0.0.0:7 cleanly: [Errno 13] Permission denied", self.logged()
        )

    def test_acceptsWhatWaits(self) -> None:
        """A stop first accepts the connections in the listen backlog."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        port, factory = self.fake.opened[0]
        directlyProvides(port, IReadDescriptor)
        taken: list[bool] = []
        port.onRead = lambda: taken.append(factory.tracker.draining)
        self.successResultOf(service.stopService())
        self.assertEqual(set(taken), {False})

    def test_stop(self) -> None:
        """A stop closes every listener and ends when no connection is open."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        client, pair = self.connect(self.fake.opened[0][1])
        stopped = service.stopService()
        self.assertEqual({port.closed for port, _ in self.fake.opened}, {"stopped"})
        self.assertNoResult(stopped)
        client.link.write(b"last words")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"last words")
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopAtOnce(self) -> None:
        """stopAtOnce() ends the drain."""
        service = self.service(parseListener("echo", "7"))
        service.startService()
        client, pair = self.connect(self.fake.opened[0][1])
        stopped = service.stopService()
        service.stopAtOnce()
        self.reactor.advance(0.1)
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(client.events[-1], "lost")

    def test_drainAsLongAsAsked(self) -> None:
        """The drain lasts as long as the settings allow."""
        service = self.service(parseListener("echo", "7"), drain=20.0)
        service.startService()
        client, pair = self.connect(self.fake.opened[0][1])
        stopped = service.stopService()
        for _ in range(199):
            client.link.write(b"x")
            pair.pump()
            self.reactor.advance(0.1)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        pair.pump()
        self.successResultOf(stopped)


class LimitsTests(ServiceTestCase):
    def test_tooFewDescriptors(self) -> None:
        """Too few file descriptors are reported once, and nothing is opened."""
        self.fake.descriptors = 64
        service = self.service(parseListener("echo", "7"), maxConnections=100)
        with self.assertRaises(StartupError) as raised:
            service.startService()
        self.assertEqual(self.fake.complaints, [str(raised.exception)])
        self.assertEqual(raised.exception.code, 1)
        self.assertEqual(self.fake.opened, [])

    def test_waitWhenFull(self) -> None:
        """A full server that waits does not read its stream ports until a connection ends."""
        listeners = parseListener("echo", "7")
        self.service(listeners, waitWhenFull=True, maxConnections=1, maxPerSource=9).startService()
        port, factory = self.fake.opened[0]
        client, pair = self.connect(factory)
        port.doRead()
        self.assertEqual([port.reading for port, _ in self.fake.opened], [False, True, True, True])
        client.link.loseConnection()
        pair.pump()
        self.assertTrue(port.reading)

    def test_waitWhenFullAndStopped(self) -> None:
        """A closed port is not read again when there is room."""
        service = self.service(
            parseListener("echo", "7"), waitWhenFull=True, maxConnections=1, maxPerSource=9
        )
        service.startService()
        port, factory = self.fake.opened[0]
        client, pair = self.connect(factory)
        port.doRead()
        stopped = service.stopService()
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.assertFalse(port.reading)


class StatusTests(ServiceTestCase):
    status = Listener("status", "tcp:9100:interface=127.0.0.1")

    def test_closedLast(self) -> None:
        """The status listener is open until the drain has ended."""
        service = self.service(parseListener("echo", "7"), [self.status])
        self.assertFalse(service.ready)
        service.startService()
        self.assertTrue(service.ready)
        [*_, (port, _)] = self.fake.opened
        client, pair = self.connect(self.fake.opened[0][1])
        stopped = service.stopService()
        self.assertFalse(service.ready)
        self.assertEqual(port.closed, "")
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(port.closed, "stopped")

    def test_watched(self) -> None:
        """The metrics have each listener under its real address, also during the drain."""
        service = self.service([Listener("echo", "tcp:7"), Listener("echo", "udp:7")])
        service.startService()
        self.connect(self.fake.opened[0][1])
        service.stopService()
        streams, datagrams = service.watched()
        self.assertEqual((streams.place, streams.counts.open), ("tcp :0", 1))
        self.assertIsNotNone(datagrams.datagrams)


class ReportTests(ServiceTestCase):
    def test_report(self) -> None:
        """The totals are logged by report(), and at the end."""
        service = self.service(parseListener("echo", "7"), maxConnections=1, maxPerSource=9)
        service.startService()
        factory = self.fake.opened[0][1]
        self.connect(factory)
        for _ in range(3):
            self.assertIsNone(factory.buildProtocol(CLIENT_ADDRESS))
        service.report()
        self.assertIn("refused 3 connections: 3 too many connections", self.logged()[-1])
        self.assertIsNone(factory.buildProtocol(CLIENT_ADDRESS))
        service.stopService()
        service.stopAtOnce()
        self.reactor.advance(0.1)


class ReloadTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = f"{self.folder.name}/server.pem"
        self.write(serverPEM())
        [listener, *_] = parseListener("echo", "7", tls=TLSFiles(self.path, self.path))
        self.running = self.service([listener], parseListener("echo", "8"))

    def write(self, pem: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(pem)

    def test_reload(self) -> None:
        """
        Certificates are read again; if they cannot be used, the current ones stay, in one log line.
        """
        self.running.startService()
        self.running.reload()
        self.assertEqual(self.logged(), ["read the certificates of 1 listeners"])
        self.write(b"")
        self.running.reload()
        self.assertEqual(len(self.logged()), 2)
        self.assertIn("the current certificates stay in use", self.logged()[-1])

    def test_replace(self) -> None:
        """Certificates that another process has read replace the current ones."""
        self.running.startService()
        before = self.running.loadedFiles()
        self.write(serverPEM() + b"# renewed")
        files = TLSFiles(self.path, self.path).read()
        self.running.replaceCertificates([files])
        [now] = self.running.loadedFiles()
        self.assertNotEqual(now.contents, before[0].contents)

    def test_access(self) -> None:
        """Files that another user may not read later are logged."""
        self.running.startService()
        self.running.checkAccess()
        self.assertEqual(self.logged(), [])
        os.remove(self.path)
        self.running.checkAccess()
        [line] = self.logged()
        self.assertIn("SIGHUP cannot read the certificates again: cannot read", line)

    def test_removal(self) -> None:
        """A UNIX socket that another user may not remove is logged."""
        service = self.service([Listener("echo", "unix:/x")])
        service.startService()
        port = self.fake.opened[0][0]
        self.patch(port, "getHost", lambda: UNIXAddress(self.path))
        service.checkAccess()
        self.assertEqual(self.logged(), [])
        self.patch(listening, "mayRemove", lambda path: False)
        service.checkAccess()
        [line] = self.logged()
        self.assertIn(f"{self.path} cannot be removed at the stop: user", line)

    def test_cannotStart(self) -> None:
        """Certificates that cannot be used are a failure to start."""
        self.write(b"")
        with self.assertRaises(StartupError) as raised:
            self.running.startService()
        self.assertIn("echo cannot listen on tls 0.0.0.0:7: ", str(raised.exception))
