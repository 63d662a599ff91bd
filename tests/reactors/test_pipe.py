from __future__ import annotations

import os
import socket
from errno import EAGAIN, EINVAL, EMFILE, EPERM, EPIPE
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.reactors import pipe as module
from echoproto.reactors.pipe import LARGEST_MOVE, SplicePipe


class SplicePipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pipe = SplicePipe()
        self.addCleanup(self.pipe.close)
        self.sender, self.source = self.pair()
        self.target, self.receiver = self.pair()

    def pair(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        for end in (client, server):
            self.addCleanup(end.close)
            end.setblocking(False)
        return client, server

    def move(self) -> tuple[int, bytes, int]:
        return self.pipe.move(self.source.fileno(), self.target.fileno())

    def test_moves(self) -> None:
        """What the source has received is moved to the target, through one pipe."""
        for data in (b"one", bytes(range(256)) * 100):
            self.sender.send(data)
            self.assertEqual(self.move(), (len(data), b"", 0))
            self.assertEqual(self.receiver.recv(LARGEST_MOVE), data)
        self.assertEqual(self.move(), (0, b"", 0))
        self.assertTrue(self.pipe.isUsable)

    def test_end(self) -> None:
        """At the end of input nothing is taken; a reset is an error."""
        self.sender.close()
        self.assertEqual(self.move(), (0, b"", 0))
        self.sender, self.source = self.pair()
        self.sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, *bytes(7)]))
        self.sender.close()
        self.assertRaises(ConnectionResetError, self.move)

    def test_rest(self) -> None:
        """What the target does not accept is returned, and nothing stays in the pipe."""
        data = bytes(range(256)) * 1000
        moved, refused = b"", b""
        while not refused:
            self.sender.send(data)
            taken, refused, number = self.move()
            moved += bytes(taken)
        self.assertEqual(number, EAGAIN)
        self.assertLessEqual(len(refused), LARGEST_MOVE)
        _, self.source = self.sender, self.source
        self.sender, self.source = self.pair()
        target, self.receiver = self.pair()
        self.sender.send(b"of another connection")
        self.pipe.move(self.source.fileno(), target.fileno())
        self.assertEqual(self.receiver.recv(LARGEST_MOVE), b"of another connection")

    def test_targetFails(self) -> None:
        """An error of the target is reported, with what it has not accepted."""
        self.target.shutdown(socket.SHUT_WR)
        self.sender.send(b"too late")
        self.assertEqual(self.move(), (8, b"too late", EPIPE))

    def test_restInPieces(self) -> None:
        """What is not accepted is read from the pipe whole, however it is returned."""
        self.target.shutdown(socket.SHUT_WR)
        self.sender.send(b"too late")
        read = os.read
        with mock.patch("os.read", lambda end, size: read(end, min(size, 3))):
            self.assertEqual(self.move()[1], b"too late")

    def test_interrupted(self) -> None:
        """A pipe in which an exception leaves data is closed, and another one is opened."""
        self.sender.send(b"lost")
        splice = os.splice
        calls: list[int] = []

        def interrupted(*arguments: Any, **options: Any) -> int:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return splice(*arguments, **options)

        with mock.patch("os.splice", interrupted), self.assertRaises(KeyboardInterrupt):
            self.move()
        self.sender.send(b"kept")
        self.assertEqual(self.move(), (4, b"", 0))
        self.assertEqual(self.receiver.recv(10), b"kept")

    def test_unusable(self) -> None:
        """A kernel that refuses to splice is not asked again; nothing is taken."""
        self.sender.send(b"data")
        for number in (EINVAL, EPERM):
            with mock.patch("os.splice", side_effect=OSError(number, "refused")):
                self.assertEqual(self.move(), (0, b"", 0))
            self.assertFalse(self.pipe.isUsable)
        self.assertEqual(self.source.recv(10), b"data")

    def test_missing(self) -> None:
        """Without os.splice the pipe is not usable."""
        with mock.patch.object(module, "os", object()):
            self.assertFalse(SplicePipe().isUsable)

    def test_noDescriptors(self) -> None:
        """Nothing is taken while no pipe can be opened."""
        self.sender.send(b"data")
        with mock.patch("os.pipe2", side_effect=OSError(EMFILE, "too many")):
            self.assertEqual(self.move(), (0, b"", 0))
        self.assertEqual(self.move(), (4, b"", 0))

    def test_smallPipe(self) -> None:
        """A user who may have no larger pipe has one of the default size."""
        self.sender.send(b"data")
        with mock.patch.object(module, "fcntl", side_effect=PermissionError(EPERM, "limit")):
            self.assertEqual(self.move(), (4, b"", 0))
