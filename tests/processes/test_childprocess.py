from __future__ import annotations

import os
import signal
import subprocess
import sys
from errno import ENOENT
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.processes import childprocess
from echoproto.processes.childprocess import (
    ChildProcess,
    childCommand,
    childPath,
    explainStartError,
)
from tests.fakeprocesses import FakeProcess, FakeProcessReactor

HOME = str(Path(echoproto.__file__).parent.parent)

TIMEOUT = 300


class ChildPathTests(SynchronousTestCase):
    def test_currentFolder(self) -> None:
        """The current folder is removed from the path of a child, in all its notations."""
        path = ["", ".", "/start", "/start/", "/lib", "/start/x/.."]
        self.assertEqual(childPath(path, "/start", "/home"), ["/lib"])

    def test_checkout(self) -> None:
        """The folder of echoproto stays on the path, even if it is the current folder."""
        self.assertEqual(childPath(["", "/lib"], "/home", "/home"), ["/home", "/lib"])

    def test_relative(self) -> None:
        """Relative folders are resolved, because the child may run in another folder."""
        self.assertEqual(
            childPath(["sub", "../lib"], "/start", "/home"), ["/start/sub", "/start/../lib"]
        )

    def test_upgrade(self) -> None:
        """
        Children have the folders of their parent, although a link that led there leads elsewhere.
        """
        folder = os.path.realpath(self.mktemp())
        link = os.path.join(folder, "current")
        for version in ("one", "two"):
            os.makedirs(os.path.join(folder, version))
        os.symlink("one", link)
        program = (
            "import os, sys; from echoproto.processes.childprocess import childPath; "
            f"os.remove({link!r}); os.symlink('two', {link!r}); "
            f"print({folder + '/one'!r} in childPath(sys.path, '/'), {link!r} in sys.path)"
        )
        found = subprocess.check_output(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": f"{link}:{HOME}"},
            text=True,
            timeout=TIMEOUT,
        )
        self.assertEqual(found, "True True\n")


class ChildCommandTests(SynchronousTestCase):
    """Run real processes in a folder with a module that must not be imported."""

    def run_(
        self, module: str, function: str, folder: str, path: list[str]
    ) -> subprocess.CompletedProcess[str]:
        self.patch(sys, "path", path)
        before = os.getcwd()
        os.chdir(folder)
        try:
            command = childCommand(module, function)
        finally:
            os.chdir(before)
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )

    def test_currentFolder(self) -> None:
        """A module of the current folder does not replace one of the standard library."""
        for name in ("json", "linecache", "encodings"):
            folder = self.mktemp()
            os.mkdir(folder)
            Path(folder, f"{name}.py").write_text("raise SystemExit(9)\n")
            ended = self.run_(
                "echoproto.measure.load.worker", "runLoadWorker", folder, [HOME, "", *sys.path]
            )
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_checkout(self) -> None:
        """An uninstalled checkout is found from its own folder."""
        for name in (HOME, ""):
            path = [name, *(entry for entry in sys.path if entry not in ("", HOME))]
            ended = self.run_("echoproto.measure.load.worker", "runLoadWorker", HOME, path)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_exitStatus(self) -> None:
        """The exit status is the return value of ``main``."""
        folder = self.mktemp()
        os.mkdir(folder)
        Path(folder, "seven.py").write_text("def main():\n    return 7\n")
        ended = self.run_("seven", "main", "/", [os.path.abspath(folder)])
        self.assertEqual(ended.returncode, 7)

    def test_removedFolder(self) -> None:
        """A removed current folder is not an error."""
        self.patch(os, "getcwd", mock.Mock(side_effect=FileNotFoundError))
        self.patch(sys, "path", ["", "/lib"])
        self.assertIn("sys.path[:] = ['/lib'];", childCommand("json", "dumps")[-1])

    def test_isolated(self) -> None:
        """A child of a Python that runs no code of its environment does not run any, either."""
        folder = self.mktemp()
        os.mkdir(folder)
        Path(folder, "sitecustomize.py").write_text("import os; os._exit(9)\n")
        environment = {**os.environ, "PYTHONPATH": folder}
        for flag, status in (("no_site", 0), ("ignore_environment", 0), ("isolated", 0), ("", 9)):
            flags = dict.fromkeys(childprocess._OPTIONS, 0) | {flag: 1}
            self.patch(sys, "flags", SimpleNamespace(**flags))
            command = childCommand("gc", "enable")
            child = subprocess.run(command, env=environment, timeout=TIMEOUT, check=False)
            self.assertEqual(child.returncode, status, flag)

    def test_oldPython(self) -> None:
        """Python 3.10 has no option -P."""
        self.patch(sys, "flags", SimpleNamespace(**dict.fromkeys(childprocess._OPTIONS, 0)))
        self.assertEqual(
            childCommand("json", "dumps")[1:-2], ["-P"] * (sys.version_info >= (3, 11))
        )
        self.patch(sys, "version_info", (3, 10))
        self.assertEqual(childCommand("json", "dumps")[1:-1], ["-c"])


