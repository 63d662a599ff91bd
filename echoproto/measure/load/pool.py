"""
The open connections of a load: opens them, replaces lost ones and closes overdue ones.

:mod:`.generator` decides how many there are, and sends on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.channels import openChannel
from echoproto.client.targets.failures import failureReason
from echoproto.client.targets.interfaces import IChannel, ITarget
from echoproto.errors import ConnectionClosed
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.timers import Timers
from echoproto.text.units import SECOND

#: Nanoseconds after which a lost connection is replaced.
RECONNECT_DELAY = SECOND // 10

#: Checks for overdue replies in the time that a reply may take.
TIMEOUT_CHECKS = 10

#: Reason of an overdue reply, and of a connection that is closed because of one.
NO_REPLY = "no reply in time"


class LoadConnection(Protocol):
    """A connection of a load, or a UDP port; it is also an ``IReplyReceiver``."""

    @property
    def underWay(self) -> int:
        """Number of messages without a reply."""

    @property
    def isReady(self) -> bool:
        """Whether an open loop may send: what waits to be sent or answered stays bounded."""

    @property
    def dropped(self) -> int:
        """Number of replies that were dropped because our receive buffer was full."""

    def opened(self, channel: IChannel) -> None:
        """The connection is established."""

    def send(self, message: bytes, due: int, now: int) -> None:
        """Send a message that was due at ``due``; both times in nanoseconds."""

    def giveUp(self, before: int, now: int) -> None:
        """Stop waiting for replies to messages that were sent at ``before`` or earlier."""

    def close(self) -> None:
        """Close the connection."""


class ConnectionPool:
    """
    Connections to one target.

    :param makeConnection: makes what receives the replies of a connection.
    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param timeout: nanoseconds that connecting and each reply may take.
    :param attempted: called after each attempt to connect, with the connection or, if it failed,
        with ``None``.
    :ivar monotonicNs: the time in nanoseconds.
    :ivar timers: the delayed calls of the load, which :meth:`close` cancels.
    :ivar connections: those that are open.
    :ivar pending: attempts that are not over.
    :ivar connected: number of connections that were opened.
    :ivar failures: number of attempts to connect that have failed.
    :ivar disconnects: number of connections that have ended before the load.
    :ivar connecting: times to connect.
    :ivar errors: numbers of failed and lost connections, and of other errors, by reason.
    :ivar failure: why the last attempt has failed, or the last connection has ended.
    """

    failure: Failure

    def __init__(
        self,
        target: ITarget,
        makeConnection: Callable[[], LoadConnection],
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        timeout: int,
        attempted: Callable[[LoadConnection | None], None],
    ) -> None:
        self.connections: list[LoadConnection] = []
        self.pending = self.connected = self.failures = self.disconnects = 0
        self.connecting = LatencyHistogram()
        self.errors: Counter[str] = Counter()
        self._target = target
        self._makeConnection = makeConnection
        self._clock = clock
        self.timers = Timers(clock)
        self.monotonicNs = monotonicNs
        self._timeout = timeout
        self._attempted = attempted
        self._opening: set[Deferred[Any]] = set()
        self._isClosed = False
        self._checkedAt = 0

    def open(self, count: int) -> None:
        """Open the connections of the load."""
        self.pending += count
        for _ in range(count):
            self._open()

    def openLater(self) -> None:
        """Open a connection in place of a lost one, after :data:`RECONNECT_DELAY`."""
        self.pending += 1
        self.timers.later(RECONNECT_DELAY, self._open)

    def _open(self) -> None:
        connection = self._makeConnection()

        def opened(channel: IChannel) -> LoadConnection:
            connection.opened(channel)
            self.connections.append(connection)
            return connection

        def attempted(result: LoadConnection | Failure) -> None:
            self.pending -= 1
            self._attempted(None if isinstance(result, Failure) else result)

        self.connect(connection).addCallback(opened).addBoth(attempted)

    def connect(self, connection: LoadConnection) -> Deferred[Any]:
        """
        Connect, and count that.

        :return: fires with an ``IChannel``, or fails; never after :meth:`close`.
        """
        opening = openChannel(self._target, connection, self._clock, self._timeout)
        self._opening.add(opening)
        connected: Deferred[Any] = Deferred()

        def over(result: IChannel | Failure) -> None:
            self._opening.discard(opening)
            if self._isClosed:
                if not isinstance(result, Failure):
                    result.close()
                return
            if isinstance(result, Failure):
                self.failures += 1
                self.errors[failureReason(result)] += 1
                self.failure = result
            else:
                self.connected += 1
                if result.connectTime is not None:
                    self.connecting.add(result.connectTime)
            connected.callback(result)

        opening.addBoth(over)
        return connected

    def warn(self, reason: str) -> None:
        """Count an error that ends no connection."""
        self.errors[reason] += 1

    def remove(self, connection: LoadConnection, reason: str) -> None:
        """Count a connection that has ended."""
        self.countLost(reason)
        self.connections.remove(connection)

    def countLost(self, reason: str) -> None:
        """Count the end of a connection."""
        self.errors[reason] += 1
        self.disconnects += 1
        self.failure = Failure(ConnectionClosed(reason))

    @property
    def dropped(self) -> int:
        """Number of replies that were dropped because our receive buffers were full."""
        return sum(connection.dropped for connection in self.connections)

    @property
    def isIdle(self) -> bool:
        """Whether no reply is awaited."""
        return not any(connection.underWay for connection in self.connections)

    def checkTimeouts(self) -> None:
        """From now on, give up replies that are overdue."""
        self._checkedAt = self.monotonicNs()
        self._giveUp()

    def _giveUp(self) -> None:
        now, interval = self.monotonicNs(), self._timeout // TIMEOUT_CHECKS
        # After a pause of this process, first read the replies that have arrived meanwhile.
        if now - self._checkedAt < 2 * interval:
            for connection in list(self.connections):
                connection.giveUp(now - self._timeout, now)
        self._checkedAt = now
        self.timers.later(interval, self._giveUp)

    def giveUpAll(self) -> None:
        """The time of the last replies is over: those that are missing are overdue."""
        if self._target.ordered:
            # Their connections are not lost.
            self.errors[NO_REPLY] += sum(connection.underWay for connection in self.connections)
            return
        now = self.monotonicNs()
        for connection in self.connections:
            connection.giveUp(now, now)

    def close(self) -> None:
        """Cancel all calls and attempts, and close all connections."""
        self._isClosed = True
        self.timers.end()
        for opening in list(self._opening):
            opening.cancel()
        for connection in self.connections:
            connection.close()
