"""
The connections of a load: which message the next reply must be, and when it was sent.

Made by :mod:`.generator`; their roads (:mod:`echoproto.targets.stream`) tell them what comes. They compare every byte and write to the
tally (:mod:`.counters`). When messages of an open loop are due, and when all is over, is not theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from zope.interface import implementer

from echoproto.measure.load.counters import LoadCounters
from echoproto.targets.interfaces import IReplyReceiver

#: Why a connection is given up on which the next reply does not come.
NO_REPLY = "a reply did not come in time"


class OpenLoop:
    """
    What the lanes of a load share; in an open loop somebody else says when to send.

    :param now: the time in nanoseconds.
    :param tally: counts.
    :param supply: messages, until no more are to be sent.
    :param idle: called after a reply that draws no message.
    :param gone: called with a lane whose channel has ended, and why.
    :param trouble: called with what the network says of a channel that has not ended.
    """

    def __init__(
        self,
        now: Callable[[], int],
        tally: LoadCounters,
        supply: Iterator[bytes],
        idle: Callable[[], None],
        gone: Callable[[Any, str], None],
        trouble: Callable[[str], None],
    ) -> None:
        self.now = now
        self.tally = tally
        self.supply = supply
        self.connectionLost = gone
        self.trouble = trouble
        self.idle = idle

    def sent(self, size: int, due: int, now: int) -> None:
        """A message that was due then is sent now."""
        counts = self.tally.counts
        counts.sent += 1
        counts.bytesSent += size
        counts.late.add(now - due)

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """A reply has come."""
        if sentAt >= self.tally.begin:
            counts = self.tally.counts
            counts.bytesReceived += size
            counts.wrong += not right
            counts.service.add(now - sentAt)
            counts.response.add(now - due)

    def answered(self, lane: Any, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """A reply has come, and its lane has room."""
        self.count(size, due, sentAt, now, right)
        self.idle()

    def lost(self, lane: Any, now: int) -> None:
        """No reply has come, and its lane has room."""
        self.idle()


class ClosedLoop(OpenLoop):
    """In a closed loop a reply draws the next message."""

    def sent(self, size: int, due: int, now: int) -> None:
        """See :class:`OpenLoop`; none is late."""
        counts = self.tally.counts
        counts.sent += 1
        counts.bytesSent += size

    def count(self, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """See :class:`OpenLoop`; only the service time is of interest."""
        if sentAt >= self.tally.begin:
            counts = self.tally.counts
            counts.bytesReceived += size
            counts.wrong += not right
            counts.service.add(now - sentAt)

    def answered(self, lane: Any, size: int, due: int, sentAt: int, now: int, right: bool) -> None:
        """See :class:`OpenLoop`."""
        self.count(size, due, sentAt, now, right)
        self.draw(lane, now)

    def lost(self, lane: Any, now: int) -> None:
        """See :class:`OpenLoop`."""
        self.draw(lane, now)

    def draw(self, lane: Any, now: int) -> None:
        """Send the next message, if there is one."""
        message = next(self.supply, None)
        if message is None:
            self.idle()
        else:
            lane.send(message, now, now)


@implementer(IReplyReceiver)
class PipelinedConnection:
    """A connection: replies come in the order of the messages, in pieces of any size."""

    def __init__(self, loop: OpenLoop) -> None:
        self._loop = loop
        # Message, when it should have been sent, and when it was; in their order.
        self._awaited: deque[tuple[bytes, int, int]] = deque()
        # What has come of a reply that is not whole.
        self._rest = b""

    @property
    def underWay(self) -> int:
        """Messages whose replies are awaited."""
        return len(self._awaited)

    def opened(self, channel: Any) -> None:
        """It leads somewhere."""
        self._channel = channel
        self._write = channel.send

    def send(self, message: bytes, due: int, now: int) -> None:
        """Send a message that should have been sent when it was ``due``."""
        self._awaited.append((message, due, now))
        self._loop.sent(len(message), due, now)
        self._write(message)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        now = self._loop.now()
        awaited = self._awaited
        rest = self._rest + reply
        while awaited and len(rest) >= len(awaited[0][0]):
            message, due, sentAt = awaited.popleft()
            size = len(message)
            piece, rest = rest[:size], rest[size:]
            self._loop.answered(self, size, due, sentAt, now, piece == message)
        if rest and not awaited:
            self._loop.tally.foreign(len(rest))
            rest = b""
        self._rest = rest

    def giveUp(self, before: int, now: int) -> None:
        """Where the next reply was to be to a message that was sent before, it does not come, and none behind it can."""
        if self._awaited and self._awaited[0][2] <= before:
            self.close()
            self.connectionLost(NO_REPLY)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._awaited.clear()
        self._loop.connectionLost(self, reason)

    def close(self) -> None:
        """It is over."""
        self._channel.close()


@implementer(IReplyReceiver)
class SequentialConnection:
    """
    A connection of a closed loop on which one message is under way.

    A reply that comes whole, as most do, draws the next message with no call that can be spared: it takes half the time of
    :class:`PipelinedConnection`.
    """

    def __init__(self, loop: ClosedLoop) -> None:
        self._loop = loop
        self._now = loop.now
        self._tally = loop.tally
        self._supply = loop.supply
        self._message: bytes | None = None
        self._sentAt = 0
        self._rest = b""

    @property
    def underWay(self) -> int:
        """See :class:`PipelinedConnection`."""
        return int(self._message is not None)

    def opened(self, channel: Any) -> None:
        """See :class:`PipelinedConnection`."""
        self._channel = channel
        self._write = channel.send

    def send(self, message: bytes, due: int, now: int) -> None:
        """See :class:`PipelinedConnection`."""
        self._message = message
        self._sentAt = now
        self._loop.sent(len(message), due, now)
        self._write(message)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        if reply != self._message or self._rest:
            self._heardPiece(reply)
            return
        # When the reply has come the next message is sent: one look at the clock for both.
        now = self._now()
        tally = self._tally
        counts = tally.counts
        if self._sentAt >= tally.begin:
            counts.bytesReceived += len(reply)
            counts.service.add(now - self._sentAt)
        message = self._message = next(self._supply, None)
        if message is None:
            self._loop.idle()
            return
        self._sentAt = now
        counts.sent += 1
        counts.bytesSent += len(message)
        self._write(message)

    def _heardPiece(self, reply: bytes) -> None:
        rest, message = self._rest + reply, self._message
        self._rest = b""
        size = 0 if message is None else len(message)
        if len(rest) > size:
            self._tally.foreign(len(rest) - size)
        if message is None:
            return
        if len(rest) < size:
            self._rest = rest
            return
        self._message = None
        now = self._now()
        self._loop.answered(self, size, now, self._sentAt, now, rest[:size] == message)

    def giveUp(self, before: int, now: int) -> None:
        """See :class:`PipelinedConnection`."""
        if self._message is not None and self._sentAt <= before:
            self.close()
            self.connectionLost(NO_REPLY)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._message = None
        self._loop.connectionLost(self, reason)

    def close(self) -> None:
        """See :class:`PipelinedConnection`."""
        self._channel.close()
