from __future__ import annotations

import os
import subprocess
import sys
from errno import EPERM
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.commandline.twistdfiles import checkTwistdFiles, removeStalePIDFile


class TwistdFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def wrong(self, **options: Any) -> str:
        """The error if no file can be opened."""
        with mock.patch.object(os, "access", return_value=False):
            return str(self.assertRaises(StartupError, checkTwistdFiles, options))

    def test_writable(self) -> None:
        """Files that exist or can be made are right; so are none, and those of a whole root."""
        for options in (
            {"pidfile": "twistd.pid", "rundir": self.folder},
            {"pidfile": "", "nodaemon": True},
            {"pidfile": "", "logfile": "-"},
            {"pidfile": "", "logfile": os.devnull},
            {"pidfile": "/nonexistent/x", "chroot": "/"},
        ):
            checkTwistdFiles(options)

    def test_readOnlyFolder(self) -> None:
        """
        A file that cannot be written is one line with the remedy; it is in the current folder, and
        not in the one that twistd enters later.
        """
        path = os.path.abspath("twistd.pid")
        self.assertEqual(
            self.wrong(pidfile="twistd.pid", rundir=self.folder, nodaemon=True),
            f"twistd: the pidfile {path!r} cannot be written; use another one, or none: --pidfile=",
        )
        self.assertIn("twistd.log' cannot be written", self.wrong(pidfile=""))
        log = f"{self.folder}/log"
        open(log, "w").close()
        self.assertIn("/log' cannot be read and written", self.wrong(logfile=log))

    def test_profile(self) -> None:
        """A profile is written at the end, in the folder that twistd has entered."""
        checkTwistdFiles({"pidfile": "", "logfile": "-", "profile": "x", "rundir": self.folder})
        self.assertEqual(
            self.wrong(pidfile="", logfile="-", profile="x", rundir="/"),
            "twistd: the profile '/x' cannot be written; use another one",
        )

    def test_link(self) -> None:
        """A link that leads to no file is right if the file can be made there."""
        log = f"{self.folder}/log"
        for target, isRight in (("new", True), ("nonexistent/new", False)):
            os.symlink(target, log)
            if isRight:
                checkTwistdFiles({"pidfile": log, "logfile": log})
            else:
                with self.assertRaisesRegex(StartupError, "/log' cannot be written"):
                    checkTwistdFiles({"logfile": log})
            os.remove(log)

    def test_folders(self) -> None:
        """A folder that does not exist, and a root without Python, are one line."""
        for options, message in (
            (
                {"rundir": "/nonexistent"},
                "twistd: the rundir '/nonexistent' is not a folder",
            ),
            ({"rundir": ""}, "twistd: the rundir '' is not a folder"),
            (
                {"chroot": self.folder},
                f"twistd: --chroot {self.folder!r} has no '/dev/null'",
            ),
        ):
            error = self.assertRaises(StartupError, checkTwistdFiles, options)
            self.assertTrue(str(error).startswith(message), error)

    def test_kinds(self) -> None:
        """
        A folder, a pipe, such as the standard output of a container, and a device as the pidfile
        are no files of twistd.
        """
        pipe = f"{self.folder}/pipe"
        os.mkfifo(pipe)
        for path, kind in ((self.folder, "a folder"), (pipe, "a pipe")):
            for option, remedy in (("pidfile", "use another one, or"), ("logfile", "use another")):
                with self.assertRaisesRegex(StartupError, f"' is {kind}; {remedy}"):
                    checkTwistdFiles({option: path})
        with self.assertRaisesRegex(StartupError, "the pidfile '/dev/null' is no file; use"):
            checkTwistdFiles({"pidfile": os.devnull})


class PIDFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def isLeft(self, content: str | int) -> bool:
        """Whether a pidfile with this content is left."""
        self.path.write_text(str(content))
        with capturedLogs() as events:
            removeStalePIDFile(str(self.path))
        isLeft = self.path.exists()
        self.assertEqual(len(events), 0 if isLeft else 1)
        return isLeft

    def test_own(self) -> None:
        """A pidfile with our own number is a killed server's, and is removed."""
        self.assertFalse(self.isLeft(os.getpid()))

    def test_ended(self) -> None:
        """So is that of a process that has ended, also while it waits for its parent."""
        process = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.assertFalse(self.isLeft(process.pid))
        with mock.patch.object(Path, "read_bytes", side_effect=FileNotFoundError):
            self.assertTrue(self.isLeft(process.pid))
        process.wait()
        self.assertFalse(self.isLeft(process.pid))

    def test_others(self) -> None:
        """Those of other processes are left to twistd; there may be none."""
        self.assertTrue(self.isLeft(os.getppid()))
        with mock.patch.object(os, "kill", side_effect=PermissionError):
            self.assertTrue(self.isLeft(os.getppid()))
        for path in ("", None, "/nonexistent/twistd.pid"):
            removeStalePIDFile(path)

    def test_noNumber(self) -> None:
        """One that has no number of a process is one line, with the remedy."""
        for content in ("nonsense", "", "0", "-1", "2147483648", "9" * 5000):
            with self.assertRaisesRegex(
                StartupError, "has no number of a process; remove it, or use another one, or none"
            ):
                self.isLeft(content)

    def test_protected(self) -> None:
        """One that cannot be removed is one line, with the remedy."""
        with (
            mock.patch.object(os, "remove", side_effect=PermissionError(EPERM, "Forbidden")),
            self.assertRaisesRegex(StartupError, "left, cannot be removed: Forbidden; use another"),
        ):
            self.isLeft(os.getpid())
