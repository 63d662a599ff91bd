"""
The run of ``echoproto ping``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.output import Values
from echoproto.cli.ping import FLOOD_INTERVAL, PingOptions
from echoproto.cli.sessions.session import ReportedSession, failedAssertions
from echoproto.cli.sessions.targetping import PingEvent, TargetPing
from echoproto.measure.api import PingPlan, PingResult
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import CONNECT_AHEAD
from echoproto.report.documents.ping import pingDocument, pingFigures
from echoproto.report.documents.probe import probeValues
from echoproto.report.text import outcomeLine, pingLine, pingSummary
from echoproto.text.units import SECOND


def runPing(options: PingOptions) -> int:
    """Run it; returns the exit status."""
    return PingSession(options).run()


class PingSession(ReportedSession["PingSession", PingEvent, Sequence[PingResult]]):
    """
    Shows probes, then a summary of each target. It is the measurement of all targets too.

    :ivar result: fires when the last target is done, with the results in the order of the targets.
        A target that failed is reported by the runner, and has no result.
    """

    command = "ping"
    eventType = "probe"

    options: PingOptions

    def __init__(self, options: PingOptions) -> None:
        super().__init__(options)
        self.session = os.urandom(4)
        self.plan = PingPlan(
            options.count,
            options.interval or (FLOOD_INTERVAL if options.flood else SECOND),
            options.deadline,
            options.timeout,
            options.adaptive or options.flood,
            options.reconnect,
            options.preload,
            options.mode,
        )
        self.result: Deferred[list[PingResult]] = Deferred()
        self._pings = [
            TargetPing(self, options, target, self.plan, self.session, partial(self._delay, index))
            for index, target in enumerate(options.allTargets)
        ]
        # When the first probe of the first target is sent, were it the first to be ready.
        self._firstAt: int | None = None
        self._reactor: IReactorTime

    def prepare(self, reactor: IReactorTime) -> Deferred[PingSession]:
        """Keep the reactor: each target is prepared on its own, so that none waits for another."""
        self._reactor = reactor
        if fallback := ProbePayload(b"", self.options.size).fallback:
            self.runner.complain(fallback)
        return succeed(self)

    def begin(self, measurement: PingSession, reactor: IReactorTime) -> None:
        """See :class:`.Session`; with ``--every``, show the figures again and again."""
        if self.options.every is not None:
            self.runner.repeat(self.options.every / SECOND, self.runner.showFigures)

    def start(self) -> None:
        """Probe all targets."""
        probed = DeferredList([ping.run(self._reactor) for ping in self._pings])
        results = probed.addCallback(lambda ended: [found for _, found in ended if found])
        results.addCallback(self.result.callback)

    def stop(self) -> None:
        """End now, with what there is."""
        for ping in self._pings:
            ping.stop()

    def _delay(self, index: int) -> int:
        """
        Nanoseconds until a target is probed. They are spread over the interval, as the round trips
        of probes that are sent at the same instant grow with their number.
        """
        interval, now = self.plan.interval, time.monotonic_ns()
        offset = interval * index // len(self._pings)
        settling = min(CONNECT_AHEAD, (self.plan.deadline or SECOND) // 2)
        if self._firstAt is None:
            self._firstAt = now + settling - offset
        wait = settling if self.plan.adaptive else self._firstAt + offset - now
        return wait if wait > 0 else wait % interval

    def figures(self, measurement: PingSession) -> Iterator[str]:
        """A line for each target."""
        return (pingLine(ping.pinger.snapshot()) for ping in self._pings if ping.pinger)

    def hints(self, result: Sequence[PingResult]) -> Iterable[str]:
        """See :class:`.ReportedSession`."""
        return (f"{found.target}: {found.hint}" for found in result if found.hint)

    def isEmpty(self, result: Sequence[PingResult]) -> bool:
        """See :class:`.ReportedSession`."""
        return not any(found.record.sent for found in result)

    def failures(self, result: Sequence[PingResult]) -> Sequence[str]:
        """See :class:`.ReportedSession`."""
        return [
            f"{found.target}: {failure}"
            for found in result
            for failure in failedAssertions(self.options.assertions, pingFigures(found.record))
        ]

    def status(self, result: Sequence[PingResult], interrupted: bool, hasFailed: bool) -> int:
        """See :class:`.ReportedSession`."""
        if any(found.record.isWrong for found in result):
            return WRONG_BYTES
        if interrupted and not any(found.record.received for found in result):
            return INTERRUPTED
        if hasFailed:
            return ASSERTION_FAILED
        count, hasDeadline = self.plan.count, self.plan.deadline
        wanted = count if count and hasDeadline and not interrupted else 1
        isMissing = any(found.record.received < wanted or found.hint for found in result)
        return NO_REPLY if isMissing else OK

    def eventLines(self, event: PingEvent) -> Iterable[str]:
        """See :class:`.ResultView`."""
        if not self.options.isQuiet:
            yield f"{self.options.stamp}{outcomeLine(event.target, event.outcome)}"

    def resultLines(self, result: Sequence[PingResult]) -> Iterable[str]:
        """See :class:`.ResultView`."""
        return map(pingLine if self.options.summary else pingSummary, result)

    def eventValues(self, event: PingEvent) -> Values:
        """See :class:`.ResultView`."""
        now = datetime.now(timezone.utc) if self.options.timestamps else None
        return probeValues(event.target, event.at, event.outcome, now)

    def document(self, result: Sequence[PingResult]) -> Values:
        """See :class:`.ResultView`."""
        return pingDocument(result, self.origin, self.session.hex())

    def summaries(self, result: Sequence[PingResult]) -> Iterable[Values]:
        """See :class:`.ResultView`."""
        document = pingDocument(result, self.origin, self.session.hex())
        common = {name: document[name] for name in ("started", "origin", "session")}
        for target in document["targets"]:
            yield {**common, **target}
