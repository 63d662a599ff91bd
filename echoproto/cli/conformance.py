"""
``echoproto conformance``: checks whether an echo server conforms to RFC 862.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO

import click
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import (
    OUTPUT_OPTIONS,
    TARGET_HELP,
    TIMEOUT,
    OutputOptions,
    TargetOptions,
    command,
    connectOptionsOf,
    option,
    outputOptions,
    targetOf,
    targetOptions,
)
from echoproto.cli.output import (
    ResultView,
    TextWriter,
    Values,
    makeWriter,
    opened,
    startTime,
)
from echoproto.cli.progress import ProgressStage
from echoproto.cli.runner import MeasurementRunner
from echoproto.cli.tables import tableText
from echoproto.conformance.api import prepareGrade
from echoproto.conformance.registry import TCP, UDP
from echoproto.conformance.results import ConformanceResult
from echoproto.conformance.runner import ConformanceRunner
from echoproto.conformance.suite import CHECKS, chosen
from echoproto.report.document import conformanceDocument
from echoproto.report.table import Column
from echoproto.report.text import checkRows, verdictCounts
from echoproto.targets.target import Target

_TITLE = "Check options"

_CARRIERS = {"tcp": (TCP,), "udp": (UDP,), "all": (TCP, UDP)}

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto conformance lab1:7                  the checks of TCP
  echoproto conformance --carrier all lab1:7    of TCP and UDP
  echoproto conformance --only half-close -t 10s tls://lab1:7
  echoproto conformance --list                  all checks; needs no TARGET

\b
Exit status: 0 success, 1 no reply at all, 2 usage or local error, 3 a check
failed, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class ConformanceOptions(TargetOptions, OutputOptions):
    """The options of ``echoproto conformance``; ``timeout`` in nanoseconds."""

    carrier: str | None
    only: tuple[str, ...]
    risky: bool
    yes_i_own_it: bool
    list: bool
    timeout: int
    quiet: bool

    def carriers(self, target: Target) -> Sequence[str]:
        """The carriers to check: those of ``--carrier``, or that of the target."""
        return _CARRIERS[self.carrier or ("udp" if target.carrier == UDP else "tcp")]


@command("conformance", ConformanceOptions, _EPILOG)
@option(
    _TITLE,
    "--carrier",
    metavar="CARRIER",
    type=click.Choice(list(_CARRIERS)),
    help="tcp, udp or all.  [default: that of the target]",
)
@option(_TITLE, "--only", metavar="NAME", multiple=True, help="Run only this check. Repeatable.")
@option(_TITLE, "--risky", is_flag=True, help="Also run checks that may flood or loop.")
@option(_TITLE, "--yes-i-own-it", is_flag=True, help="Allow risky checks against a public address.")
@option(_TITLE, "--list", is_flag=True, help="List the checks, and exit.")
@option(_TITLE, "-t", "--timeout", type=TIMEOUT, default="5s", help="Time to wait for a reply.")
@targetOptions()
@option(
    OUTPUT_OPTIONS, "-q", "--quiet", is_flag=True, help="Show only failed checks and the summary."
)
@outputOptions("text", "json")
def conformanceCommand(options: ConformanceOptions) -> int:
    """Check whether an echo server conforms to RFC 862, whatever its clients do."""
    if options.list:
        click.echo(_checkTable(_CARRIERS[options.carrier or "all"]))
        return OK
    target = targetOf(options)
    carriers = options.carriers(target)
    try:
        chosen(carriers, options.only, options.risky)
    except ValueError as error:
        raise click.UsageError(f"--only: {error}") from error
    with opened(options.out) as stream:
        view = ConformanceView(stream, options.quiet)
        writer: TextWriter[object, ConformanceResult] = makeWriter(options.output, view)

        def onStart(suite: ConformanceRunner, reactor: object) -> None:
            runner.write(writer.heading(f"CONFORMANCE {suite.target}"))

        def prepare(reactor: IReactorTime) -> Deferred[ConformanceRunner]:
            return prepareGrade(
                reactor,
                target,
                carriers=carriers,
                only=options.only,
                includeRisky=options.risky,
                allowRemoteRisk=options.yes_i_own_it,
                timeout=options.timeout,
                connect=connectOptionsOf(options),
            )

        def show(result: ConformanceResult) -> int:
            isEmpty = runner.interrupted and not result.answered
            runner.writeResult(writer.result(result), isEmpty)
            return conformanceStatus(result, runner.interrupted)

        runner = MeasurementRunner[ConformanceRunner](
            "conformance", stream, target.text, onStart, _progress, hasBar=not options.quiet
        )
        return runner.run(prepare, show)


class ConformanceView(ResultView[object, ConformanceResult]):
    """
    A table of the checks, and their counts.

    :param stream: the destination; a terminal has colours.
    :param quiet: whether only failed checks have a row.
    """

    def __init__(self, stream: IO[str], quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._started = startTime()

    def resultLines(self, result: ConformanceResult) -> Iterable[str]:
        """See :class:`ResultView`."""
        rows = checkRows(result, self._quiet)
        if rows:
            titles = ("carrier", "check", "verdict", "reason")
            yield tableText(self._stream, _columns(titles, rows), styles=_STYLES)
        yield verdictCounts(result)

    def document(self, result: ConformanceResult) -> Values:
        """See :class:`ResultView`."""
        return conformanceDocument(result, self._started)


def conformanceStatus(result: ConformanceResult, interrupted: bool) -> int:
    """The exit status: of several that fit, the most important one."""
    if interrupted and not result.failed:
        return INTERRUPTED
    if not result.answered:
        return NO_REPLY
    return WRONG_BYTES if result.failed else OK


def _progress(suite: ConformanceRunner) -> ProgressStage:
    return ProgressStage(suite.share, suite.progress)


def _checkTable(carriers: Sequence[str]) -> str:
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
    return tableText(sys.stdout, _columns(("carrier", "check", "risk", "requirement"), rows))


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    cells = zip(*rows, strict=True)
    return [Column(title, tuple(column), True) for title, column in zip(titles, cells, strict=True)]
