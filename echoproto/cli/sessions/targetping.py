"""
The probing of one of the targets of ``echoproto ping``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.conformance.safety import isPrivate
from echoproto.errors import TargetError
from echoproto.measure.api import PingResult, preparePing
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.statistics import ProbeOutcome
from echoproto.targets.failures import describeFailure
from echoproto.targets.host import HostTarget
from echoproto.targets.target import Target

if TYPE_CHECKING:
    from echoproto.cli.sessions.ping import PingSession


class TargetPing:
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
            # The targets of a flood are checked by their addresses, which must stay the same.
            connect=replace(options.connect, numeric=options.numeric, lookAgain=not options.flood),
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
        if self._session.options.flood:
            self._checkFlood(pinger.target)
        if self._session.options.outstanding and not self._session.isQuiet:
            pinger.onUnanswered = lambda sequence: self._session.unanswered(self._name, sequence)
        self.pinger = pinger
        self._showTarget(pinger)
        # Code runs faster the second time: not at the cost of the first probe.
        ProbePayload(bytes(4), pinger.target.size).encode(0, 0)
        pinger.start(self._session.delay(self._index))
        return pinger.result

    def _checkFlood(self, target: HostTarget) -> None:
        addresses = target.host.addresses
        isOwn = all(map(isPrivate, addresses)) if addresses else self.target.carrier == "unix"
        if not isOwn:
            raise TargetError(
                f"{self.target.text}: --flood is only for loopback, private and link-local "
                "addresses, and UNIX sockets; use -A or -i"
            )

    def _showTarget(self, pinger: Pinger) -> None:
        """Write the heading, again if a name has another address."""
        found = pinger.target
        self._name, self._address = found.name, found.address
        isNew = found.address and found.address not in found.name
        shown = f" ({found.address})" if isNew else ""
        heading = f"ECHO {found.name}{shown}, {found.size} bytes"
        if not self._session.options.summary:
            self._session.runner.write(self._session.writer.heading(heading))

    def _received(self, outcome: ProbeOutcome) -> None:
        if self.pinger is not None and self.pinger.target.address != self._address:
            self._showTarget(self.pinger)
        self._session.received(self._name, outcome)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._session.runner.localError(describeFailure(failure, self.target.text))
