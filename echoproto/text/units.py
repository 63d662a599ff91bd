"""
Durations, sizes, rates and counts as text: parsed from options, and formatted for people.

Every parser raises ``ValueError`` with one line that shows valid examples.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import inf

#: Nanoseconds in a second.
SECOND = 1_000_000_000

#: Nanoseconds, about 146 years. Durations are shorter, so that sums of them fit in 64 bits.
MAX_DURATION = 1 << 62

#: Bytes. Sizes are smaller, so that they can be counted in 64 bits.
MAX_SIZE = 1 << 62

# No quantifier follows a quantifier of the same digits, or matching would take a cubic time.
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"

#: The longest text of a duration: that of nine units, with 18 digits each, is shorter.
_MAX_DURATION_TEXT = 200

_DURATION_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
}
_DURATION_PART = re.compile(rf"{_NUMBER}(ns|us|µs|ms|s|m|h|d)", re.ASCII)

_SIZE_UNITS = {
    "": 1,
    **{prefix: 1000 ** (power + 1) for power, prefix in enumerate("kmg")},
    **{f"{prefix}i": 1024 ** (power + 1) for power, prefix in enumerate("kmg")},
}


def parseDuration(text: str) -> int:
    """
    A duration such as ``20ms``, ``1.5s``, ``1m30s`` or ``2d``, in nanoseconds; a bare number is
    seconds.
    """
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped, re.ASCII):
        stripped += "s"
    parts = _DURATION_PART.findall(stripped) if len(stripped) < _MAX_DURATION_TEXT else []
    duration = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != stripped or not parts or duration >= MAX_DURATION:
        raise ValueError(f"invalid duration {text!r} (examples: 30, 1.5s, 200ms, 1m30s, 2h)")
    return round(duration)


def parseInstant(text: str, now: int) -> int:
    """
    A time of day, in nanoseconds since 1970: ``2026-01-02T15:04:05Z``, ``@1767366245.5`` or, from
    now, ``+30s``.

    :param now: the time of day now.
    """
    if text.startswith("+"):
        return now + parseDuration(text[1:])
    if re.fullmatch(rf"@{_NUMBER}", text, re.ASCII):
        whole, _, fraction = text[1:].partition(".")
        return int(whole or 0) * SECOND + int(f"{fraction:0<9.9}")
    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        example = "+30s, 2026-01-02T15:04:05Z, 2026-01-02T15:04:05+01:00, @1767366245"
        raise ValueError(f"invalid time {text!r} (examples: {example})")
    return int(moment.replace(microsecond=0).timestamp()) * SECOND + moment.microsecond * 1000


def parseSeconds(text: str) -> float:
    """A duration as :func:`parseDuration` accepts it, in seconds."""
    return parseDuration(text) / SECOND


def parseTimeout(text: str) -> float:
    """A timeout in seconds, as for :func:`parseSeconds`; ``inf`` for 0, which means never."""
    return parseSeconds(text) or inf


def parseSize(text: str) -> int:
    """A number of bytes, 1 or more, such as ``1000``, ``64MiB`` or ``1.5GB``."""
    found = re.fullmatch(rf"{_NUMBER}\s*([kmg]i?)?b?", text.strip(), re.ASCII | re.IGNORECASE)
    size = float(found[1]) * _SIZE_UNITS[(found[2] or "").lower()] if found else 0.0
    if not 1 <= size < MAX_SIZE:
        raise ValueError(f"invalid size {text!r} (examples: 1000, 64MiB, 1.5GB)")
    return round(size)


def parseRate(text: str) -> float:
    """A number per second such as ``1000``, ``0.5``, ``5k`` or ``100/s``; 0 or more."""
    found = re.fullmatch(rf"{_NUMBER}(k?)(/s)?", text, re.ASCII)
    rate = float(found[1]) * (1000 if found[2] else 1) if found else inf
    if rate == inf:
        raise ValueError(f"invalid rate {text!r} (examples: 1000, 0.5, 5k, 100/s)")
    return rate


def parseCount(text: str) -> int:
    """A whole number, 0 or more."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"invalid number {text!r} (examples: 0, 42)")
    return int(text)


def parsePorts(text: str) -> frozenset[int]:
    """Port numbers separated by commas, or ``none``."""
    if text == "none":
        return frozenset()
    if not re.fullmatch(r"\d{1,5}(,\d{1,5})*", text, re.ASCII):
        raise ValueError(f"invalid list of ports {text!r} (examples: 7,19; none)")
    ports = frozenset(map(int, text.split(",")))
    if max(ports) > 65535:
        raise ValueError(f"invalid port {max(ports)} (0 to 65535)")
    return ports


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the singular: ``1 byte``, ``2 bytes``, ``0 replies``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def milliseconds(nanoseconds: float) -> str:
    """A time in milliseconds, as ping(8) prints it: ``0.311``."""
    return f"{nanoseconds / 1e6:.3f}"


def seconds(nanoseconds: float) -> str:
    """A limit, as short as it is exact: ``2 s``, ``0.5 s``."""
    return f"{nanoseconds / 1e9:g} s"


def longTime(nanoseconds: int) -> str:
    """A time in the largest unit of which there are two: ``3 days``, ``90 minutes``, ``45 s``."""
    for name, unit in (("days", "d"), ("hours", "h"), ("minutes", "m")):
        count = nanoseconds // _DURATION_UNITS[unit]
        if count > 1:
            return f"{count} {name}"
    return seconds(nanoseconds)


def size(count: float) -> str:
    """A number of bytes in a suitable unit: ``1.5 MiB``."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
