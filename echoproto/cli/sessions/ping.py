"""
The run of ``echoproto ping``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.output import Values
from echoproto.cli.ping import PingOptions
from echoproto.cli.sessions.session import ReportedSession, failedAssertions
from echoproto.measure.api import PingPlan, PingResult, preparePing
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report.documents.ping import pingDocument, pingFigures, probeValues
from echoproto.report.text import outcomeLine, pingLine, pingSummary
from echoproto.targets.failures import describeFailure
from echoproto.targets.target import Target


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
            options.interval,
            options.deadline,
            options.timeout,
            options.adaptive,
            options.reconnect,
        )
        self.result: Deferred[list[PingResult]] = Deferred()
        self._pings = [
            _TargetPing(self, target, index) for index, target in enumerate(options.allTargets)
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

    def start(self) -> None:
        """Probe all targets."""
        probed = DeferredList([ping.run(self._reactor) for ping in self._pings])
        results = probed.addCallback(lambda ended: [found for _, found in ended if found])
        results.addCallback(self.result.callback)

    def stop(self) -> None:
        """End now, with what there is."""
        for ping in self._pings:
            ping.stop()

    def delay(self, index: int) -> int:
        """
        Nanoseconds until a target is probed. They are spread over the interval, as the round trips
        of probes that are sent at the same instant grow with their number.
        """
        interval, now = self.plan.interval, time.monotonic_ns()
        offset = interval * index // len(self._pings)
        if self._firstAt is None:
            self._firstAt = now - offset
        return 0 if self.plan.adaptive else (self._firstAt + offset - now) % interval

    def received(self, target: str, outcome: ProbeOutcome) -> None:
        """Write the outcome of a probe."""
        at = time.monotonic_ns() if outcome.sentAt is None else outcome.sentAt
        self.write(PingEvent(target, at - self.startedAt, outcome))

    def figures(self, measurement: PingSession) -> Iterator[str]:
        """A line for each target."""
        return (pingLine(ping.pinger.snapshot()) for ping in self._pings if ping.pinger)

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
        if any(found.record.counts[OutcomeKind.CORRUPT] for found in result):
            return WRONG_BYTES
        if interrupted and not any(found.record.received for found in result):
            return INTERRUPTED
        if hasFailed:
            return ASSERTION_FAILED
        count, hasDeadline = self.plan.count, self.plan.deadline
        wanted = count if count and hasDeadline and not interrupted else 1
        return NO_REPLY if any(found.record.received < wanted for found in result) else OK

    def eventLines(self, event: PingEvent) -> Iterable[str]:
        """See :class:`.ResultView`."""
        if self.options.quiet and event.outcome.kind in (OutcomeKind.REPLY, OutcomeKind.LOST):
            return
        stamp = f"[{time.time():.6f}] " if self.options.timestamps else ""
        yield f"{stamp}{outcomeLine(event.target, event.outcome)}"

    def resultLines(self, result: Sequence[PingResult]) -> Iterable[str]:
        """See :class:`.ResultView`."""
        return map(pingSummary, result)

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


class _TargetPing:
    """
    The probing of one of the targets.

    :ivar pinger: probes it, once it is prepared.
    """

    def __init__(self, session: PingSession, target: Target, index: int) -> None:
        self.target = target
        self.pinger: Pinger | None = None
        self._session = session
        self._index = index
        self._preparing: Deferred[Pinger]
        # As shown.
        self._name, self._address = target.text, ""

    def run(self, reactor: IReactorTime) -> Deferred[PingResult | None]:
        """Prepare and probe it; fires with ``None`` if that failed."""
        options = self._session.options
        self._preparing = preparePing(
            reactor,
            self.target,
            self._session.plan,
            size=options.size,
            pattern=options.pattern,
            connect=replace(options.connect, numeric=options.numeric),
            onReply=self._received,
            session=self._session.session,
        )
        return self._preparing.addCallback(self._begin).addErrback(self._failed)

    def stop(self) -> None:
        """End now."""
        if self.pinger is None:
            self._preparing.cancel()
        else:
            self.pinger.stop()

    def _begin(self, pinger: Pinger) -> Deferred[PingResult]:
        self.pinger = pinger
        self._showTarget(pinger)
        pinger.start(self._session.delay(self._index))
        return pinger.result

    def _showTarget(self, pinger: Pinger) -> None:
        """Write the heading, again if a name has another address."""
        found = pinger.target
        self._name, self._address = found.name, found.address
        isNew = found.address and found.address not in found.name
        shown = f" ({found.address})" if isNew else ""
        heading = f"ECHO {found.name}{shown}, {found.size} bytes"
        self._session.runner.write(self._session.writer.heading(heading))

    def _received(self, outcome: ProbeOutcome) -> None:
        if self.pinger is not None and self.pinger.target.address != self._address:
            self._showTarget(self.pinger)
        self._session.received(self._name, outcome)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._session.runner.localError(describeFailure(failure, self.target.text))
