"""
``echoproto ping``: probes any echo servers, as ping does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import (
    COUNT,
    DURATION,
    INTERVAL,
    OUTPUT_OPTIONS,
    PATTERN,
    PROBE_SIZE,
    TARGET_HELP,
    OutputOptions,
    TargetOptions,
    assertOption,
    command,
    connectOptionsOf,
    option,
    outputOptions,
    targetOptions,
    targetsOf,
)
from echoproto.cli.output import (
    ResultView,
    TextWriter,
    Values,
    makeWriter,
    opened,
    startTime,
)
from echoproto.cli.runner import MeasurementRunner
from echoproto.measure.api import DEFAULT_SIZE, PingPlan, PingResult, preparePing
from echoproto.measure.assertions import Assertion
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report.document import pingDocument, pingFigures, probeValues
from echoproto.report.text import outcomeLine, pingLine, pingSummary
from echoproto.targets.failures import describeFailure
from echoproto.targets.interfaces import ITarget
from echoproto.targets.target import Target

_TITLE = "Probe options"

_EPILOG = f"""\b
{TARGET_HELP}
A DURATION is 20ms, 1.5s, or 3 for seconds.

\b
Examples:
  echoproto ping lab1                         until Ctrl-C
  echoproto ping -c 10 -i 20ms udp://lab1:7   ten datagrams, 50 per second
  echoproto ping -A -q -w 10s lab1 lab2       two servers, for 10 seconds
  echoproto ping -c 100 --assert 'p99<5ms' --assert 'loss<=1%' lab1

\b
Ctrl-\\ prints the figures so far. Exit status: 0 success, 1 no or too few
replies, 2 usage or local error, 3 wrong bytes, 4 an assertion failed,
130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class PingOptions(TargetOptions, OutputOptions):
    """The options of ``echoproto ping``; times in nanoseconds."""

    count: int | None
    interval: int
    deadline: int | None
    timeout: int
    size: int
    pattern: bytes
    adaptive: bool
    reconnect: bool
    quiet: bool
    numeric: bool
    timestamps: bool
    assertions: tuple[Assertion, ...]

    @property
    def plan(self) -> PingPlan:
        """The plan for each target."""
        return PingPlan(
            self.count, self.interval, self.deadline, self.timeout, self.adaptive, self.reconnect
        )


@command("ping", PingOptions, _EPILOG)
@option(
    _TITLE, "-c", "--count", type=COUNT, help="Stop after this many probes.  [default: at Ctrl-C]"
)
@option(_TITLE, "-i", "--interval", type=INTERVAL, default="1s", help="Time between probes.")
@option(_TITLE, "-w", "--deadline", type=DURATION, help="Stop after this time.")
@option(
    _TITLE,
    "-W",
    "--timeout",
    type=DURATION,
    default="2s",
    help="Time to wait for a reply; after that it is late.",
)
@option(_TITLE, "-s", "--size", type=PROBE_SIZE, default=DEFAULT_SIZE, help="Bytes of a probe.")
@option(
    _TITLE,
    "-p",
    "--pattern",
    type=PATTERN,
    default=b"",
    show_default=False,
    help="Bytes that fill a probe.  [default: different in each]",
)
@option(_TITLE, "-A", "--adaptive", is_flag=True, help="Send the next probe after each reply.")
@option(_TITLE, "--reconnect", is_flag=True, help="Use a new connection for each probe.")
@targetOptions("TARGET...")
@option(OUTPUT_OPTIONS, "-q", "--quiet", is_flag=True, help="Show only errors and the summary.")
@option(OUTPUT_OPTIONS, "-n", "--numeric", is_flag=True, help="Show targets by their addresses.")
@option(OUTPUT_OPTIONS, "-D", "--timestamps", is_flag=True, help="Show the time on each line.")
@outputOptions("text", "json", "ndjson", "csv")
@assertOption
def pingCommand(options: PingOptions) -> int:
    """Probe echo servers (RFC 862): round trips, loss, reordering and damage."""
    targets = targetsOf(options)
    with opened(options.out) as stream:
        runner = MeasurementRunner[PingSession]("ping", stream, snapshot=PingSession.snapshot)
        if fallback := ProbePayload(b"", options.size).fallback:
            runner.complain(fallback)
        session = PingSession(targets, options, runner)
        return runner.run(session.prepare, session.show)


@dataclass(frozen=True)
class PingEvent:
    """
    The outcome of a probe.

    :ivar target: the name of the server.
    :ivar at: nanoseconds from the start to when the probe was sent; for a foreign reply, to when
        it was received.
    """

    target: str
    at: int
    outcome: ProbeOutcome


