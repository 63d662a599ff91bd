from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.protocol import ClientFactory, Factory

from echoproto.reactors.transports import DirectTransport
from tests.reactors.turns import Recorder, TurnTestCase


class DirectSocketsReactorTests(TurnTestCase):
    def exchange(self, connect: Any, made: list[Recorder]) -> None:
        """Exchange a message on a connection from ``connect`` to a protocol of ``made``."""
        client = Recorder()
        factory: Any = ClientFactory()
        factory.buildProtocol = lambda addr: client
        connect(factory)
        self.turnUntil(lambda: made and made[-1].transport and client.transport)
        server = made[-1]
        server.react = server.transport.write
        client.transport.write(b"hello")
        self.turnUntil(lambda: client.pieces)
        self.assertEqual(client.pieces, [b"hello"])
        for recorder in (client, server):
            self.assertIsInstance(recorder.transport, DirectTransport)

    def factory(self) -> tuple[Any, list[Recorder]]:
        """Return a factory and the list of its protocols."""
        made: list[Recorder] = []
        factory: Any = Factory()
        factory.noisy = False

        def build(addr: object) -> Recorder:
            made.append(Recorder())
            return made[-1]

        factory.buildProtocol = build
        return factory, made

    def test_tcp(self) -> None:
        """Servers and clients have direct transports, on IPv4 and on IPv6."""
        for interface in ("127.0.0.1", "::1"):
            factory, made = self.factory()
            number = self.reactor.listenTCP(0, factory, interface=interface).getHost().port
            self.exchange(
                lambda client: self.reactor.connectTCP(interface, number, client),  # noqa: B023
                made,
            )

    def test_unix(self) -> None:
        """Servers and clients have direct transports on UNIX sockets."""
        factory, made = self.factory()
        path = self.mktemp()
        self.reactor.listenUNIX(path, factory)
        self.exchange(lambda client: self.reactor.connectUNIX(path, client), made)

    def test_adoptedPorts(self) -> None:
        """Adopted ports accept connections with direct transports."""
        factory, made = self.factory()
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            tcp.setblocking(False)
            self.reactor.adoptStreamPort(tcp.fileno(), socket.AF_INET, factory)
            number = tcp.getsockname()[1]
        self.exchange(lambda client: self.reactor.connectTCP("127.0.0.1", number, client), made)
        path = self.mktemp()
        with socket.socket(socket.AF_UNIX) as unix:
            unix.setblocking(False)
            unix.bind(path)
            self.reactor.adoptStreamPort(unix.fileno(), socket.AF_UNIX, factory)
        self.exchange(lambda client: self.reactor.connectUNIX(path, client), made)

    def test_adoptedConnections(self) -> None:
        """Adopted connections have direct transports."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            recorder, _peer = self.adopt(family)
            self.assertIsInstance(recorder.transport, DirectTransport)

    def test_otherFamilies(self) -> None:
        """An address family that Twisted does not support raises, as on the stock reactor."""
        for adopt in (self.reactor.adoptStreamPort, self.reactor.adoptStreamConnection):
            with self.assertRaises(UnsupportedAddressFamily):
                adopt(0, socket.AF_PACKET, Factory())
