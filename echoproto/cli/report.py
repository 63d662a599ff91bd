"""
``echoproto report``: reads, merges and compares saved results, and shows them as tables and charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import click

from echoproto.cli.declarations import OUTPUT_OPTIONS, argument, command, option, outputOption
from echoproto.cli.options import AssertionOptions, OutputOptions

_option = partial(option, "Report options")
_output = partial(option, OUTPUT_OPTIONS)

#: The documents that have a JSON schema.
SCHEMAS = ("ping", "load", "verify", "conformance", "report", "compare")

_EPILOG = """\b
FILE is the output of ping, load or verify with -o json, of ping or load with
-o ndjson, or of report with -o json; - is the standard input.

\b
Examples:
  echoproto report monday.json tuesday.json
  echoproto report --merge lab*.json -o json --out all.json
  echoproto report --merge lab*.json --assert 'p99<5ms'
  echoproto report --compare before.json after.json
  echoproto report --html report.html run.json

\b
Exit status: 0 success, 2 usage, or a file that cannot be read or written,
4 an assertion failed.
"""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(AssertionOptions, OutputOptions):
    """The options of ``echoproto report``; all are paths or flags."""

    files: tuple[str, ...] = argument("FILE...")
    merge: bool = _option(is_flag=True, help="Add all results up.")
    compare: bool = _option(is_flag=True, help="Show which differences are more than noise.")
    schema: str | None = _option(
        metavar="COMMAND",
        type=click.Choice(SCHEMAS),
        help=f"Print the JSON schema of {', '.join(SCHEMAS[:-1])} or {SCHEMAS[-1]}, and exit.",
    )
    html: str | None = _output(metavar="FILE", help="Also write a page with charts.")
    png: str | None = _output(metavar="FILE", help="Also write the charts.")
    csv: str | None = _output(metavar="FILE", help="Also write the rows of the table.")
    output: str = outputOption("text", "json", "csv")

    def __post_init__(self) -> None:
        if not self.files and self.schema is None:
            raise click.UsageError("missing argument 'FILE...'")
        if self.merge and self.compare:
            raise click.UsageError("--merge makes one result, but --compare needs two")
        self.checkAssertions()

    @property
    def unmeasured(self) -> Sequence[str]:
        """See :class:`.AssertionOptions`; a result has no smoothed jitter."""
        return ("jitter",)


reportCommand = command(
    "report",
    ReportOptions,
    "Read saved results: show, merge, compare and plot them.",
    _EPILOG,
)
