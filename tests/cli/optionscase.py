"""A test case for the options of a subcommand."""

from __future__ import annotations

from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.declarations import command
from echoproto.cli.sessions import conformance, greet, load, monitor, ping, verify

_SESSIONS = {
    "conformance": conformance,
    "greet": greet,
    "load": load,
    "monitor": monitor,
    "ping": ping,
    "verify": verify,
}


class OptionsTestCase(SynchronousTestCase):
    """
    A test case that parses options, and runs nothing.

    :cvar command: the subcommand.
    """

    command: click.Command

    def parsed(self, *words: str) -> Any:
        """The options with which the command is run."""
        found: list[Any] = []
        name = str(self.command.name)
        self.patch(_SESSIONS[name], f"run{name.capitalize()}", found.append)
        self.command.main(list(words), standalone_mode=False)
        return found[0]

    def parsedAs(self, kind: Any, *words: str) -> Any:
        """The options of a command that has these."""
        self.command = command("greet", kind, "Keep the options.", "The end.")
        return self.parsed(*words)
