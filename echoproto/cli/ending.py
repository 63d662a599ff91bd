"""
How the measuring commands end: their exit statuses, and what is said of what went wrong.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
from twisted.internet.error import ConnectBindError, ConnectError
from twisted.python.failure import Failure

from echoproto.errors import ExchangeError
from echoproto.measure.pinging import reasonOf

_SPOKEN = "is TLS, of a version that we speak, spoken on that port?"

WELL, NO_REPLY, LOCAL_ERROR, WRONG_BYTES, ASSERTION_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def complain(line: str) -> None:
    """Say what is wrong on the standard error; where that cannot be written there is nobody to tell."""
    with suppress(OSError):
        click.echo(line, err=True)


def why(failure: Failure, target: str = "") -> str:
    """What is wrong with a target, which is named, and what may help, in a line."""
    said = _why(failure)
    return said if not target or said.startswith(target) else f"{target}: {said}"


def statusOf(failure: Failure) -> int:
    """The exit status where there is no connection: nobody is there, or we have asked for what cannot be."""
    there = not failure.check(ConnectBindError) and failure.check(ConnectError, ExchangeError)
    return NO_REPLY if there else LOCAL_ERROR


def _why(failure: Failure) -> str:
    error: Any = failure.value
    if type(error).__name__ == "VerificationError":
        return "TLS: the certificate is for another host; --insecure takes any"
    if type(error).__name__ == "Error" and "SSL" in type(error).__module__:
        reasons = ", ".join(str(each[-1]) for each in error.args[0]) or "no reason given"
        trust = "certificate" in reasons
        remedy = "--ca FILE trusts the certificates in it, --insecure any" if trust else _SPOKEN
        return f"TLS: {reasons}; {remedy}"
    if failure.check(ConnectBindError):
        return f"it cannot be sent from the address of -I: {reasonOf(failure)}"
    return reasonOf(failure)
