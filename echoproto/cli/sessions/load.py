"""
The run of ``echoproto load``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import click
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.load import LoadOptions
from echoproto.cli.loadtypes import RateRange
from echoproto.cli.output import Values
from echoproto.cli.sessions.session import ReportedSession, failedAssertions
from echoproto.measure.api import LoadPlan, LoadResult, prepareLoad
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.partition import splitPlan
from echoproto.measure.load.ramp import RampStep, rampRates
from echoproto.measure.load.workers import LoadWorkerPool
from echoproto.processes.resources import descriptorLimit, raiseDescriptorLimit
from echoproto.report.documents.load import loadDocument, loadFigures
from echoproto.report.documents.times import timeFigures
from echoproto.report.documents.values import plainValues
from echoproto.report.loadtext import (
    heldRate,
    histogramLines,
    intervalLine,
    loadLine,
    loadSummary,
    rampLines,
)
from echoproto.text.units import SECOND, seconds

_Load = LoadGenerator | LoadWorkerPool

#: Descriptors that are no connections: the reactor, the standard streams, files and workers.
OTHER_DESCRIPTORS = 32


def runLoad(options: LoadOptions) -> int:
    """Run it; returns the exit status."""
    return LoadSession(options).run()


class LoadSession(ReportedSession[_Load, Interval, LoadResult]):
    """Shows intervals of a second, then the whole load."""

    command = "load"
    eventType = "interval"

    options: LoadOptions

    def __init__(self, options: LoadOptions) -> None:
        super().__init__(options)
        _checkDescriptors(options)
        self.hasBar = not options.quiet
        self._last: Interval | None = None
        # What --every has not shown yet, and when that began.
        self._recent = IntervalCounts()
        self._shownAt = 0
        self._rates = ratesOf(options)
        self._steps: list[RampStep] = []
        self._step = IntervalCounts()

    def prepare(self, reactor: IReactorTime) -> Deferred[_Load]:
        """See :class:`.Session`."""
        return prepareLoad(
            reactor,
            self.target,
            loadPlan(self.options),
            connect=self.options.connect,
            onInterval=self._intervalEnded,
            workers=self.options.workers,
            onWorkerFailure=self.runner.localError,
        )

    def share(self, measurement: _Load) -> float:
        """See :class:`.Session`."""
        return measurement.stage()[0]

    def figures(self, measurement: _Load) -> Iterable[str]:
        """See :class:`.Session`."""
        line = loadLine(*measurement.stage()[1])
        return (line if self._last is None else f"{line}; {intervalLine(self._last, SECOND)}",)

    def _intervalEnded(self, interval: Interval, counts: IntervalCounts) -> None:
        self._last = interval
        self.write(interval)
        width = interval.at - self._shownAt
        # The interval itself may be shorter than a second if it is the last.
        if not self.options.quiet and self.options.every and width >= self.options.every:
            line = intervalLine(self._recent.interval(self._shownAt), width)
            self.runner.complain(f"{seconds(interval.at)}: {line}")
            self._recent, self._shownAt = IntervalCounts(), interval.at
        self._recent.add(counts)
        self._ramp(counts, interval.at + SECOND)

    def beganAt(self, result: LoadResult) -> int:
        """See :class:`.ReportedSession`; without connecting and the warm-up."""
        return result.began

    def begin(self, measurement: _Load, reactor: IReactorTime) -> None:
        """See :class:`.Session`."""
        self._end = partial(reactor.callLater, 0, getattr(measurement, "finish", measurement.stop))

    def _ramp(self, counts: IntervalCounts, end: int) -> None:
        """Check a rate at the end of its step; the first that is not held ends the load."""
        self._step.add(counts)
        width, number = self.options.stepTime, len(self._steps)
        if end < (number + 1) * width or number >= len(self._rates) or self._isTooHigh:
            return
        step = RampStep(self._rates[number], width, self._step)
        figures = timeFigures(step.counts.times)
        failures = [*filter(None, [step.missing])]
        failures += failedAssertions(self.options.assertions, figures)
        self._steps.append(replace(step, failures=failures))
        self._step = IntervalCounts()
        if self._isTooHigh:
            self._end()

    @property
    def _isTooHigh(self) -> bool:
        """Whether a rate was not held."""
        return bool(self._steps and self._steps[-1].failures)

    def isEmpty(self, result: LoadResult) -> bool:
        """See :class:`.ReportedSession`."""
        return not result.sent

    def failures(self, result: LoadResult) -> Sequence[str]:
        """See :class:`.ReportedSession`."""
        if self._rates:
            return () if heldRate(self._steps) else ["no rate was held"]
        return failedAssertions(self.options.assertions, loadFigures(result))

    def status(self, result: LoadResult, interrupted: bool, hasFailed: bool) -> int:
        """See :class:`.ReportedSession`."""
        if result.wrong:
            return WRONG_BYTES
        if interrupted and not result.received:
            return INTERRUPTED
        if hasFailed:
            return ASSERTION_FAILED
        # A ramp ends at a rate that is too high.
        mayMiss = interrupted or result.plan.rates
        isStopped = mayMiss and not (result.connectFailures or result.disconnects)
        return OK if result.received and (result.isComplete or isStopped) else NO_REPLY

    def resultLines(self, result: LoadResult) -> Iterable[str]:
        """See :class:`.ResultView`."""
        yield loadSummary(result)
        yield from rampLines(self._steps)
        if self.options.histogram:
            yield from histogramLines(result.times)

    def eventValues(self, event: Interval) -> Values:
        """See :class:`.ResultView`."""
        return plainValues(event)

    def document(self, result: LoadResult) -> Values:
        """See :class:`.ResultView`."""
        return loadDocument(result, self.origin, self._steps)

    def summaries(self, result: LoadResult) -> Iterable[Values]:
        """See :class:`.ResultView`."""
        intervals = ("interval_ns", "intervals")
        return ({k: v for k, v in self.document(result).items() if k not in intervals},)


def _checkDescriptors(options: LoadOptions) -> None:
    """Refuse more connections than this process, or a worker, has file descriptors for."""
    raiseDescriptorLimit()
    limit = descriptorLimit()
    parts = options.workers * (options.share or (0, 1))[1]
    if 0 <= limit.number - OTHER_DESCRIPTORS < options.connections // parts:
        raise click.UsageError(
            f"--connections {options.connections}: too many for a process, as {limit}; use fewer "
            "or more --workers, or raise the limit (ulimit -n)"
        )


def ratesOf(options: LoadOptions) -> Sequence[float]:
    """The rising rates; none if the rate is constant."""
    rate = options.rate
    return rampRates(rate.first, rate.last, options.steps) if isinstance(rate, RateRange) else ()


def loadPlan(options: LoadOptions) -> LoadPlan:
    """The plan of the load, or of its share."""
    startAt = options.start_at
    rate = options.rate
    whole = LoadPlan(
        connections=options.connections,
        duration=options.sendTime,
        count=options.count,
        sizes=options.sizes,
        window=options.window or 1,
        reconnect=options.reconnect,
        rate=rate.last if isinstance(rate, RateRange) else rate,
        rates=tuple(ratesOf(options)),
        step=options.stepTime,
        arrivals=options.arrivals or "fixed",
        warmup=options.warmup,
        timeout=options.timeout,
        beginAt=None if startAt is None else startAt - time.time_ns() + time.monotonic_ns(),
        allAddresses=options.addresses == "all",
    )
    index, of = options.share or (0, 1)
    return splitPlan(whole, of)[index]
