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

from echoproto.errors import ConnectionGone
from echoproto.protocols.stream import canHalfClose
from echoproto.targets.interfaces import SERVER_CLOSED, IEars, IRoad, ITarget


@implementer(IRoad, IHandshakeListener)
class StreamRoad(Protocol):
    """
    One connection: cuts what comes into pieces as long as a probe.

    :param ears: hears them.
    :param size: bytes of a probe; ``None`` to tell what comes as it comes.
    :param now: the time in nanoseconds.
    :ivar opened: fires with the road when it is open; fails when the connection ends before.
    """

    ordered = True
    lasting = False
    connectTime: int | None = None
    handshakeTime: int | None = None
    #: See :class:`IRoad`; the transport's own, as each call on the way costs a load of it something.
    send: Callable[[bytes], None]
    dataReceived: Any

    def __init__(self, ears: Any, size: int | None, now: Callable[[], int]) -> None:
        self.opened: Deferred[StreamRoad] = Deferred()
        self._ears = ears
        self.dataReceived = ears.heard if size is None else partial(self._cut, size)
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

    def finish(self) -> bool:
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
                self._ears.heard(data[start : start + size])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell of it, unless we wanted it."""
        if self._closed:
            return
        self._closed = True
        if not self.opened.called:
            self.opened.errback(_unfinished(reason))
        elif reason.check(ConnectionDone):
            self._ears.gone(SERVER_CLOSED)
        else:
            self._ears.gone(f"connection lost: {reason.getErrorMessage()}".rstrip("."))

    def close(self) -> None:
        """See :class:`IRoad`; once is enough, and what has ended by itself is over (TLS would raise)."""
        over, self._closed = self._closed, True
        if self.transport is not None and not over:
            # Nothing that is on its way matters any more, and a server may keep a closed connection for long.
            self._transport.abortConnection()

    def pause(self) -> None:
        """Read nothing more for now."""
        self._transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        self._transport.resumeProducing()

    def feed(self, producer: Any) -> None:
        """Have an ``IPushProducer`` told when to send no more for now, as the server takes nothing, and when to go on."""
        self._transport.registerProducer(producer, True)

    @property
    def _transport(self) -> Any:
        return self.transport


def _unfinished(reason: Failure) -> Failure:
    """Why a connection ended that was made and not open yet: where the server has gone, another one may do better."""
    if reason.check(ConnectionDone, ConnectionLost):
        return Failure(ConnectionGone("the server closed the connection during the TLS handshake"))
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

    def open(self, ears: IEars) -> Deferred[StreamRoad]:
        """See :class:`ITarget`."""
        road = StreamRoad(ears, self.size, self._now)
        factory: Any = Factory.forProtocol(lambda: road)
        connecting = self.endpoint.connect(factory)
        connecting.addErrback(road.opened.errback)

        def cancel(_: object) -> None:
            road.close()
            connecting.cancel()

        opened: Deferred[StreamRoad] = Deferred(cancel)
        road.opened.chainDeferred(opened)
        return opened
