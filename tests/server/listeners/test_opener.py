from __future__ import annotations

from errno import EADDRINUSE, EADDRNOTAVAIL

from twisted.internet.error import CannotListenError

from echoproto.errors import StartupError
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.listeners import opener
from tests.server.fakemachine import failed
from tests.server.servicecase import ServiceTestCase


class OpenerTests(ServiceTestCase):
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

    def test_ownPort(self) -> None:
        """If a port is taken by another option of this server, the reason names its service."""
        error = CannotListenError("0.0.0.0", 8, failed(EADDRINUSE))
        self.fake.failing["udp:8:interface=0.0.0.0"] = error
        echo = parseListener("echo", "8", ("127.0.0.1",))
        with self.assertRaises(StartupError) as raised:
            self.service(echo, parseListener("greeting", "8")).privilegedStartService()
        self.assertEqual(
            str(raised.exception),
            "greeting cannot listen on udp 0.0.0.0:8: echo of this server listens there already; "
            "use another port for one of them",
        )

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

    def test_cannotStart(self) -> None:
        """Certificates that cannot be used are a failure to start."""
        path = self.mktemp()
        with open(path, "wb"):
            pass
        [listener, *_] = parseListener("echo", "7", tls=TLSFiles(path, path))
        with self.assertRaises(StartupError) as raised:
            self.service([listener]).startService()
        self.assertIn("echo cannot listen on tls 0.0.0.0:7: ", str(raised.exception))

    def test_guarded(self) -> None:
        """Errors of accept(2) are handled on every listener, and logged under its name."""
        guarded: list[str] = []
        self.patch(opener, "guardAccepting", lambda port, reactor, name: guarded.append(name))
        status = Listener("status", "tcp:9100")
        self.service(parseListener("echo", "7"), [status]).startService()
        self.assertEqual(
            guarded,
            ["echo on tcp 0.0.0.0:7", "echo on tcp [::]:7", "status on tcp :0"],
        )
