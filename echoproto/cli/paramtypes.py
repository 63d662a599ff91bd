"""
The types of parameters: how the text of an option becomes a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import click

from echoproto.client.targets.target import parseTarget
from echoproto.processes.resources import processors
from echoproto.text.units import parseDuration, parseRate, parseSize

if TYPE_CHECKING:
    from echoproto.measure.assertions import Assertion

#: More than any machine has processors.
MAX_WORKERS = 1024

#: Bytes of the longest message of a load.
MAX_MESSAGE = 1 << 20

#: Bytes of the longest probe: each is built anew in memory.
MAX_PROBE = 1 << 24


#: Differentiated services (RFC 2474, 2597, 3246, 5865, 8622): the upper six bits of the byte.
_TOS_NAMES = {
    **{f"cs{number}": number << 5 for number in range(8)},
    **{f"af{c}{drop}": (8 * c + 2 * drop) << 2 for c in range(1, 5) for drop in range(1, 4)},
    "ef": 46 << 2,
    "va": 44 << 2,
    "le": 1 << 2,
}

#: IFNAMSIZ of Linux's netdevice(7), with the final zero.
_INTERFACE_NAME_SIZE = 16


class ParsedParamType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """
    A value that a function parses.

    :param name: shown in the help.
    :param parse: raises ``ValueError`` with a message of one line.
    """

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    # Any: as click has it.
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """See ``click.ParamType``."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parseWorkers(text: str) -> int:
    """
    A number of processes, or ``auto`` for one per processor that this process may use
    (:func:`~echoproto.processes.resources.processors`).

    :raise ValueError: it is neither.
    """
    if text == "auto":
        return processors()
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not 1 <= int(text) <= MAX_WORKERS:
        raise ValueError(f"invalid number of workers {text!r} (1 to {MAX_WORKERS}, or auto)")
    return int(text)


def _parseAssertion(text: str) -> Assertion:
    # Imported only here, because it needs the extra ``measure``, and help does not.
    from echoproto.measure.assertions import parseAssertion

    return parseAssertion(text)


def _parsePattern(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"invalid pattern {text!r} (hexadecimal digits, such as ff00)") from None


def _parseAddress(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError(f"invalid address {text!r} (a numeric IPv4 or IPv6 address)") from None
    return text


def _parseLabel(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_][\w.-]*", name, re.ASCII) or not value:
        raise ValueError(f"invalid label {text!r} (example: site=lab1)")
    return name, value


def _durationParser(least: int, problem: str) -> Callable[[str], int]:
    """
    A parser of durations.

    :param least: the shortest duration, in nanoseconds.
    :param problem: what is wrong with a shorter one.
    """

    def parse(text: str) -> int:
        duration = parseDuration(text)
        if duration < least:
            raise ValueError(problem.format(repr(text)))
        return duration

    return parse


def _integerParser(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise ValueError(f"invalid number {text!r} (a whole number from {least} to {most})")
        return int(text)

    return parse


def parseMessageRate(text: str) -> float:
    """A rate at which messages can be sent."""
    rate = parseRate(text)
    if not 0.001 <= rate <= 10_000_000:
        raise ValueError(f"invalid rate {text!r} (messages per second, 0.001 to 10000000)")
    return rate


def _parseSizes(text: str) -> tuple[int, int]:
    least, dash, most = text.partition("-")
    try:
        low = parseSize(least)
        high = parseSize(most) if dash else low
    except ValueError:
        low = high = 0
    if not 1 <= low <= high <= MAX_MESSAGE:
        raise ValueError(f"invalid size {text!r} (1 to {MAX_MESSAGE} bytes, such as 64 or 1-4096)")
    return low, high


def _parseTOS(text: str) -> int:
    """The byte of IPv4's type of service and of IPv6's traffic class."""
    if (named := _TOS_NAMES.get(text.lower())) is not None:
        return named
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= 255:
        raise ValueError(f"invalid type of service {text!r} (0 to 255, 0xb8, ef, af41, cs1, le)")
    return value


def _parseInterface(text: str) -> str:
    if not 0 < len(text) < _INTERFACE_NAME_SIZE or not text.isascii() or "\0" in text:
        raise ValueError(f"invalid interface {text!r} (such as eth0; 'ip link' lists them)")
    return text


def _parseProtocolName(text: str) -> str:
    if not 0 < len(text) <= 255 or not text.isascii():
        raise ValueError(f"invalid protocol {text!r} (1 to 255 ASCII characters, such as h2)")
    return text


ADDRESS = ParsedParamType("address", _parseAddress)
ASSERTION = ParsedParamType("assertion", _parseAssertion)
COUNT = ParsedParamType("n", _integerParser(1, 10**9))
# With the header of a verified datagram, and the longest that IPv6 can carry.
DATAGRAM_SIZE = ParsedParamType("bytes", _integerParser(32, 65_527))
DURATION = ParsedParamType("duration", parseDuration)
# No timer is finer than a microsecond.
INTERVAL = ParsedParamType(
    "duration",
    _durationParser(
        1000, "interval {} is too short (at least 1us; -A sends as fast as replies arrive)"
    ),
)
LABEL = ParsedParamType("name=value", _parseLabel)
INTERFACE = ParsedParamType("interface", _parseInterface)
PATTERN = ParsedParamType("hex", _parsePattern)
PROBE_SIZE = ParsedParamType("bytes", _integerParser(0, MAX_PROBE))
PROTOCOL_NAME = ParsedParamType("name", _parseProtocolName)
RATE = ParsedParamType("rate", parseMessageRate)
REPORT_INTERVAL = ParsedParamType(
    "duration", _durationParser(100_000_000, "interval {} is too short (at least 100ms)")
)
SEED = ParsedParamType("n", _integerParser(0, 2**32 - 1))
SEND_TIME = ParsedParamType("duration", _durationParser(1, "duration {} would send nothing"))
SIZE = ParsedParamType("bytes", parseSize)
SIZES = ParsedParamType("bytes", _parseSizes)
TARGET = ParsedParamType("target", parseTarget)

TOS = ParsedParamType("value", _parseTOS)
TTL = ParsedParamType("n", _integerParser(1, 255))
TIMEOUT = ParsedParamType(
    "duration", _durationParser(1_000_000, "timeout {} is too short (at least 1ms)")
)
WINDOW = ParsedParamType("n", _integerParser(1, 65_536))
WORKERS = ParsedParamType("n|auto", parseWorkers)
