"""
The options that several commands share.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import click

from echoproto.cli.declarations import (
    CONNECTION_OPTIONS,
    OUTPUT_OPTIONS,
    argument,
    option,
    outputOption,
)
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
from echoproto.client.targets.target import Target

if TYPE_CHECKING:
    from echoproto.client.targets.connectoptions import ConnectOptions
    from echoproto.measure.assertions import Assertion

#: How targets are written, for the help.
TARGET_HELP = """TARGET is host, host:port, [v6]:port, tcp://, udp://, tls://host:port,
unix:///path or unix://@name; the default is TCP and port 12345."""

_connection = partial(option, CONNECTION_OPTIONS)

#: Options that only targets over TLS use.
_TLS_OPTIONS = ("ca", "insecure", "cert", "key", "servername", "alpn")


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
    def listed(self) -> Sequence[Target]:
        """The targets of a list, of a command that reads one."""
        return ()

    @property
    def allTargets(self) -> list[Target]:
        """
        The targets, then those of a list and of ``--endpoint``.

        :raise click.UsageError: none is given, or more than the command takes, or none speaks TLS
            although there are options of TLS.
        """
        endpoints = (Target(text, "endpoint", path=text) for text in self.descriptions)
        targets = [*self.targets, *self.listed, *endpoints]
        if not targets:
            raise click.UsageError("missing TARGET")
        if len(targets) > 1 and not self.takesSeveral:
            raise click.UsageError("too many targets; give one TARGET")
        unused = [name for name in _TLS_OPTIONS if getattr(self, name)]
        if unused and all(target.carrier != "tls" for target in targets):
            raise click.UsageError(f"--{unused[0]} needs a target tls://HOST")
        return targets

    @property
    def connect(self) -> ConnectOptions:
        """How to connect, as :mod:`echoproto.client.targets.connectoptions` has it."""
        from echoproto.client.targets.connectoptions import ConnectOptions

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
    out: str | None = option(
        OUTPUT_OPTIONS, metavar="FILE", help="Write to this file; - is the standard output."
    )


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
class AssertionOptions:
    """The assertions that the figures of a result must satisfy."""

    assertions: tuple[Assertion, ...] = option(
        OUTPUT_OPTIONS,
        "--assert",
        type=ASSERTION,
        multiple=True,
        help="Exit with status 4 unless this holds, such as 'p99<5ms'. Repeatable.",
    )

    @property
    def unmeasured(self) -> Sequence[str]:
        """Names of assertions about values that the command does not measure."""
        return ()

    def checkAssertions(self) -> None:
        """
        Refuse assertions that can never hold.

        :raise click.UsageError: a name is unknown, or of a value that is not measured.
        """
        for assertion in self.assertions:
            # Imported only here, because it needs the extra ``measure``, and help does not.
            from echoproto.measure.assertions import NAMES

            known = [name for name in NAMES if name not in self.unmeasured]
            if assertion.name not in known:
                fault = "is not measured" if assertion.name in NAMES else "is unknown"
                raise click.UsageError(
                    f"--assert {assertion.text!r}: {assertion.name} {fault} "
                    f"(names: {', '.join(known)})"
                )


@dataclass(frozen=True, kw_only=True)
class EventOptions(AssertionOptions, MeasurementOptions):
    """The options of a measurement with events, and with figures that assertions check."""

    output: str = outputOption("text", "json", "ndjson", "csv")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.checkAssertions()