class RecordingChild(ChildProcess):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[bytes] = []
        self.exits: list[tuple[str, bool]] = []

    def reportReceived(self, line: bytes) -> None:
        self.reports.append(line)

    def exited(self, how: str, isClean: bool) -> None:
        self.exits.append((how, isClean))


class ChildProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.child, self.process = self.spawn()

    def spawn(self, **options: Any) -> tuple[RecordingChild, FakeProcess]:
        child = RecordingChild()
        reactor: Any = self.reactor
        child.spawn(reactor, "json", "dumps", **options)
        return child, self.reactor.spawned[-1]

    def test_spawn(self) -> None:
        """The child runs the module with pipes, inherited outputs and further descriptors."""
        _, process = self.spawn(descriptors={4: 40})
        self.assertEqual(process.command, childCommand("json", "dumps"))
        self.assertEqual(process.childFDs, {0: "w", 1: 1, 2: 2, 3: "r", 4: 40})

    def test_cannotSpawn(self) -> None:
        """A process that cannot be started raises ``OSError``; the common ones have a remedy."""
        self.reactor.failures = 1
        with self.assertRaises(OSError) as raised:
            self.spawn()
        self.assertEqual(
            explainStartError(raised.exception),
            "Too many open files; raise the limit of open files "
            "(ulimit -n, systemd's LimitNOFILE=)",
        )
        self.assertEqual(explainStartError(OSError(ENOENT, "No such file")), "No such file")

    def test_messages(self) -> None:
        """Messages are sent until the input is closed, and silently dropped afterwards."""
        self.child.send("one")
        self.child.send({"two": 2})
        self.child.closeInput()
        self.child.send("three")
        self.assertEqual(self.process.messages, ["one", {"two": 2}])
        self.assertTrue(self.process.inputClosed)

    def test_reports(self) -> None:
        """Reports are received line by line, however the data is split."""
        for data in (b"o", b"ne\ntwo\nth", b"ree\n"):
            self.child.childDataReceived(3, data)
        self.assertEqual(self.child.reports, [b"one", b"two", b"three"])

    def test_tooLong(self) -> None:
        """A line over the limit is dropped."""
        self.patch(childprocess, "MAX_REPORT_BYTES", 10)
        for data in (b"x" * 8, b"x" * 8, b"one\n"):
            self.child.childDataReceived(3, data)
        self.assertEqual(self.child.reports, [b"one"])

    def test_exited(self) -> None:
        """Status 0 is a clean exit; another status, or a signal, is not."""
        for end, exit_ in (
            ((0, None), ("exited with status 0", True)),
            ((3, None), ("exited with status 3", False)),
            ((None, 9), ("was killed by signal 9", False)),
        ):
            child, process = self.spawn()
            self.assertFalse(child.hasEnded)
            process.end(*end)
            self.assertEqual((child.hasEnded, child.exits), (True, [exit_]))

    def test_kill(self) -> None:
        """A signal is sent to a running process only."""
        self.child.signal(signal.SIGHUP)
        self.child.kill()
        self.process.hasEnded = True
        self.child.kill()
        self.assertEqual(self.process.signals, [signal.SIGHUP, signal.SIGKILL])

    def test_killAfter(self) -> None:
        """A process is killed after a delay unless it has ended."""
        self.child.killAfter(self.reactor, 2.0)
        other, otherProcess = self.spawn()
        other.killAfter(self.reactor, 2.0)
        self.reactor.advance(1.9)
        self.assertEqual(self.process.signals, [])
        otherProcess.end()
        self.reactor.advance(0.1)
        self.assertEqual((self.process.signals, otherProcess.signals), ([signal.SIGKILL], []))
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_killSooner(self) -> None:
        """Of two delays the last one counts."""
        self.child.killAfter(self.reactor, 5.0)
        self.child.killAfter(self.reactor, 2.0)
        self.reactor.advance(2.0)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """A subclass must override two methods."""
        child = ChildProcess()
        with self.assertRaises(NotImplementedError):
            child.reportReceived(b"")
        with self.assertRaises(NotImplementedError):
            child.exited("", isClean=True)
