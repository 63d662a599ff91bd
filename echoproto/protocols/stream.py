"""
What every stream service shares: backpressure, half-close, endings, deadlines and the drain.

:class:`StreamProtocol` and :class:`StreamFactory` are subclassed by the services
(:mod:`echoproto.protocols.echo`, :mod:`echoproto.protocols.greeting`) and know nothing of what is answered. They
run over any stream transport of Twisted: TCP, UNIX sockets, TLS.

A connection goes through these stages::

    SECURING ──TLS handshake──▶ OPEN ──the client's FIN────────────────────▶ FLUSHING ──queue empty──▶ over
                                 └──finish(), our FIN──▶ LINGERING ──the client's FIN, or its silence──▶ over

    every one of them ──deadline──▶ aborted

*Nothing is lost at an ending.* A protocol that is no ``IHalfCloseableProtocol`` is closed by
Twisted at the client's FIN with its queue unsent; and a socket closed with unread input makes
the kernel send a reset that destroys what is in flight (RFC 9293 section 3.6.1, RFC 2525
section 2.17). So after the client's FIN we flush, then close; and to end it ourselves we send
our FIN, then discard what comes until the client's.

*Timeouts* (:mod:`echoproto.protocols.timeouts`) are kept by one sweep over all connections of a factory
(:mod:`echoproto.protocols.connections`), never by a timer per connection or per message. *Admission*
(:mod:`echoproto.protocols.admission`) is asked before a protocol is built.

``twisted.protocols.policies`` is not used for any of it: its wrappers relay no half-close.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.addresses import numericHost
from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.connections import DRAIN_TIMEOUT, ConnectionTracker, ITrackedConnection
from echoproto.protocols.observer import CloseReason, ConnectionSummary, IObserver, NullObserver
from echoproto.protocols.sendqueue import unsentBytes
from echoproto.protocols.timeouts import Timeouts

#: Seconds without a byte after our FIN, all that we sent being taken, until we wait no longer for
#: the client's (nginx: ``lingering_timeout`` 5 s).
LINGER_SILENCE = 5.0

#: Seconds without a byte after which a draining connection is taken to have said all:
#: longer than a round trip round the world, shorter than an operator notices.
DRAIN_SILENCE = 0.5

#: Seconds that a draining connection has for its TLS handshake, of which bytes are not seen here: some round trips.
DRAIN_HANDSHAKE = 2.0


class Stage(Enum):
    """How far a connection has come; see the drawing in the module's docstring."""

    SECURING = "securing"
    OPEN = "open"
    LINGERING = "lingering"
    FLUSHING = "flushing"


