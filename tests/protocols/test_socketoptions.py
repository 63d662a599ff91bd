from __future__ import annotations

import socket
from types import SimpleNamespace

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.socketoptions import keepUrgentData, socketOf


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
