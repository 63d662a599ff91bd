"""
TLS that closes each direction separately, as TCP does, so that a stream service loses no data at
the end. It uses the standard library's :mod:`ssl`.

A close_notify closes the direction of its sender: "This does not have any effect on its read side
of the connection" (RFC 8446 section 6.1). TLS 1.2 demanded that pending data be discarded (RFC 5246
section 7.2.1), which 1.3 withdrew because it truncates; here both continue to write.

Twisted's TLS transports close both directions at once. At the peer's close_notify they discard
pending replies, at its FIN the queue. Their ``loseWriteConnection`` is that of TCP, a FIN without
close_notify. And a paused producer keeps them open for ever.

:class:`TLSStreamFactory` wraps the factory of a service::

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("server.pem")
    reactor.listenTCP(12345, TLSStreamFactory(lambda: context, EchoFactory(reactor), reactor))

It works on any stream transport. OpenSSL decrypts from and encrypts to memory, which is the same
for all connections of a factory: they use it one after the other, and it is empty in between. So it
is allocated once, and one receive brings many records. On the socket OpenSSL would need two system
calls to receive a record and one to send it.

It handles neither certificates nor time: the wrapped protocol resets a peer that takes too long.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.transports.tlsrecords import endOfRecords

#: Maximum bytes of one decryption: the longest record (RFC 8446 section 5.1).
READ_SIZE = 2**14

#: Records of one connection that are handled in one turn of the reactor: less than a millisecond.
#: One receive may hold 11,000 records of one byte, or as many requests for new keys, which OpenSSL
#: handles in one call.
RECORDS_PER_TURN = 64

#: Encrypted bytes that are given to the transport at once.
ENCRYPTED_SIZE = 2**18

#: Bytes written before the handshake above which a push producer is paused, and bytes of OpenSSL's
#: own answers in a full queue above which a peer is not read.
QUEUE_LIMIT = 2**16


# IHalfCloseableProtocol, because otherwise the TCP transport answers a FIN by dropping its queue.
@implementer(IHalfCloseableProtocol, ISSLTransport, IConsumer, IPushProducer)
class TLSStream(Protocol):
    """
    The transport of the wrapped protocol, and the protocol of another stream transport.

    *The end of input* is the peer's close_notify, or a FIN without one. The latter may be a
    truncation on the path, and the wrapped protocol cannot distinguish them: an echo returns the
    received data, and a protocol that depends on the end must mark it in its own data. At the end
    of input the wrapped protocol's ``readConnectionLost`` is called once, after all data, and it
    may continue to write. If it does not provide ``IHalfCloseableProtocol``, the connection is
    closed once all its data is sent.

    *The end of output* is our close_notify. No FIN follows until the connection is closed: it would
    add nothing for a TLS peer, and some take a FIN for the end of both directions.

    A failed handshake ends in ``connectionLost`` with ``ssl.SSLError`` or ``ConnectionLost``.

    :param factory: the factory that has built it.
    :param wrapped: the wrapped protocol.
    :ivar wrappedProtocol: the wrapped protocol.
    :ivar disconnecting: whether ``loseConnection`` was called.
    """

    factory: TLSStreamFactory
    transport: Any

    def __init__(self, factory: TLSStreamFactory, wrapped: Any) -> None:
        self.factory = factory
        self.wrappedProtocol = wrapped
        self.disconnecting = False
        self._isSecured = self._isLost = False
        # Whether what is written can be encrypted now.
        self._isOpen = False
        # The peer's end; the request for ours; ours.
        self._inputEnded = self._outputEnded = self._closeNotifySent = False
        # Written before the handshake.
        self._unwritten: list[bytes] = []
        # Received, and not yet given to OpenSSL: it gets whole records only.
        self._undecrypted = b""
        # Whether the peer's close_notify is received.
        self._endReceived = False
        # The producer of the wrapped protocol, and whether it is a push producer.
        self._producer: Any = None
        self._isStreaming = False
        self._reason: Failure | None = None
        # Whether records are received and not handled; the call that handles them.
        self._hasMore = False
        self._next: IDelayedCall | None = None
        # Whether the wrapped protocol, or our own full queue, has paused reading.
        self._isPaused = False
        # After our close_notify, if the wrapped protocol has no producer.
        self._pauser: _ReadPauser | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Begin TLS."""
        factory = self.factory
        self._incoming, self._outgoing = factory.incoming, factory.outgoing
        context = factory.currentContext()
        # Renegotiation would stop writing for the time of a handshake.
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            self._tls = context.wrap_bio(
                self._incoming,
                self._outgoing,
                server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
                server_hostname=factory.hostname,
            )
        except (OSError, MemoryError):
            self._reason = Failure()
        Protocol.makeConnection(self, transport)

    # As the transport of the wrapped protocol

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
        return self._tls.getpeercert()

    def write(self, data: bytes) -> None:
        """Send ``data``; dropped after the end of output."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if self._isOpen:
            self._encrypt(data)
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

    def stopProducing(self) -> None:
        """Close: this is a producer whose consumer is gone."""
        self.loseConnection()

    # As the protocol of the transport below

    def connectionMade(self) -> None:
        """Connect the wrapped protocol, and begin the handshake."""
        self.wrappedProtocol.makeConnection(self)
        if self._reason is None:
            self._read()
        else:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Decrypt ``data``, and deliver it."""
        if self._undecrypted:
            data = self._undecrypted + data
        self._undecrypted = data
        if not self._hasMore:
            self._read()

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
        self._undecrypted = b""
        if self._next is not None:
            self._next.cancel()
        if not self._isSecured:
            self._stopProducer()
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        wrapped.connectionLost(self._reason or reason)

    # Reading

    # The memory of the factory is empty whenever the wrapped protocol, its producer or the
    # transport is called: they may use another connection of the same factory.

    def _read(self) -> None:
        """Continue the handshake, or deliver what is received, a bounded number of records."""
        data = self._undecrypted
        end = endOfRecords(data, RECORDS_PER_TURN)
        try:
            if end == len(data):
                self._undecrypted = b""
                self._incoming.write(data)
            else:
                self._undecrypted = data[end:]
                self._incoming.write(memoryview(data)[:end])
        except MemoryError:
            self._fail(Failure())
            return
        if self._isSecured:
            self._deliverRecords()
        else:
            self._continueHandshake()
        if self._undecrypted and not self._hasMore and endOfRecords(self._undecrypted, 1):
            self._pauseForTurn()

    def _continueHandshake(self) -> None:
        try:
            self._tls.do_handshake()
            self._isSecured = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, MemoryError):
            self._fail(Failure())
            return
        # Records that follow the handshake.
        self._undecrypted = self._incoming.read() + self._undecrypted
        self._flush()
        if not self._isSecured:
            return
        self._handshakeCompleted()
        if self._undecrypted and not (self._hasMore or self._isLost):
            self._read()

    def _handshakeCompleted(self) -> None:
        self._isOpen = True
        self._encrypt(b"".join(self._unwritten))
        self._unwritten.clear()
        if self._producer is not None:
            self.transport.registerProducer(self._producer, self._isStreaming)
            if self._isStreaming:
                self._producer.resumeProducing()
        if self._outputEnded:
            self._endOutput()
        if self.disconnecting and self._producer is None:
            self._close()
        elif not self.disconnecting and IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        if self._isPaused:
            self._hasMore = True
            self.transport.pauseProducing()

    def _deliverRecords(self) -> None:
        records, reason = self._decrypt()
        # Answers of OpenSSL to requests for new keys, which must precede what is written.
        if self._outgoing.pending:
            self._flush()
        # After loseConnection() TCP delivers nothing either.
        if records and not (self.disconnecting or self._isLost):
            self.wrappedProtocol.dataReceived(
                records[0] if len(records) == 1 else b"".join(records)
            )
        if reason is not None:
            self._fail(reason)
        elif self._endReceived:
            self._undecrypted = b""
            if self._isPaused:
                self._hasMore = True
            else:
                self._endInput()

    def _decrypt(self) -> tuple[list[bytes], Failure | None]:
        """The data of the records that OpenSSL has got, and its error after them."""
        records: list[bytes] = []
        incoming, read = self._incoming, self._tls.read
        try:
            while incoming.pending:
                data = read(READ_SIZE)
                if not data:
                    self._endReceived = True
                    break
                records.append(data)
        except ssl.SSLWantReadError:
            self._undecrypted = incoming.read() + self._undecrypted
        except ssl.SSLZeroReturnError:
            self._endReceived = True
        except (ssl.SSLError, MemoryError):
            self._isOpen = False
            incoming.read()
            return records, Failure()
        if self._endReceived:
            incoming.read()
        return records, None

    def _pauseForTurn(self) -> None:
        """Let other connections have their turns; meanwhile receive no more."""
        self._hasMore = True
        self.transport.pauseProducing()
        self._scheduleRest()

    def _scheduleRest(self) -> None:
        if self._next is None:
            self._next = self.factory.clock.callLater(0, self._readRest)

    def _readRest(self) -> None:
        self._next = None
        if self._isPaused:
            return
        self._hasMore = False
        self._read()
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

    # Writing

    def _encrypt(self, data: bytes) -> None:
        if 0 < len(data) <= ENCRYPTED_SIZE:
            self._tls.write(data)
            self._flush()
            return
        for start in range(0, len(data), ENCRYPTED_SIZE):
            self._encrypt(data[start : start + ENCRYPTED_SIZE])

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            if self._pauser is not None:
                self._pauser.add(len(data))
            self.transport.write(data)

    def _endOutput(self) -> None:
        self._sendCloseNotify()
        # Reading continues, and OpenSSL answers requests for new keys (RFC 8446 section 4.6.3): a
        # peer that does not read the answers is not read.
        if self._producer is None:
            self._pauser = _ReadPauser(self)
            self.registerProducer(self._pauser, True)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()
        if self._inputEnded:
            self.loseConnection()

    def _sendCloseNotify(self) -> None:
        self._closeNotifySent, self._isOpen = True, False
        # Python's unwrap() wants the peer's close_notify next, too; nothing is there for it.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def _close(self) -> None:
        if not self._closeNotifySent:
            self._sendCloseNotify()
        self.transport.loseConnection()

    def _fail(self, reason: Failure) -> None:
        """End the connection, after OpenSSL's alert."""
        self._reason = self._reason or reason
        self._isOpen = False
        self._undecrypted = b""
        self._incoming.read()
        alert = self._outgoing.read()
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


