from __future__ import annotations

import socket
import sys
from types import SimpleNamespace
from unittest import mock

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.socketoptions import (
    keepUrgentData,
    noteInheritance,
    setConnectionOptions,
    setInheritedOptions,
    socketOf,
)


class SocketOptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            self.accepted, _ = listener.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.accepted.close)
        self.transport = SimpleNamespace(getHandle=lambda: self.accepted)

    def test_lowest(self) -> None:
        """The socket of TLS, which is a transport over another one, is that of the lowest."""
        self.assertIs(socketOf(self.transport), self.accepted)
        above = SimpleNamespace(transport=self.transport, getHandle=object)
        self.assertIs(socketOf(SimpleNamespace(transport=above)), self.accepted)

    def test_urgentData(self) -> None:
        """Urgent data stays at its place in the stream."""
        keepUrgentData(self.transport)
        self.client.sendall(b"abc")
        self.client.send(b"D", socket.MSG_OOB)
        self.client.sendall(b"efg")
        self.client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := self.accepted.recv(100):
            received += piece
        self.assertEqual(received, b"abcDefg")

    def test_noSocket(self) -> None:
        """A transport in memory, or one that is closed, is left alone."""
        keepUrgentData(StringTransport())
        self.accepted.close()
        keepUrgentData(self.transport)


class ConnectionOptionsTests(SynchronousTestCase):
    def accepted(self, port: SimpleNamespace) -> socket.socket:
        """A connection of the port."""
        self.client = socket.create_connection(port.socket.getsockname())
        self.addCleanup(self.client.close)
        accepted: socket.socket = port.socket.accept()[0]
        self.addCleanup(accepted.close)
        return accepted

    def port(self, isPrepared: bool = True) -> SimpleNamespace:
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        if isPrepared:
            setInheritedOptions(listener)
        listener.listen()
        port = SimpleNamespace(socket=listener)
        noteInheritance(port)
        return port

    def test_inherited(self) -> None:
        """Connections of a prepared listening socket have the options without a system call."""
        port = self.port()
        accepted = self.accepted(port)
        for option in (socket.SO_OOBINLINE, socket.SO_KEEPALIVE):
            self.assertEqual(accepted.getsockopt(socket.SOL_SOCKET, option), 1)
        self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
        setConnectionOptions(SimpleNamespace(server=port))

    def test_otherSystems(self) -> None:
        """Where it is not known that connections inherit options, each is prepared."""
        self.patch(sys, "platform", "freebsd")
        port = self.port()
        self.assertFalse(port.connectionsInherit)
        self.assertPrepares(port)

    def test_listensAlready(self) -> None:
        """
        Connections of a socket that began to listen without the options, as one of systemd, may
        have been established before: each is prepared.
        """
        self.assertPrepares(self.port(isPrepared=False))

    def test_otherKernels(self) -> None:
        """An option that the kernel does not know is not inherited, and no error."""
        lacking = mock.Mock()
        lacking.setsockopt.side_effect = lacking.getsockopt.side_effect = OSError
        setInheritedOptions(lacking)
        port = SimpleNamespace(socket=lacking)
        noteInheritance(port)
        self.assertPrepares(port)

    def test_forbidden(self) -> None:
        """An option that a sandbox forbids is no error, and leaves the others."""
        transport = mock.Mock(server=self.port(isPrepared=False), transport=None)
        transport.getPeer.return_value.type = "TCP"
        transport.setTcpNoDelay.side_effect = PermissionError
        setConnectionOptions(transport)
        transport.setTcpKeepAlive.assert_called_once_with(True)

    def assertPrepares(self, port: SimpleNamespace) -> None:
        """Assert that a connection of the port gets its options when it is accepted."""
        transport = mock.Mock(server=port, transport=None)
        transport.getPeer.return_value.type = "TCP"
        setConnectionOptions(transport)
        transport.setTcpNoDelay.assert_called_once_with(True)

    def test_memory(self) -> None:
        """A transport in memory has no options."""
        setConnectionOptions(StringTransport())
