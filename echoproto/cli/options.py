"""
The options of a subcommand, as the fields of a dataclass: a field is an option of click too.

The groups of options are made here and not by cloup, which needs click 8.5 and doubles its import
time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from echoproto.cli.paramtypes import (
    ADDRESS,
    ASSERTION,
    INTERFACE,
    LABEL,
    PROTOCOL_NAME,
    TARGET,
    TOS,
    TTL,
)
from echoproto.targets.target import Target

if TYPE_CHECKING:
    from echoproto.measure.assertions import Assertion
    from echoproto.targets.connectoptions import ConnectOptions

#: Settings of every command.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}

CONNECTION_OPTIONS = "Connection options"
OUTPUT_OPTIONS = "Output options"

#: How targets are written, for the help.
TARGET_HELP = """TARGET is host, host:port, [v6]:port, tcp://, udp://, tls://host:port or
unix:///path; the default is TCP and port 12345."""

_Options = TypeVar("_Options")


class GroupedCommand(click.Command):
    """A command whose help shows options under their titles, its own before the shared ones."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click.Command``."""
        options = [param for param in self.params if isinstance(param, _GroupedOption)]
        titles = dict.fromkeys(param.title for param in options)
        shared = (CONNECTION_OPTIONS, OUTPUT_OPTIONS)
        for title in sorted(titles, key=lambda title: title in shared):
            rows = [param.get_help_record(ctx) for param in options if param.title == title]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


class _GroupedOption(click.Option):
    def __init__(self, *names: Any, title: str, **settings: Any) -> None:  # Any: of click.Option
        super().__init__(*names, **settings)
        self.title = title


def option(title: str, *names: str, **settings: object) -> Any:  # Any: a field of any type
    """
    A field that is an option.

    :param title: its title in the help.
    :param names: its names on the command line; the long one is by default that of the field.
    :param settings: those of ``click.Option``.
    """
    known: Any = {"title": title, "show_default": "default" in settings, **settings}

    def make(field: str) -> click.Option:
        long = () if names and names[-1].startswith("--") else (f"--{field.replace('_', '-')}",)
        return _GroupedOption([*names, *long, field], **known)

    return field(metadata={"make": make})


def argument(metavar: str, **settings: object) -> Any:  # Any: a field of any type
    """A field that has all words that are not options; settings are those of ``click.Argument``."""
    known: Any = {"metavar": metavar, "nargs": -1, **settings}
    return field(metadata={"make": lambda name: click.Argument([name], **known)})


def outputOption(*formats: str) -> Any:  # Any: a field of any type
    """A field that is the option ``--output``; the first of the formats is the default."""
    return option(
        OUTPUT_OPTIONS,
        "-o",
        metavar="FORMAT",
        type=click.Choice(formats),
        default=formats[0],
        help=f"Format: {', '.join(formats[:-1])} or {formats[-1]}.",
    )


def quietOption(text: str) -> Any:  # Any: a field of any type
    """A field that is the option ``--quiet``."""
    return option(OUTPUT_OPTIONS, "-q", is_flag=True, help=text)


def command(
    name: str, kind: type[_Options], epilog: str
) -> Callable[[Callable[[_Options], int]], click.Command]:
    """
    Make a command of a function that has one parameter: the options, as one typed value.

    :param kind: the dataclass of the options.
    """

    def decorate(run: Callable[[_Options], int]) -> click.Command:
        @wraps(run)
        def callback(**values: object) -> int:
            return run(kind(**values))

        # Any: a dataclass.
        known: Any = kind
        parameters = [field.metadata["make"](field.name) for field in fields(known)]
        make = click.command(
            name, GroupedCommand, params=parameters, epilog=epilog, context_settings=CONTEXT
        )
        return make(callback)

    return decorate


def optionValues(options: Any) -> dict[str, Any]:  # Any: a dataclass, and values for JSON
    """The options in effect by their long names, without labels, as plain values for JSON."""
    return {
        field.metadata["make"](field.name).opts[-1].lstrip("-"): _plainValue(
            getattr(options, field.name)
        )
        for field in fields(options)
        if field.name != "labels"
    }


def _plainValue(value: Any) -> Any:  # Any: as for optionValues
    if isinstance(value, tuple):
        return [_plainValue(item) for item in value]
    # Targets and assertions have the text that they were parsed from.
    return value.hex() if isinstance(value, bytes) else getattr(value, "text", value)


