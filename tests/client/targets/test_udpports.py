from __future__ import annotations

from errno import ENETUNREACH
from os import strerror
from socket import AF_INET, SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET, socket

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.udpports import (
    UnconnectedUDPChannel,
    openConnectedPort,
    openUnconnectedChannel,
)
from echoproto.errors import ConnectionClosed
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import DatagramWire
from tests.client.targets.wires import FailingWire, SocketWire


class UnconnectedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.replies: list[tuple[bytes, str, int]] = []

    def open(self, host: str, source: str = "", port: int = 0) -> UnconnectedUDPChannel:
        return openUnconnectedChannel(
            self.wire,
            lambda *reply: self.replies.append(reply),
            host,
            ConnectOptions(source=source),
            port,
        )

    def test_replies(self) -> None:
        """A reply is reported with its source address, on both families."""
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            self.wire.listenUDP(7, EchoDatagramProtocol(self.wire), host)
            self.open(host).send(b"ping", host, 7)
            self.wire.deliverAll()
            self.assertEqual(self.replies.pop(), (b"ping", host, 7))

    def test_source(self) -> None:
        """The source address and port can be chosen; a port in use raises CannotListenError."""
        self.open("127.0.0.1", "127.0.0.9", 19).send(b"ping", "127.0.0.1", 7)
        self.assertEqual(self.wire.pending[0].source, ("127.0.0.9", 19))
        self.assertRaises(CannotListenError, self.open, "127.0.0.1", "127.0.0.9", 19)

    def test_closed(self) -> None:
        """After ``close`` nothing is reported, and the port is free."""
        channel = self.open("127.0.0.1")
        channel.close()
        channel.datagramReceived(b"late", ("127.0.0.1", 7))
        self.assertEqual((self.replies, self.wire.ports), ([], {}))


class ConnectedPortTests(SynchronousTestCase):
    hosts = ("127.0.0.1", "127.0.0.2")

    def test_connected(self) -> None:
        """The port is connected to the first address, and its receive buffer is enlarged."""
        address, _ = openConnectedPort(DatagramWire(), DatagramProtocol, self.hosts, 7)
        self.assertEqual(address, "127.0.0.1")
        with socket(AF_INET, SOCK_DGRAM) as receiver:
            before = receiver.getsockopt(SOL_SOCKET, SO_RCVBUF)
            openConnectedPort(SocketWire(receiver), DatagramProtocol, self.hosts, 7)
            self.assertGreater(receiver.getsockopt(SOL_SOCKET, SO_RCVBUF), before)

    def test_noRoute(self) -> None:
        """Without a route to any address it fails, and no port stays open."""
        wire = FailingWire(OSError(ENETUNREACH, strerror(ENETUNREACH)))
        message = (
            "^no route to 127.0.0.1: Network is unreachable; "
            "no route to 127.0.0.2: Network is unreachable$"
        )
        with self.assertRaisesRegex(ConnectionClosed, message):
            openConnectedPort(wire, DatagramProtocol, self.hosts, 7)
        self.assertEqual(wire.ports, {})

    def test_secondRoute(self) -> None:
        """An address without a route is skipped; its protocol, whose port still closes, too."""
        made: list[DatagramProtocol] = []

        def make() -> DatagramProtocol:
            made.append(DatagramProtocol())
            return made[-1]

        wire = FailingWire(OSError(ENETUNREACH, strerror(ENETUNREACH)), failures=1)
        found = openConnectedPort(wire, make, self.hosts, 7)
        self.assertEqual((found, len(made)), (("127.0.0.2", made[1]), 2))

    def test_invalidPort(self) -> None:
        """Other errors of connecting are raised unchanged, and no port stays open."""
        wire = FailingWire(OverflowError("port must be 0-65535."))
        self.assertRaises(
            OverflowError, openConnectedPort, wire, DatagramProtocol, self.hosts, 70_000
        )
        self.assertEqual(wire.ports, {})
