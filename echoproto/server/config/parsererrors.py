"""The errors of Twisted's parsers of descriptions, of many kinds, in an operator's words."""

from __future__ import annotations

import re

from twisted.internet.abstract import isIPAddress

from echoproto.text.suggestion import suggestion
from echoproto.text.untrusted import escaped

#: The names of arguments that descriptions of streams may have.
_ARGUMENTS = (
    "interface",
    "backlog",
    "proxy",
    "trust",
    "fault",
    "tls",
    "tlsCert",
    "tlsKey",
    "tlsChain",
    "tlsClientCA",
    "mode",
    "lockfile",
)


def explain(error: Exception) -> str:
    """The reason why a description is invalid, without a final full stop."""
    if isinstance(error, TypeError):
        return _explainArguments(str(error))
    if isinstance(error, RuntimeError):
        # Of its generator, which looks for the character after a backslash.
        return "it ends with a backslash (use \\\\ for one)"
    if isinstance(error, LookupError):
        return "systemd passed no such socket, or an argument is missing"
    if str(error).startswith("Exceeds the limit"):
        return "a number is too large"
    if str(error).startswith("invalid literal for int() with base 8"):
        return f"{str(error).rpartition(': ')[2]} must be an octal number (example: mode=660)"
    if str(error).startswith("invalid literal for int()"):
        return f"{str(error).rpartition(': ')[2]} must be a number (example: tcp:7)"
    # Twisted repeats parts of the description as they are.
    text = escaped(str(error))
    if text.startswith("Unknown endpoint type"):
        kind = text.rpartition(": ")[2]
        if isIPAddress(kind.strip("'")) or kind == "'['":
            return (
                "an address follows the port: tcp:7:interface=127.0.0.1, tcp6:7:interface=\\:\\:1"
            )
        return f"unknown type {kind} (examples: 7, tcp:7:interface=127.0.0.1, unix:/run/echo)"
    return text or type(error).__name__


def _explainArguments(text: str) -> str:
    """The error of a function of Twisted that was called with the arguments of a description."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unknown:
        names = [name for name in _ARGUMENTS if name != unknown[1]]
        return f"unknown argument {unknown[1]}={suggestion(unknown[1], names)}"
    if "missing" in text:
        return "an argument is missing"
    return "too many arguments, or one is repeated (use \\: for : inside an address)"
