"""
Targets and channels on streams.

Connect times are measured here; replies are classified by the receiver.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from socket import AF_UNIX
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPullProducer,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.failures import (
    CLOSED_HANDSHAKE,
    NO_HANDSHAKE,
    answerHint,
    closedHint,
    endReason,
)
from echoproto.client.targets.host import HostTarget, ResolvedHost
from echoproto.client.targets.interfaces import (
    SERVER_CLOSED,
    IReplyReceiver,
    IStreamChannel,
    ITarget,
)
from echoproto.errors import ConnectionClosed
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.lifecycle import canHalfClose
from echoproto.transports.receivebuffer import StreamArrivals

#: Bytes of the first data of a server that are kept: those of its longest known text.
MAX_FIRST = len(SERVER_GREETING)


@implementer(IStreamChannel, IHandshakeListener)
class StreamChannel(Protocol):
    """
    One connection: splits received data into pieces of the size of a probe.

    :param receiver: receives the pieces.
    :param target: the server; without a size, data is passed on as it arrives.
    :ivar opened: fires with the channel when it is open; fails if the connection ends before.
    """

    ordered = True
    connectionless = False
    unread = 0
    connectTime: int | None = None
    handshakeTime: int | None = None
    #: See :class:`.IChannel`. The transport's own method, because a further call would cost a load
    #: CPU time.
    send: Callable[[bytes], None]
    dataReceived: Any

    def __init__(self, receiver: IReplyReceiver, target: StreamTarget) -> None:
        self.opened: Deferred[StreamChannel] = Deferred()
        self.dataReceived = self._firstReceived
        self._receiver = receiver
        self._target = target
        self._monotonicNs = target.monotonicNs
        self._began = target.monotonicNs()
        self._first = self._rest = b""
        self._arrivals: StreamArrivals | None = None
        self._closed = False

    def connectionMade(self) -> None:
        """Connected; over TLS it is open only after the handshake."""
        self.connectTime = self._monotonicNs() - self._began
        if self._closed:
            self._transport.loseConnection()
            return
        # The transport of a UNIX socket has the method too, but its socket lacks the option.
        if getattr(self._transport.getPeer(), "type", None) == "TCP":
            self._transport.setTcpNoDelay(True)
            # In place of an endpoint's wrapper, which would add calls to every message.
            self._transport.protocol = self
        self.send = self._transport.write
        if not ISSLTransport.providedBy(self._transport):
            self.opened.callback(self)

    def handshakeCompleted(self) -> None:
        """See ``IHandshakeListener``."""
        self.handshakeTime = self._monotonicNs() - self._began - cast(int, self.connectTime)
        self.opened.callback(self)

    def loseWriteConnection(self) -> bool:
        """See :class:`.IStreamChannel`."""
        if not canHalfClose(self._transport):
            return False
        self._transport.loseWriteConnection()
        return True

    def _firstReceived(self, data: bytes) -> None:
        """Keep the first data, which shows a server that speaks TLS, or greets."""
        size, receiver = self._target.size, self._receiver
        self._target.hasAnswered, self._first = True, data[:MAX_FIRST]
        self.dataReceived = receiver.replyReceived if size is None else partial(self._cut, size)
        self.dataReceived(data)

    def _cut(self, size: int, data: bytes) -> None:
        """Pass complete pieces on."""
        data = self._rest + data
        self.unread = len(data)
        whole = self.unread - self.unread % size
        self._rest = data[whole:]
        for start in range(0, whole, size):
            if not self._closed:
                self.unread -= size
                self._receiver.replyReceived(data[start : start + size])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report it, unless this side closed."""
        if self._closed:
            return
        self._closed = True
        if not self.opened.called:
            self.opened.errback(_unfinished(reason))
            return
        isOrderly = reason.check(ConnectionDone)
        cause = SERVER_CLOSED if isOrderly else f"connection lost: {endReason(reason)}"
        isAnswered = self._target.hasAnswered
        hint = answerHint(self._first) if isAnswered else closedHint(self._transport)
        self._receiver.connectionLost(f"{cause}{hint}")

    def close(self) -> None:
        """See :class:`.IChannel`. A second call does nothing."""
        if self._leave():
            self._transport.loseConnection()

    def abort(self) -> None:
        """
        See :class:`.IChannel`. Data in flight no longer matters, and a server may keep a closed
        connection for long.
        """
        if self._leave():
            self._transport.abortConnection()

    def _leave(self) -> bool:
        """Whether there is a connection to close."""
        over, self._closed = self._closed, True
        return self.transport is not None and not over

    def waited(self) -> int:
        """See :class:`.IChannel`; over TCP."""
        if self._arrivals is None:
            transport = self._transport
            # To peek at a UNIX socket would receive descriptors that the server passes.
            if not isinstance(transport, Connection) or transport.socket.family == AF_UNIX:
                return 0
            self._arrivals = StreamArrivals(transport)
        return self._arrivals.waited()

    def dropped(self) -> int:
        """See :class:`.IChannel`; a stream has flow control."""
        return 0

    def pauseProducing(self) -> None:
        """See :class:`.IStreamChannel`."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """See :class:`.IStreamChannel`."""
        self._transport.resumeProducing()

    def registerProducer(self, producer: IPullProducer | IPushProducer, streaming: bool) -> None:
        """See :class:`.IStreamChannel`."""
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See :class:`.IStreamChannel`."""
        self._transport.unregisterProducer()

    @property
    def _transport(self) -> Any:
        return self.transport


def _unfinished(reason: Failure) -> Failure:
    """
    The reason of a connection that ended before it was open. If the server closed it, another
    attempt may succeed.
    """
    if reason.check(ConnectionDone, ConnectionLost):
        return Failure(ConnectionClosed(CLOSED_HANDSHAKE))
    return reason


@implementer(ITarget)
class StreamTarget(HostTarget):
    """
    A server on a stream; see :class:`.HostTarget` for other parameters.

    :param size: bytes of a probe, at least one; ``None`` for an endless stream.
    :param monotonicNs: the monotonic time in nanoseconds.
    :param host: its host, if it has one.
    :ivar hasAnswered: whether it has sent any data.
    """

    ordered = True
    hasAnswered = False

    def __init__(
        self,
        name: str,
        endpoint: IStreamClientEndpoint,
        size: int | None,
        monotonicNs: Callable[[], int],
        host: ResolvedHost | None = None,
        rename: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(name, host or ResolvedHost(()), rename)
        self.size = size
        self.endpoint = endpoint
        self.monotonicNs = monotonicNs

    def open(self, receiver: IReplyReceiver) -> Deferred[StreamChannel]:
        """See :class:`.ITarget`."""
        channel = StreamChannel(receiver, self)
        factory: Any = Factory.forProtocol(lambda: channel)
        factory.noisy = False
        connecting = self.endpoint.connect(factory)
        connecting.addErrback(channel.opened.errback)

        def cancel(opened: Deferred[StreamChannel]) -> None:
            channel.abort()
            connecting.cancel()
            if channel.connectTime is not None:
                opened.errback(CancelledError(NO_HANDSHAKE))

        opened: Deferred[StreamChannel] = Deferred(cancel)
        channel.opened.chainDeferred(opened)
        return opened
