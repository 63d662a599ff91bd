"""A test case for the options of a subcommand."""

from __future__ import annotations

from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase


class OptionsTestCase(SynchronousTestCase):
    """
    A test case that parses options, and runs the command with a session that does nothing.

    :cvar module: the module of the subcommand.
    :cvar command: the subcommand.
    """

    command: click.Command

    def parsed(self, session: Any, name: str, *words: str) -> Any:
        """
        The options with which the command makes its session.

        :param session: the module of the session.
        :param name: its class.
        """
        found: list[Any] = []

        class NoSession:
            def __init__(self, options: Any) -> None:
                found.append(options)

            def run(self) -> int:
                return 5

        self.patch(session, name, NoSession)
        self.assertEqual(self.command.main(list(words), standalone_mode=False), 5)
        return found[0]
