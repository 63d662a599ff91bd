"""
The measuring commands, read by click: runs one of them, and says in one line what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from echoproto.cli.ending import LOCAL_ERROR
from echoproto.cli.greet import greet
from echoproto.cli.load import load
from echoproto.cli.ping import ping
from echoproto.cli.verify import verify
from echoproto.errors import CannotStart

COMMANDS = {each.name: each for each in (ping, load, verify, greet)}


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
        click.echo(f"{called}: {said}; see {called} --help", err=True)
    except CannotStart as error:
        click.echo(f"{called}: {error}", err=True)
    return LOCAL_ERROR
