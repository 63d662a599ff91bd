"""
A failed connection, described in one line.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectBindError, ConnectError, ConnectionRefusedError
from twisted.python.failure import Failure

_SPOKEN = "is TLS, of a version that we speak, spoken on that port?"


def describeFailure(failure: Failure, target: str = "") -> str:
    """What is wrong with a target, which is named, and what may help, in a line."""
    said = _why(failure)
    return said if not target or said.startswith(target) else f"{target}: {said}"


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
        return f"it cannot be sent from the address of -I: {failureReason(failure)}"
    return failureReason(failure)


def failureReason(failure: Failure) -> str:
    """Why a connection could not be made, in few words."""
    if failure.check(ConnectionRefusedError):
        return "refused: nothing listens there"
    error: Any = failure.value
    # What the kernel says, without what Twisted puts before it.
    said = error.args[0] if isinstance(error, ConnectError) and error.args else ""
    return str(said or error).rstrip(".")
