"""
Options that several subcommands share: parameter types, option groups, and their typed values.

The groups are made here and not by cloup, which needs click 8.5 and doubles its import time.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeVar

import click

from echoproto.processes.resources import processors
from echoproto.targets.target import Target, parseTarget
from echoproto.units import parseDuration, parseSize

if TYPE_CHECKING:
    from echoproto.measure.assertions import Assertion
    from echoproto.targets.endpoints import ConnectOptions

#: Settings of every command.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}

#: More than any machine has processors.
MAX_WORKERS = 1024

#: Bytes of the longest message of a load.
MAX_MESSAGE = 1 << 20

#: Bytes of the longest probe: each is built anew in memory.
MAX_PROBE = 1 << 24

#: Nanoseconds between probes, at least; no timer is finer.
MIN_INTERVAL = 1000

CONNECTION_OPTIONS = "Connection options"
OUTPUT_OPTIONS = "Output options"

#: How targets are written, for the help.
TARGET_HELP = """TARGET is host, host:port, [v6]:port, tcp://, udp://, tls://host:port or
unix:///path; the default is TCP and port 12345."""

_Options = TypeVar("_Options")

#: A function that becomes a command.
_Run = TypeVar("_Run", bound=Callable[..., object])


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


class GroupedCommand(click.Command):
    """A command whose help shows options under the titles that :func:`option` sets."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click.Command``."""
        options = [param for param in self.params if isinstance(param, _GroupedOption)]
        for title in dict.fromkeys(param.title for param in options):
            rows = [param.get_help_record(ctx) for param in options if param.title == title]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


class _GroupedOption(click.Option):
    def __init__(self, *names: Any, title: str, **settings: Any) -> None:  # Any: of click.Option
        super().__init__(*names, **settings)
        self.title = title


def option(title: str, *names: str, **settings: object) -> Callable[[_Run], _Run]:
    """``click.option`` for a :class:`GroupedCommand`, under a title of its help."""
    settings = {"show_default": "default" in settings, **settings}
    return click.option(*names, cls=_GroupedOption, title=title, **settings)


def command(
    name: str, kind: Callable[..., _Options], epilog: str
) -> Callable[[Callable[[_Options], int]], click.Command]:
    """
    Make a command of a function that has one parameter: the options, as one typed value.

    :param kind: the dataclass of the options, which has a field for each of them.
    """

    def decorate(run: Callable[[_Options], int]) -> click.Command:
        @wraps(run)
        def callback(**values: object) -> int:
            return run(kind(**values))

        make = click.command(name, GroupedCommand, epilog=epilog, context_settings=CONTEXT)
        return make(callback)

    return decorate


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """
    The targets of a command, and how to connect to them.

    :ivar family: ``AF_INET`` or ``AF_INET6``; either if ``None``.
    """

    targets: tuple[Target, ...]
    descriptions: tuple[str, ...]
    family: int | None
    source: str | None
    ca: str
    insecure: bool


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """
    The format of a result, and its destination.

    :ivar output: the format.
    :ivar out: the path of a file; the standard output if ``None``.
    """

    output: str
    out: str | None


def targetOptions(metavar: str = "TARGET") -> Callable[[_Run], _Run]:
    """Add the fields of :class:`TargetOptions` to a command."""
    decorators = (
        click.argument("targets", metavar=metavar, nargs=-1, type=TARGET),
        _connection(
            "-4", "family", flag_value=int(socket.AF_INET), type=int, help="Use only IPv4."
        ),
        _connection(
            "-6", "family", flag_value=int(socket.AF_INET6), type=int, help="Use only IPv6."
        ),
        _connection("-I", "--source", type=ADDRESS, help="Send from this address."),
        _connection(
            "--endpoint",
            "descriptions",
            metavar="TEXT",
            multiple=True,
            help="Add a target, as a Twisted client endpoint description.",
        ),
        _connection("--ca", metavar="FILE", default="", show_default=False, help=_CA_HELP),
        _connection("--insecure", is_flag=True, help="Accept any TLS certificate."),
    )
    return lambda run: _decorated(run, decorators)


