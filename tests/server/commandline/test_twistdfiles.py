from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.commandline.twistdfiles import checkTwistdFiles, removeOwnPIDFile


class TwistdFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def wrong(self, **options: Any) -> str:
        """The error if nothing but the files of the folder's tests may be written."""
        with mock.patch.object(os, "access", return_value=False):
            return str(self.assertRaises(StartupError, checkTwistdFiles, options))

    def test_writable(self) -> None:
        """Files that exist or can be made are right; so are none, and those of a whole root."""
        for options in (
            {"pidfile": "twistd.pid", "rundir": self.folder},
            {"pidfile": "", "nodaemon": True},
            {"pidfile": "", "logfile": "-"},
            {"pidfile": "/nonexistent/x", "chroot": "/"},
        ):
            checkTwistdFiles(options)

    def test_readOnlyFolder(self) -> None:
        """A file that cannot be written is one line with the remedy."""
        path = os.path.abspath(f"{self.folder}/twistd.pid")
        self.assertEqual(
            self.wrong(pidfile="twistd.pid", rundir=self.folder, nodaemon=True),
            f"twistd: the pidfile {path!r} cannot be written; use another one, or none: --pidfile=",
        )
        self.assertIn("twistd.log' cannot be written", self.wrong(pidfile=""))
        with open(f"{self.folder}/log", "w"):
            self.assertIn("/log' cannot", self.wrong(logfile="log", rundir=self.folder))

    def test_folders(self) -> None:
        """A folder that does not exist, and a root without Python, are one line."""
        for options, message in (
            (
                {"rundir": "/nonexistent"},
                "twistd: the rundir '/nonexistent' is not a folder",
            ),
            (
                {"chroot": self.folder},
                f"twistd: --chroot {self.folder!r} has no '/dev/null'",
            ),
        ):
            error = self.assertRaises(StartupError, checkTwistdFiles, options)
            self.assertTrue(str(error).startswith(message), error)

    def test_pipe(self) -> None:
        """A pipe, such as the standard output of a container, is no log file of twistd."""
        path = f"{self.folder}/pipe"
        os.mkfifo(path)
        with self.assertRaisesRegex(StartupError, "is a pipe; use another one by --logfile, or"):
            checkTwistdFiles({"pidfile": "", "logfile": os.path.abspath(path)})


class PIDFileTests(SynchronousTestCase):
    def isLeft(self, content: str) -> bool:
        """Whether a pidfile with this content is left."""
        path = Path(self.mktemp())
        path.write_text(content)
        removeOwnPIDFile(str(path))
        return path.exists()

    def test_own(self) -> None:
        """A pidfile with our own number is a killed server's, and is removed."""
        self.assertFalse(self.isLeft(str(os.getpid())))

    def test_others(self) -> None:
        """Others are left to twistd; there may be none."""
        for content in (str(os.getppid()), "nonsense", ""):
            self.assertTrue(self.isLeft(content))
        for path in ("", None, "/nonexistent/twistd.pid"):
            removeOwnPIDFile(path)