class PingSession:
    """
    The probing of all targets, as one measurement.

    :ivar result: fires when the last target is done, with the results in the order of the targets.
        A target that failed is reported by the runner, and has no result.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        options: PingOptions,
        runner: MeasurementRunner[PingSession],
    ) -> None:
        self.target = ", ".join(target.text for target in targets)
        self.result: Deferred[list[PingResult]] = Deferred()
        self._targets = targets
        self._options = options
        self._runner = runner
        self._session = os.urandom(4)
        view = PingView(options.quiet, options.timestamps, startTime(), self._session.hex())
        self._writer: TextWriter[PingEvent, Sequence[PingResult]] = makeWriter(options.output, view)
        self._startedAt = time.monotonic_ns()
        # When the first probe of the first target is sent, were it the first to be ready.
        self._firstAt: int | None = None
        self._preparing: set[Deferred[Pinger]] = set()
        self._pingers: list[Pinger] = []
        self._reactor: IReactorTime

    def prepare(self, reactor: IReactorTime) -> Deferred[PingSession]:
        """Keep the reactor: each target is prepared on its own, so that none waits for another."""
        self._reactor = reactor
        return succeed(self)

    def start(self) -> None:
        """Probe all targets."""
        probed = DeferredList(
            [self._probe(target, index) for index, target in enumerate(self._targets)]
        )
        results = probed.addCallback(lambda ended: [found for _, found in ended if found])
        results.addCallback(self.result.callback)

    def stop(self) -> None:
        """End now, with what there is."""
        for preparing in list(self._preparing):
            preparing.cancel()
        for pinger in self._pingers:
            pinger.stop()

    def snapshot(self) -> Iterator[str]:
        """The figures so far, a line per target."""
        return (pingLine(pinger.snapshot()) for pinger in self._pingers)

    def show(self, results: Sequence[PingResult]) -> int:
        """Write the results; returns the exit status."""
        isEmpty = not any(result.record.sent for result in results)
        self._runner.writeResult(self._writer.result(results), isEmpty)
        failures = _failedAssertions(results, self._options.assertions)
        for failure in failures:
            self._runner.complain(failure)
        return pingStatus(
            results, self._runner.interrupted, self._options.plan, hasFailed=bool(failures)
        )

    def _delay(self, index: int) -> int:
        """
        Nanoseconds until a target is probed. They are spread over the interval, as the round trips
        of probes that are sent at the same instant grow with their number.
        """
        interval, now = self._options.interval, time.monotonic_ns()
        offset = interval * index // len(self._targets)
        if self._firstAt is None:
            self._firstAt = now - offset
        return 0 if self._options.adaptive else (self._firstAt + offset - now) % interval

    def _probe(self, target: Target, index: int) -> Deferred[PingResult | None]:
        found: ITarget
        name, address = target.text, ""

        def showTarget() -> None:
            """Write the heading, again if a name has another address."""
            nonlocal name, address
            name, address = found.name, found.address
            shown = f" ({address})" if address and address not in name else ""
            heading = f"ECHO {name}{shown}, {found.size} bytes"
            self._runner.write(self._writer.heading(heading))

        def onReply(outcome: ProbeOutcome) -> None:
            if found.address != address:
                showTarget()
            at = time.monotonic_ns() if outcome.sentAt is None else outcome.sentAt
            event = PingEvent(name, at - self._startedAt, outcome)
            self._runner.write(self._writer.event(event))

        def begin(pinger: Pinger) -> Deferred[PingResult]:
            nonlocal found
            self._preparing.discard(preparing)
            self._pingers.append(pinger)
            found = pinger.target
            showTarget()
            pinger.start(self._delay(index))
            return pinger.result

        def failed(failure: Failure) -> None:
            self._preparing.discard(preparing)
            if not failure.check(CancelledError):
                self._runner.localError(describeFailure(failure, target.text))

        preparing = preparePing(
            self._reactor,
            target,
            self._options.plan,
            size=self._options.size,
            pattern=self._options.pattern,
            connect=connectOptionsOf(self._options, self._options.numeric),
            onReply=onReply,
            session=self._session,
        )
        self._preparing.add(preparing)
        return preparing.addCallback(begin).addErrback(failed)


class PingView(ResultView[PingEvent, Sequence[PingResult]]):
    """
    Probes and summaries.

    :param quiet: whether replies and losses have no line.
    :param timestamps: whether a line or a row has the time.
    :param started: the time of day.
    :param session: identifies the run.
    """

    eventType = "probe"

    def __init__(self, quiet: bool, timestamps: bool, started: str, session: str) -> None:
        self._quiet = quiet
        self._timestamps = timestamps
        self._run = (started, session)

    def eventLines(self, event: PingEvent) -> Iterable[str]:
        """See :class:`ResultView`."""
        if self._quiet and event.outcome.kind in (OutcomeKind.REPLY, OutcomeKind.LOST):
            return
        stamp = f"[{time.time():.6f}] " if self._timestamps else ""
        yield f"{stamp}{outcomeLine(event.target, event.outcome)}"

    def resultLines(self, result: Sequence[PingResult]) -> Iterable[str]:
        """See :class:`ResultView`."""
        return map(pingSummary, result)

    def eventValues(self, event: PingEvent) -> Values:
        """See :class:`ResultView`."""
        now = datetime.now(timezone.utc) if self._timestamps else None
        return probeValues(event.target, event.at, event.outcome, now)

    def document(self, result: Sequence[PingResult]) -> Values:
        """See :class:`ResultView`."""
        return pingDocument(result, *self._run)

    def summaries(self, result: Sequence[PingResult]) -> Iterable[Values]:
        """See :class:`ResultView`."""
        started, session = self._run
        for target in pingDocument(result, started, session)["targets"]:
            yield {"started": started, "session": session, **target}


def pingStatus(
    results: Sequence[PingResult], interrupted: bool, plan: PingPlan, hasFailed: bool
) -> int:
    """
    The exit status: of several that fit, the most important one.

    :param hasFailed: whether an assertion has failed.
    """
    if any(result.record.counts[OutcomeKind.CORRUPT] for result in results):
        return WRONG_BYTES
    if interrupted and not any(result.record.received for result in results):
        return INTERRUPTED
    if hasFailed:
        return ASSERTION_FAILED
    wanted = plan.count if plan.count and plan.deadline and not interrupted else 1
    return NO_REPLY if any(result.record.received < wanted for result in results) else OK


def _failedAssertions(results: Sequence[PingResult], assertions: Sequence[Assertion]) -> list[str]:
    return [
        f"{result.target}: {reason}"
        for result in results
        for assertion in assertions
        if (reason := assertion.failure(pingFigures(result.record)))
    ]
