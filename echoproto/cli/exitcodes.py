"""
Exit statuses of the command ``echoproto``, and error lines on the standard error; what to do if
the standard output cannot be written.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

import click
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.python.failure import Failure

from echoproto.errors import ExchangeError

OK, NO_REPLY, LOCAL_ERROR, WRONG_BYTES, ASSERTION_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def complain(line: str) -> None:
    """
    Write a line to the standard error, with control characters escaped, which names and paths of
    others may have; a closed one is ignored.
    """
    with suppress(OSError):
        click.echo("".join(map(_printable, line)), err=True)


def discardOutput() -> None:
    """
    Write nowhere what the standard output still has in its buffer, because that cannot be written,
    and Python would try again at the end. A stream that a program has put in its place may have no
    descriptor.
    """
    with suppress(io.UnsupportedOperation):
        output = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, output)
        os.close(null)


def _printable(character: str) -> str:
    isPrintable = character.isprintable()
    return character if isPrintable else character.encode("unicode_escape").decode("ascii")


def statusOf(failure: Failure) -> int:
    """The exit status after a failed connection: the server's fault, or a local error."""
    isLocal = failure.check(ConnectBindError) or not failure.check(ConnectError, ExchangeError)
    return LOCAL_ERROR if isLocal else NO_REPLY
