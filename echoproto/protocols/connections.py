"""
The open connections of a listener: periodic timeout checks, and the drain at the end.

One call is scheduled for all connections, and none while there are none; no timer is set per
connection or message. Used by :mod:`echoproto.protocols.lifecycle` through
:class:`ITrackedConnection`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import Interface

from echoproto.protocols.deadlines import CATCH_UP, DeadlineCall

#: Seconds between two checks. A timeout is kept within two: one check sees the last byte, another
#: one that it is overdue.
CHECK_INTERVAL = 1.0

#: Seconds between two checks while draining, when an operator waits for the end.
DRAIN_CHECK_INTERVAL = 0.1

#: Connections checked in one turn of the reactor: about 2 ms. Checking 20,000 at once would delay
#: all clients by 40 ms.
CONNECTIONS_PER_TURN = 1000

#: Seconds that a drain leaves open connections before they are aborted.
DRAIN_TIMEOUT = 5.0


class ITrackedConnection(Interface):
    """A connection whose timeouts are checked periodically."""

    def checkTimeouts(now: float) -> None:
        """
        End the connection if a timeout has passed at ``now``, the clock's time in seconds. Data
        that arrived until then has been read (:mod:`echoproto.protocols.deadlines`).
        """

    def beginDrain() -> None:
        """The drain begins: finish after a silence that counts from now."""

    def abort() -> None:
        """Close the connection at once: the drain is over."""


class ConnectionTracker:
    """
    Keeps the open connections and checks their timeouts.

    :param clock: schedules the checks; the reactor, or a ``Clock`` in tests.
    :ivar connections: the open connections.
    :ivar draining: true after :meth:`drain` was called.
    """

    # Scheduled while a connection is open.
    _next: IDelayedCall | DeadlineCall

    def __init__(self, clock: IReactorTime) -> None:
        self.connections: set[ITrackedConnection] = set()
        self.draining = False
        self._clock = clock
        self._drained: list[Deferred[None]] = []
        self._drainDeadline = float("inf")
        # Whether the deadline was put off, which is done once.
        self._isPutOff = False

    def add(self, connection: ITrackedConnection) -> None:
        """Keep an open connection."""
        self.connections.add(connection)
        if len(self.connections) == 1:
            self._schedule()

    def remove(self, connection: ITrackedConnection) -> None:
        """Forget a connection that has ended."""
        self.connections.remove(connection)
        if not self.connections:
            self._next.cancel()
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)

    def drain(self, timeout: float) -> Deferred[None]:
        """
        Ask every connection to finish, and abort the rest after ``timeout`` seconds.

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
        interval = DRAIN_CHECK_INTERVAL if self.draining else CHECK_INTERVAL
        check = DeadlineCall(self._clock, interval, lambda: self._checkAll(check.expiredAt))
        self._next = check

    def _checkAll(self, now: float) -> None:
        current = self._clock.seconds()
        if self.draining and current >= now + CATCH_UP and not self._isPutOff:
            # The process was held up: clients that are answered only now may still close in order.
            self._isPutOff = True
            self._drainDeadline = max(self._drainDeadline, current + CATCH_UP)
        self._checkTurn(now, iter(list(self.connections)))

    def _checkTurn(self, now: float, rest: Iterator[ITrackedConnection]) -> None:
        """Check some connections; clients with pending events have their turns in between."""
        turn = list(islice(rest, CONNECTIONS_PER_TURN))
        if len(turn) < CONNECTIONS_PER_TURN:
            self._schedule()
        else:
            self._next = self._clock.callLater(0, self._checkTurn, now, rest)
        for connection in turn:
            if connection not in self.connections:
                continue
            if now >= self._drainDeadline:
                connection.abort()
            else:
                connection.checkTimeouts(now)
