"""
When a load connects, and when it begins to send.
"""

from __future__ import annotations

from collections.abc import Callable

from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.pool import ConnectionPool
from echoproto.text.units import SECOND

#: Nanoseconds before the time of a load at which it connects: long enough for many connections,
#: short enough that no server closes them as idle.
CONNECT_AHEAD = 5 * SECOND

#: Why a load with a time was not begun.
TOO_LATE = "the time of this load was over before it could begin"


class LoadStart:
    """
    Connects, and begins to send: without a time in the plan, when every attempt to connect has
    succeeded or failed. With one it begins at that time on the connections that are open, or as
    soon as there is one.

    :param pool: makes the connections.
    :param plan: has their number, and perhaps the time.
    :param begin: called once.
    :ivar hasBegun: whether it was called.
    """

    def __init__(self, pool: ConnectionPool, plan: LoadPlan, begin: Callable[[], None]) -> None:
        self.hasBegun = False
        self._pool = pool
        self._plan = plan
        self._begin = begin

    @property
    def isWaiting(self) -> bool:
        """Whether the time of the plan is still to come."""
        return self._remaining > 0

    @property
    def _remaining(self) -> int:
        at = self._plan.beginAt
        return 0 if at is None else at - self._pool.monotonicNs()

    def connect(self) -> None:
        """Connect, shortly before the time of the plan."""
        timers, remaining = self._pool.timers, self._remaining
        if remaining > 0:
            timers.later(remaining, self.proceed)
        if remaining > CONNECT_AHEAD:
            timers.later(remaining - CONNECT_AHEAD, self._pool.open, self._plan.connections)
        else:
            self._pool.open(self._plan.connections)

    def proceed(self) -> None:
        """Begin if that is possible now; called after every attempt to connect."""
        isPunctual = self._plan.beginAt is not None and bool(self._pool.connections)
        if not (self.hasBegun or self.isWaiting) and (isPunctual or not self._pool.pending):
            self.hasBegun = True
            self._begin()
