"""TLS over another stream transport: the handshake, received data, and the end of input."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.transports.tlstransport import TLSTransport


# IHalfCloseableProtocol, because otherwise the TCP transport answers a FIN by dropping its queue.
@implementer(IHalfCloseableProtocol)
class TLSStream(TLSTransport):
    """
    The transport of the wrapped protocol, and the protocol of another stream transport.

    *The end of input* is the peer's close_notify, or a FIN without one. The latter may be a
    truncation on the path, and the wrapped protocol cannot distinguish them: an echo returns the
    received data, and a protocol that depends on the end must mark it in its own data. At the end
    of input the wrapped protocol's ``readConnectionLost`` is called once, after all data, and it
    may continue to write. If it does not provide ``IHalfCloseableProtocol``, the connection is
    closed once all its data is sent.

    A failed handshake ends in ``connectionLost`` with ``ssl.SSLError`` or ``ConnectionLost``.

    :param factory: the factory that has built it.
    :param wrapped: the wrapped protocol.
    """

    # A TLSStreamFactory, whose module imports this one.
    factory: Any

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(wrapped)
        self.factory = factory
        # Whether records are received and not handled; the call that handles them.
        self._hasMore = False
        self._next: IDelayedCall | None = None
        # Whether the wrapped protocol, or our own full queue, has paused reading.
        self._isPaused = False

    def makeConnection(self, transport: ITransport) -> None:
        """Begin TLS."""
        try:
            self._engine = self.factory.makeEngine()
        except (OSError, MemoryError):
            self._reason = Failure()
            # Data may have been received already, with a PROXY header.
            self.dataReceived = lambda data: None  # type: ignore[method-assign]
        Protocol.makeConnection(self, transport)

    def connectionMade(self) -> None:
        """Connect the wrapped protocol, and begin the handshake."""
        self.wrappedProtocol.makeConnection(self)
        if self._reason is None:
            self._continueHandshake(b"")
        else:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Decrypt ``data``, and deliver it; or continue the handshake."""
        engine = self._engine
        if self._hasMore:
            engine.undecrypted += data
            return
        if not engine.isSecured:
            self._continueHandshake(data)
            return
        records = engine.decrypt(data)
        # Answers to requests for new keys, which must precede what is written, and an alert.
        if engine.outgoing.pending:
            self._flush()
        if engine.error is not None:
            self._isOpen = False
        # After loseConnection() TCP delivers nothing either.
        if records and not (self.disconnecting or self._isLost):
            self.wrappedProtocol.dataReceived(records)
        if engine.undecrypted or engine.endReceived or engine.error is not None:
            self._afterRecords()

    def readConnectionLost(self) -> None:
        """The peer's FIN: the end of input, and of an incomplete handshake."""
        if self._isSecured:
            self._endInput()
        else:
            self._fail(Failure(ConnectionLost()))

    def writeConnectionLost(self) -> None:
        """Never called: we send no FIN before the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection below is gone."""
        self._isLost, self._isOpen = True, False
        if self._next is not None:
            self._next.cancel()
        if not self._isSecured:
            self._stopProducer()
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        wrapped.connectionLost(self._reason or reason)

    def pauseProducing(self) -> None:
        """
        Deliver nothing until :meth:`resumeProducing`, except what is being handled; the handshake
        continues.
        """
        self._isPaused = True
        if self._isSecured:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._isPaused = False
        if self._hasMore:
            self._scheduleRest()
        else:
            self.transport.resumeProducing()

    def _continueHandshake(self, data: bytes) -> None:
        engine = self._engine
        engine.handshake(data)
        if engine.error is not None:
            self._fail(Failure(engine.error))
            return
        self._flush()
        if engine.isSecured:
            self._handshakeCompleted()
            if engine.undecrypted and not (self._hasMore or self._isLost):
                self.dataReceived(b"")
        elif engine.hasRecords:
            self._pauseForTurn()

    def _handshakeCompleted(self) -> None:
        self._beginOutput()
        if not self.disconnecting and IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        if self._isPaused:
            self._hasMore = True
            self.transport.pauseProducing()

    def _afterRecords(self) -> None:
        """Handle what follows the delivered records: an error, the end of input, or more."""
        engine = self._engine
        if self._isLost:
            return
        if engine.error is not None:
            self._fail(Failure(engine.error))
        elif engine.endReceived:
            if self._isPaused:
                self._hasMore = True
            else:
                self._endInput()
        elif engine.hasRecords and not self._hasMore:
            self._pauseForTurn()

    def _pauseForTurn(self) -> None:
        """Let other connections have their turns; meanwhile receive no more."""
        self._hasMore = True
        self.transport.pauseProducing()
        self._scheduleRest()

    def _scheduleRest(self) -> None:
        if self._next is None:
            self._next = self.factory.clock.callLater(0, self._handleRest)

    def _handleRest(self) -> None:
        self._next = None
        if self._isPaused:
            return
        self._hasMore = False
        self.dataReceived(b"")
        if not (self._hasMore or self._isPaused):
            self.transport.resumeProducing()

    def _endInput(self) -> None:
        if self._inputEnded or self.disconnecting or self._isLost:
            return
        self._inputEnded = True
        halfCloseable = IHalfCloseableProtocol.providedBy(self.wrappedProtocol)
        if halfCloseable:
            self.wrappedProtocol.readConnectionLost()
        if self._closeNotifySent or not halfCloseable:
            self.loseConnection()
