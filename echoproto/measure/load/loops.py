"""
Open and closed loop: when messages are sent, and what is counted at each message and reply.

Connections (:mod:`.connections`, :mod:`.datagrams`) call their loop at every exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.pool import ConnectionPool, LoadConnection

#: epoll_wait(2) waits for whole milliseconds, so for what is due sooner we wait in a busy loop.
BUSY_WAIT_NS = 1_100_000

#: Messages that are sent before the reactor may read again.
MAX_SENDS_PER_TURN = 100

#: Why messages of an open loop were not sent.
NO_CONNECTION = "not sent: no connection"
TOO_SLOW = "not sent: the server reads or answers too slowly"


class Loop:
    """
    What both loops have in common.

    :param pool: the open connections.
    :param counters: receives the counts.
    :param messages: the messages, until the last.
    :param plan: the window of a closed loop; the send times of an open loop.
    :param finished: called after a reply that is not followed by another message.
    :param connectionLost: called with a connection that has ended, and the reason.
    :param busyWaitNs: nanoseconds before a message is due from which on an open loop waits in a
        busy loop.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        counters: LoadCounters,
        messages: Iterator[bytes],
        plan: LoadPlan,
        finished: Callable[[], None],
        connectionLost: Callable[[LoadConnection, str], None],
        busyWaitNs: int = BUSY_WAIT_NS,
    ) -> None:
        self.counters = counters
        self.messages = messages
        self.finished = finished
        self.connectionLost = connectionLost
        self.monotonicNs = pool.monotonicNs
        self.warn = pool.warn
        self._connections = pool.connections
        self._timers = pool.timers
        self._plan = plan
        self._busyWaitNs = busyWaitNs
        self._isActive = False

    def opened(self, connection: LoadConnection) -> None:
        """A connection was opened while sending."""

    def sent(self, size: int, due: int, now: int) -> None:
        """Count a message that was due at ``due`` and is sent now."""
        counts = self.counters.counts
        counts.sent += 1
        counts.bytesSent += size

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """Count a reply."""
        if sentAt >= self.counters.begin:
            counts = self.counters.counts
            counts.bytesReceived += size
            counts.wrong += not right
            counts.service.add(now - sentAt)

    def answered(
        self, connection: LoadConnection, size: int, due: int, sentAt: int, now: int, right: bool
    ) -> None:
        """Count a reply; the connection may send again."""
        self.count(size, due, sentAt, now, right)
        self.settled(connection, now)

    def settled(self, connection: LoadConnection, now: int) -> None:
        """A reply was received or given up: the connection may send again."""
        self.finished()

    def loseUnsent(self, now: int) -> None:
        """Count the messages as lost that were due by now and could not be sent."""

    def stop(self) -> None:
        """Send no more; a call may still be scheduled."""
        self._isActive = False


class ClosedLoop(Loop):
    """Fills the window of each connection; then each reply is followed by the next message."""

    def start(self, begin: int) -> None:
        """Send on all connections."""
        self._isActive = True
        for connection in list(self._connections):
            self.opened(connection)

    def opened(self, connection: LoadConnection) -> None:
        """See :class:`Loop`."""
        for _ in range(MAX_SENDS_PER_TURN):
            if not self._isActive or connection.underWay >= self._plan.window:
                return
            self.settled(connection, self.monotonicNs())
        self._timers.later(0, self._openedBefore, connection)

    def _openedBefore(self, connection: LoadConnection) -> None:
        if connection in self._connections:
            self.opened(connection)

    def settled(self, connection: LoadConnection, now: int) -> None:
        """Send the next message, if there is one."""
        message = next(self.messages, None)
        if message is None:
            self.finished()
        else:
            connection.send(message, now, now)


class OpenLoop(Loop):
    """
    Sends each message at its time, whatever the replies, on one connection after the other.

    While no connection is ready messages are not queued, but wait for their turn with the times at
    which they were due. So memory is bounded, and response times include the wait.
    """

    _turn = 0
    _isBlocked = False
    # Until when no connection was ready.
    _waitedUntil = 0

    def start(self, begin: int) -> None:
        """Begin to send; the send times count from ``begin``."""
        assert self._plan.times is not None
        self._times = self._plan.times
        self._isActive = True
        self._begin = begin
        self._due = self._begin + next(self._times)
        self._sendDue()

    def sent(self, size: int, due: int, now: int) -> None:
        """See :class:`Loop`; also count by how much it is late."""
        super().sent(size, due, now)
        self.counters.counts.late.add(now - max(due, self._waitedUntil))

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """See :class:`Loop`; also count the response time."""
        super().count(size, due, sentAt, now, right)
        if sentAt >= self.counters.begin:
            self.counters.counts.response.add(now - due)

    def _sendDue(self) -> None:
        """Send some of the messages that are due."""
        for _ in range(MAX_SENDS_PER_TURN):
            if not self._isActive:
                return
            now = self.monotonicNs()
            due = self._due
            if due > now:
                self._timers.later(max(due - now - self._busyWaitNs, 0), self._sendDue)
                return
            connection = self._ready()
            self._isBlocked = connection is None
            if connection is None:
                self._waitedUntil = now
                self._timers.later(BUSY_WAIT_NS, self._sendDue)
                return
            connection.send(next(self.messages), due, now)
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
        """See :class:`Loop`."""
        reason = TOO_SLOW if self._connections else NO_CONNECTION
        while self._isBlocked and self._due <= now and next(self.messages, None) is not None:
            self.counters.counts.sent += 1
            self.warn(reason)
            self._due = self._begin + next(self._times)