def outputOptions(*formats: str) -> Callable[[_Run], _Run]:
    """
    Add the fields of :class:`OutputOptions` to a command.

    :param formats: those that it supports; the first is the default.
    """
    decorators = (
        option(
            OUTPUT_OPTIONS,
            "-o",
            "--output",
            metavar="FORMAT",
            type=click.Choice(formats),
            default=formats[0],
            help=f"Format: {', '.join(formats[:-1])} or {formats[-1]}.",
        ),
        option(OUTPUT_OPTIONS, "--out", metavar="FILE", help="Write to this file."),
    )
    return lambda run: _decorated(run, decorators)


def assertOption(run: _Run) -> _Run:
    """Add the option ``--assert``, field ``assertions``."""
    return option(
        OUTPUT_OPTIONS,
        "--assert",
        "assertions",
        type=ASSERTION,
        multiple=True,
        help="Exit with status 4 unless this holds, such as 'p99<5ms'. Repeatable.",
    )(run)


def targetsOf(options: TargetOptions) -> list[Target]:
    """
    All targets of a command, those of ``--endpoint`` last.

    :raise click.UsageError: no target is given.
    """
    endpoints = (Target(text, "endpoint", path=text) for text in options.descriptions)
    targets = [*options.targets, *endpoints]
    if not targets:
        raise click.UsageError("missing TARGET")
    return targets


def targetOf(options: TargetOptions) -> Target:
    """
    The target of a command that takes one.

    :raise click.UsageError: no target is given, or more than one.
    """
    target, *more = targetsOf(options)
    if more:
        raise click.UsageError("too many targets; give one TARGET")
    return target


def connectOptionsOf(options: TargetOptions, numeric: bool = False) -> ConnectOptions:
    """
    How to connect, as :mod:`echoproto.targets.endpoints` has it.

    :param numeric: whether targets are shown by their addresses.
    """
    from echoproto.targets.endpoints import ConnectOptions

    family = options.family or socket.AF_UNSPEC
    return ConnectOptions(family, options.source or "", options.ca, not options.insecure, numeric)


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


def _connection(*names: str, **settings: object) -> Callable[[_Run], _Run]:
    return option(CONNECTION_OPTIONS, *names, **settings)


def _decorated(run: _Run, decorators: Iterable[Callable[[_Run], _Run]]) -> _Run:
    for decorate in reversed(list(decorators)):
        run = decorate(run)
    return run


def _parseAssertion(text: str) -> Assertion:
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


def _parseInterval(text: str) -> int:
    interval = parseDuration(text)
    if interval < MIN_INTERVAL:
        raise ValueError(
            f"interval {text!r} is too short (at least 1us; -A sends as fast as replies arrive)"
        )
    return interval


def _parseTimeout(text: str) -> int:
    timeout = parseDuration(text)
    if timeout < 1_000_000:
        raise ValueError(f"timeout {text!r} is too short (at least 1ms)")
    return timeout


def _parseSendTime(text: str) -> int:
    duration = parseDuration(text)
    if not duration:
        raise ValueError(f"duration {text!r} would send nothing")
    return duration


def _integerParser(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise ValueError(f"invalid number {text!r} (a whole number from {least} to {most})")
        return int(text)

    return parse


def _parseRate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
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


_CA_HELP = "Trust the TLS certificates in this file (PEM)."

ADDRESS = ParsedParamType("address", _parseAddress)
ASSERTION = ParsedParamType("assertion", _parseAssertion)
COUNT = ParsedParamType("n", _integerParser(1, 10**9))
DURATION = ParsedParamType("duration", parseDuration)
INTERVAL = ParsedParamType("duration", _parseInterval)
PATTERN = ParsedParamType("hex", _parsePattern)
PROBE_SIZE = ParsedParamType("bytes", _integerParser(0, MAX_PROBE))
RATE = ParsedParamType("rate", _parseRate)
SEED = ParsedParamType("n", _integerParser(0, 2**32 - 1))
SEND_TIME = ParsedParamType("duration", _parseSendTime)
SIZE = ParsedParamType("bytes", parseSize)
SIZES = ParsedParamType("bytes", _parseSizes)
TARGET = ParsedParamType("target", parseTarget)
TIMEOUT = ParsedParamType("duration", _parseTimeout)
WINDOW = ParsedParamType("n", _integerParser(1, 65_536))
WORKERS = ParsedParamType("n|auto", parseWorkers)
