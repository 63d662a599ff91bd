from __future__ import annotations

import os
import socket
import subprocess
import sys
from errno import ECONNABORTED, EMFILE
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectBindError, ConnectionLost
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.python.failure import Failure

from echoproto.reactors import tcp as module
from echoproto.reactors.tcp import (
    AcceptedTransport,
    ListeningSocket,
    TCPClient,
    TCPConnector,
)
from tests.reactors.turns import Recorder, RecordingProducer, TurnTestCase


class AcceptTestCase(TurnTestCase):
    """A port, and clients that connect to it."""

    def setUp(self) -> None:
        super().setUp()
        self.recorders: list[Any] = []
        self.addresses: list[Any] = []
        self.factory = mock.Mock(spec=ServerFactory, noisy=False)
        self.factory.buildProtocol = self.build
        self.port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")

    def build(self, address: Any) -> Any:
        self.addresses.append(address)
        self.recorders.append(Recorder())
        return self.recorders[-1]

    def connect(self, number: int = 1) -> list[socket.socket]:
        clients = [
            socket.create_connection(("127.0.0.1", self.port.getHost().port)) for _ in range(number)
        ]
        for client in clients:
            self.addCleanup(client.close)
        return clients

    def accept(self) -> Any:
        """Accept one connection, and return its transport."""
        before = len(self.recorders)
        self.peers = self.connect()
        self.turnUntil(lambda: len(self.recorders) > before)
        return self.recorders[-1].transport


class AcceptTests(AcceptTestCase):
    def test_accepts(self) -> None:
        """All waiting connections are accepted in one turn, and protocols get their addresses."""
        clients = self.connect(5)
        self.turn()
        expected = [IPv4Address("TCP", *client.getsockname()) for client in clients]
        self.assertEqual(self.addresses, expected)
        peers = [recorder.transport.getPeer() for recorder in self.recorders]
        self.assertEqual(peers, expected)
        self.assertEqual(self.port.numberAccepts, 5)

    def test_busy(self) -> None:
        """More are accepted in one turn when as many as possible were waiting."""
        self.port.numberAccepts = 2
        self.connect(3)
        self.turn()
        self.assertEqual((len(self.addresses), self.port.numberAccepts), (2, 22))

    def test_socket(self) -> None:
        """The socket of a connection has its family, type and address, and does not block."""
        accepted = self.accept().socket
        self.assertEqual((accepted.family, accepted.type), (socket.AF_INET, socket.SOCK_STREAM))
        self.assertEqual((accepted.proto, accepted.getblocking()), (0, False))
        self.assertIsInstance(self.port.socket, ListeningSocket)

    def test_refused(self) -> None:
        """A connection for which there is no protocol is closed."""
        self.factory.buildProtocol = lambda address: None
        (client,) = self.connect()
        self.turn()
        self.assertEqual(client.recv(1), b"")

    def test_exception(self) -> None:
        """An exception of the factory is logged, and the port accepts on."""
        self.factory.buildProtocol = mock.Mock(side_effect=ZeroDivisionError)
        self.connect()
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.factory.buildProtocol = self.build
        self.accept()

    def test_error(self) -> None:
        """An error of accept(2) is handled by the stock code, and the port accepts on."""
        with mock.patch.object(self.port, "socket") as failing:
            failing.accept.side_effect = OSError(ECONNABORTED, "aborted")
            self.port.doRead()
        self.assertEqual(failing.accept.call_count, 2)
        self.accept()

    def test_failing(self) -> None:
        """A connection whose factory or transport raises is closed, and the port accepts on."""
        for owner, name in ((self, "build"), (self.port, "transport")):
            with mock.patch.object(owner, name, side_effect=ZeroDivisionError):
                self.factory.buildProtocol = self.build
                [client] = self.connect()
                client.settimeout(120)
                self.turn()
                self.assertEqual(client.recv(1), b"")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.factory.buildProtocol = self.build
        self.accept()

    def test_IPv6(self) -> None:
        """An IPv6 address is one, with its scope if it has one."""
        for scope, host in ((0, "fe80::1"), (1, f"fe80::1%{socket.if_indextoname(1)}")):
            ours, theirs = socket.socketpair()
            self.addCleanup(theirs.close)
            self.port.addressFamily = socket.AF_INET6
            self.port._addressType = IPv6Address
            self.port._accepted(ours, ("fe80::1", 7, 0, scope))
            self.assertEqual(self.addresses[-1].host, host)
            peer = self.recorders[-1].transport.getPeer()
            self.assertEqual((type(peer), peer.host), (IPv6Address, host))
            self._transports.append(self.recorders[-1].transport)

    def test_texts(self) -> None:
        """A connection is named by protocol, number, client and port, also when it has ended."""
        transport, number = self.accept(), self.port.getHost().port
        self.assertEqual(transport.logPrefix(), "Recorder,0,127.0.0.1")
        self.assertEqual(repr(transport), f"<Recorder #0 on {number}>")
        later = self.accept()
        later.abortConnection()
        self.turnUntil(lambda: self.recorders[-1].reason)
        self.assertEqual(later.logPrefix(), "Recorder,1,127.0.0.1")
        self.assertEqual(repr(later), f"<Recorder #1 on {number}>")

    def test_adopted(self) -> None:
        """A connection that was accepted elsewhere is named, too."""
        recorder, peer = self.adopt()
        self.assertIn("Recorder", repr(recorder.transport))
        peer.close()


