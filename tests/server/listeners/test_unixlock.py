from __future__ import annotations

import os
import socket
from errno import EAGAIN
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.listeners.unixlock import removeLock, removeStaleLock


class StaleLockTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "echo")
        self.lock = Path(folder.name, "echo.lock")
        # The number of this process, which lives: only the socket shows that no server does.
        self.lock.symlink_to(str(os.getpid()))

    def listen(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.path))
        server.listen()
        return server

    def left(self) -> tuple[bool, bool]:
        """Whether the socket and the lock are still there, after stale ones are removed."""
        removeStaleLock(str(self.path))
        return self.path.exists(), self.lock.is_symlink()

    def test_killed(self) -> None:
        """If nobody listens, the lock is stale, and so is the socket, whatever process it names."""
        self.listen().close()
        self.assertEqual(self.left(), (False, False))

    def test_lockAlone(self) -> None:
        """A lock without a socket is stale."""
        self.assertEqual(self.left(), (False, False))

    def test_listening(self) -> None:
        """A server that listens keeps both."""
        self.listen()
        self.assertEqual(self.left(), (True, True))

    def test_otherFile(self) -> None:
        """A file that is not a socket is never removed."""
        self.path.write_text("mine")
        self.assertEqual(self.left()[0], True)

    def test_doubt(self) -> None:
        """A socket that cannot be tried, because its backlog is full, keeps its lock."""
        self.listen()
        with mock.patch.object(socket.socket, "connect", side_effect=OSError(EAGAIN, "full")):
            self.assertEqual(self.left(), (True, True))

    def test_removeLock(self) -> None:
        """A lock that this process holds without listening is removed, if it is still there."""
        for _ in range(2):
            removeLock(str(self.path))
            self.assertFalse(self.lock.is_symlink())

    def test_noLock(self) -> None:
        """A socket without a lock is another program's."""
        self.lock.unlink()
        self.listen().close()
        self.assertEqual(self.left(), (True, False))
