"""
Open and closed loop: what is counted at each message and reply, and what follows a reply.

Connections (:mod:`.connections`, :mod:`.datagrams`) call their loop at every exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from echoproto.measure.load.counters import LoadCounters
from echoproto.targets.interfaces import IChannel


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


class OpenLoop:
    """
    In an open loop, messages are sent at their times (:mod:`.senders`), whatever the replies.

    :param monotonicNs: the time in nanoseconds.
    :param counters: receives the counts.
    :param messages: the messages, until the last.
    :param finished: called after a reply that is not followed by another message.
    :param connectionLost: called with a connection that has ended, and the reason.
    :param warning: called with a network error that does not end the connection.
    """

    def __init__(
        self,
        monotonicNs: Callable[[], int],
        counters: LoadCounters,
        messages: Iterator[bytes],
        finished: Callable[[], None],
        connectionLost: Callable[[LoadConnection, str], None],
        warning: Callable[[str], None],
    ) -> None:
        self.monotonicNs = monotonicNs
        self.counters = counters
        self.messages = messages
        self.finished = finished
        self.connectionLost = connectionLost
        self.warning = warning
        #: Until when no connection was ready.
        self.waitedUntil = 0

    def sent(self, size: int, due: int, now: int) -> None:
        """Count a message that was due at ``due`` and is sent now."""
        counts = self.counters.counts
        counts.sent += 1
        counts.bytesSent += size
        counts.late.add(now - max(due, self.waitedUntil))

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """Count a reply."""
        if sentAt >= self.counters.begin:
            counts = self.counters.counts
            counts.bytesReceived += size
            counts.wrong += not right
            counts.service.add(now - sentAt)
            counts.response.add(now - due)

    def answered(
        self, connection: LoadConnection, size: int, due: int, sentAt: int, now: int, right: bool
    ) -> None:
        """Count a reply; the connection may send again."""
        self.count(size, due, sentAt, now, right)
        self.finished()

    def lost(self, connection: LoadConnection, now: int) -> None:
        """A reply was given up; the connection may send again."""
        self.finished()


class ClosedLoop(OpenLoop):
    """In a closed loop, each reply is followed by the next message."""

    def sent(self, size: int, due: int, now: int) -> None:
        """See :class:`OpenLoop`; no message is late."""
        counts = self.counters.counts
        counts.sent += 1
        counts.bytesSent += size

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """See :class:`OpenLoop`, without a response time."""
        if sentAt >= self.counters.begin:
            counts = self.counters.counts
            counts.bytesReceived += size
            counts.wrong += not right
            counts.service.add(now - sentAt)

    def answered(
        self, connection: LoadConnection, size: int, due: int, sentAt: int, now: int, right: bool
    ) -> None:
        """See :class:`OpenLoop`."""
        self.count(size, due, sentAt, now, right)
        self.sendNext(connection, now)

    def lost(self, connection: LoadConnection, now: int) -> None:
        """See :class:`OpenLoop`."""
        self.sendNext(connection, now)

    def sendNext(self, connection: LoadConnection, now: int) -> None:
        """Send the next message, if there is one."""
        message = next(self.messages, None)
        if message is None:
            self.finished()
        else:
            connection.send(message, now, now)
