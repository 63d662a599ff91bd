from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.processes import childcommand
from echoproto.processes.childcommand import childCommand, childPath

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
            "import os, sys; from echoproto.processes.childcommand import childPath; "
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
            flags = dict.fromkeys(childcommand._OPTIONS, 0) | {flag: 1}
            self.patch(sys, "flags", SimpleNamespace(**flags))
            command = childCommand("gc", "enable")
            child = subprocess.run(command, env=environment, timeout=TIMEOUT, check=False)
            self.assertEqual(child.returncode, status, flag)

    def test_oldPython(self) -> None:
        """Python 3.10 has no option -P."""
        self.patch(sys, "flags", SimpleNamespace(**dict.fromkeys(childcommand._OPTIONS, 0)))
        self.assertEqual(
            childCommand("json", "dumps")[1:-2], ["-P"] * (sys.version_info >= (3, 11))
        )
        self.patch(sys, "version_info", (3, 10))
        self.assertEqual(childCommand("json", "dumps")[1:-1], ["-c"])
