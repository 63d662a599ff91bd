"""
``echoproto ping``: probes any echo servers, as ping does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import click

from echoproto.cli.declarations import (
    CONNECTION_OPTIONS,
    OUTPUT_OPTIONS,
    argument,
    command,
    option,
    quietOption,
)
from echoproto.cli.options import TARGET_HELP, EventOptions
from echoproto.cli.paramtypes import (
    COUNT,
    INTERVAL,
    PATTERN,
    PROBE_SIZE,
    REPORT_INTERVAL,
    SEND_TIME,
    TARGET,
    TIMEOUT,
    WINDOW,
)
from echoproto.cli.targetlist import TARGET_FILE
from echoproto.client.targets.target import Target

_option = partial(option, "Probe options")

#: Nanoseconds between the probes of a flood that is not answered: that of ping(8).
FLOOD_INTERVAL = 10_000_000

#: Nanoseconds of the shortest interval to any address: that of ping(8) for users.
SHORTEST_INTERVAL = 2_000_000

_EPILOG = f"""\b
{TARGET_HELP}
A DURATION is 20ms, 1.5s, 1m30s, or 3 for seconds.

\b
Examples:
  echoproto ping lab1                         until Ctrl-C
  echoproto ping -c 10 -i 20ms udp://lab1:7   ten datagrams, 50 per second
  echoproto ping -A -q -w 10s lab1 lab2       two servers, for 10 seconds
  echoproto ping -c 100 --assert 'p99<5ms' --assert 'loss<=1%' lab1
  echoproto ping --targets labs.txt --summary -c 5

\b
Ctrl-\\ prints the figures so far. Exit status: 0 success, 1 no or too few
replies, 2 usage or local error, 3 wrong bytes, 4 an assertion failed,
130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class PingOptions(EventOptions):
    """The options of ``echoproto ping``; times in nanoseconds."""

    takesSeveral: ClassVar = True

    targets: tuple[Target, ...] = argument("TARGET...", type=TARGET)
    count: int | None = _option(
        "-c", type=COUNT, help="Stop after this many probes.  [default: at Ctrl-C]"
    )
    interval: int | None = _option(
        "-i",
        type=INTERVAL,
        help="Time between probes; below 2ms for loopback and private addresses.  "
        "[default: 1s, with --flood 10ms]",
    )
    deadline: int | None = _option("-w", type=SEND_TIME, help="Stop after this time.")
    timeout: int = _option(
        "-W", type=TIMEOUT, default="2s", help="Time to wait for a reply; after that it is late."
    )
    size: int = _option("-s", type=PROBE_SIZE, default="64", help="Bytes of a probe.")
    pattern: bytes = _option(
        type=PATTERN,
        default=b"",
        show_default=False,
        help="Bytes that fill a probe.  [default: different in each]",
    )
    adaptive: bool = _option("-A", is_flag=True, help="Send the next probe after each reply.")
    reconnect: bool = _option(is_flag=True, help="Use a new connection for each probe.")
    mode: str = _option(
        type=click.Choice(["echo", "udp-plus"]),
        default="echo",
        help="Service to probe; udp-plus is UDPEchoPlus (TR-143), which shows the direction of "
        "losses and the time that the server took.",
    )
    preload: int = _option(
        type=WINDOW, default="1", help="Number of probes to send at once at the start."
    )
    flood: bool = _option(
        is_flag=True,
        help="Send as fast as replies arrive, at least 100 per second, and show only the "
        "summary; for loopback and private addresses.",
    )
    targetFile: tuple[Target, ...] = option(
        CONNECTION_OPTIONS,
        "--targets",
        metavar="FILE",
        type=TARGET_FILE,
        default=(),
        show_default=False,
        help="Add the targets in this file, one a line; - is the standard input.",
    )
    quiet: bool = quietOption()
    summary: bool = option(
        OUTPUT_OPTIONS, is_flag=True, help="Show only one line for each target, at the end."
    )
    every: int | None = option(
        OUTPUT_OPTIONS, type=REPORT_INTERVAL, help="Show the figures so far this often."
    )
    outstanding: bool = option(
        OUTPUT_OPTIONS,
        "-O",
        is_flag=True,
        help="Show each probe that has no reply when the next one is sent.",
    )
    numeric: bool = option(
        OUTPUT_OPTIONS, "-n", is_flag=True, help="Show targets by their addresses."
    )
    timestamps: bool = option(
        OUTPUT_OPTIONS, "-D", is_flag=True, help="Show the time on each line."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preload > 1 and self.reconnect:
            raise click.UsageError("--preload cannot be used with --reconnect")

    @property
    def unmeasured(self) -> Sequence[str]:
        """See :class:`.EventOptions`; only UDPEchoPlus shows directions."""
        from echoproto.measure.assertions import DIRECTIONS

        return ("rate", *(() if self.mode == "udp-plus" else DIRECTIONS))

    @property
    def listed(self) -> Sequence[Target]:
        """See :class:`.TargetOptions`."""
        return self.targetFile

    @property
    def floodOption(self) -> str:
        """The option that makes it a flood: faster than any server must bear; empty if none."""
        isFast = self.interval is not None and self.interval < SHORTEST_INTERVAL
        return "--flood" if self.flood else "--interval below 2ms" if isFast else ""

    @property
    def isQuiet(self) -> bool:
        """Whether text has no line for each probe."""
        return self.quiet or self.flood or self.summary

    @property
    def stamp(self) -> str:
        """The time now, as it is shown before a line; empty if it is not shown."""
        return f"[{time.time():.6f}] " if self.timestamps else ""


pingCommand = command(
    "ping",
    PingOptions,
    "Probe echo servers (RFC 862): round trips, loss, reordering and damage.",
    _EPILOG,
)
