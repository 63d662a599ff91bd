from __future__ import annotations

import os
import socket
import struct
from errno import EAGAIN, ETOOMANYREFS
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet import unix
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import RecordingProtocol
from echoproto.transports import descriptorcloser
from echoproto.transports import unix as module
from echoproto.transports.descriptorcloser import MAX_WAITING, DescriptorCloser
from echoproto.transports.unix import (
    UNIXPeer,
    peerUser,
    prepareUNIXPort,
)


class RecordingCloser(DescriptorCloser):
    """Closes at once, and records how many."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0
        self.error: OSError | None = None
        self.isIdle = lambda: self.error is None

    def close(self, descriptor: int, isOwn: bool = False) -> None:
        os.close(descriptor)
        self.closed += 1

    def checkRoom(self) -> None:
        if self.error is not None:
            raise self.error


class AnsweringFactory(Factory):
    """Builds recording protocols, or refuses."""

    noisy = False

    def __init__(self) -> None:
        self.peers: list[IAddress | None] = []
        self.built: list[RecordingProtocol] = []
        self.refuses = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.peers.append(addr)
        if self.refuses:
            return None
        self.built.append(RecordingProtocol())
        return self.built[-1]


class PreparedPortTests(SynchronousTestCase):
    """The reactor does not run: the tests call what it would."""

    def setUp(self) -> None:
        self.closer = RecordingCloser()
        self.factory = AnsweringFactory()
        self.port = self.listen(f"\0{self.id()}")

    def listen(self, name: str, isOwner: bool = True) -> Any:
        port: Any = unix.Port(os.fsencode(name), self.factory, reactor=MemoryReactor())
        port.startListening()
        if not isOwner:
            setattr(port, "_bindPath" if hasattr(port, "_bindPath") else "port", b"\0")
        prepareUNIXPort(port, self.closer)
        if isOwner:
            self.addCleanup(port.connectionLost, Failure(CONNECTION_DONE))
        return port

    def connect(self, name: str = "") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        if name:
            client.bind(name)
        client.connect(self.port.socket.getsockname())
        return client

    def accepted(self, name: str = "") -> tuple[socket.socket, RecordingProtocol, Any]:
        client = self.connect(name)
        self.port.doRead()
        protocol = self.factory.built[-1]
        transport: Any = protocol.transport
        self.addCleanup(transport.connectionLost, Failure(CONNECTION_DONE))
        return client, protocol, transport

    def passDescriptors(self, client: socket.socket) -> None:
        client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("ii", 0, 1))])

    def test_passed(self) -> None:
        """Passed descriptors are closed without a word, and the data with them is received."""
        client, protocol, transport = self.accepted()
        # The kernel sends its own data with them, which is ignored.
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.passDescriptors(client)
        transport.doRead()
        self.assertEqual((protocol.received, self.closer.closed), (b"x", 2))

    def test_closedUnread(self) -> None:
        """A connection with unread data, accepted or refused, is closed by the closer."""
        client, _, transport = self.accepted()
        self.passDescriptors(client)
        transport.connectionLost(Failure(CONNECTION_DONE))
        self.assertEqual(self.closer.closed, 1)
        self.factory.refuses = True
        self.passDescriptors(self.connect())
        self.port.doRead()
        self.assertEqual(self.closer.closed, 2)

    def test_othersAreRead(self) -> None:
        """While descriptors wait, data is received as ever, and data with descriptors is not."""
        client, protocol, transport = self.accepted()
        self.closer.error = OSError(EAGAIN, "too many")
        client.sendall(b"data")
        transport.doRead()
        self.passDescriptors(client)
        transport.doRead()
        self.assertEqual((protocol.received, self.closer.closed), (b"data", 0))
        self.closer.error = None
        transport.doRead()
        self.assertEqual((protocol.received, self.closer.closed), (b"datax", 2))

    def test_tooManyWait(self) -> None:
        """While too many descriptors wait, no connection is accepted."""
        self.closer._seconds = lambda: 0.0
        for _ in range(MAX_WAITING + 1):
            self.closer._waiting.put((-1, False))
        self.connect()
        self.assertRaises(BlockingIOError, self.port.socket.accept)
        self.port.doRead()
        self.assertEqual(self.factory.peers, [])

    def test_cutOff(self) -> None:
        """A client that goes on passing descriptors while some wait is not read."""
        client, protocol, transport = self.accepted()
        self.passDescriptors(client)
        transport.doRead()
        self.passDescriptors(client)
        for number, result in ((EAGAIN, None), (ETOOMANYREFS, CONNECTION_LOST)):
            self.closer.error = OSError(number, "too many")
            self.assertIs(transport.doRead(), result)
        self.assertEqual(protocol.received, b"x")

    def test_names(self) -> None:
        """Clients with a name of any length are served; four bytes are no IPv6 address."""
        for length in (0, 2, 3, 4, 5):
            name = ("\0" + os.urandom(4).hex())[:length]
            client, protocol, transport = self.accepted(name)
            client.sendall(b"hello")
            transport.doRead()
            self.assertEqual(protocol.received, b"hello")
            self.assertEqual(self.peer().name, os.fsencode(name))

    def peer(self) -> UNIXPeer:
        peer = self.factory.peers[-1]
        assert isinstance(peer, UNIXPeer)
        return peer

    def test_user(self) -> None:
        """The address of a client has its user."""
        self.accepted()
        self.assertEqual(self.peer().uid, os.getuid())

    def test_userUnknown(self) -> None:
        """A system that does not tell the user is no obstacle."""
        client = self.connect()
        with mock.patch.object(socket.socket, "getsockopt", side_effect=PermissionError):
            self.assertIsNone(peerUser(client))
        self.patch(module, "socket", SimpleNamespace())
        self.assertIsNone(peerUser(client))

    def lost(self, transport: Any, protocol: RecordingProtocol) -> Any:
        transport.connectionLost(Failure(CONNECTION_LOST))
        assert protocol.reason is not None
        return protocol.reason.type

    def test_orderly(self) -> None:
        """A hangup after both ends have closed, with nothing left, is an orderly close."""
        client, protocol, transport = self.accepted()
        transport.loseConnection()
        client.close()
        self.assertIs(self.lost(transport, protocol), ConnectionDone)
        transport.connectionLost(Failure(CONNECTION_LOST))

    def test_lost(self) -> None:
        """It is a loss while we have not closed, while data is queued, and if some is unread."""
        client, protocol, transport = self.accepted()
        client.close()
        self.assertIs(self.lost(transport, protocol), ConnectionLost)
        client, protocol, transport = self.accepted()
        transport.write(b"queued")
        transport.loseConnection()
        self.assertIs(self.lost(transport, protocol), ConnectionLost)
        client, protocol, transport = self.accepted()
        transport.socket.send(b"unread")
        transport.loseConnection()
        client.close()
        self.assertIs(self.lost(transport, protocol), ConnectionLost)

    def test_file(self) -> None:
        """A socket with a file is prepared alike, and closed twice without harm."""
        self.port = self.listen(self.mktemp())
        _, _, transport = self.accepted()
        made = transport.socket
        transport.connectionLost(Failure(CONNECTION_DONE))
        made.close()

    def test_forbidden(self) -> None:
        """
        If a sandbox forbids to ask for unread data, the socket is closed as if there were some.
        """
        _, _, transport = self.accepted()
        self.patch(descriptorcloser, "ioctl", mock.Mock(side_effect=PermissionError))
        transport.socket.close()
        self.assertEqual(self.closer.closed, 1)

    def test_passedFile(self) -> None:
        """A file that the port does not own, as that of a socket of systemd, is left alone."""
        path = self.mktemp()
        self.listen(path, isOwner=False).connectionLost(Failure(CONNECTION_DONE))
        self.assertTrue(os.path.exists(path))

    def test_others(self) -> None:
        """Ports of other families, and those in memory, are left alone; a closer is made."""
        prepareUNIXPort(SimpleNamespace())
        with socket.socket() as tcp:
            port = SimpleNamespace(socket=tcp)
            prepareUNIXPort(port)
            self.assertIs(port.socket, tcp)
        other: Any = unix.Port(b"\0" + os.urandom(8), self.factory, reactor=MemoryReactor())
        other.startListening()
        self.addCleanup(other.connectionLost, Failure(CONNECTION_DONE))
        prepareUNIXPort(other)
        self.assertIsInstance(other.socket.closer, DescriptorCloser)
