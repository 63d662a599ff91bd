"""
The stages of a server's connection: half-close, orderly closing, timeouts and the drain::

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
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.connections import ITrackedConnection
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.streamfactory import DRAIN_SILENCE, StreamFactory

#: Seconds of silence after our FIN, when the client has received everything, until we no longer
#: wait for its FIN (nginx: ``lingering_timeout`` 5 s).
LINGER_SILENCE = 5.0

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
    method is that of the transport below them. Those of :mod:`echoproto.transports.tls` can.
    """
    return hasattr(type(transport), "loseWriteConnection")


@implementer(IHalfCloseableProtocol, IPushProducer, ITrackedConnection)
class ConnectionLifecycle(Protocol):
    """The part of :class:`~echoproto.protocols.stream.StreamProtocol` that ends a connection."""

    factory: StreamFactory
    # Transports offer more than any single interface declares.
    transport: Any
    bytesReceived = 0
    discarding = False
    stage = Stage.OPEN

    _ending: CloseReason | None = None
    _refusal: Refusal | None = None
    _paused = False
    _openedAt = 0.0
    _closingSince = 0.0
    _quietSince = 0.0
    _receivedAtCheck = 0
    # Bytes that the client's kernel had not acknowledged at the last check; stays 0 until data is
    # received.
    _unsent = 0

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
