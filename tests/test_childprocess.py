from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.childprocess import MAX_LINE_BYTES, REPORTS, ChildProcess, runFunction
from tests.loopback.program import PATIENCE
from tests.server.fakeprocesses import FakeProcesses


class RecordingChild(ChildProcess):
    """Records lines and its end."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def lineReceived(self, line: bytes) -> None:
        self.events.append(line)

    def ended(self, how: str, status: int | None) -> None:
        self.events.append((how, status))


class RunFunctionTests(SynchronousTestCase):
    def test_importPath(self) -> None:
        """The child imports from where this process does, and not from its current folder."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "json.py").write_text("raise SystemExit('imported from the current folder')")
        command = runFunction("json", "dumps")
        command[-1] = command[-1].replace("sys.exit(dumps())", "print(dumps([1]))")
        printed = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, timeout=PATIENCE, check=True
        )
        self.assertEqual(printed.stdout, b"[1]\n")
        self.patch(sys, "path", ["", "/elsewhere"])
        self.assertIn("sys.path[:] = ['/elsewhere'];", runFunction("a.b", "c")[-1])


class ChildProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.child = RecordingChild()
        self.reactor = FakeProcesses()
        self.child.spawn(self.reactor, "echoproto.example", "run", {4: 40})
        [self.process] = self.reactor.spawned

    def test_spawn(self) -> None:
        """It has pipes for input and reports, the outputs of its parent, and the named descriptors."""
        self.assertEqual(self.process.childFDs, {0: "w", 1: 1, 2: 2, REPORTS: "r", 4: 40})
        self.assertIn("from echoproto.example import run", self.process.command[-1])

    def test_lines(self) -> None:
        """Reports are lines, however they are split; one that is too long is dropped."""
        for piece in (b"one\ntw", b"o\n", b"x" * (MAX_LINE_BYTES + 1), b"\nthree\n"):
            self.child.childDataReceived(REPORTS, piece)
        self.assertEqual(self.child.events, [b"one", b"two", b"", b"three"])

    def test_ended(self) -> None:
        """The end is described by a status or a signal."""
        self.assertFalse(self.child.hasEnded)
        self.process.end(3)
        self.process.end(None, 9)
        self.assertTrue(self.child.hasEnded)
        self.assertEqual(self.child.events, [("status 3", 3), ("signal 9", None)])

    def test_afterItsEnd(self) -> None:
        """Writing and signals to a child that has ended do nothing."""
        self.child.send(b"words")
        self.assertEqual(self.process.orders, b"words")
        self.child.signal(15)
        self.child.closeInput()
        self.child.send(b"more")
        self.process.end(0)
        self.child.signal(9)
        self.assertEqual((self.process.orders, self.process.signals), (b"words", [15]))

    def test_abstract(self) -> None:
        """A subclass must say what to do with lines, and at the end."""
        with self.assertRaises(NotImplementedError):
            ChildProcess().lineReceived(b"")
        with self.assertRaises(NotImplementedError):
            ChildProcess().ended("status 0", os.EX_OK)
