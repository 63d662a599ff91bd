"""
Kinds of values on the command line of the measuring commands, read by :mod:`echoproto.measure` and :mod:`echoproto.client`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
from twisted.internet.abstract import isIPAddress, isIPv6Address

from echoproto.cli.processes import parseWorkers
from echoproto.measure.assertions import parseAssertion
from echoproto.targets.target import parseTarget
from echoproto.units import parseDuration, parseSize

#: What every command has.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Read(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.4
    """
    A value that some function reads.

    :param name: what it is, for the help.
    :param read: raises ``ValueError`` with a line that says what is wrong.
    """

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click.ParamType``."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Grouped(click.Command):
    """A command whose options stand in its help under the titles that :func:`option` gives."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click.Command``."""
        options = [each for each in self.params if isinstance(each, _Titled)]
        for title in dict.fromkeys(each.title for each in options):
            rows = [each.get_help_record(ctx) for each in options if each.title == title]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


class _Titled(click.Option):
    def __init__(self, *arguments: Any, title: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.title = title


def option(title: str, *names: str, **named: Any) -> Callable[[Any], Any]:
    """``click.option`` for a :class:`Grouped` command."""
    return click.option(*names, cls=_Titled, title=title, **named)


def _pattern(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is no pattern in hexadecimal such as ff00") from None


def _numeric(text: str) -> str:
    if not isIPAddress(text) and not isIPv6Address(text):
        raise ValueError(f"{text!r} is no numeric address")
    return text


def _interval(text: str) -> int:
    interval = parseDuration(text)
    if interval < 1000:
        raise ValueError(f"{text!r} is too short; at least 1us, or -A for as fast as replies come")
    return interval


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


SIZE = Read("size", parseSize)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 10_000_000:
        raise ValueError(f"{text!r} is no rate: messages a second, from 0.001 to 10 million")
    return rate


def _sizes(text: str) -> tuple[int, int]:
    least, dash, most = text.partition("-")
    try:
        low = _messageSize(least)
        high = _messageSize(most) if dash else low
        if high >= low:
            return low, high
    except ValueError:
        pass
    raise ValueError(f"{text!r} is no size from 1 to {_MESSAGE} bytes such as 64 or 1-4096")


_MESSAGE = 1 << 20


def _messageSize(text: str) -> int:
    size = parseSize(text)
    if not 1 <= size <= _MESSAGE:
        raise ValueError
    return size


RATE = Read("n", _rate)
SIZES = Read("n", _sizes)
WORKERS = Read("n|auto", parseWorkers)
WINDOW = Read("n", _whole(1, 65_536))
COUNT = Read("n", _whole(1, 10**9))
SEED = Read("n", _whole(0, 2**32 - 1))
#: Bytes of a probe; each is made anew, so that they are not endless.
PROBE_SIZE = Read("n", _whole(0, 1 << 24))
DURATION = Read("duration", parseDuration)
INTERVAL = Read("duration", _interval)
TARGET = Read("target", parseTarget)
ASSERTION = Read("assertion", parseAssertion)
PATTERN = Read("hex", _pattern)
ADDRESS = Read("address", _numeric)
