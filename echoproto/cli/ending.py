"""
How the measuring commands end: their exit statuses, and what is said of what went wrong.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from echoproto.measure.pinging import reasonOf

_SPOKEN = "is TLS, of a version that we speak, spoken on that port?"

WELL, NO_REPLY, LOCAL_ERROR, WRONG_BYTES, ASSERTION_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def why(failure: Failure) -> str:
    """What is wrong with a target, and what may help, in a line."""
    error: Any = failure.value
    if type(error).__name__ == "VerificationError":
        return "TLS: the certificate is for another host; --insecure takes any"
    if type(error).__name__ == "Error" and "SSL" in type(error).__module__:
        reasons = ", ".join(str(each[-1]) for each in error.args[0]) or "no reason given"
        trust = "certificate" in reasons
        remedy = "--ca FILE trusts the certificates in it, --insecure any" if trust else _SPOKEN
        return f"TLS: {reasons}; {remedy}"
    return reasonOf(failure)
