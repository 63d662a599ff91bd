"""
Lengths of time as people write and read them: ``20ms``, ``1.5s``, ``2m``; a bare number is seconds.

Used by the command line, by :mod:`.measure.assertions` and by :mod:`.report.text`. Inside, times are whole nanoseconds.
"""

from __future__ import annotations

import re
from math import inf

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


SECOND = 1_000_000_000


_SIZES = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}


def parseSize(text: str) -> int:
    """
    A number of bytes: ``1000``, ``10MiB``, ``1.5G``.

    :raise ValueError: it is none; the message says so in one line.
    """
    found = re.fullmatch(r"(\d+\.?\d*)\s*([kmg]i?)?b?", text.strip(), re.IGNORECASE)
    unit = (found[2] or "").lower() if found else ""
    size = float(found[1]) * _SIZES[f"{unit}b" if unit.endswith("i") else unit] if found else 0.0
    if not 1 <= size < 1 << 62:
        raise ValueError(f"{text!r} is no number of bytes such as 1000, 64MiB or 1.5GB")
    return round(size)


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parseSeconds(text: str) -> float:
    """A time such as ``30``, ``1.5s``, ``200ms``, ``10m`` or ``2h``, in seconds."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?(ms|s|m|h|)", text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is no time such as 30, 1.5s, 200ms, 10m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


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
