"""
How the measuring commands end: their exit statuses, and what is said of what went wrong.
"""

from __future__ import annotations

from contextlib import suppress

import click
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.python.failure import Failure

from echoproto.errors import ExchangeError

OK, NO_REPLY, LOCAL_ERROR, WRONG_BYTES, ASSERTION_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def complain(line: str) -> None:
    """Say what is wrong on the standard error; where that cannot be written there is nobody to tell."""
    with suppress(OSError):
        click.echo(line, err=True)


def statusOf(failure: Failure) -> int:
    """The exit status where there is no connection: nobody is there, or we have asked for what cannot be."""
    there = not failure.check(ConnectBindError) and failure.check(ConnectError, ExchangeError)
    return NO_REPLY if there else LOCAL_ERROR
