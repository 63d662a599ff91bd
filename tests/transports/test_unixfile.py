from __future__ import annotations

import os
from errno import EACCES
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet import unix
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.unixfile import ownsFile, removeOnlyOwnFile


class OwnFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "echo")
        self.port: Any = unix.Port(
            os.fsencode(self.path), Factory(), reactor=MemoryReactor(), wantPID=True
        )
        self.port.startListening()
        removeOnlyOwnFile(self.port)

    def closed(self) -> list[str]:
        """What closing the port logs; it leaves no socket open."""
        with capturedLogs() as events:
            self.port.connectionLost(Failure(CONNECTION_DONE))
        self.assertFalse(hasattr(self.port, "socket"))
        own = [event for event in events if event["log_namespace"].startswith("echoproto")]
        return [formatEvent(event) for event in own]

    def left(self) -> list[str]:
        return sorted(os.listdir(self.path.parent))

    def test_own(self) -> None:
        """The file of the socket is removed, with its lock."""
        self.assertNotIn("replaced", " ".join(self.closed()))
        self.assertEqual(self.left(), [])

    def test_replaced(self) -> None:
        """A file that has replaced it stays; the lock is removed."""
        os.rename(self.path, self.path.with_name("moved"))
        self.path.write_text("not ours")
        self.assertIn(f"{self.path} was removed or replaced", " ".join(self.closed()))
        self.assertEqual(self.left(), ["echo", "moved"])

    def test_removed(self) -> None:
        """If it was removed, the port is closed all the same, and the lock is removed."""
        self.path.unlink()
        self.assertIn(f"{self.path} was removed or replaced", " ".join(self.closed()))
        self.assertEqual(self.left(), [])

    def test_forbidden(self) -> None:
        """
        If its files may not be removed, one line says which are left, and the port is closed.
        """
        lock = f"{self.path}.lock"
        with mock.patch("os.unlink", side_effect=PermissionError(EACCES, "Permission denied")):
            [line] = self.closed()
        self.assertEqual(
            line,
            f"{self.path} and {lock} could not be removed: Permission denied; the next start "
            "removes what its user may",
        )

    def test_lockReplaced(self) -> None:
        """The lock of another process is left, and is a line."""
        lock = Path(f"{self.path}.lock")
        lock.unlink()
        lock.symlink_to("1")
        [line] = self.closed()
        self.assertIn(f"{lock} could not be removed: Lock ", line)
        self.assertEqual(self.left(), ["echo.lock"])

    def test_lockRemoved(self) -> None:
        """A lock that is gone is no fault."""
        os.unlink(f"{self.path}.lock")
        self.assertEqual(self.closed(), [])
        self.assertEqual(self.left(), [])


class OwnerTests(SynchronousTestCase):
    def test_earlierTwisted(self) -> None:
        """The path is found under the name that it has in earlier versions of Twisted, too."""
        for name in ("_bindPath", "port"):
            self.assertTrue(ownsFile(SimpleNamespace(**{name: b"/run/echo"})))
            self.assertFalse(ownsFile(SimpleNamespace(**{name: b"\0echo"})))
