"""
A connection of a load that is made anew for each message.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.measure.load.connections import closeChannel
from echoproto.measure.load.loops import Loop
from echoproto.measure.load.pool import NO_REPLY, RECONNECT_DELAY, ConnectionPool


@implementer(IReplyReceiver)
class RenewedConnection:
    """
    Connects for each message, and closes the connection after its reply.

    The time to connect counts in response times, not in service times. The first message has the
    connection that was made before the load. After a failure it pauses for
    :data:`~.pool.RECONNECT_DELAY`.
    """

    dropped = 0

    def __init__(self, loop: Loop, pool: ConnectionPool) -> None:
        self._loop = loop
        self._pool = pool
        self._channel: Any = None  # an IStreamChannel
        self._message: bytes | None = None
        self._isPausing = False
        self._due = self._sentAt = 0
        # The first part of an incomplete reply.
        self._rest = b""

    @property
    def underWay(self) -> int:
        """See :class:`~.pool.LoadConnection`."""
        return int(self._message is not None)

    @property
    def isReady(self) -> bool:
        """See :class:`~.pool.LoadConnection`."""
        return self._message is None and not self._isPausing

    def opened(self, channel: Any) -> None:  # an IStreamChannel
        """See :class:`~.pool.LoadConnection`."""
        self._channel = channel
        if self._message is not None:
            self._sentAt = self._loop.monotonicNs()
            channel.send(self._message)

    def send(self, message: bytes, due: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._message, self._due = message, due
        self._loop.sent(len(message), due, now)
        if self._channel is None:
            self._pool.connect(self).addCallbacks(self.opened, self._failed)
        else:
            self.opened(self._channel)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._rest += reply
        message = self._message or b""
        size = len(message)
        if len(self._rest) > size:
            self._loop.counters.foreign(len(self._rest) - size)
        if not message or len(self._rest) < size:
            self._rest = self._rest if message else b""
            return
        isRight = self._rest[:size] == message
        self._end()
        now = self._loop.monotonicNs()
        self._loop.answered(self, size, self._due, self._sentAt, now, isRight)

    def _end(self) -> None:
        """The message is answered or given up: close its connection."""
        channel, self._channel = self._channel, None
        isAnswered = len(self._rest) >= len(self._message or b"")
        self._message, self._rest = None, b""
        if channel is not None:
            closeChannel(channel, not isAnswered)

    def _failed(self, failure: Failure) -> None:
        """The connection of a message could not be made, which the pool has counted."""
        self._end()
        self._isPausing = True
        self._pool.timers.later(RECONNECT_DELAY, self._resume)

    def _resume(self) -> None:
        self._isPausing = False
        self._loop.settled(self, self._loop.monotonicNs())

    def giveUp(self, before: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`."""
        if self._message is not None and self._channel is not None and self._sentAt <= before:
            self.connectionLost(NO_REPLY)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`; another follows."""
        self._pool.countLost(reason)
        if self._message is None:
            self._channel = None
        else:
            self._failed(self._pool.failure)

    def close(self) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._end()
