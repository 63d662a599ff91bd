"""
The common part of all stream services: backpressure, half-close, orderly closing, timeouts and the
drain.

:class:`StreamProtocol` and :class:`StreamFactory` are the base classes of the services
(:mod:`echoproto.protocols.echo`, :mod:`echoproto.protocols.greeting`), and of services of your own.
They run over any stream transport of Twisted: TCP, UNIX sockets, TLS.

A connection goes through these stages::

    SECURING ──TLS handshake──▶ OPEN ──client's FIN──▶ FLUSHING ──queue empty──▶ closed
                                 └──our FIN──▶ LINGERING ──client's FIN or silence──▶ closed

    any of them ──timeout──▶ aborted

*No data is lost at the end.* Twisted closes a protocol that is no ``IHalfCloseableProtocol`` at the
client's FIN, with its queue unsent; and closing a socket with unread input makes the kernel send a
reset that destroys data in flight (RFC 9293 section 3.6.1, RFC 2525 section 2.17). So after the
client's FIN we flush, then close; and to close first we send our FIN, then discard input until the
client's FIN.

*Timeouts* (:mod:`echoproto.protocols.timeouts`) are checked periodically for all connections of a
factory (:mod:`echoproto.protocols.connections`), not by a timer per connection or message.
*Admission* (:mod:`echoproto.protocols.admission`) is decided before a protocol is built.

``twisted.protocols.policies`` is not used: its wrappers do not relay half-close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

from echoproto.addresses import numericHost, peerUID
from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.connections import DRAIN_TIMEOUT, ConnectionTracker, ITrackedConnection
from echoproto.protocols.observer import CloseReason, ConnectionSummary, IObserver, NullObserver
from echoproto.protocols.sendqueue import unsentBytes
from echoproto.protocols.socketoptions import setConnectionOptions
from echoproto.protocols.timeouts import Timeouts

#: Seconds of silence after our FIN, when the client has received everything, until we no longer
#: wait for its FIN (nginx: ``lingering_timeout`` 5 s).
LINGER_SILENCE = 5.0

#: Seconds of silence after which a draining connection counts as finished: longer than a round trip
#: around the world, shorter than an operator notices.
DRAIN_SILENCE = 0.5

#: Seconds that a draining connection has for its TLS handshake, whose bytes are not visible here:
#: some round trips.
DRAIN_HANDSHAKE = 2.0


class Stage(Enum):
    """The stage of a connection; see the diagram in the module's docstring."""

    SECURING = "securing"
    OPEN = "open"
    LINGERING = "lingering"
    FLUSHING = "flushing"


def canHalfClose(transport: object) -> bool:
    """
    Whether ``transport`` can close its own direction alone. Twisted's TLS transports cannot: their
    method is that of the transport below them. :class:`echoproto.transports.tls.TLSStream` can.
    """
    return hasattr(type(transport), "loseWriteConnection")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer, ITrackedConnection)
