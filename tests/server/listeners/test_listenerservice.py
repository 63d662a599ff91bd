from __future__ import annotations

from errno import EACCES
from typing import Any, cast
from unittest import mock

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import directlyProvides

from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import Layers
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.config.status import statusListener
from echoproto.server.listeners import listenerservice
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.certificates import serverPEM
from tests.server.fakemachine import failed
from tests.server.servicecase import ServiceTestCase


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
        self.assertEqual(self.logged()[-2], "greeting is listening on udp [::]:8")
        self.assertIn("at most 976 connections per process: RLIMIT_NOFILE is", self.logged()[-1])

    def test_limitOfTheOperator(self) -> None:
        """The number of connections is not logged if the operator has set it."""
        self.service([Listener("echo", "tcp:7")], maxConnections=9).startService()
        self.reactor.run()
        self.assertEqual(self.logged(), ["echo is listening on tcp :0"])

    def test_limitOfDatagrams(self) -> None:
        """The number of connections is not logged if there can be none."""
        self.service([Listener("echo", "udp:7"), statusListener("9100", [])]).startService()
        self.reactor.run()
        self.assertEqual(
            self.logged(), ["echo is listening on udp :0", "status is listening on tcp :0"]
        )

    def test_notice(self) -> None:
        """An option without effect is reported at the start."""
        self.service([Listener("echo", "tcp:7")], maxConnections=9, notice="odd").startService()
        self.reactor.run()
        self.assertEqual(self.logged()[-1], "odd")

    def test_faults(self) -> None:
        """Faults on purpose are announced with their seed."""
        listeners = [
            *parseListener("echo", "udp:7:fault=loss=1%"),
            *parseListener("echo", "tcp:8:fault=no"),
        ]
        self.service(listeners, faultSeed=5).startService()
        self.reactor.run()
        self.assertEqual(
            [line for line in self.logged() if "WARNING" in line],
            ["WARNING: echo on udp :0 has faults on purpose: loss=1%; --fault-seed 5 repeats them"],
        )

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
            "echo on tcp 0.0.0.0:7 did not close cleanly: [Errno 13] Permission denied",
            self.logged(),
        )

    def test_acceptsWhatWaits(self) -> None:
        """
        A stop first accepts the connections in the listen backlog, and closes the port directly
        after that, before it does anything that takes longer.
        """
        service = self.service(parseListener("echo", "7"))
        service.startService()
        port, factory = self.fake.opened[0]
        directlyProvides(port, IReadDescriptor)
        events: list[object] = []
        port.onRead = lambda: events.append(factory.tracker.draining)
        closes = mock.Mock(side_effect=lambda: events.append("closed"))
        cast(Any, port).socket = mock.Mock(close=closes)
        self.patch(port, "connectionLost", lambda reason: events.append("lost"))
        self.successResultOf(service.stopService())
        self.assertEqual(set(events[:-2]), {False})
        self.assertEqual((events[-2:], port.reading), (["closed", "lost"], False))

    def test_acceptWaiting(self) -> None:
        """acceptWaiting() accepts the connections in the listen backlog, and goes on."""
        service = self.service(parseListener("echo", "7"), [Listener("status", "tcp:9100")])
        service.startService()
        port, _ = self.fake.opened[0]
        directlyProvides(port, IReadDescriptor)
        events: list[str] = []
        port.onRead = lambda: events.append("read")
        service.acceptWaiting()
        self.assertEqual((set(events), port.closed), ({"read"}, ""))
        self.assertTrue(service.ready)

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

    def test_abandon(self) -> None:
        """A start that fails later closes every listener at once."""
        service = self.service(parseListener("echo", "7"))
        service.privilegedStartService()
        service.abandon()
        self.assertEqual([port.closed for port, _ in self.fake.opened], ["abandoned"] * 4)
        self.assertFalse(service.ready)


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
        """
        The metrics have each listener under its real address, also during the drain; the log has
        the same name.
        """
        service = self.service([Listener("echo", "tcp:7"), Listener("echo", "udp:7")])
        service.startService()
        client, pair = self.connect(self.fake.opened[0][1])
        service.stopService()
        streams, datagrams = service.watched()
        self.assertEqual((streams.place, streams.counts.open), ("tcp :0", 1))
        self.assertIsNotNone(datagrams.datagrams)
        client.link.write(b"hello")
        client.link.loseConnection()
        pair.pump()
        self.assertIn(f"{streams.name} from 192.0.2.1:50000", self.logged()[-1])


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


class CertificateTests(ServiceTestCase):
    def test_contexts(self) -> None:
        """The certificates are those of the open listeners that have some."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(serverPEM())
        files = TLSFiles(path, path)
        encrypted = Listener("echo", "tcp:7", layers=Layers(tls=files))
        service = self.service([encrypted], [Listener("echo", "tcp:8")])
        self.assertEqual(service.certificates.loaded(), [])
        service.startService()
        self.assertEqual(service.certificates.loaded(), [files])


class AccessTests(ServiceTestCase):
    def test_removal(self) -> None:
        """A UNIX socket that another user may not remove is logged."""
        path = self.mktemp()
        with open(path, "wb"):
            pass
        service = self.service([Listener("echo", "unix:/x")])
        service.startService()
        port = self.fake.opened[0][0]
        self.patch(port, "getHost", lambda: UNIXAddress(path))
        service.checkAccess()
        self.assertEqual(self.logged(), [])
        self.patch(listenerservice, "mayRemove", lambda path: False)
        service.checkAccess()
        [line] = self.logged()
        self.assertIn(f"{path} cannot be removed at the stop: user", line)
