"""
What every stream service shares: backpressure, half-close, endings, deadlines and the drain.

:class:`StreamProtocol` and :class:`StreamFactory` are subclassed by the services
(:mod:`echoproto.echo`, :mod:`echoproto.greeting`) and know nothing of what is answered. They
run over any stream transport of Twisted: TCP, UNIX sockets, TLS.

A connection goes through these stages::

    OPEN ──the client's FIN────────────────────▶ FLUSHING ──queue empty──▶ over
      └──finish(), our FIN──▶ LINGERING ──the client's FIN, or its silence──▶ over

    LINGERING and FLUSHING ──deadline──▶ aborted

*Nothing is lost at an ending.* A protocol that is no ``IHalfCloseableProtocol`` is closed by
Twisted at the client's FIN with its queue unsent; and a socket closed with unread input makes
the kernel send a reset that destroys what is in flight (RFC 9293 section 3.6.1, RFC 2525
section 2.17). So after the client's FIN we flush, then close; and to end it ourselves we send
our FIN, then discard what comes until the client's.

*Deadlines* are kept by one sweep over all connections of a factory (:mod:`echoproto.sweep`), never by a
timer per connection or per message.

``twisted.protocols.policies`` is not used for any of it: its wrappers relay no half-close.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.observer import ConnectionSummary, Ending, IObserver, Silent
from echoproto.sendqueue import unsentBytes
from echoproto.sweep import DRAIN_TIMEOUT, ISwept, Sweep

#: Seconds after the client's FIN in which its kernel takes nothing of what is still queued, until the
#: connection is aborted (nginx: ``send_timeout`` 60 s, likewise between two steps forward).
FLUSH_TIMEOUT = 60.0

#: Seconds from our FIN until the client's must come, or the connection is aborted
#: (nginx: ``lingering_time`` 30 s).
LINGER_TIMEOUT = 30.0

#: Seconds without a byte after our FIN, all that we sent being taken, until we wait no longer for
#: the client's (nginx: ``lingering_timeout`` 5 s).
LINGER_SILENCE = 5.0

#: Seconds without a byte after which a draining connection is taken to have said all:
#: longer than a round trip round the world, shorter than an operator notices.
DRAIN_SILENCE = 0.5


class Stage(Enum):
    """How far a connection has come; see the drawing in the module's docstring."""

    OPEN = "open"
    LINGERING = "lingering"
    FLUSHING = "flushing"


def canHalfClose(transport: Any) -> bool:
    """Whether ``transport`` can end its own direction alone. TLS cannot: it has close_notify instead."""
    return hasattr(transport, "loseWriteConnection") and not ISSLTransport.providedBy(transport)


