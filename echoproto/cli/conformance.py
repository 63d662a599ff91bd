"""
``echoproto verify --suite``: a battery of checks of an echo server, and a table of what came of them.

Called by :mod:`.verify`, whose options these are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from io import StringIO
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import option
from echoproto.cli.output import opened
from echoproto.cli.progress import Stage
from echoproto.cli.runner import MeasurementRunner
from echoproto.cli.way import connectOptionsOf
from echoproto.conformance.api import prepareGrade
from echoproto.conformance.results import ConformanceResult
from echoproto.conformance.runner import ConformanceRunner
from echoproto.conformance.suite import CHECKS, TCP, UDP, chosen
from echoproto.report.document import suiteValues
from echoproto.report.text import columns, gradeRows, suiteCounts
from echoproto.targets.target import Target

_TITLE = "The suite"

_CARRIERS = {"tcp": (TCP,), "udp": (UDP,), "all": (TCP, UDP)}

_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "yellow"}

_OPTIONS = (
    option(
        _TITLE,
        "--suite",
        metavar="CARRIER",
        type=click.Choice(list(_CARRIERS)),
        help="Ask a battery of checks instead: tcp, udp or all.",
    ),
    option(
        _TITLE, "--only", metavar="NAME", multiple=True, help="Only this check; may be repeated."
    ),
    option(_TITLE, "--risky", is_flag=True, help="Checks that may flood or loop, too."),
    option(_TITLE, "--yes-i-own-it", is_flag=True, help="Those off private networks, too."),
    option(_TITLE, "--list", is_flag=True, help="What is asked, and why."),
)


def suiteOptions(command: Any) -> Any:
    """Give a command the options."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def wantsSuite(given: Mapping[str, Any]) -> bool:
    """
    Whether the options ask for the suite.

    :raise click.UsageError: they are the suite's, and do not ask for it.
    """
    for name in ("only", "risky", "yes_i_own_it"):
        if given[name] and not given["suite"]:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --suite tcp, udp or all")
    return given["suite"] is not None


def listChecks(given: Mapping[str, Any]) -> int:
    """Print what is asked, and where it stands that it must be so."""
    carriers = _CARRIERS[given["suite"] or "all"]
    rows = [
        (each.carrier, each.name, "risky" if each.risky else "", f"{each.asks} ({each.source})")
        for each in CHECKS
        if each.carrier in carriers
    ]
    click.echo("\n".join(columns(rows)))
    return OK


def runSuite(target: Target, given: Mapping[str, Any]) -> int:
    """Ask, and show what came of it; returns the exit status."""
    carriers = _CARRIERS[given["suite"]]
    try:
        chosen(carriers, given["only"], given["risky"])
    except ValueError as error:
        raise click.UsageError(f"--only {error}") from error
    with opened(given["out"]) as stream:

        def begun(grading: ConformanceRunner, reactor: Any) -> None:
            if given["output"] == "text":
                once.line(f"SUITE {grading.target}")

        progress = (
            None if given["quiet"] else lambda grading: Stage(grading.share, grading.progress)
        )
        once = MeasurementRunner("verify", stream, begun, progress, target.text)
        return once.run(
            lambda reactor: prepareGrade(
                reactor,
                target,
                carriers,
                given["only"],
                given["risky"],
                given["yes_i_own_it"],
                given["wait"],
                connectOptionsOf(given),
            ),
            lambda result: _show(once, result, given, stream),
        )


def _show(
    once: MeasurementRunner, result: ConformanceResult, given: Mapping[str, Any], stream: IO[str]
) -> int:
    if given["output"] == "json":
        once.line(json.dumps(suiteValues(result), indent=2))
    else:
        rows = gradeRows(result, given["quiet"])
        once.line(
            "\n".join([*(_table(rows) if stream.isatty() else columns(rows)), suiteCounts(result)])
        )
    if once.interrupted and not result.failed:
        return INTERRUPTED
    if not result.answered:
        return NO_REPLY
    return WRONG_BYTES if result.failed else OK


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    table = Table("", "check", "verdict", "", header_style="bold")
    for carrier, name, verdict, reason in rows:
        table.add_row(carrier, name, Text(verdict, _COLOURS[verdict]), Text(reason))
    made = StringIO()
    Console(file=made, force_terminal=True, width=shutil.get_terminal_size().columns).print(table)
    return made.getvalue().splitlines()
