from __future__ import annotations

import os
import socket
import struct
from errno import EMFILE, ETOOMANYREFS
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.descriptorcloser import (
    BLOCKED_AFTER,
    MAX_WAITING,
    DescriptorCloser,
    closeWithoutLinger,
    passedDescriptors,
)

LINGER = struct.pack("ii", 1, 3600)


def isOpen(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def passDescriptor(client: socket.socket, data: bytes, made: socket.socket) -> None:
    client.sendmsg(
        [data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", made.fileno()))]
    )


def lingers(made: socket.socket) -> bool:
    value = made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(LINGER))
    return bool(struct.unpack("ii", value)[0])


class DescriptorCloserTests(SynchronousTestCase):
    def test_closes(self) -> None:
        """A thread closes what it is given."""
        closer = DescriptorCloser()
        for _ in range(2):
            ours, theirs = socket.socketpair()
            with ours:
                closer.close(theirs.detach())
                self.assertEqual(ours.recv(1), b"")

    def test_room(self) -> None:
        """While some wait there is no room for now; if the thread is blocked, an error."""
        clock = Clock()
        closer = DescriptorCloser(clock.seconds)
        closer.checkRoom()
        closer._waiting.put((-1, False))
        self.assertRaises(BlockingIOError, closer.checkRoom)
        clock.advance(BLOCKED_AFTER + 1)
        with self.assertRaises(OSError) as caught:
            closer.checkRoom()
        self.assertEqual(caught.exception.errno, ETOOMANYREFS)

    def test_idle(self) -> None:
        """A thread that had nothing to close for long is not blocked."""
        clock = Clock()
        closer = DescriptorCloser(clock.seconds)
        closer._thread = mock.Mock()
        clock.advance(10 * BLOCKED_AFTER)
        closer.close(-1)
        self.assertRaises(BlockingIOError, closer.checkRoom)
        clock.advance(BLOCKED_AFTER + 1)
        closer.close(-1)
        with self.assertRaises(OSError) as caught:
            closer.checkRoom()
        self.assertEqual(caught.exception.errno, ETOOMANYREFS)

    def test_anyKind(self) -> None:
        """Sockets, which do not linger, are closed, and others; a closed one is ignored."""
        reading, writing = os.pipe()
        with socket.socket() as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 8))
            shared = made.dup()
            closeWithoutLinger(shared.detach())
            linger = made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
            self.assertEqual(struct.unpack("ii", linger)[0], 0)
        for descriptor in (reading, writing):
            closeWithoutLinger(descriptor)
            self.assertFalse(isOpen(descriptor))
        closeWithoutLinger(writing)

    def test_sockets(self) -> None:
        """While too many wait no connection may be opened."""
        clock = Clock()
        closer = DescriptorCloser(clock.seconds)
        for _ in range(MAX_WAITING):
            closer._waiting.put((-1, True))
        closer.checkSockets()
        closer._waiting.put((-1, True))
        self.assertRaises(BlockingIOError, closer.checkSockets)
        clock.advance(BLOCKED_AFTER + 1)
        with self.assertRaises(OSError) as caught:
            closer.checkSockets()
        self.assertEqual(caught.exception.errno, EMFILE)

    def test_passedDescriptors(self) -> None:
        """Of the ancillary data of a receive, descriptors are returned only."""
        passed = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("ii", 7, 8))
        self.assertEqual(list(passedDescriptors([(0, 0, bytes(4)), passed])), [7, 8])


class UnreadTests(SynchronousTestCase):
    """Connections of our own that are closed with unread data."""

    def setUp(self) -> None:
        self.passed = socket.socket()
        self.addCleanup(self.passed.close)
        self.passed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self.client, self.connection = socket.socketpair()
        self.addCleanup(self.client.close)
        self.closer = DescriptorCloser()

    def close(self) -> None:
        self.closer.close(self.connection.detach(), isOwn=True)

    def test_descriptors(self) -> None:
        """Descriptors in unread data do not linger; the client is reset."""
        self.client.sendall(bytes(100_000))
        passDescriptor(self.client, b"more", self.passed)
        self.client.sendall(b"last")
        self.close()
        self.assertRaises(ConnectionResetError, self.client.recv, 1)
        self.assertFalse(lingers(self.passed))

    def test_lastByte(self) -> None:
        """Neither do those of the last byte."""
        passDescriptor(self.client, b"x", self.passed)
        self.close()
        self.assertEqual(self.client.recv(1), b"")
        self.assertFalse(lingers(self.passed))

    def test_noDescriptors(self) -> None:
        """A client with a single unread byte is reset."""
        self.client.sendall(b"x")
        self.close()
        self.assertRaises(ConnectionResetError, self.client.recv, 1)

    def test_failed(self) -> None:
        """What is no socket is closed all the same."""
        reading, writing = os.pipe()
        self.closer.close(writing, isOwn=True)
        self.assertEqual(os.read(reading, 1), b"")
        os.close(reading)
        self.connection.close()
