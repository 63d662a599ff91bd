"""
Metrics that are used again for a moment, so that many requests at once do not block the program.

They took 1 ms to make in a server with four listeners, and 128 connections with 20 requests each
blocked it for 3 s.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, thread_time

from twisted.internet.defer import Deferred

from echoproto.status.state import IState

#: How many times the processor's time for making them they are used again: so they cost at most a
#: fifth of a processor.
REUSE = 4

#: Seconds after which they are made again in any case: too short to notice, and long enough for
#: dozens of requests.
MAXIMUM_AGE = 0.005


class RecentMetrics:
    """
    Makes metrics, or returns those that were made a moment ago.

    :param state: makes them; those that are ready later are never used again.
    :param seconds: the time.
    :param cpuSeconds: the time of the processor that this thread has used. Otherwise metrics whose
        making was interrupted by another process would be used for longer.
    """

    def __init__(
        self,
        state: IState,
        seconds: Callable[[], float] = monotonic,
        cpuSeconds: Callable[[], float] = thread_time,
    ) -> None:
        self._state = state
        self._seconds, self._cpuSeconds = seconds, cpuSeconds
        self._recent = b""
        self._usableUntil = 0.0

    def __call__(self) -> bytes | Deferred[bytes]:
        """The metrics; see :meth:`.IState.metrics`."""
        if self._seconds() < self._usableUntil:
            return self._recent
        begin = self._cpuSeconds()
        made = self._state.metrics()
        if isinstance(made, bytes):
            cost = self._cpuSeconds() - begin
            self._recent = made
            self._usableUntil = self._seconds() + min(REUSE * cost, MAXIMUM_AGE)
        return made
