"""
``echoproto verify``: sends a known stream, and compares every byte of the echo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import click

from echoproto.cli.declarations import command, option, quietOption
from echoproto.cli.options import TARGET_HELP, MeasurementOptions
from echoproto.cli.paramtypes import DATAGRAM_SIZE, RATE, SEED, SEND_TIME, SIZE, TIMEOUT

_option = partial(option, "Stream options")

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto verify lab1                          64 MiB
  echoproto verify --bytes 10GiB tls://lab1:7    a soak test
  echoproto verify -z 1h --seed 7 lab1           for an hour, the same bytes
  echoproto verify -z 1h --rate 100 udp://lab1   datagrams for an hour

\b
A fault is flipped, dropped, inserted, duplicated or foreign bytes, with its
offset; over UDP a lost, damaged, repeated, reordered, late or foreign
datagram. A long run prints a line every minute.
Exit status: 0 success, 1 no or too few bytes, 2 usage or local error,
3 wrong bytes, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(MeasurementOptions):
    """The options of ``echoproto verify``; times in nanoseconds."""

    length: int | None = _option(
        "--bytes", type=SIZE, help="How many bytes to send.  [default: 64MiB, over UDP 1MiB]"
    )
    duration: int | None = _option(
        "-z", type=SEND_TIME, help="How long to send, instead of --bytes."
    )
    seed: int | None = _option(type=SEED, help="Seed of the bytes.  [default: random]")
    datagram: int | None = _option(
        "-s",
        "--size",
        type=DATAGRAM_SIZE,
        help="Bytes of a datagram, over UDP.  [default: 1024]",
    )
    rate: float | None = _option(type=RATE, help="Datagrams per second, over UDP.  [default: 500]")
    timeout: int = _option(
        "-W", type=TIMEOUT, default="5s", help="Give up if no byte arrives for this time."
    )
    quiet: bool = quietOption()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length and self.duration:
            raise click.UsageError("--bytes cannot be used with --duration")
        if (self.rate or self.datagram) and not self._isUDP:
            raise click.UsageError("--rate and --size need a target udp://HOST")

    @property
    def _isUDP(self) -> bool:
        return any(target.carrier == "udp" for target in self.targets)

    @property
    def size(self) -> int | None:
        """Number of bytes to send; ``None`` if the duration ends it."""
        return None if self.duration else self.length or (1 << 20 if self._isUDP else 64 << 20)


verifyCommand = command(
    "verify",
    VerifyOptions,
    "Send a known stream to an echo server, and compare every byte of the echo.",
    _EPILOG,
)