@implementer(IPushProducer)
class _ReadPauser:
    """
    Stops reading from a peer while our queue is full of answers. What was written before may be
    long, and an echo server sends it back before it reads on.
    """

    def __init__(self, stream: TLSStream) -> None:
        self._stream = stream
        self._isFull = self._hasPaused = False
        self._answers = 0

    def add(self, size: int) -> None:
        """Count bytes of answers."""
        self._answers += size
        if self._isFull and self._answers > QUEUE_LIMIT and not self._hasPaused:
            self._hasPaused = True
            self._stream.pauseProducing()

    def pauseProducing(self) -> None:
        """The queue is full."""
        self._isFull = True
        self.add(0)

    def resumeProducing(self) -> None:
        """The queue is empty."""
        self._isFull, self._answers = False, 0
        if self._hasPaused:
            self._hasPaused = False
            self._stream.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone, or closes."""


class TLSStreamFactory(ClientFactory):
    """
    Wraps the protocols of another factory in TLS.

    :param currentContext: returns the context of the next connection; its protocol decides the
        role, client or server.
    :param wrappedFactory: builds the protocols on top of TLS.
    :param clock: schedules the handling of many small records; the reactor.
    :param hostname: for a client, the name or numeric address of the server: it is requested (SNI),
        and the certificate must be for it, if the context checks that.
    :ivar incoming: what OpenSSL decrypts, of one connection at a time.
    :ivar outgoing: what OpenSSL has encrypted.
    """

    noisy = False

    def __init__(
        self,
        currentContext: Callable[[], ssl.SSLContext],
        wrappedFactory: IProtocolFactory,
        clock: IReactorTime,
        hostname: str | None = None,
    ) -> None:
        self.currentContext = currentContext
        self.wrappedFactory = wrappedFactory
        self.clock = clock
        self.hostname = hostname
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def doStart(self) -> None:
        """Start the wrapped factory."""
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """Stop the wrapped factory."""
        self.wrappedFactory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """A :class:`TLSStream`; ``None``, which closes, if the wrapped factory returns ``None``."""
        wrapped: Any = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else TLSStream(self, wrapped)
