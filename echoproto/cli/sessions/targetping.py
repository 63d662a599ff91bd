"""
The probing of one of the targets of ``echoproto ping``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.cli.ping import PingOptions
from echoproto.cli.sessions.session import ReportedSession
from echoproto.client.targets.failures import describeFailure
from echoproto.client.targets.interfaces import ITarget
from echoproto.client.targets.target import Target
from echoproto.conformance.safety import isPrivate
from echoproto.errors import TargetError
from echoproto.measure.api import PingPlan, PingResult, preparePing
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.statistics import ProbeOutcome
from echoproto.text.units import counted


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


class TargetPing:
    """
    The probing of one of the targets.

    :param session: shows its probes.
    :param options: those of the command.
    :param target: the target.
    :param plan: when to send.
    :param identity: of the session, in the probes.
    :param delay: returns the nanoseconds until the first probe.
    :ivar pinger: probes it, once it is prepared.
    """

    def __init__(
        self,
        session: ReportedSession[Any, PingEvent, Any],
        options: PingOptions,
        target: Target,
        plan: PingPlan,
        identity: bytes,
        delay: Callable[[], int],
    ) -> None:
        self.target = target
        self.pinger: Pinger | None = None
        self._session = session
        self._options = options
        self._plan = plan
        self._identity = identity
        self._delay = delay
        self._preparing: Deferred[Pinger]
        # As shown.
        self._name, self._address = target.text, ""

    def run(self, reactor: IReactorTime) -> Deferred[PingResult | None]:
        """Prepare and probe it; fires with ``None`` if that failed."""
        options = self._options
        self._preparing = preparePing(
            reactor,
            self.target,
            self._plan,
            size=options.size,
            pattern=options.pattern,
            # The targets of a flood are checked by their addresses, which must stay the same.
            connect=replace(
                options.connect, numeric=options.numeric, lookAgain=not options.floodOption
            ),
            onReply=self._received,
            session=self._identity,
        )
        return self._preparing.addCallback(self._begin).addErrback(self._failed)

    def stop(self) -> None:
        """End now."""
        if self.pinger is None:
            self._preparing.cancel()
        else:
            self.pinger.stop()

    def _begin(self, pinger: Pinger) -> Deferred[PingResult]:
        if option := self._options.floodOption:
            self._checkFlood(pinger.target, option)
        if self._options.outstanding and not self._options.isQuiet:
            pinger.onUnanswered = self._unanswered
        self.pinger = pinger
        self._showTarget(pinger)
        # Code runs faster the second time: not at the cost of the first probe.
        ProbePayload(bytes(4), pinger.target.size).encode(0, 0)
        pinger.start(self._delay())
        return pinger.result

    def _checkFlood(self, target: ITarget, option: str) -> None:
        addresses = target.host.addresses
        isOwn = all(map(isPrivate, addresses)) if addresses else self.target.carrier == "unix"
        if not isOwn:
            raise TargetError(
                f"{self.target.text}: {option} is only for loopback, private and link-local "
                "addresses, and UNIX sockets; use -A or -i 2ms"
            )

    def _showTarget(self, pinger: Pinger) -> None:
        """Write the heading, again if a name has another address."""
        found = pinger.target
        self._name, self._address = found.name, found.address
        isNew = found.address and found.address not in found.name
        shown = f" ({found.address})" if isNew else ""
        if not self._options.summary:
            self._write(f"ECHO {found.name}{shown}, {counted(found.size, 'byte')}")

    def _write(self, line: str) -> None:
        self._session.runner.write(self._session.writer.heading(line))

    def _received(self, outcome: ProbeOutcome) -> None:
        if self.pinger is not None and self.pinger.target.address != self._address:
            self._showTarget(self.pinger)
        at = time.monotonic_ns() if outcome.sentAt is None else outcome.sentAt
        self._session.write(PingEvent(self._name, at - self._session.startedAt, outcome))

    def _unanswered(self, sequence: int) -> None:
        self._write(f"{self._options.stamp}{self._name}: seq={sequence + 1} no reply yet")

    def _failed(self, failure: Failure) -> None:
        runner = self._session.runner
        if failure.check(CancelledError):
            runner.complain(f"{self.target.text}: interrupted, before its address was known")
        else:
            runner.localError(describeFailure(failure, self.target.text))
