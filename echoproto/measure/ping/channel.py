"""
The channel of a ping, and what is measured of all its channels.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.client.targets.channels import WriteControl, openChannel
from echoproto.client.targets.interfaces import IReplyReceiver, ITarget
from echoproto.measure.latency import LatencyHistogram

#: Bytes of probes that may wait while the transport is full: that of large ones always is for a
#: moment. Twice the longest probe.
MAX_UNREAD_BYTES = 32 << 20

#: Reason of a probe that a stream does not accept.
NOT_READ = "not sent: the server does not read"


class PingChannel:
    """
    A channel that can be opened again.

    :param receiver: receives the replies.
    :param clock: measures the time limit.
    :param timeout: nanoseconds to connect.
    :ivar connecting: times to connect.
    :ivar securing: times of TLS handshakes.
    """

    def __init__(
        self,
        target: ITarget,
        receiver: IReplyReceiver,
        clock: IReactorTime,
        timeout: int,
    ) -> None:
        self.connecting, self.securing = LatencyHistogram(), LatencyHistogram()
        self._parameters = (target, receiver, clock, timeout)
        self._channel: Any = None
        self._opening: Deferred[Any] | None = None
        self._control = WriteControl()
        # Bytes of the probes since the transport was last ready.
        self._unread = 0
        # Replies that the receive buffers of earlier channels have dropped.
        self._dropped = 0
        self._isOver = False

    @property
    def isOpening(self) -> bool:
        """Whether a connection attempt is under way."""
        return self._opening is not None

    @property
    def isOpen(self) -> bool:
        """Whether there is a channel."""
        return self._channel is not None

    @property
    def isBlocked(self) -> bool:
        """Whether the server does not read the probes, so that more would fill our memory."""
        return self._control.isPaused and self._unread >= MAX_UNREAD_BYTES

    @property
    def isOrdered(self) -> bool:
        """Whether replies arrive in the order of the probes."""
        return self._channel is not None and bool(self._channel.ordered)

    @property
    def waited(self) -> int:
        """See :meth:`~echoproto.client.targets.interfaces.IChannel.waited`."""
        return 0 if self._channel is None else int(self._channel.waited())

    @property
    def dropped(self) -> int:
        """Number of replies that our receive buffers have dropped."""
        return self._dropped + (0 if self._channel is None else int(self._channel.dropped()))

    def open(self) -> Deferred[None]:
        """Connect; see :func:`~echoproto.client.targets.channels.openChannel`."""
        opening = self._opening = openChannel(*self._parameters)
        return opening.addBoth(self._ended).addCallback(self._opened)

    def _ended(self, result: object) -> Any:
        self._opening = None
        return result

    def _opened(self, channel: Any) -> None:
        if self._isOver:
            channel.close()
            raise CancelledError
        self._channel = channel
        channel.waited()
        if channel.ordered:
            self._control = WriteControl()
            channel.registerProducer(self._control, True)
        if channel.connectTime is not None:
            self.connecting.add(channel.connectTime)
        if channel.handshakeTime is not None:
            self.securing.add(channel.handshakeTime)

    def send(self, probe: bytes) -> None:
        """See :meth:`~echoproto.client.targets.interfaces.IChannel.send`."""
        self._unread = len(probe) + (self._unread if self._control.isPaused else 0)
        self._channel.send(probe)

    def takeUnread(self) -> int:
        """On a stream, bytes that were received and never passed on; the next time there are 0."""
        if not self.isOrdered:
            return 0
        unread, self._channel.unread = self._channel.unread, 0
        return int(unread)

    def lost(self) -> bool:
        """The connection is lost: returns whether the channel, too, can no longer be used."""
        if self._channel is None or not self._channel.connectionless:
            self._channel = None
        return self._channel is None

    def close(self, isComplete: bool) -> None:
        """Close the channel, if there is one; by a reset if replies are missing."""
        self._dropped = self.dropped
        channel, self._channel = self._channel, None
        if channel is not None:
            if channel.ordered:
                channel.unregisterProducer()
            (channel.close if isComplete else channel.abort)()

    def end(self, isComplete: bool) -> None:
        """Close it for ever."""
        self._isOver = True
        if self._opening is not None:
            self._opening.cancel()
        self.close(isComplete)
