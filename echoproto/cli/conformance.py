"""
``echoproto conformance``: checks whether an echo server conforms to RFC 862.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import click

from echoproto.cli.declarations import command, option, outputOption, quietOption
from echoproto.cli.options import TARGET_HELP, MeasurementOptions
from echoproto.cli.paramtypes import TIMEOUT

_option = partial(option, "Check options")

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto conformance lab1:7                  the checks of TCP
  echoproto conformance --carrier all lab1:7    of TCP and UDP
  echoproto conformance --only half-close -W 10s tls://lab1:7
  echoproto conformance --list                  all checks; needs no TARGET
  echoproto conformance -o junit --out checks.xml lab1:7

\b
Exit status: 0 success, 1 no reply at all, 2 usage or local error, 3 a check
failed, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class ConformanceOptions(MeasurementOptions):
    """The options of ``echoproto conformance``; times in nanoseconds."""

    carrier: str | None = _option(
        metavar="CARRIER",
        type=click.Choice(["tcp", "udp", "all"]),
        help="tcp, udp or all.  [default: that of the target]",
    )
    only: tuple[str, ...] = _option(
        metavar="NAME", multiple=True, help="Run only this check. Repeatable."
    )
    risky: bool = _option(is_flag=True, help="Also run checks that may flood or loop.")
    yes_i_own_it: bool = _option(is_flag=True, help="Allow risky checks against a public address.")
    list: bool = _option(is_flag=True, help="List the checks, and exit.")
    explain: str | None = _option(metavar="NAME", help="Explain this check, and exit.")
    timeout: int = _option("-W", type=TIMEOUT, default="5s", help="Time to wait for a reply.")
    quiet: bool = quietOption("the failed checks and the summary")
    output: str = outputOption("text", "json", "junit")

    @property
    def carriers(self) -> tuple[str, ...]:
        """The carriers to check: those of ``--carrier``, or that of the target."""
        if self.carrier == "all" or (self.carrier is None and self.list):
            return ("tcp", "udp")
        return (self.carrier or ("udp" if self.allTargets[0].carrier == "udp" else "tcp"),)


conformanceCommand = command(
    "conformance",
    ConformanceOptions,
    "Check whether an echo server conforms to RFC 862, whatever its clients do.",
    _EPILOG,
)
