"""
The open connections of a listener: looked at now and then, and drained at the end.

One call is scheduled for all of them, and none while there is none: no timer is set per connection
or per message. Used by :mod:`echoproto.protocols.stream`; knows a clock, and of connections only the three
methods of :class:`ITrackedConnection`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import Interface

#: Seconds between two sweeps. A deadline is kept within two: one sees the last byte, another that it was long ago.
SWEEP_INTERVAL = 1.0

#: Seconds between two sweeps while draining, when somebody waits for the end.
DRAIN_SWEEP_INTERVAL = 0.1

#: Connections swept in one turn of the reactor: some 2 ms, where 20,000 at once would be a pause for all of 40.
CONNECTIONS_PER_TURN = 1000

#: Seconds that a drain leaves open connections before they are aborted.
DRAIN_TIMEOUT = 5.0


class ITrackedConnection(Interface):
    """A connection that keeps its deadlines when it is swept."""

    def checkTimeouts(now: float) -> None:
        """It is ``now``, in the clock's seconds: end what is overdue."""

    def beginDrain() -> None:
        """The drain begins, or nothing could be heard for a while: finish after a silence from now on."""

    def abort() -> None:
        """End at once: the drain is over."""


class ConnectionTracker:
    """
    Keeps a set of connections and sweeps them.

    :param clock: schedules the sweeps; the reactor, or a ``Clock`` in tests.
    :ivar connections: those that are open.
    :ivar draining: true once :meth:`drain` was called.
    """

    # Scheduled while any connection is open, and only then.
    _next: IDelayedCall
    _due: float

    def __init__(self, clock: IReactorTime) -> None:
        self.connections: set[ITrackedConnection] = set()
        self.draining = False
        self._clock = clock
        self._drained: list[Deferred[None]] = []
        self._drainDeadline = float("inf")

    def add(self, connection: ITrackedConnection) -> None:
        """``connection`` is open."""
        self.connections.add(connection)
        if len(self.connections) == 1:
            self._schedule()

    def remove(self, connection: ITrackedConnection) -> None:
        """``connection``, which was added, is over."""
        self.connections.remove(connection)
        if not self.connections:
            self._next.cancel()
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)

    def drain(self, timeout: float) -> Deferred[None]:
        """
        Ask every connection to finish, and abort what is left after ``timeout`` seconds.

        :return: fires with ``None`` when none is open; never fails.
        """
        self.draining = True
        if not self.connections:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        self._drainDeadline = min(self._drainDeadline, self._clock.seconds() + timeout)
        for connection in self.connections:
            connection.beginDrain()
        self._next.cancel()
        self._schedule()
        return drained

    def _schedule(self) -> None:
        interval = DRAIN_SWEEP_INTERVAL if self.draining else SWEEP_INTERVAL
        self._due = self._clock.seconds() + interval
        self._next = self._clock.callLater(interval, self._sweep)

    def _sweep(self) -> None:
        now = self._clock.seconds()
        if self.draining and self._due + DRAIN_SWEEP_INTERVAL < now < self._drainDeadline:
            # The reactor was held up: what came meanwhile is not read yet, and nobody was silent.
            self._schedule()
            for connection in self.connections:
                connection.beginDrain()
        else:
            self._sweepTurn(iter(list(self.connections)))

    def _sweepTurn(self, rest: Iterator[ITrackedConnection]) -> None:
        """ConnectionTracker some; clients that have something to say get a turn before the others."""
        turn = list(islice(rest, CONNECTIONS_PER_TURN))
        if len(turn) < CONNECTIONS_PER_TURN:
            self._schedule()
        else:
            self._next = self._clock.callLater(0, self._sweepTurn, rest)
        now = self._clock.seconds()
        for connection in turn:
            if connection not in self.connections:
                continue
            if now >= self._drainDeadline:
                connection.abort()
            else:
                connection.checkTimeouts(now)
