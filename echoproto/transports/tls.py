"""
TLS that closes each direction separately, as TCP does, so that a stream service loses no data at
the end.

A close_notify closes the direction of its sender: "This does not have any effect on its read side
of the connection" (RFC 8446 section 6.1). TLS 1.2 demanded that pending data be discarded (RFC 5246
section 7.2.1), which 1.3 withdrew because it truncates; here both continue to write.

Twisted's TLS transports close both directions at once. At the peer's close_notify they discard
pending replies, at its FIN the queue. Their ``loseWriteConnection`` is that of TCP, a FIN without
close_notify. And a paused producer keeps them open for ever.

:class:`TLSStreamFactory` wraps the factory of a service::

    reactor.listenTCP(12345, TLSStreamFactory(certificateOptions, False, EchoFactory(reactor)))

It handles neither certificates nor time: the wrapped protocol resets a peer that takes too long. It
needs the extra ``tls`` (pyOpenSSL), so it is imported only if TLS is used.
"""

# Half of Twisted's TLS is untyped, and calls of inherited methods are not excluded as Twisted's.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet._producer_helpers import _PullToPush
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

#: Maximum bytes requested from OpenSSL at once: two of its records.
READ_SIZE = 2**15

#: Records of one connection that are handled in one turn of the reactor: about half a millisecond.
#: One receive may hold 11,000 records of one byte.
RECORDS_PER_TURN = 64