def canHalfClose(transport: Any) -> bool:
    """
    Whether ``transport`` can end its own direction alone. Twisted's TLS transports cannot: theirs is the method of
    the transport beneath them. :class:`echoproto.transports.tls.TLSStream` can.
    """
    return hasattr(type(transport), "loseWriteConnection")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer, ITrackedConnection)
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
    :ivar peer: the client's address, as the factory was told: the transport's, or what a trusted proxy has announced.
    """

    factory: StreamFactory
    peer: IAddress | None = None
    bytesReceived = 0
    discarding = False
    stage = Stage.OPEN

    _ending: CloseReason | None = None
    _refusal: Refusal | None = None
    _paused = False
    _closingSince = 0.0
    _quietSince = 0.0
    _receivedAtSweep = 0
    # What the client's kernel had not taken at the last look; stays 0 until something is received.
    _unsent = 0

    @property
    def bytesSent(self) -> int:
        """Bytes handed to the transport so far."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        """Set the socket's options, begin backpressure and tell the factory."""
        transport: Any = self.transport
        # Read and written for every message: an instance's own attribute is found faster than its class's.
        self.bytesReceived, self.discarding = 0, False
        self._openedAt = self._quietSince = self.factory.clock.seconds()
        self.factory.checkTimeouts.add(self)
        transport.registerProducer(self, True)
        # Of the peer, whose address the transport knows; the host's it would ask the kernel for.
        if getattr(transport.getPeer(), "type", None) == "TCP" and hasattr(
            transport, "setTcpNoDelay"
        ):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        if ISSLTransport.providedBy(transport):
            self.stage = Stage.SECURING
        else:
            self._open()

    # IHandshakeListener

    def handshakeCompleted(self) -> None:
        """The TLS handshake is done."""
        self._quietSince = self.factory.clock.seconds()
        self._open()

    def _open(self) -> None:
        self.stage = Stage.OPEN
        self.factory.observer.connectionOpened(self.peer)

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

    def beginDrain(self) -> None:
        """We are stopping: count the client's silence from now on."""
        self._quietSince = self.factory.clock.seconds()

    def checkTimeouts(self, now: float) -> None:
        """Keep the deadlines; see :class:`~echoproto.protocols.connections.ITrackedConnection`."""
        self._noteProgress(now)
        quiet = now - self._quietSince
        if self.stage is Stage.OPEN:
            self._sweepOpen(quiet)
        elif self.stage is Stage.FLUSHING:
            self._sweepFlushing(quiet, now - self._closingSince)
        elif self.stage is Stage.LINGERING:
            self._sweepLingering(quiet, now - self._closingSince)
        elif self._handshakeIsLate(now, quiet):
            self._refusal = Refusal.LATE_HANDSHAKE
            self._transport.abortConnection()

    def _noteProgress(self, now: float) -> None:
        """The connection is quiet while no byte comes, and none of ours is taken by the client's kernel."""
        received = self.bytesReceived
        # An open connection sends only what it was sent, so the kernel need not be asked about a silent one.
        if (
            received == self._receivedAtSweep
            and not (self._unsent or self._paused)
            and self.stage is Stage.OPEN
        ):
            return
        unsent = self.factory.unsentBytes(self.transport)
        if (received, unsent) != (self._receivedAtSweep, self._unsent):
            self._receivedAtSweep, self._unsent = received, unsent
            self._quietSince = now

    def _handshakeIsLate(self, now: float, quiet: float) -> bool:
        if self.factory.checkTimeouts.draining and quiet >= DRAIN_HANDSHAKE:
            return True
        return now - self._openedAt >= self.factory.deadlines.handshake

    def _sweepOpen(self, quiet: float) -> None:
        if self._paused or self._unsent:
            if quiet >= self.factory.deadlines.stall:
                self.abort(CloseReason.STALLED)
        elif self.factory.checkTimeouts.draining and quiet >= DRAIN_SILENCE:
            self._ending = CloseReason.DRAINED
            self.finish()
        elif quiet >= self.factory.deadlines.idle:
            self._ending = CloseReason.IDLE
            self.finish()

    def _sweepFlushing(self, quiet: float, closing: float) -> None:
        if quiet >= self.factory.deadlines.stall:
            self.abort(CloseReason.STALLED)
        elif closing >= self.factory.deadlines.close:
            self.abort()

    def _sweepLingering(self, quiet: float, closing: float) -> None:
        if closing >= self.factory.deadlines.linger:
            self.abort()
        elif quiet >= LINGER_SILENCE and not self._unsent:
            self._stopLingering()

    def _stopLingering(self) -> None:
        """The client has all that we sent, and says nothing: wait no longer for its FIN."""
        self._ending = self._ending or CloseReason.FINISHED
        if canHalfClose(self._transport):
            self._transport.loseConnection()
        else:
            # Under TLS loseConnection() was the beginning of the end; only this is the end.
            self._transport.abortConnection()

    def abort(self, ending: CloseReason = CloseReason.ABORTED) -> None:
        """
        Cut the connection: a deadline has passed.

        :param ending: why, unless we were ending it for some other reason already.
        """
        self._ending = self._ending or ending
        self._transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over; tell the factory how it ended."""
        if self._ending is None:
            done = isinstance(reason.value, ConnectionDone)
            self._ending = CloseReason.FINISHED if done else CloseReason.LOST
        try:
            if self.stage is Stage.SECURING:
                refusal = self._refusal or Refusal.NO_HANDSHAKE
                self.factory.observer.connectionRefused(self.peer, refusal.value)
            else:
                self.factory.observer.connectionEnded(self._summary(self._ending))
        finally:
            self.factory.closed(self)

    def _summary(self, ending: CloseReason) -> ConnectionSummary:
        return ConnectionSummary(
            peer=self.peer,
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
    :param observer: is told of openings, endings and refusals.
    :param admission: decides who is served; everybody where none is given.
    :param deadlines: how long a connection may take for what.
    :ivar unsentBytes: tells how much of a transport's bytes the client has not taken; replaced in tests.
    :ivar sweep: the protocols whose connections are open, and their drain.
    """

    noisy = False
    protocol: Any = None

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: ConnectionAdmission | None = None,
        deadlines: Timeouts | None = None,
    ) -> None:
        self.clock = clock
        self.observer: IObserver = observer if observer is not None else NullObserver()
        self.admission = admission if admission is not None else ConnectionAdmission(clock.seconds)
        self.deadlines = deadlines if deadlines is not None else Timeouts()
        self.unsentBytes: Callable[[Any], int] = unsentBytes
        self.checkTimeouts = ConnectionTracker(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        A protocol for a new connection; ``None``, which closes it, while draining or where it is refused.

        :param addr: the client's address, as the transport or a trusted proxy tells it.
        """
        if self.checkTimeouts.draining:
            return None
        refusal = self.admission.admit(numericHost(addr))
        if refusal is not None:
            self.observer.connectionRefused(addr, refusal.value)
            return None
        protocol: Any = super().buildProtocol(addr)
        protocol.peer = addr
        return protocol

    def closed(self, connection: StreamProtocol) -> None:
        """Called by a protocol whose connection is over."""
        self.admission.release(numericHost(connection.peer))
        self.checkTimeouts.remove(connection)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Take no new connections and let the open ones finish: each is served until its client's FIN, or
        until it has been silent for :data:`DRAIN_SILENCE` seconds; then it gets our FIN.

        :param timeout: seconds after which what is still open is aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        return self.checkTimeouts.drain(timeout)
