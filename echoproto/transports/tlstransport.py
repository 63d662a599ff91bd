"""The transport of a protocol on top of TLS: writing, producers, and the end of output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.transports.tlsengine import TLSEngine
from echoproto.transports.tlsreadpauser import ReadPauser

#: Bytes that are encrypted at once.
ENCRYPTED_SIZE = 2**18

#: Bytes written before the handshake above which a push producer is paused.
QUEUE_LIMIT = 2**16


@implementer(ISSLTransport, IConsumer, IPushProducer)
class TLSTransport(Protocol):
    """
    The part of :class:`~echoproto.transports.tlsstream.TLSStream` that writes.

    *The end of output* is our close_notify. No FIN follows until the connection is closed: it would
    add nothing for a TLS peer, and some take a FIN for the end of both directions.

    :param wrapped: the wrapped protocol.
    :ivar wrappedProtocol: the wrapped protocol.
    :ivar disconnecting: whether ``loseConnection`` was called.
    """

    transport: Any
    _engine: TLSEngine

    def __init__(self, wrapped: Any) -> None:
        self.wrappedProtocol = wrapped
        self.disconnecting = False
        self._isSecured = self._isLost = False
        # Whether what is written can be encrypted now.
        self._isOpen = False
        # The peer's end; the request for ours; ours.
        self._inputEnded = self._outputEnded = self._closeNotifySent = False
        # Written before the handshake.
        self._unwritten: list[bytes] = []
        # The producer of the wrapped protocol, and whether it is a push producer.
        self._producer: Any = None
        self._isStreaming = False
        self._reason: Failure | None = None
        # After our close_notify, if the wrapped protocol has no producer.
        self._pauser: ReadPauser | None = None

    def __getattr__(self, name: str) -> Any:
        # What the transport below offers, such as setTcpNoDelay.
        return getattr(self.__dict__["transport"], name)

    # Any: an address of the transport below.
    def getHost(self) -> Any:
        """This end's address."""
        return self.transport.getHost()

    def getPeer(self) -> Any:
        """The other end's address."""
        return self.transport.getPeer()

    def getPeerCertificate(self) -> Any:
        """The peer's certificate, as ``ssl.SSLObject.getpeercert`` returns it."""
        return self._engine.peerCertificate

    def write(self, data: bytes) -> None:
        """Send ``data``; dropped after the end of output."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if self._isOpen:
            if 0 < len(data) <= ENCRYPTED_SIZE:
                self.transport.write(self._engine.encrypt(data))
            else:
                for start in range(0, len(data), ENCRYPTED_SIZE):
                    self.write(data[start : start + ENCRYPTED_SIZE])
            return
        if self._isSecured or self._outputEnded or self._isLost:
            return
        self._unwritten.append(data)
        if self._isStreaming and sum(map(len, self._unwritten)) > QUEUE_LIMIT:
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send all pieces."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """
        Send the written data, then our close_notify; reading continues.

        Producers are not waited for. The wrapped protocol's ``writeConnectionLost`` is called
        before this returns, or when the handshake is complete. When the input ends too, the
        connection is closed.
        """
        if not (self._outputEnded or self.disconnecting or self._isLost):
            self._outputEnded = True
            if self._isSecured:
                self._endOutput()

    def loseConnection(self) -> None:
        """
        Send the written data, then our close_notify, and close; nothing is received any more.

        A pull producer is waited for, as ``ITransport`` demands; a push producer is stopped. Before
        the handshake is complete, and with nothing written, the connection is aborted.
        """
        if self.disconnecting or self._isLost:
            return
        if not (self._isSecured or self._unwritten):
            self.abortConnection()
            return
        self.disconnecting = True
        # A paused push producer may never unregister (twisted#6461).
        if self._isStreaming:
            self._stopProducer()
        if self._isSecured and self._producer is None:
            self._close()

    def abortConnection(self) -> None:
        """Reset the connection."""
        if not self._isLost:
            self._reason = self._reason or Failure(ConnectionAborted())
            self.transport.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See ``IConsumer``; it produces when the handshake is complete."""
        if self._isLost or (self.disconnecting and self._closeNotifySent):
            producer.stopProducing()
            return
        self._producer, self._isStreaming = producer, streaming
        if self._isSecured:
            self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        if self._producer is not None:
            self._producer, self._isStreaming = None, False
            if self._isSecured:
                self.transport.unregisterProducer()
            if self.disconnecting and self._isSecured:
                self._close()

    def stopProducing(self) -> None:
        """Close: this is a producer whose consumer is gone."""
        self.loseConnection()

    def _beginOutput(self) -> None:
        """The handshake is complete: send what was written, and what was called, before."""
        self._isSecured = self._isOpen = True
        self.write(b"".join(self._unwritten))
        self._unwritten.clear()
        if self._producer is not None:
            self.transport.registerProducer(self._producer, self._isStreaming)
            if self._isStreaming:
                self._producer.resumeProducing()
        if self._outputEnded:
            self._endOutput()
        if self.disconnecting and self._producer is None:
            self._close()

    def _flush(self) -> None:
        """Send what OpenSSL itself has to say."""
        data = self._engine.dataToSend()
        if data:
            if self._pauser is not None:
                self._pauser.add(len(data))
            self.transport.write(data)

    def _endOutput(self) -> None:
        self._sendCloseNotify()
        # Reading continues, and OpenSSL answers requests for new keys (RFC 8446 section 4.6.3): a
        # peer that does not read the answers is not read.
        if self._producer is None:
            self._pauser = ReadPauser(self)
            self.registerProducer(self._pauser, True)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()
        if self._inputEnded:
            self.loseConnection()

    def _sendCloseNotify(self) -> None:
        self._closeNotifySent, self._isOpen = True, False
        self.transport.write(self._engine.closeNotify())

    def _close(self) -> None:
        if not self._closeNotifySent:
            self._sendCloseNotify()
        self.transport.loseConnection()

    def _fail(self, reason: Failure) -> None:
        """End the connection, after OpenSSL's alert."""
        self._reason = self._reason or reason
        self._isOpen = False
        alert = self._engine.dataToSend()
        self._stopProducer()
        self.transport.write(alert)
        self.transport.loseConnection()

    def _stopProducer(self) -> None:
        # The transport below shall close, and would not while a paused producer is registered.
        producer, self._producer = self._producer, None
        self._isStreaming = False
        if producer is not None:
            if self._isSecured:
                self.transport.unregisterProducer()
            producer.stopProducing()
