"""
``echoproto load``: loads an echo server over many connections, in an open or a closed loop.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

import click

from echoproto.cli.declarations import OUTPUT_OPTIONS, command, option, quietOption
from echoproto.cli.loadtypes import RATES, SHARE, START_TIME, STEP, RateRange
from echoproto.cli.options import TARGET_HELP, EventOptions
from echoproto.cli.paramtypes import (
    COUNT,
    DURATION,
    REPORT_INTERVAL,
    SEND_TIME,
    SIZES,
    TIMEOUT,
    WINDOW,
    WORKERS,
)
from echoproto.text.units import SECOND, longTime

_option = partial(option, "Load options")

#: Nanoseconds to send if neither a time nor a number of messages is given.
DEFAULT_DURATION = 10 * SECOND

#: The number of rising rates, and nanoseconds at each.
DEFAULT_STEPS = 10
DEFAULT_STEP = 10 * SECOND

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto load lab1                       as fast as replies arrive
  echoproto load --connections 100 -z 1m --rate 5k lab1
  echoproto load -s 1-4096 --window 8 -c 100000 tls://lab1:7
  echoproto load --rate 1k..50k --assert 'p99<5ms' lab1
  echoproto load --workers auto -o ndjson udp://lab1

\b
With --rate the response time counts from when a message should have been
sent, so that it includes the time in which a server stops. The summary says
if the client was the limit. An echoproto server answers 1,000 datagrams per
second and source; its option --datagram-rate 0 lifts that.
Exit status: 0 success, 1 no or too few replies, 2 usage or local error,
3 wrong bytes, 4 an assertion failed, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class LoadOptions(EventOptions):
    """The options of ``echoproto load``; times in nanoseconds."""

    connections: int = _option(type=COUNT, default="10", help="Number of connections.")
    duration: int | None = _option("-z", type=SEND_TIME, help="How long to send.  [default: 10s]")
    count: int | None = _option("-c", type=COUNT, help="Stop after this many messages.")
    rate: float | RateRange | None = _option(  # noqa: RUF009 - a field
        type=RATES,
        help="Messages per second on all connections (open loop), or rising: 1k..50k.",
    )
    step: int | None = _option(
        type=STEP, help="Time at each of the rising rates of --rate.  [default: 10s]"
    )
    arrivals: str | None = _option(
        metavar="NAME",
        type=click.Choice(["fixed", "poisson"]),
        help="Send times of --rate: fixed or poisson.  [default: fixed]",
    )
    window: int | None = _option(
        type=WINDOW, help="Messages under way per connection, without --rate.  [default: 1]"
    )
    reconnect: bool = _option(is_flag=True, help="Use a new connection for each message.")
    sizes: tuple[int, int] = _option(
        "-s", "--size", type=SIZES, default="64", help="Bytes of a message, or MIN-MAX."
    )
    start_at: int | None = _option(
        type=START_TIME,
        help="Connect before, and begin at this time: +30s from now, or with date and zone.",
    )
    share: tuple[int, int] | None = _option(
        type=SHARE, help="Send only the I-th of N equal shares, from 0, as one of N machines."
    )
    addresses: str = _option(
        type=click.Choice(["all", "first"]),
        default="all",
        help="Addresses of a name: all in turn, or the first that answers.",
    )
    warmup: int = _option(type=DURATION, default="0", help="Ignore messages sent this early.")
    timeout: int = _option("-W", type=TIMEOUT, default="2s", help="Time to wait for a reply.")
    workers: int = _option(type=WORKERS, default="1", help="Number of processes.")
    quiet: bool = quietOption()
    every: int | None = option(
        OUTPUT_OPTIONS,
        type=REPORT_INTERVAL,
        help="Show the rate, p50 and p99 this often on the standard error.",
    )
    histogram: bool = option(
        OUTPUT_OPTIONS, is_flag=True, help="Show a histogram of the times below the summary."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is None and self.arrivals:
            raise click.UsageError("--arrivals needs --rate")
        if self.rate is not None and self.window:
            raise click.UsageError("--window cannot be used with --rate")
        ramp = isinstance(self.rate, RateRange)
        if self.step and not ramp:
            raise click.UsageError("--step needs a range of rates, such as --rate 1k..50k")
        if ramp and (self.count or self.warmup or self.arrivals == "poisson" or self.share):
            raise click.UsageError(
                "a range of rates cannot be used with --count, --warmup, --share or poisson"
            )
        if ramp and (self.steps < 2 or (self.sendTime or 0) % self.stepTime):
            raise click.UsageError("--duration must be two or more times --step")
        if self.reconnect and self.window:
            raise click.UsageError("--window cannot be used with --reconnect")
        if self.sendTime is not None and self.warmup >= self.sendTime:
            raise click.UsageError("--warmup must be shorter than --duration")
        if self.share is not None and min(self.connections, self.count or inf) < self.share[1]:
            raise click.UsageError(f"--share: fewer connections or messages than {self.share[1]}")
        if self.start_at is not None and self.sendTime is not None:
            late = time.time_ns() - self.start_at - self.sendTime
            if late >= 0:
                raise click.UsageError(f"--start-at: that load has ended {longTime(late)} ago")
        if self.histogram and self.output != "text":
            raise click.UsageError("--histogram needs --output text; other formats have one anyway")

    @property
    def unmeasured(self) -> Sequence[str]:
        """See :class:`.EventOptions`."""
        from echoproto.measure.assertions import COUNTS, DIRECTIONS, SHARES

        if isinstance(self.rate, RateRange):
            # A step is checked when it ends, and its last replies arrive after that.
            return ("jitter", *SHARES, *COUNTS)
        return ("jitter", "reordered", "late", "foreign", *DIRECTIONS)

    @property
    def sendTime(self) -> int | None:
        """How long to send; ``None`` if only the number of messages ends the load."""
        isEndless = self.duration is None and self.count is None
        if isEndless and isinstance(self.rate, RateRange):
            return DEFAULT_STEPS * self.stepTime
        return DEFAULT_DURATION if isEndless else self.duration

    @property
    def stepTime(self) -> int:
        """How long each of the rising rates is kept."""
        return self.step or DEFAULT_STEP

    @property
    def steps(self) -> int:
        """The number of rising rates."""
        return (self.sendTime or 0) // self.stepTime


loadCommand = command(
    "load",
    LoadOptions,
    "Load an echo server over many connections, and time every exchange.",
    _EPILOG,
)
