"""
Lengths of time as people write and read them: ``20ms``, ``1.5s``, ``2m``; a bare number is seconds.

Used by the command line, by :mod:`.assertions` and by :mod:`.text`. Inside, times are whole nanoseconds.
"""

from __future__ import annotations

import re

#: Nanoseconds, some 146 years: no length of time is as long.
LONGEST = 1 << 62

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)?")


def parseDuration(text: str) -> int:
    """
    A length of time in nanoseconds.

    :raise ValueError: it is none; the message says so in one line.
    """
    found = _DURATION.fullmatch(text.strip())
    time = float(found[1]) * _UNITS[found[2] or "s"] if found else LONGEST
    if time >= LONGEST:
        raise ValueError(f"{text!r} is no length of time such as 20ms, 1.5s, 2m or 3 (seconds)")
    return round(time)


def milliseconds(nanoseconds: float) -> str:
    """A time for a line of text, as ping writes it: ``0.311``."""
    return f"{nanoseconds / 1e6:.3f}"


def seconds(nanoseconds: float) -> str:
    """A limit for a line of text, as short as it is exact: ``2 s``, ``0.5 s``."""
    return f"{nanoseconds / 1e9:g} s"
