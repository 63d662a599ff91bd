from __future__ import annotations

import socket

from twisted.internet.error import FileDescriptorOverrun
from twisted.internet.protocol import ClientFactory

from echoproto.reactors.transports import DirectTransport
from echoproto.reactors.unix import UNIXConnector
from tests.reactors.turns import TurnTestCase


class UNIXTests(TurnTestCase):
    def test_descriptors(self) -> None:
        """A file descriptor is sent together with the data written after it."""
        recorder, peer = self.adopt(socket.AF_UNIX)
        recorder.transport.sendFileDescriptor(peer.fileno())
        recorder.transport.write(b"x")
        self.turn()
        data, passed, _, _ = socket.recv_fds(peer, 10, 1)
        self.assertEqual((data, len(passed)), (b"x", 1))
        socket.close(passed[0])

    def test_descriptorsWait(self) -> None:
        """Closing a UNIX socket with unsent file descriptors is an error, as in Twisted."""
        recorder, peer = self.adopt(socket.AF_UNIX)
        recorder.transport.sendFileDescriptor(peer.fileno())
        recorder.transport.loseConnection()
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(FileDescriptorOverrun)

    def test_connector(self) -> None:
        """A connector of UNIX sockets creates direct transports."""
        factory = ClientFactory()
        factory.noisy = False
        connector = UNIXConnector(self.mktemp(), factory, 30.0, self.reactor, False)
        self.assertIsInstance(connector._makeTransport(), DirectTransport)
        self.turn()
