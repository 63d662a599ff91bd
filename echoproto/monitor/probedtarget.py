"""
The target of a prober: its name is looked up until it is found, and again when that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.failures import describeFailure
from echoproto.client.targets.interfaces import ITarget
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.settings import TargetSettings
from echoproto.text.units import SECOND

#: Seconds until another attempt if a target could not be made, as its name was not found.
RETRY_DELAY = 5.0

#: Nanoseconds of the longest lookup.
LOOKUP_TIME = 10 * SECOND


class ProbedTarget:
    """
    The target of a prober.

    :param reactor: connects, and looks names up.
    :param settings: what it is, and how to connect.
    :param counters: counts its lookups, and has its address.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :ivar target: an :class:`~echoproto.client.targets.interfaces.ITarget`; ``None`` until it is
        found.
    :ivar reason: why it was not found; empty during the first lookup.
    """

    target: Any = None
    reason = ""

    def __init__(
        self,
        reactor: IReactorTime,
        settings: TargetSettings,
        counters: TargetCounters,
        monotonicNs: Callable[[], int],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._counters = counters
        self._monotonicNs = monotonicNs
        self._making: Deferred[Any] | None = None
        self._retryAt = self._failedLookups = 0

    def refresh(self) -> None:
        """Look the name up, if that is due."""
        if self.target is not None:
            host = self.target.host
            host.refresh()
            self._counters.failedLookups += host.failedLookups - self._failedLookups
            self._failedLookups = host.failedLookups
            self._counters.address = host.address
        elif self._making is None and self._monotonicNs() >= self._retryAt:
            self._make()

    def stop(self) -> None:
        """End a lookup."""
        if self._making is not None:
            self._making.cancel()

    def _make(self) -> None:
        settings = self._settings
        making = self._making = makeTarget(
            self._reactor,
            settings.target,
            settings.size,
            self._monotonicNs,
            settings.connect,
            LOOKUP_TIME,
        )
        making.addCallbacks(self._made, self._notMade)

    def _made(self, target: ITarget) -> None:
        self._making, self.target, self.reason = None, target, ""
        self._counters.address = target.address

    def _notMade(self, failure: Failure) -> None:
        self._making = None
        if not failure.check(CancelledError):
            self._counters.failedLookups += bool(failure.check(DNSLookupError))
            self.reason = describeFailure(failure)
            self._retryAt = self._monotonicNs() + round(RETRY_DELAY * SECOND)