# IHalfCloseableProtocol, because otherwise the TCP transport answers a FIN by dropping its queue.
@implementer(IHalfCloseableProtocol)
class TLSStream(TLSMemoryBIOProtocol):
    """
    The transport of the wrapped protocol, and the protocol of a TCP (or UNIX) transport.

    *The end of input* is the peer's close_notify, or a FIN without one. The latter may be a
    truncation on the path, and the wrapped protocol cannot distinguish them: an echo returns the
    received data, and a protocol that depends on the end must mark it in its own data. At the end
    of input the wrapped protocol's ``readConnectionLost`` is called once, after all data, and it
    may continue to write. If it does not provide ``IHalfCloseableProtocol``, the connection is
    closed once all its data is sent.

    *The end of output* is our close_notify. No FIN follows until the connection is closed: it would
    add nothing for a TLS peer, and some take a FIN for the end of both directions.

    A failed handshake ends in ``connectionLost`` with ``OpenSSL.SSL.Error`` or ``ConnectionLost``.
    """

    # The peer's end; the request for ours; ours.
    _inputEnded = False
    _outputEnded = False
    _closeNotifySent = False

    # Whether records are received and not handled; the call that handles them.
    _hasMore = False
    _next: IDelayedCall | None = None
    # Whether the wrapped protocol, or our own full queue, has paused reading.
    _isPaused = False

    # The stock code types them as their first values, or as less than they offer.
    _producer: Any
    _reason: Any
    factory: TLSStreamFactory
    transport: Any
    wrappedProtocol: Any

    # As the transport of the wrapped protocol

    def write(self, data: bytes) -> None:
        """Send ``data``; dropped after the end of output."""
        # OpenSSL refuses it then, which the stock code takes for a broken connection.
        if not self._outputEnded:
            super().write(data)

    def loseWriteConnection(self) -> None:
        """
        Send the written data, then our close_notify; reading continues.

        Producers are not waited for. The wrapped protocol's ``writeConnectionLost`` is called
        before this returns, or when the handshake is complete. When the input ends too, the
        connection is closed.
        """
        # The stock method is that of the transport below.
        if not (self._outputEnded or self.disconnecting or self._lostTLSConnection):
            self._outputEnded = True
            # Reading continues, and OpenSSL answers requests for new keys (RFC 8446 section 4.6.3):
            # a peer that does not read the answers is not read.
            if self._producer is None:
                self.registerProducer(_ReadPauser(self), True)
            self._endOutput()

    def loseConnection(self) -> None:
        """
        Send the written data, then our close_notify, and close; nothing is received any more.

        A pull producer is waited for, as ``ITransport`` demands; a push producer is stopped. Before
        the handshake is complete, and with nothing written, the connection is aborted.
        """
        # The stock code waits for every producer to unregister; a paused one may never do so
        # (twisted#6461).
        if self._producer is not None and not isinstance(self._producer._producer, _PullToPush):
            self._stopProducer()
        super().loseConnection()

    def pauseProducing(self) -> None:
        """Deliver nothing until :meth:`resumeProducing`, except what is being handled."""
        self._isPaused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._isPaused = False
        if self._hasMore:
            self._scheduleRest()
        else:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Close: this is a producer whose consumer is gone."""
        # The stock method is that of the transport below: a FIN without close_notify.
        self.loseConnection()

    # As the protocol of the transport below

    def readConnectionLost(self) -> None:
        """The peer's FIN: the end of input, and of an incomplete handshake."""
        if self._handshakeDone:
            self._endInput()
        else:
            self._reason = Failure(ConnectionLost())
            self._tlsShutdownFinished(None)

    def writeConnectionLost(self) -> None:
        """Never called: we send no FIN before the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection below is gone."""
        # The stock code reads here again, with nothing left to read, to report that close_notify is
        # missing.
        self._lostTLSConnection = True
        if self._next is not None:
            self._next.cancel()
        super().connectionLost(reason)

    def _flushSendBIO(self) -> None:
        # All of it: the stock code takes 32 KiB and leaves the rest, invisible to backpressure,
        # until more is written.
        while True:
            try:
                data = self._tlsConnection.bio_read(READ_SIZE)
            except WantReadError:
                return
            self.transport.write(data)

    # The steps in which the stock code closes both directions

    def _flushReceiveBIO(self) -> None:
        # As in the stock code, except for the end of input, and for that of output if it waited for
        # the handshake.
        if self._outputEnded and not self._closeNotifySent:
            self._endOutput()
        for _ in range(RECORDS_PER_TURN):
            if self._lostTLSConnection:
                break
            try:
                data = self._tlsConnection.recv(READ_SIZE)
            except WantReadError:
                break
            except ZeroReturnError:
                self._endInput()
                break
            except Error:
                self._tlsShutdownFinished(Failure())
            else:
                self._deliver(data)
        else:
            self._pauseForTurn()
        self._flushSendBIO()

    def _pauseForTurn(self) -> None:
        """Let other connections have their turns; meanwhile receive no more."""
        self._hasMore = True
        self.transport.pauseProducing()
        self._scheduleRest()

    def _scheduleRest(self) -> None:
        if self._next is None:
            self._next = self.factory._clock.callLater(0, self._readRest)

    def _readRest(self) -> None:
        self._next = None
        if self._isPaused:
            return
        self._hasMore = False
        self._flushReceiveBIO()
        if not (self._hasMore or self._isPaused):
            self.transport.resumeProducing()

    def _deliver(self, data: bytes) -> None:
        # After loseConnection() TCP delivers nothing either.
        if not self.disconnecting:
            self.wrappedProtocol.dataReceived(data)

    def _shutdownTLS(self) -> None:
        # The stock code waits here for the peer's close_notify; TCP's loseConnection() waits for no
        # FIN.
        if not self._lostTLSConnection:
            self._sendCloseNotify()
            self._tlsShutdownFinished(None)

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        super()._tlsShutdownFinished(reason)
        # The transport below shall close, and would not while a paused producer is registered.
        self._stopProducer()

    # Common to both roles

    def _endInput(self) -> None:
        if self._inputEnded or self.disconnecting:
            return
        self._inputEnded = True
        halfCloseable = IHalfCloseableProtocol.providedBy(self.wrappedProtocol)
        if halfCloseable:
            self.wrappedProtocol.readConnectionLost()
        if self._closeNotifySent or not halfCloseable:
            self.loseConnection()

    def _endOutput(self) -> None:
        if self._appSendBuffer or not self._handshakeDone:
            return
        self._sendCloseNotify()
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()
        if self._inputEnded:
            self.loseConnection()

    def _sendCloseNotify(self) -> None:
        self._closeNotifySent = True
        super()._shutdownTLS()

    def _stopProducer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self.transport.unregisterProducer()
            producer.stopProducing()


@implementer(IPushProducer)
class _ReadPauser:
    """Stops reading from a peer while our queue is full."""

    def __init__(self, stream: TLSStream) -> None:
        self.pauseProducing = stream.pauseProducing
        self.resumeProducing = stream.resumeProducing

    def stopProducing(self) -> None:
        """The transport is gone, or closes."""


class TLSStreamFactory(TLSMemoryBIOFactory):
    """
    Wraps the protocols of another factory in TLS; parameters as those of ``TLSMemoryBIOFactory``.

    :param contextFactory: makes the TLS connections; ``CertificateOptions`` for a server.
    :param isClient: whether this side sends the ClientHello.
    :param wrappedFactory: builds the protocols on top of TLS.
    :param clock: schedules the handling of many small records; the reactor by default.
    """

    protocol = TLSStream

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A :class:`TLSStream`; ``None``, which closes, if the wrapped factory returns ``None``."""
        # The stock code wraps the None, and fails at the first byte.
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)
