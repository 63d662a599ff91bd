"""
Stream connections of a load: they match each reply with its message, and record its time.

A reply is matched by its position, and every byte is compared. What follows a reply, and what is
counted, is decided by the loop (:mod:`.loops`).
"""

from __future__ import annotations

from collections import deque
from errno import EAGAIN
from typing import Any

from twisted.internet.main import CONNECTION_LOST
from zope.interface import implementer

from echoproto.client.targets.channels import WriteControl
from echoproto.client.targets.interfaces import IChannel, IReplyReceiver
from echoproto.measure.load.loops import ClosedLoop, Loop
from echoproto.measure.load.pool import NO_REPLY
from echoproto.reactors.relay import RECEIVE_SIZE, RelayStream

#: Maximum number of messages of an open loop that wait for their replies on a connection.
MAX_UNDER_WAY = 1 << 15


def closeChannel(channel: IChannel, underWay: int) -> None:
    """Close a connection by our FIN, or by a reset if replies are under way that nobody awaits."""
    if underWay:
        channel.abort()
    else:
        channel.close()


@implementer(IReplyReceiver)
class PipelinedConnection:
    """A connection with any number of messages under way, whose replies arrive in their order."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # Messages without a reply, in their order: the bytes, when due, when sent.
        self._awaited: deque[tuple[bytes, int, int]] = deque()
        self._control = WriteControl()
        # The first part of an incomplete reply.
        self._rest = b""

    @property
    def underWay(self) -> int:
        """See :class:`~.pool.LoadConnection`."""
        return len(self._awaited)

    dropped = 0

    @property
    def isReady(self) -> bool:
        """See :class:`~.pool.LoadConnection`."""
        return not self._control.isPaused and len(self._awaited) < MAX_UNDER_WAY

    def opened(self, channel: Any) -> None:  # an IStreamChannel
        """See :class:`~.pool.LoadConnection`."""
        self._channel = channel
        self._write = channel.send
        channel.registerProducer(self._control, True)

    def send(self, message: bytes, due: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._awaited.append((message, due, now))
        self._loop.sent(len(message), due, now)
        self._write(message)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        now = self._loop.monotonicNs()
        awaited = self._awaited
        rest = self._rest + reply
        while awaited and len(rest) >= len(awaited[0][0]):
            message, due, sentAt = awaited.popleft()
            size = len(message)
            piece, rest = rest[:size], rest[size:]
            if rest and not awaited:
                # Before the next message is sent, to which it cannot be the reply.
                self._loop.counters.foreign(len(rest))
                rest = b""
            self._loop.answered(self, size, due, sentAt, now, piece == message)
        if rest and not awaited:
            self._loop.counters.foreign(len(rest))
            rest = b""
        self._rest = rest

    def giveUp(self, before: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`; later replies can no longer be matched."""
        if self._awaited and self._awaited[0][2] <= before:
            self.close()
            self.connectionLost(NO_REPLY)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._awaited.clear()
        self._loop.connectionLost(self, reason)

    def close(self) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._channel.unregisterProducer()
        closeChannel(self._channel, self.underWay)


@implementer(IReplyReceiver)
class SequentialConnection:
    """
    A connection of a closed loop with one message under way.

    On the direct reactor it reads and writes the socket itself: the usual reply arrives whole, and
    a next message follows it, with no call in between.
    """

    def __init__(self, loop: ClosedLoop) -> None:
        self._loop = loop
        self._monotonicNs = loop.monotonicNs
        self._counters = loop.counters
        self._message: bytes | None = None
        self._sentAt = 0
        self._rest = b""

    @property
    def underWay(self) -> int:
        """See :class:`~.pool.LoadConnection`."""
        return int(self._message is not None)

    isReady = True
    dropped = 0

    def opened(self, channel: Any) -> None:  # an IStreamChannel
        """See :class:`~.pool.LoadConnection`."""
        self._channel = channel
        self._write = channel.send
        self._transport: Any = getattr(channel, "transport", None)
        if isinstance(self._transport, RelayStream):
            self._socket = self._transport.socket
            # Twisted replaces it, too, to abort a connection.
            self._transport.doRead = self._firstRead  # type: ignore[method-assign]

    def send(self, message: bytes, due: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._message = message
        self._sentAt = now
        self._loop.sent(len(message), due, now)
        self._write(message)

    def _firstRead(self) -> Any:
        """Let the channel have the first reply."""
        self._transport.doRead = self._doRead
        return type(self._transport).doRead(self._transport)

    def _doRead(self) -> Any:
        """
        Receive a reply and send the next message; see ``IReadDescriptor``.

        A whole reply shows that the whole message was sent, so nothing waits in the transport.
        """
        try:
            reply = self._socket.recv(RECEIVE_SIZE)
        except OSError as error:
            return None if error.errno == EAGAIN else CONNECTION_LOST
        if reply != self._message or self._rest:
            return self._passOn(reply)
        # One reading of the clock for both; a local name, as a callable attribute is slower.
        monotonicNs = self._monotonicNs
        now = monotonicNs()
        counts = self._counters.counts
        if self._sentAt >= self._counters.begin:
            counts.bytesReceived += len(reply)
            counts.service.add(now - self._sentAt)
        message = self._message = next(self._loop.messages, None)
        if message is None:
            self._loop.finished()
            return None
        self._sentAt = now
        counts.sent += 1
        counts.bytesSent += len(message)
        try:
            sent = self._socket.send(message)
        except OSError:
            # The transport tries again, and handles the error.
            sent = 0
        if sent != len(message):
            self._write(message[sent:])
        return None

    def _passOn(self, data: bytes) -> Any:
        """Let the transport handle the data, or its end."""
        if len(data) == RECEIVE_SIZE:
            # From now on it also receives, because it needs fewer calls for large messages.
            del self._transport.doRead
        return self._transport._dataReceived(data)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        rest, message = self._rest + reply, self._message
        self._rest = b""
        size = 0 if message is None else len(message)
        if len(rest) > size:
            self._counters.foreign(len(rest) - size)
        if message is None:
            return
        if len(rest) < size:
            self._rest = rest
            return
        self._message = None
        now = self._monotonicNs()
        self._loop.answered(self, size, now, self._sentAt, now, rest[:size] == message)

    def giveUp(self, before: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`."""
        if self._message is not None and self._sentAt <= before:
            self.close()
            self.connectionLost(NO_REPLY)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._message = None
        self._loop.connectionLost(self, reason)

    def close(self) -> None:
        """See :class:`~.pool.LoadConnection`."""
        closeChannel(self._channel, self.underWay)