@implementer(IHalfCloseableProtocol, IPushProducer, ISwept)
class StreamProtocol(Protocol):
    """
    One connection to a stream service. Subclasses implement ``dataReceived``: count the bytes in
    :attr:`bytesReceived`, and answer only while not :attr:`discarding`.

    It is the producer of its own transport: while more than 64 KiB wait to be sent, nothing more is
    read. So a client that never reads costs bounded memory, and one that sends everything
    before it reads anything stalls once the buffers of both kernels are full.

    :ivar bytesReceived: bytes taken from the client so far.
    :ivar discarding: true once our FIN is under way: what still comes is not answered.
    :ivar stage: how far the connection has come.
    """

    factory: StreamFactory
    bytesReceived = 0
    discarding = False
    stage = Stage.OPEN

    _ending: Ending | None = None
    _paused = False
    _closingSince = 0.0
    _quietSince = 0.0
    _atSweep = (0, 0)

    @property
    def bytesSent(self) -> int:
        """Bytes handed to the transport so far."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        """Set the socket's options, begin backpressure and tell the factory."""
        transport: Any = self.transport
        if getattr(transport.getHost(), "type", None) == "TCP" and hasattr(
            transport, "setTcpNoDelay"
        ):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self._openedAt = self._quietSince = self.factory.clock.seconds()
        self.factory.opened(self)

    # IPushProducer: called by the transport as its queue fills and empties.

    def pauseProducing(self) -> None:
        """Read nothing more until the queue is sent."""
        self._paused = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    # IHalfCloseableProtocol

    def readConnectionLost(self) -> None:
        """The client's FIN: every byte it sent has been received. Flush, then close."""
        # Unregistered first: a transport with a paused producer never closes (twisted#6461).
        self._transport.unregisterProducer()
        self._beginClosing(Stage.FLUSHING)
        self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our FIN has been sent; nothing more to do until the client's."""

    def finish(self) -> None:
        """Send what is queued, then our FIN; discard what the client still sends until its FIN."""
        if self.stage is not Stage.OPEN:
            return
        self.discarding = True
        self._transport.unregisterProducer()
        self._beginClosing(Stage.LINGERING)
        if self._paused:
            self.resumeProducing()
        if canHalfClose(self._transport):
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def _beginClosing(self, stage: Stage) -> None:
        self.stage = stage
        self._closingSince = self._quietSince = self.factory.clock.seconds()
        self._atSweep = (self.bytesReceived, 0)

    def beginDrain(self) -> None:
        """We are stopping: count the client's silence from now on."""
        self._quietSince = self.factory.clock.seconds()

    def sweep(self, now: float) -> None:
        """Keep the deadlines; see :class:`~echoproto.sweep.ISwept`."""
        unsent = 0 if self.stage is Stage.OPEN else self.factory.unsentBytes(self.transport)
        if self._paused or self._atSweep != (self.bytesReceived, unsent):
            self._atSweep = (self.bytesReceived, unsent)
            self._quietSince = now
        quiet = now - self._quietSince
        if self.stage is Stage.OPEN:
            if self.factory.sweep.draining and quiet >= DRAIN_SILENCE:
                self._ending = Ending.DRAINED
                self.finish()
        elif self.stage is Stage.FLUSHING:
            if quiet >= FLUSH_TIMEOUT:
                self.abort()
        elif now - self._closingSince >= LINGER_TIMEOUT:
            self.abort()
        elif quiet >= LINGER_SILENCE and not unsent:
            self._stopLingering()

    def _stopLingering(self) -> None:
        """The client has all that we sent, and says nothing: wait no longer for its FIN."""
        self._ending = self._ending or Ending.FINISHED
        if canHalfClose(self._transport):
            self._transport.loseConnection()
        else:
            # Under TLS loseConnection() was the beginning of the end; only this is the end.
            self._transport.abortConnection()

    def abort(self) -> None:
        """Cut the connection: a deadline has passed."""
        self._ending = Ending.ABORTED
        self._transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over; tell the factory how it ended."""
        if self._ending is None:
            self._ending = Ending.FINISHED if reason.check(ConnectionDone) else Ending.LOST
        self.factory.closed(self, self._summary(self._ending))

    def _summary(self, ending: Ending) -> ConnectionSummary:
        return ConnectionSummary(
            peer=self._transport.getPeer(),
            ending=ending,
            seconds=self.factory.clock.seconds() - self._openedAt,
            bytesReceived=self.bytesReceived,
            bytesSent=self.bytesSent,
        )

    @property
    def _transport(self) -> Any:
        # Transports offer more than any one interface of theirs declares.
        return self.transport


class StreamFactory(Factory):
    """
    Builds the protocols of one stream service on one listener, and drains them.

    :param clock: keeps the deadlines; the reactor, or a ``Clock`` in tests.
    :param observer: is told of openings and endings.
    :ivar unsentBytes: tells how much of a transport's bytes the client has not taken; replaced in tests.
    :ivar sweep: the protocols whose connections are open, and their drain.
    """

    noisy = False
    protocol: Any = None

    def __init__(self, clock: IReactorTime, observer: IObserver | None = None) -> None:
        self.clock = clock
        self.observer: IObserver = observer if observer is not None else Silent()
        self.unsentBytes: Callable[[Any], int] = unsentBytes
        self.sweep = Sweep(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A protocol for a new connection; ``None``, which closes it, while draining."""
        return None if self.sweep.draining else super().buildProtocol(addr)

    def opened(self, connection: StreamProtocol) -> None:
        """Called by a protocol whose connection is made."""
        self.sweep.add(connection)
        self.observer.connectionOpened(cast(Any, connection.transport).getPeer())

    def closed(self, connection: StreamProtocol, summary: ConnectionSummary) -> None:
        """Called by a protocol whose connection is over."""
        try:
            self.observer.connectionEnded(summary)
        finally:
            self.sweep.remove(connection)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Take no new connections and let the open ones finish: each is served until its client's FIN, or
        until it has been silent for :data:`DRAIN_SILENCE` seconds; then it gets our FIN.

        :param timeout: seconds after which what is still open is aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        return self.sweep.drain(timeout)
