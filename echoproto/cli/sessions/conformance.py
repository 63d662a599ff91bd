"""
The run of ``echoproto conformance``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import IO

import click
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.conformance import ConformanceOptions
from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.output import Values
from echoproto.cli.sessions.session import ReportedSession
from echoproto.cli.tables import tableText
from echoproto.conformance.api import prepareGrade
from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult
from echoproto.conformance.runner import ConformanceRunner
from echoproto.conformance.suite import CHECKS, chosen
from echoproto.report.documents.conformance import conformanceDocument
from echoproto.report.junit import junitText
from echoproto.report.table import Column
from echoproto.text.suggestion import suggestion

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def runConformance(options: ConformanceOptions) -> int:
    """Run the checks, or show what they are; returns the exit status."""
    if options.list:
        return showChecks(options.carriers)
    return explainCheck(options.explain) if options.explain else ConformanceSession(options).run()


class ConformanceSession(ReportedSession[ConformanceRunner, object, ConformanceResult]):
    """Shows a table of the checks, and their counts."""

    command = "conformance"

    options: ConformanceOptions

    def __init__(self, options: ConformanceOptions) -> None:
        super().__init__(options)
        self.hasBar = not options.quiet
        try:
            chosen(options.carriers, options.only, options.risky)
        except ValueError as error:
            raise click.UsageError(f"--only: {error}") from error

    def prepare(self, reactor: IReactorTime) -> Deferred[ConformanceRunner]:
        """See :class:`.Session`."""
        return prepareGrade(
            reactor,
            self.target,
            carriers=self.options.carriers,
            only=self.options.only,
            includeRisky=self.options.risky,
            allowRemoteRisk=self.options.yes_i_own_it,
            timeout=self.options.timeout,
            connect=self.options.connect,
        )

    def begin(self, measurement: ConformanceRunner, reactor: IReactorTime) -> None:
        """Write the heading."""
        self.runner.write(self.writer.heading(f"CONFORMANCE {measurement.target}"))

    def share(self, measurement: ConformanceRunner) -> float:
        """See :class:`.Session`."""
        return measurement.share

    def figures(self, measurement: ConformanceRunner) -> Iterable[str]:
        """See :class:`.Session`."""
        return (measurement.progress,)

    def isEmpty(self, result: ConformanceResult) -> bool:
        """See :class:`.ReportedSession`."""
        return self.runner.interrupted and not result.answered

    def status(self, result: ConformanceResult, interrupted: bool, hasFailed: bool) -> int:
        """See :class:`.ReportedSession`."""
        if interrupted and not result.failed:
            return INTERRUPTED
        if not result.answered:
            return NO_REPLY
        return WRONG_BYTES if result.failed else OK

    def resultLines(self, result: ConformanceResult) -> Iterable[str]:
        """See :class:`.ResultView`."""
        if self.options.output == "junit":
            yield junitText(result, self.origin)
            return
        rows = checkRows(result, self.options.quiet)
        if rows:
            yield _table(self.runner.stream, ("carrier", "check", "verdict", "reason"), rows)
        yield conformanceLine(result)

    def document(self, result: ConformanceResult) -> Values:
        """See :class:`.ResultView`."""
        return conformanceDocument(result, self.origin)


def checkRows(result: ConformanceResult, quiet: bool = False) -> list[tuple[str, ...]]:
    """
    A row for each check: carrier, name, verdict, reason.

    :param quiet: whether only failed checks have a row.
    """
    return [
        (found.check.carrier, found.check.name, found.verdict.value, _reason(found))
        for found in result.results
        if found.verdict is CheckVerdict.FAILED or not quiet
    ]


def _reason(found: CheckResult) -> str:
    failed = found.verdict is CheckVerdict.FAILED
    return f"{found.reason} ({found.check.source})" if failed else found.reason


def conformanceLine(result: ConformanceResult) -> str:
    """The number of checks with each verdict, in one line."""
    counts = {verdict: result.count(verdict) for verdict in CheckVerdict}
    skipped = counts.pop(CheckVerdict.SKIPPED)
    more = f", {skipped} skipped" if skipped else ""
    passed = f"{counts[CheckVerdict.PASSED]} of {sum(counts.values())}"
    return f"conformance: {passed} checks passed{more}"


def showChecks(carriers: Sequence[str]) -> int:
    """Print a table of the checks; returns the exit status."""
    rows = [
        (
            check.carrier,
            check.name,
            "risky" if check.risky else "",
            f"{check.description} ({check.source})",
        )
        for check in CHECKS
        if check.carrier in carriers
    ]
    click.echo(_table(sys.stdout, ("carrier", "check", "risk", "requirement"), rows))
    return OK


def explainCheck(name: str) -> int:
    """
    Print what a check demands, and why; returns the exit status.

    :raise click.UsageError: the name is unknown.
    """
    found = [check for check in CHECKS if check.name == name]
    if not found:
        known = suggestion(name, [check.name for check in CHECKS]) or "; --list shows all checks"
        raise click.UsageError(f"--explain: unknown check {name!r}{known}")
    for check in found:
        click.echo(f"{check.name} ({check.carrier}): {check.description}")
        click.echo(f"Source: {check.source}.")
        if check.risky:
            click.echo("It could start a loop or a flood, so that it needs --risky.")
    return OK


def _table(stream: IO[str], titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = zip(*rows, strict=True)
    columns = [
        Column(title, tuple(column), True) for title, column in zip(titles, cells, strict=True)
    ]
    return tableText(stream, columns, styles=_STYLES)
