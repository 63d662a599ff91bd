"""
The values of the file of a monitor: each parser returns the value of a key, or raises a
:class:`InvalidSetting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from echoproto.protocols.datagram import MAX_IPV4_DATAGRAM
from echoproto.text.units import SECOND, parseDuration
from echoproto.text.untrusted import readRegularFile

#: Nanoseconds of the shortest interval and wait.
SHORTEST = SECOND // 1000

#: Nanoseconds of the longest wait: the probes of this time are kept in memory.
LONGEST_WAIT = 60 * SECOND

#: Bytes of the longest file: one of a hundred thousand targets has less.
MAX_FILE_SIZE = 16 * 2**20

#: Labels that the metrics have themselves, or that Prometheus adds.
_RESERVED_LABELS = ("instance", "job", "le", "target")

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


class InvalidSetting(ValueError):
    """A fault in the file, in one line: the key, the cause, the remedy."""


def parseURLs(value: object) -> list[str]:
    """One URL, or a list of some."""
    urls = value if isinstance(value, list) else [value]
    texts = [url for url in urls if isinstance(url, str)]
    if not texts or len(texts) < len(urls):
        raise InvalidSetting('missing or not text (example: url = "udp://lab1:7")')
    return texts


def _duration(least: int, most: int) -> Callable[[object], int]:
    """A parser of durations: text with a unit, or seconds."""

    def parse(value: object) -> int:
        if isinstance(value, str):
            found: float = parseDuration(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = value * SECOND
        else:
            raise InvalidSetting(f'invalid duration {value!r} (examples: "200ms", "1.5s", 2)')
        if not least <= found <= most:
            raise InvalidSetting(
                f"{value!r} is out of range ({least / SECOND:g} to {most / SECOND:g} s)"
            )
        return round(found)

    return parse


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidSetting(f"{value!r} is not text; write it in quotes")
    return value


def _caFile(value: object) -> str:
    """The path of a file that can be read."""
    path = _text(value)
    try:
        readRegularFile(path, MAX_FILE_SIZE)
    except OSError as error:
        raise InvalidSetting(f"{path!r}: {error.strerror}; give a PEM file") from None
    return path


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_IPV4_DATAGRAM:
        raise InvalidSetting(
            f"invalid size {value!r} (a whole number from 0 to {MAX_IPV4_DATAGRAM})"
        )
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSetting(f"invalid value {value!r} (true or false)")
    return value


def _family(value: object) -> int:
    if type(value) is not int or value not in (4, 6):
        raise InvalidSetting(f"invalid family {value!r} (4 or 6)")
    return value


def _address(value: object) -> str:
    try:
        return str(ip_address(_text(value)))
    except ValueError:
        raise InvalidSetting(f"invalid address {value!r} (a numeric address)") from None


def _buckets(value: object) -> tuple[float, ...]:
    """Bounds, given in seconds or as durations."""
    if not isinstance(value, list) or not value or len(value) > 100:
        raise InvalidSetting('invalid list (example: ["1ms", "10ms", "100ms"], at most 100)')
    bounds = tuple(_BOUND(bound) / SECOND for bound in value)
    if any(low >= high for low, high in pairwise(bounds)):
        raise InvalidSetting("the bounds do not ascend")
    return bounds


def _labels(value: object) -> dict[str, str]:
    reserved = ", ".join(_RESERVED_LABELS)
    if not isinstance(value, dict):
        raise InvalidSetting('not a table (example: labels = { site = "lab" })')
    for name, text in value.items():
        if not _LABEL.fullmatch(name) or name.startswith("__") or name in _RESERVED_LABELS:
            raise InvalidSetting(f"invalid name {name!r} (letters, digits and _; not {reserved})")
        try:
            _text(text)
        except InvalidSetting as error:
            raise InvalidSetting(f"{name}: {error}") from None
    return value


_BOUND = _duration(1, 3600 * SECOND)

#: The parsers of all keys but ``url``.
PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "buckets": _buckets,
    "ca": _caFile,
    "family": _family,
    "insecure": _flag,
    "interval": _duration(SHORTEST, 86_400 * SECOND),
    "labels": _labels,
    "lookup": _duration(SECOND, 86_400 * SECOND),
    "reconnect": _flag,
    "size": _size,
    "source": _address,
    "wait": _duration(SHORTEST, LONGEST_WAIT),
}