class StreamProtocol(Protocol):
    """
    One connection to a stream service. A subclass implements ``dataReceived``: it adds the length
    of the data to :attr:`bytesReceived`, which the timeouts need, and replies with :meth:`send`::

        class UppercaseProtocol(StreamProtocol):
            def dataReceived(self, data: bytes) -> None:
                self.bytesReceived += len(data)
                self.send(data.upper())


        class UppercaseFactory(StreamFactory):
            protocol = UppercaseProtocol

    A subclass that calls ``transport.write`` itself must not do so while :attr:`discarding`, and
    overrides :attr:`bytesSent`.

    It is the producer of its own transport: while more than 64 KiB are queued, nothing is read. So
    a client that never reads costs bounded memory, and a client that sends everything before it
    reads anything stalls when the buffers of both kernels are full.

    :ivar bytesReceived: bytes received from the client so far.
    :ivar discarding: true when our FIN is on its way: further input is not answered.
    :ivar stage: the stage of the connection.
    :ivar peer: the client's address: that of the transport, or the one announced by a trusted
        proxy.
    """

    factory: StreamFactory
    # Transports offer more than any single interface declares.
    transport: Any
    peer: IAddress | None = None
    bytesReceived = 0
    discarding = False
    stage = Stage.OPEN

    _ending: CloseReason | None = None
    _refusal: Refusal | None = None
    _paused = False
    _bytesSent = 0
    _closingSince = 0.0
    _quietSince = 0.0
    _receivedAtCheck = 0
    # Bytes that the client's kernel had not acknowledged at the last check; stays 0 until data is
    # received.
    _unsent = 0

    @property
    def bytesSent(self) -> int:
        """Bytes given to the transport so far."""
        return self._bytesSent

    def send(self, data: bytes) -> None:
        """Write ``data`` to the transport and count it; after :meth:`finish`, drop it."""
        if not self.discarding:
            self._bytesSent += len(data)
            self.transport.write(data)

    def connectionMade(self) -> None:
        """Set socket options, start backpressure, and report the connection to the factory."""
        transport = self.transport
        # Read and written for every message: an attribute of the instance is found faster than one
        # of the class.
        self.bytesReceived, self.discarding = 0, False
        # An attribute that is set first when there are many connections triples the memory of
        # attributes of all of them: Python stores the later ones of a class in a way of its own.
        self._receivedAtCheck = self._unsent = 0
        self._openedAt = self._quietSince = self.factory.clock.seconds()
        self.factory.tracker.add(self)
        transport.registerProducer(self, True)
        setConnectionOptions(transport)
        if ISSLTransport.providedBy(transport):
            self.stage = Stage.SECURING
        else:
            self._open()

    # IHandshakeListener

    def handshakeCompleted(self) -> None:
        """The TLS handshake is complete."""
        self._quietSince = self.factory.clock.seconds()
        self._open()

    def _open(self) -> None:
        self.stage = Stage.OPEN
        self.factory.observer.connectionOpened(self.peer)

    # IPushProducer: called by the transport as its queue fills and empties.

    def pauseProducing(self) -> None:
        """Stop reading until the queue is sent."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    # IHalfCloseableProtocol

    def readConnectionLost(self) -> None:
        """The client's FIN: all its data has been received. Flush, then close."""
        # Unregister first: a transport with a paused producer never closes (twisted#6461).
        self.transport.unregisterProducer()
        self._beginClosing(Stage.FLUSHING)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our FIN has been sent; wait for the client's."""

    def finish(self) -> None:
        """Send the queue, then our FIN; discard further input until the client's FIN."""
        if self.stage is not Stage.OPEN:
            return
        self.discarding = True
        self.transport.unregisterProducer()
        self._beginClosing(Stage.LINGERING)
        if self._paused:
            self.resumeProducing()
        if canHalfClose(self.transport):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _beginClosing(self, stage: Stage) -> None:
        self.stage = stage
        self._closingSince = self._quietSince = self.factory.clock.seconds()

    def beginDrain(self) -> None:
        """The server stops: count the client's silence from now on."""
        self._quietSince = self.factory.clock.seconds()

    def checkTimeouts(self, now: float) -> None:
        """Check the timeouts; see :class:`~echoproto.protocols.connections.ITrackedConnection`."""
        self._noteProgress()
        quiet = now - self._quietSince
        if self.stage is Stage.OPEN:
            self._checkOpen(quiet)
        elif self.stage is Stage.FLUSHING:
            self._checkFlushing(quiet, now - self._closingSince)
        elif self.stage is Stage.LINGERING:
            self._checkLingering(quiet, now - self._closingSince)
        elif self._handshakeIsLate(now, quiet):
            self._refusal = Refusal.LATE_HANDSHAKE
            self.transport.abortConnection()

    def _noteProgress(self) -> None:
        """
        The connection is quiet while no byte arrives and the client's kernel acknowledges none of
        ours.
        """
        received = self.bytesReceived
        # An echo connection sends only replies, so the kernel need not be asked about a silent one.
        if (
            received == self._receivedAtCheck
            and not (self._unsent or self._paused)
            and self.stage is Stage.OPEN
        ):
            return
        unsent = self.factory.unsentBytes(self.transport)
        if (received, unsent) != (self._receivedAtCheck, self._unsent):
            self._receivedAtCheck, self._unsent = received, unsent
            self._quietSince = self.factory.clock.seconds()

    def _handshakeIsLate(self, now: float, quiet: float) -> bool:
        if self.factory.tracker.draining and quiet >= DRAIN_HANDSHAKE:
            return True
        return now - self._openedAt >= self.factory.timeouts.handshake

    def _checkOpen(self, quiet: float) -> None:
        if self._paused or self._unsent:
            if quiet >= self.factory.timeouts.stall:
                self.abort(CloseReason.STALLED)
        elif self.factory.tracker.draining and quiet >= DRAIN_SILENCE:
            self._ending = CloseReason.DRAINED
            self.finish()
        elif quiet >= self.factory.timeouts.idle:
            self._ending = CloseReason.IDLE
            self.finish()

    def _checkFlushing(self, quiet: float, closing: float) -> None:
        if quiet >= self.factory.timeouts.stall:
            self.abort(CloseReason.STALLED)
        elif closing >= self.factory.timeouts.close:
            self.abort()

    def _checkLingering(self, quiet: float, closing: float) -> None:
        if closing >= self.factory.timeouts.linger:
            self.abort()
        elif quiet >= LINGER_SILENCE and not self._unsent:
            self._stopLingering()

    def _stopLingering(self) -> None:
        """The client has received everything and is silent: wait no longer for its FIN."""
        self._ending = self._ending or CloseReason.FINISHED
        if canHalfClose(self.transport):
            self.transport.loseConnection()
        else:
            # Under TLS loseConnection() only begins to close; this closes.
            self.transport.abortConnection()

    def abort(self, ending: CloseReason = CloseReason.ABORTED) -> None:
        """
        Reset the connection: a timeout has passed.

        :param ending: the close reason, unless closing had begun for another reason.
        """
        self._ending = self._ending or ending
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended; report it to the factory."""
        if self._ending is None:
            self._ending = self._endedByClient(reason)
        try:
            if self.stage is Stage.SECURING:
                refusal = self._refusal or Refusal.NO_HANDSHAKE
                self.factory.observer.connectionRefused(self.peer, refusal.value)
            else:
                self.factory.observer.connectionEnded(self._summary(self._ending))
        finally:
            self.factory.closed(self)

    def _endedByClient(self, reason: Failure) -> CloseReason:
        if not (self.bytesReceived or self.bytesSent):
            return CloseReason.UNUSED
        isOrderly = isinstance(reason.value, ConnectionDone)
        return CloseReason.FINISHED if isOrderly else CloseReason.LOST

    def _summary(self, ending: CloseReason) -> ConnectionSummary:
        return ConnectionSummary(
            peer=self.peer,
            ending=ending,
            seconds=self.factory.clock.seconds() - self._openedAt,
            bytesReceived=self.bytesReceived,
            bytesSent=self.bytesSent,
        )


@implementer(IAddress)
@dataclass(frozen=True)
class TrustedPeer:
    """
    A peer that is served whatever networks are allowed: a trusted proxy, which checks the server.

    :ivar address: its address.
    """

    address: IAddress | None


class StreamFactory(Factory):
    """
    Builds the protocols of one stream service on one listener, and drains them.

    :param clock: measures the timeouts; the reactor, or a ``Clock`` in tests.
    :param observer: receives openings, closings and refusals.
    :param admission: decides which clients are served; all of them by default.
    :param timeouts: the timeouts.
    :ivar unsentBytes: returns the unacknowledged bytes of a transport; replaced in tests.
    :ivar tracker: the protocols of open connections, and their drain.
    """

    noisy = False
    protocol: Any = None

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: ConnectionAdmission | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.clock = clock
        self.observer: IObserver = observer if observer is not None else NullObserver()
        self.admission = admission if admission is not None else ConnectionAdmission(clock.seconds)
        self.timeouts = timeouts if timeouts is not None else Timeouts()
        self.unsentBytes: Callable[[Any], int] = unsentBytes
        self.tracker = ConnectionTracker(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        A protocol for a new connection; ``None``, which closes it, while draining or if it is
        refused.

        :param addr: the client's address, that of the transport or the one announced by a trusted
            proxy; or a :class:`TrustedPeer`.
        """
        if self.tracker.draining:
            return None
        isTrusted = isinstance(addr, TrustedPeer)
        if isinstance(addr, TrustedPeer):
            addr = addr.address
        refusal = self.admission.admit(numericHost(addr), peerUID(addr), isTrusted)
        if refusal is not None:
            self.observer.connectionRefused(addr, refusal.value)
            return None
        protocol: Any = super().buildProtocol(addr)
        protocol.peer = addr
        return protocol

    def closed(self, connection: StreamProtocol) -> None:
        """Called by a protocol whose connection has ended."""
        self.admission.release(numericHost(connection.peer), peerUID(connection.peer))
        self.tracker.remove(connection)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Refuse new connections and let the open ones finish: each is served until its client's FIN,
        or until it has been silent for :data:`DRAIN_SILENCE` seconds; then it gets our FIN.

        :param timeout: seconds after which the remaining connections are aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        return self.tracker.drain(timeout)
