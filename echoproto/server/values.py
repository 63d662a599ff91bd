"""
What an operator writes for a figure, made into it. Pure; every function raises ``ValueError`` with one line that
says what would have been right.
"""

from __future__ import annotations

import re
from math import inf

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parseSeconds(text: str) -> float:
    """A time such as ``30``, ``1.5s``, ``200ms``, ``10m`` or ``2h``, in seconds."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?(ms|s|m|h|)", text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is no time such as 30, 1.5s, 200ms, 10m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def parseDeadline(text: str) -> float:
    """A time as :func:`parseSeconds` takes it; ``inf``, for never, from 0."""
    return parseSeconds(text) or inf


def parseRate(text: str) -> float:
    """A number per second such as ``1000``, ``0.5`` or ``100/s``; 0 or more."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(/s)?", text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is no rate such as 1000 or 100/s")
    return float(found[1])


def parseCount(text: str) -> int:
    """A whole number, 0 or more."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text!r} is no whole number, 0 or more")
    return int(text)


def parsePorts(text: str) -> frozenset[int]:
    """Port numbers with commas between, or ``none``."""
    if text == "none":
        return frozenset()
    if not re.fullmatch(r"\d{1,5}(,\d{1,5})*", text, re.ASCII):
        raise ValueError(f"{text!r} is no list of ports such as 7,19, nor none")
    ports = frozenset(map(int, text.split(",")))
    if max(ports) > 65535:
        raise ValueError(f"{max(ports)} is not a port number (0 to 65535)")
    return ports
