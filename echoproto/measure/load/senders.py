"""
When the messages of a load are sent: after replies, or at their times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from echoproto.measure.load.loops import ClosedLoop, LoadConnection, OpenLoop
from echoproto.measure.load.timers import Timers

#: epoll_wait(2) waits for whole milliseconds, so for what is due sooner we wait in a busy loop.
BUSY_WAIT_NS = 1_100_000

#: Messages that are sent before the reactor may read again.
MAX_SENDS_PER_TURN = 100


class Sender(Protocol):
    """Sends until it is stopped; a stopped one may still have a call scheduled."""

    def start(self, begin: int) -> None:
        """Send on all connections."""

    def opened(self, connection: LoadConnection) -> None:
        """A connection was opened while sending."""

    def loseUnsent(self, now: int) -> None:
        """Count the messages as lost that were due by now and could not be sent."""

    def stop(self) -> None:
        """Send no more."""


class ClosedLoopSender:
    """
    Fills the window of each connection; after that, replies draw the next messages.

    :param loop: sends the next message.
    :param connections: the open connections.
    :param timers: delayed calls.
    :param window: messages under way on each connection.
    """

    def __init__(
        self,
        loop: ClosedLoop,
        connections: Sequence[LoadConnection],
        timers: Timers,
        window: int,
    ) -> None:
        self._loop = loop
        self._connections = connections
        self._timers = timers
        self._window = window
        self._active = False

    def start(self, begin: int) -> None:
        """See :class:`Sender`."""
        self._active = True
        for connection in list(self._connections):
            self.opened(connection)

    def opened(self, connection: LoadConnection) -> None:
        """See :class:`Sender`."""
        for _ in range(MAX_SENDS_PER_TURN):
            if not self._active or connection.underWay >= self._window:
                return
            self._loop.sendNext(connection, self._loop.monotonicNs())
        self._timers.later(0, self._openedBefore, connection)

    def _openedBefore(self, connection: LoadConnection) -> None:
        if connection in self._connections:
            self.opened(connection)

    def loseUnsent(self, now: int) -> None:
        """See :class:`Sender`; there are none."""

    def stop(self) -> None:
        """See :class:`Sender`."""
        self._active = False


#: Why messages of an open loop were not sent.
NO_CONNECTION = "not sent: no connection"
TOO_SLOW = "not sent: the server reads or answers too slowly"


class OpenLoopSender:
    """
    Sends each message at its time, on one connection after the other.

    While no connection is ready messages are not queued, but wait for their turn with the times at
    which they were due. So memory is bounded, and response times include the wait.

    :param loop: counts.
    :param connections: the open connections.
    :param timers: delayed calls.
    :param times: when messages are due, in nanoseconds since the beginning.
    :param busyWaitNs: nanoseconds before a message is due from which on it waits in a busy loop.
    """

    def __init__(
        self,
        loop: OpenLoop,
        connections: Sequence[LoadConnection],
        timers: Timers,
        times: Iterator[int],
        busyWaitNs: int,
    ) -> None:
        self._loop = loop
        self._connections = connections
        self._timers = timers
        self._times = times
        self._busyWaitNs = busyWaitNs
        self._turn = 0
        self._active = self._isBlocked = False

    def start(self, begin: int) -> None:
        """See :class:`Sender`."""
        self._active = True
        self._begin = begin
        self._due = begin + next(self._times)
        self._sendDue()

    def opened(self, connection: LoadConnection) -> None:
        """See :class:`Sender`; it has its turn."""

    def _sendDue(self) -> None:
        """Send some of the messages that are due."""
        messages = self._loop.messages
        for _ in range(MAX_SENDS_PER_TURN):
            if not self._active:
                return
            now = self._loop.monotonicNs()
            due = self._due
            if due > now:
                self._timers.later(max(due - now - self._busyWaitNs, 0), self._sendDue)
                return
            connection = self._ready()
            self._isBlocked = connection is None
            if connection is None:
                self._loop.waitedUntil = now
                self._timers.later(BUSY_WAIT_NS, self._sendDue)
                return
            connection.send(next(messages), due, now)
            self._due = self._begin + next(self._times)
        self._timers.later(0, self._sendDue)

    def _ready(self) -> LoadConnection | None:
        """The next connection that is ready."""
        connections = self._connections
        for _ in connections:
            self._turn += 1
            connection = connections[self._turn % len(connections)]
            if connection.isReady:
                return connection
        return None

    def loseUnsent(self, now: int) -> None:
        """See :class:`Sender`."""
        reason = TOO_SLOW if self._connections else NO_CONNECTION
        while self._isBlocked and self._due <= now and next(self._loop.messages, None) is not None:
            self._loop.counters.counts.sent += 1
            self._loop.warning(reason)
            self._due = self._begin + next(self._times)

    def stop(self) -> None:
        """See :class:`Sender`."""
        self._active = False
