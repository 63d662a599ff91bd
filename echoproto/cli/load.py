"""
``echoproto load``: loads an echo server over many connections, in an open or a closed loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import (
    COUNT,
    DURATION,
    RATE,
    SEND_TIME,
    SIZES,
    TARGET_HELP,
    TIMEOUT,
    WINDOW,
    WORKERS,
    OutputOptions,
    TargetOptions,
    assertOption,
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
from echoproto.measure.api import LoadPlan, LoadResult, prepareLoad
from echoproto.measure.assertions import Assertion
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.workers import LoadWorkerPool
from echoproto.report.document import intervalValues, loadDocument, loadFigures
from echoproto.report.text import loadLine, loadSummary
from echoproto.units import SECOND

_TITLE = "Load options"

#: Nanoseconds to send if neither a time nor a number of messages is given.
DEFAULT_DURATION = 10 * SECOND

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto load lab1                       as fast as replies arrive
  echoproto load --connections 100 -z 1m --rate 5000 lab1
  echoproto load -s 1-4096 --window 8 -c 100000 tls://lab1:7
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
class LoadOptions(TargetOptions, OutputOptions):
    """The options of ``echoproto load``; times in nanoseconds."""

    connections: int
    duration: int | None
    count: int | None
    rate: float | None
    arrivals: str | None
    window: int | None
    sizes: tuple[int, int]
    warmup: int
    timeout: int
    workers: int
    assertions: tuple[Assertion, ...]

    def __post_init__(self) -> None:
        if self.rate is None and self.arrivals:
            raise click.UsageError("--arrivals needs --rate")
        if self.rate is not None and self.window:
            raise click.UsageError("--window cannot be used with --rate")
        if self.sendTime is not None and self.warmup >= self.sendTime:
            raise click.UsageError("--warmup must be shorter than --duration")

    @property
    def sendTime(self) -> int | None:
        """How long to send; ``None`` if only the number of messages ends the load."""
        isEndless = self.duration is None and self.count is None
        return DEFAULT_DURATION if isEndless else self.duration

    @property
    def plan(self) -> LoadPlan:
        """The plan of the whole load."""
        return LoadPlan(
            connections=self.connections,
            duration=self.sendTime,
            count=self.count,
            window=self.window or 1,
            rate=self.rate,
            arrivals=self.arrivals or "fixed",
            warmup=self.warmup,
            timeout=self.timeout,
        )


@command("load", LoadOptions, _EPILOG)
@option(_TITLE, "--connections", type=COUNT, default="10", help="Number of connections.")
@option(_TITLE, "-z", "--duration", type=SEND_TIME, help="How long to send.  [default: 10s]")
@option(_TITLE, "-c", "--count", type=COUNT, help="Stop after this many messages.")
@option(_TITLE, "--rate", type=RATE, help="Messages per second on all connections (open loop).")
@option(
    _TITLE,
    "--arrivals",
    metavar="NAME",
    type=click.Choice(["fixed", "poisson"]),
    help="Send times of --rate: fixed or poisson.  [default: fixed]",
)
@option(
    _TITLE,
    "--window",
    type=WINDOW,
    help="Messages under way per connection, without --rate.  [default: 1]",
)
@option(
    _TITLE,
    "-s",
    "--size",
    "sizes",
    type=SIZES,
    default="64",
    help="Bytes of a message, or MIN-MAX.",
)
@option(_TITLE, "--warmup", type=DURATION, default="0", help="Ignore messages sent this early.")
@option(_TITLE, "-t", "--timeout", type=TIMEOUT, default="2s", help="Time to wait for a reply.")
@option(_TITLE, "--workers", type=WORKERS, default="1", help="Number of processes.")
@targetOptions()
@outputOptions("text", "json", "ndjson", "csv")
@assertOption
def loadCommand(options: LoadOptions) -> int:
    """Load an echo server over many connections, and time every exchange."""
    target = targetOf(options)
    writer: TextWriter[Interval, LoadResult] = makeWriter(options.output, LoadView(options.sizes))
    with opened(options.out) as stream:
        runner = MeasurementRunner[LoadGenerator | LoadWorkerPool](
            "load", stream, target.text, progress=_progress
        )

        def onInterval(interval: Interval, counts: IntervalCounts) -> None:
            runner.write(writer.event(interval))

        def prepare(reactor: IReactorTime) -> Deferred[LoadGenerator | LoadWorkerPool]:
            return prepareLoad(
                reactor,
                target,
                options.plan,
                sizes=options.sizes,
                connect=connectOptionsOf(options),
                onInterval=onInterval,
                workers=options.workers,
                onWorkerFailure=runner.localError,
            )

        def show(result: LoadResult) -> int:
            runner.writeResult(writer.result(result), isEmpty=not result.sent)
            failures = _failedAssertions(result, options.assertions)
            for failure in failures:
                runner.complain(failure)
            return loadStatus(result, runner.interrupted, hasFailed=bool(failures))

        return runner.run(prepare, show)


class LoadView(ResultView[Interval, LoadResult]):
    """
    Intervals of a second, and the whole load.

    :param sizes: the least and the most bytes of a message.
    """

    eventType = "interval"

    def __init__(self, sizes: tuple[int, int]) -> None:
        self._run = (startTime(), sizes)

    def resultLines(self, result: LoadResult) -> Iterable[str]:
        """See :class:`ResultView`."""
        return (loadSummary(result),)

    def eventValues(self, event: Interval) -> Values:
        """See :class:`ResultView`."""
        return intervalValues(event)

    def document(self, result: LoadResult) -> Values:
        """See :class:`ResultView`."""
        return loadDocument(result, *self._run)

    def summaries(self, result: LoadResult) -> Iterable[Values]:
        """See :class:`ResultView`."""
        intervals = ("interval_ns", "intervals")
        return ({k: v for k, v in self.document(result).items() if k not in intervals},)


def loadStatus(result: LoadResult, interrupted: bool, hasFailed: bool) -> int:
    """
    The exit status: of several that fit, the most important one.

    :param hasFailed: whether an assertion has failed.
    """
    if result.wrong:
        return WRONG_BYTES
    if interrupted and not result.received:
        return INTERRUPTED
    if hasFailed:
        return ASSERTION_FAILED
    hasTooFew = result.lost or result.sent < (result.plan.count or 0)
    return OK if result.received and (interrupted or not hasTooFew) else NO_REPLY


def _progress(measurement: LoadGenerator | LoadWorkerPool) -> ProgressStage:
    share, figures = measurement.stage()
    return ProgressStage(share, loadLine(*figures))


def _failedAssertions(result: LoadResult, assertions: Sequence[Assertion]) -> list[str]:
    values = loadFigures(result)
    return [failure for assertion in assertions if (failure := assertion.failure(values))]
