"""
The way to the targets, as every measuring command has it in its options.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import click

from echoproto.cli.options import ADDRESS, option
from echoproto.targets.endpoints import ConnectOptions
from echoproto.targets.target import Target

_TITLE = "The way"

_OPTIONS = (
    option(_TITLE, "-4", "family", flag_value=int(socket.AF_INET), type=int, help="IPv4 only."),
    option(_TITLE, "-6", "family", flag_value=int(socket.AF_INET6), type=int, help="IPv6 only."),
    option(_TITLE, "-I", "--source", type=ADDRESS, help="Send from this address."),
    option(
        _TITLE,
        "--endpoint",
        "descriptions",
        metavar="TEXT",
        multiple=True,
        help="A target as Twisted describes clients.",
    ),
    option(_TITLE, "--ca", metavar="FILE", default="", help="Trust the certificates in it (PEM)."),
    option(_TITLE, "--insecure", is_flag=True, help="Trust any certificate."),
)

#: How targets are written, for the help.
TARGETS = """TARGET is host, host:port, [v6]:port, tcp://, udp://, tls://host:port or unix:///path;
TCP where it does not say, port 12345."""


def connectOptions(command: Any) -> Any:
    """Give a command the options."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def connectOptionsOf(given: Mapping[str, Any]) -> ConnectOptions:
    """What the options say."""
    family = given["family"] or socket.AF_UNSPEC
    return ConnectOptions(
        family,
        given["source"] or "",
        given["ca"],
        not given["insecure"],
        given.get("numeric", False),
    )


def targetsOf(targets: Sequence[Target], given: Mapping[str, Any]) -> list[Target]:
    """All targets, those of ``--endpoint`` last."""
    asked = [*targets, *(Target(each, "endpoint", path=each) for each in given["descriptions"])]
    if not asked:
        raise click.UsageError("what is to be asked? Give a TARGET or --endpoint")
    return asked
