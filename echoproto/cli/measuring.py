"""
The measuring commands, read by click: runs one of them, and says in one line what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from echoproto.cli.exitcodes import INTERRUPTED, LOCAL_ERROR, complain
from echoproto.cli.greet import greet
from echoproto.cli.load import load
from echoproto.cli.ping import ping
from echoproto.cli.report import report
from echoproto.cli.verify import verify
from echoproto.errors import StartupError

COMMANDS: dict[str, click.Command] = {
    "ping": ping,
    "load": load,
    "verify": verify,
    "greet": greet,
    "report": report,
}


#: What the shell asks by when it completes a word, or is told how to.
COMPLETE = "_ECHOPROTO_COMPLETE"


def complete() -> None:
    """
    Answer the shell, which has set :data:`COMPLETE`: the commands, and the options of those that click reads.

    :raise SystemExit: always.
    """
    serve = click.Command("serve", short_help="Serve in the foreground until stopped by a signal.")
    click.Group("echoproto", commands={**COMMANDS, "serve": serve}).main([], "echoproto")


def run(name: str, words: Sequence[str]) -> int:
    """
    Run a command.

    :param words: its options and arguments.
    :return: its exit status.
    """
    called = f"echoproto {name}"
    try:
        return COMMANDS[name].main(list(words), called, standalone_mode=False) or 0
    except click.ClickException as error:
        said = error.format_message().rstrip(".")
        complain(f"{called}: {said}; see {called} --help")
    except click.Abort:
        return INTERRUPTED
    except StartupError as error:
        complain(f"{called}: {error}")
    return LOCAL_ERROR