_connection = partial(option, CONNECTION_OPTIONS)


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """
    The targets of a command, and how to connect to them.

    :cvar takesSeveral: whether the command takes several targets.
    """

    takesSeveral: ClassVar[bool] = False

    targets: tuple[Target, ...] = argument("TARGET", type=TARGET)
    ipv4: bool = _connection("-4", is_flag=True, help="Use only IPv4.")
    ipv6: bool = _connection("-6", is_flag=True, help="Use only IPv6.")
    source: str | None = _connection("-I", type=ADDRESS, help="Send from this address.")
    descriptions: tuple[str, ...] = _connection(
        "--endpoint",
        metavar="TEXT",
        multiple=True,
        help="Add a target, as a Twisted client endpoint description.",
    )
    ca: str | None = _connection(
        metavar="FILE", help="Trust the TLS certificates in this file (PEM)."
    )
    insecure: bool = _connection(is_flag=True, help="Accept any TLS certificate.")
    cert: str | None = _connection(
        metavar="FILE", help="Present the TLS certificate in this file (PEM)."
    )
    key: str | None = _connection(
        metavar="FILE", help="Key of --cert (PEM).  [default: in the same file]"
    )
    servername: str | None = _connection(
        metavar="NAME", help="Request and verify this TLS server name."
    )
    alpn: tuple[str, ...] = _connection(
        metavar="NAME",
        type=PROTOCOL_NAME,
        multiple=True,
        help="Offer this application protocol over TLS. Repeatable.",
    )
    interface: str | None = _connection(
        metavar="NAME", type=INTERFACE, help="Use this network interface or VRF."
    )
    tos: int | None = _connection(
        metavar="VALUE", type=TOS, help="Type of service: a number, or a name such as ef or af41."
    )
    ttl: int | None = _connection(type=TTL, help="Time to live of packets, the hop limit.")
    dontFragment: bool = _connection(
        "--dont-fragment", is_flag=True, help="Send no packet that must be fragmented."
    )

    def __post_init__(self) -> None:
        if self.ipv4 and self.ipv6:
            raise click.UsageError("-4 cannot be used with -6")
        if self.key and not self.cert:
            raise click.UsageError("--key needs --cert")

    @property
    def allTargets(self) -> list[Target]:
        """
        The targets, those of ``--endpoint`` last.

        :raise click.UsageError: none is given, or more than the command takes.
        """
        endpoints = (Target(text, "endpoint", path=text) for text in self.descriptions)
        targets = [*self.targets, *endpoints]
        if not targets:
            raise click.UsageError("missing TARGET")
        if len(targets) > 1 and not self.takesSeveral:
            raise click.UsageError("too many targets; give one TARGET")
        return targets

    @property
    def connect(self) -> ConnectOptions:
        """How to connect, as :mod:`echoproto.targets.connectoptions` has it."""
        from echoproto.targets.connectoptions import ConnectOptions

        family = socket.AF_INET if self.ipv4 else socket.AF_UNSPEC
        family = socket.AF_INET6 if self.ipv6 else family
        return ConnectOptions(
            family,
            self.source or "",
            self.ca or "",
            not self.insecure,
            certFile=self.cert or "",
            keyFile=self.key or "",
            serverName=self.servername or "",
            alpn=self.alpn,
            interface=self.interface or "",
            tos=self.tos,
            ttl=self.ttl,
            dontFragment=self.dontFragment,
        )


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The format of a result, and the file to write it to, if it has one."""

    output: str = outputOption("text", "json")
    out: str | None = option(OUTPUT_OPTIONS, metavar="FILE", help="Write to this file.")


@dataclass(frozen=True, kw_only=True)
class MeasurementOptions(OutputOptions, TargetOptions):
    """The options of every command that measures a target."""

    labels: tuple[tuple[str, str], ...] = option(
        OUTPUT_OPTIONS,
        "--label",
        type=LABEL,
        multiple=True,
        help="Label of the result, such as site=lab1. Repeatable.",
    )


@dataclass(frozen=True, kw_only=True)
class EventOptions(MeasurementOptions):
    """The options of a measurement with events, and with figures that assertions check."""

    output: str = outputOption("text", "json", "ndjson", "csv")
    assertions: tuple[Assertion, ...] = option(
        OUTPUT_OPTIONS,
        "--assert",
        type=ASSERTION,
        multiple=True,
        help="Exit with status 4 unless this holds, such as 'p99<5ms'. Repeatable.",
    )
