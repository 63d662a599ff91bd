"""
Ways for probes: what :mod:`echoproto.measure` asks, over streams and datagrams.

Each target opens roads; times are taken here, where it is known when a
connection is made. What a reply is worth is not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.errors import ConnectionClosed
from echoproto.protocols.stream import canHalfClose
from echoproto.targets.interfaces import SERVER_CLOSED, IChannel, IReplyReceiver, ITarget


@implementer(IChannel, IHandshakeListener)
class StreamChannel(Protocol):
    """
    One connection: cuts what comes into pieces as long as a probe.

    :param receiver: hears them.
    :param size: bytes of a probe; ``None`` to tell what comes as it comes.
    :param now: the time in nanoseconds.
    :ivar opened: fires with the channel when it is open; fails when the connection ends before.
    """

    ordered = True
    connectionless = False
    connectTime: int | None = None
    handshakeTime: int | None = None
    #: See :class:`IChannel`; the transport's own, as each call on the way costs a load of it something.
    send: Callable[[bytes], None]
    dataReceived: Any

    def __init__(self, receiver: Any, size: int | None, now: Callable[[], int]) -> None:
        self.opened: Deferred[StreamChannel] = Deferred()
        self._receiver = receiver
        self.dataReceived = receiver.replyReceived if size is None else partial(self._cut, size)
        self._now = now
        self._began = now()
        self._rest = b""
        self._closed = False

    def connectionMade(self) -> None:
        """Connected; over TLS it is open only after the handshake."""
        self.connectTime = self._now() - self._began
        if self._closed:
            self._transport.abortConnection()
            return
        # The transport of a UNIX socket has the method too, and its socket no such option.
        if getattr(self._transport.getPeer(), "type", None) == "TCP":
            self._transport.setTcpNoDelay(True)
        self.send = self._transport.write
        if not ISSLTransport.providedBy(self._transport):
            self.opened.callback(self)

    def handshakeCompleted(self) -> None:
        """See ``IHandshakeListener``."""
        self.handshakeTime = self._now() - self._began - cast(int, self.connectTime)
        self.opened.callback(self)

    def loseWriteConnection(self) -> bool:
        """Nothing more will be sent: tell the server by our FIN. Whether it could be told, as it cannot over TLS."""
        if not canHalfClose(self._transport):
            return False
        self._transport.loseWriteConnection()
        return True

    def _cut(self, size: int, data: bytes) -> None:
        """Tell of every piece that is whole."""
        data = self._rest + data
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        for start in range(0, whole, size):
            if not self._closed:
                self._receiver.replyReceived(data[start : start + size])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell of it, unless we wanted it."""
        if self._closed:
            return
        self._closed = True
        if not self.opened.called:
            self.opened.errback(_unfinished(reason))
        elif reason.check(ConnectionDone):
            self._receiver.connectionLost(SERVER_CLOSED)
        else:
            self._receiver.connectionLost(
                f"connection lost: {reason.getErrorMessage()}".rstrip(".")
            )

    def close(self) -> None:
        """See :class:`IChannel`; once is enough, and what has ended by itself is over (TLS would raise)."""
        over, self._closed = self._closed, True
        if self.transport is not None and not over:
            # Nothing that is on its way matters any more, and a server may keep a closed connection for long.
            self._transport.abortConnection()

    def pauseProducing(self) -> None:
        """Read nothing more for now."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._transport.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have an ``IPushProducer`` told when to send no more for now, as the server takes nothing, and when to go on."""
        self._transport.registerProducer(producer, streaming)

    @property
    def _transport(self) -> Any:
        return self.transport


def _unfinished(reason: Failure) -> Failure:
    """Why a connection ended that was made and not open yet: where the server has gone, another one may do better."""
    if reason.check(ConnectionDone, ConnectionLost):
        return Failure(
            ConnectionClosed("the server closed the connection during the TLS handshake")
        )
    return reason


@implementer(ITarget)
class StreamTarget:
    """
    A server on a stream.

    :param name: for people.
    :param endpoint: where it is.
    :param size: bytes of a probe, at least one; ``None`` for a stream that has none.
    :param now: the time in nanoseconds.
    :param address: its numeric address.
    :ivar endpoint: where it is.
    """

    ordered = True

    def __init__(
        self,
        name: str,
        endpoint: IStreamClientEndpoint,
        size: int | None,
        now: Callable[[], int],
        address: str = "",
    ) -> None:
        self.name = name
        self.address = address
        self.size = size
        self.endpoint = endpoint
        self._now = now

    def open(self, receiver: IReplyReceiver) -> Deferred[StreamChannel]:
        """See :class:`ITarget`."""
        channel = StreamChannel(receiver, self.size, self._now)
        factory: Any = Factory.forProtocol(lambda: channel)
        connecting = self.endpoint.connect(factory)
        connecting.addErrback(channel.opened.errback)

        def cancel(_: object) -> None:
            channel.close()
            connecting.cancel()

        opened: Deferred[StreamChannel] = Deferred(cancel)
        channel.opened.chainDeferred(opened)
        return opened
