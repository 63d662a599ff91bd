from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import measuring
from echoproto.errors import StartupError


class RunTests(SynchronousTestCase):
    def run_(self, *words: str, does: Any = lambda: None) -> tuple[int, str, str]:
        """The exit status, and what is printed, of a command that does so."""
        command = click.Command("ping", callback=does)
        self.patch(measuring, "COMMANDS", {"ping": command})
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = measuring.run("ping", words)
        return status, output.getvalue(), errors.getvalue()

    def test_status(self) -> None:
        """What the command returns is the exit status; 0 where that is nothing."""
        self.assertEqual(self.run_(does=lambda: 3), (3, "", ""))
        self.assertEqual(self.run_(), (0, "", ""))

    def test_help(self) -> None:
        """Help is no error."""
        status, said, _ = self.run_("--help")
        self.assertEqual(status, 0)
        self.assertTrue(said.startswith("Usage: echoproto ping"), said)

    def test_wrong(self) -> None:
        """What cannot be understood is one line, and status 2."""
        self.assertEqual(
            self.run_("a word too many"),
            (
                2,
                "",
                "echoproto ping: Got unexpected extra argument (a word too many); see echoproto ping --help\n",
            ),
        )

    def test_cannotStart(self) -> None:
        """What the reactor has to say is one line too."""

        def fail() -> None:
            raise StartupError("--reactor 'x': there is none")

        self.assertEqual(
            self.run_(does=fail), (2, "", "echoproto ping: --reactor 'x': there is none\n")
        )

    def test_interrupted(self) -> None:
        """Ctrl-C where no reactor runs is status 130, and nothing else is said."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        self.assertEqual(self.run_(does=interrupt), (130, "", "\n"))

    def completed(self, words: str) -> list[str]:
        """What the shell is told of the last word."""
        # click writes bytes to it.
        output = io.TextIOWrapper(io.BytesIO(), write_through=True)
        asked = {
            measuring.COMPLETE: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        with mock.patch.dict(os.environ, asked), redirect_stdout(output):
            self.assertRaises(SystemExit, measuring.complete)
        output.seek(0)
        return output.read().split()

    def test_complete(self) -> None:
        """Commands and their options are completed."""
        self.assertEqual(self.completed("echoproto pi"), ["plain,ping"])
        self.assertEqual(self.completed("echoproto ping --rec"), ["plain,--reconnect"])
        self.assertEqual(self.completed("echoproto ping --output nd"), ["plain,ndjson"])

    def test_known(self) -> None:
        """Each command is called by its name."""
        self.assertEqual(
            [each.name for each in measuring.COMMANDS.values()], list(measuring.COMMANDS)
        )
