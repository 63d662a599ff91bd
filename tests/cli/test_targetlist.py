from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import targetlist
from echoproto.cli.targetlist import TARGET_FILE, readTargets


class ReadTargetsTests(SynchronousTestCase):
    def read(self, content: bytes) -> list[str]:
        path = self.mktemp()
        Path(path).write_bytes(content)
        found = readTargets(path)
        return [target.text for target in found]

    def test_lines(self) -> None:
        """A file has a target on each line, empty ones and comments left out."""
        self.assertEqual(
            self.read(b"# mine\nlab1\n\n unix:///run/echo # local\n"),
            ["tcp://lab1:12345", "unix:///run/echo"],
        )

    def test_byteOrderMark(self) -> None:
        """A byte order mark is no part of the first target."""
        self.assertEqual(self.read(b"\xef\xbb\xbfudp://lab1:7\n"), ["udp://lab1:7"])

    def test_standardInput(self) -> None:
        """A dash is the standard input."""
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"lab1:7\n")))
        (target,) = readTargets("-")
        self.assertEqual(target.text, "tcp://lab1:7")

    def test_invalid(self) -> None:
        """An invalid file is an error with the line or the cause."""
        for content, message in (
            (b"lab1\nlab1:x\n", "line 2: 'lab1:x': invalid port"),
            (b"# none\n", r"has 0 targets \(1 to 10000, one a line\)"),
            (b"\xff\xfe", "not text in UTF-8"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.read(content)
        with self.assertRaisesRegex(click.BadParameter, "No such file"):
            TARGET_FILE.convert(self.mktemp(), None, None)

    def test_bounds(self) -> None:
        """A list is a regular file of bounded size; messages do not repeat a long line whole."""
        self.patch(targetlist, "MAX_LIST_SIZE", 5000)
        path = self.mktemp()
        for content, says in (("x" * 5001, "larger than"), ("x:" * 2000, "line 1")):
            with open(path, "w") as file:
                file.write(content)
            with self.assertRaisesRegex(ValueError, says) as caught:
                readTargets(path)
            self.assertLess(len(str(caught.exception)), 500)
        pipe = self.mktemp()
        os.mkfifo(pipe)
        for path in (pipe, "/dev/zero"):
            with self.assertRaisesRegex(ValueError, "not a regular file; - is the standard input"):
                readTargets(path)
