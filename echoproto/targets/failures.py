"""A failed connection, described in one line."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectBindError, ConnectError, ConnectionRefusedError
from twisted.python.failure import Failure

_SPOKEN = "does that port speak TLS 1.2 or later?"


def describeFailure(failure: Failure, target: str = "") -> str:
    """The fault of a target and a remedy, in one line with the target's name."""
    said = _why(failure)
    return said if not target or said.startswith(target) else f"{target}: {said}"


def _why(failure: Failure) -> str:
    error: Any = failure.value
    if type(error).__name__ == "VerificationError":
        return "TLS: the certificate is for another host; --insecure accepts any"
    if type(error).__name__ == "Error" and "SSL" in type(error).__module__:
        reasons = ", ".join(str(reason[-1]) for reason in error.args[0]) or "no reason given"
        trust = "certificate" in reasons
        remedy = "--ca FILE trusts the certificates in it, --insecure any" if trust else _SPOKEN
        return f"TLS: {reasons}; {remedy}"
    if failure.check(ConnectBindError):
        return f"cannot send from the address of -I: {failureReason(failure)}"
    return failureReason(failure)


def failureReason(failure: Failure) -> str:
    """Why a connection could not be made, in a few words."""
    if failure.check(ConnectionRefusedError):
        return "refused: nothing listens there"
    error: Any = failure.value
    # The kernel's text, without Twisted's prefix.
    said = error.args[0] if isinstance(error, ConnectError) and error.args else ""
    return str(said or error).rstrip(".")