class LostTests(TurnTestCase):
    def test_producer(self) -> None:
        """The producer of a lost connection is stopped, once."""
        recorder, _peer = self.adopt()
        producer = RecordingProducer()
        recorder.transport.registerProducer(producer, True)
        for _ in range(2):
            recorder.transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(producer.calls, ["stop"])
        recorder.reason.trap(ConnectionLost)


class CloseTests(AcceptTestCase):
    def closing(self) -> Any:
        """Close a connection after its peer, and return the calls of its socket."""
        self.accept()
        recorder, peer = self.recorders[-1], self.peers[-1]
        with mock.patch.object(
            recorder.transport, "socket", wraps=recorder.transport.socket
        ) as made:
            peer.shutdown(socket.SHUT_WR)
            self.turnUntil(lambda: recorder.reason)
        self.assertEqual(peer.recv(1), b"")
        return made

    def test_closed(self) -> None:
        """After the peer's FIN, a socket that no other process has is closed without shutdown."""
        self.patch(AcceptedTransport, "_areShared", False)
        self.closing().shutdown.assert_not_called()

    def test_unread(self) -> None:
        """A client whose data is not read gets the reply and a FIN, and no reset."""
        transport = self.accept()
        transport.pauseProducing()
        [peer] = self.peers
        peer.send(b"not read")
        transport.write(b"reply")
        transport.loseConnection()
        self.turnUntil(lambda: self.recorders[-1].reason)
        self.assertEqual(peer.recv(10), b"reply")
        self.assertEqual(peer.recv(10), b"")

    def test_adopted(self) -> None:
        """The client of an adopted connection gets its FIN although another has the socket, too."""
        recorder, peer = self.adopt()
        with socket.socket(fileno=os.dup(recorder.transport.fileno())):
            recorder.transport.loseConnection()
            self.turnUntil(lambda: recorder.reason)
            self.assertEqual(peer.recv(1), b"")

    def test_forked(self) -> None:
        """After a fork, the client gets its FIN although the child has the socket, too."""
        self.patch(AcceptedTransport, "_areShared", False)
        module.shareSockets()
        self.closing().shutdown.assert_called_once()
        script = (
            "import os; from echoproto.reactors.tcp import AcceptedTransport as t; "
            "a = t._areShared; os.fork() or os._exit(0); print(a, t._areShared)"
        )
        printed = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=True, timeout=120
        )
        self.assertEqual(printed.stdout, b"False True\n")


class ConnectorTests(TurnTestCase):
    def test_transports(self) -> None:
        """A connector creates direct transports."""
        factory = ClientFactory()
        factory.noisy = False
        connector = TCPConnector("127.0.0.1", 0, factory, 30.0, None, self.reactor)
        self.assertIsInstance(connector._makeTransport(), TCPClient)
        self.turn()

    def test_noSocket(self) -> None:
        """The factory of a client for which no socket can be made is told so."""
        factory = mock.Mock(spec=ClientFactory, noisy=False)
        exhausted = OSError(EMFILE, os.strerror(EMFILE))
        self.patch(TCPClient, "createInternetSocket", mock.Mock(side_effect=exhausted))
        self.reactor.connectTCP("127.0.0.1", 7, factory)
        self.turn()
        [_connector, reason] = factory.clientConnectionFailed.call_args.args
        reason.trap(ConnectBindError)
