"""
TLS on the sockets of the direct reactor, by the standard library's :mod:`ssl`.

Other reactors pass every byte through a TLS connection in memory
(:class:`echoproto.transports.tls.TLSStream`); here OpenSSL reads from and writes to the socket, so
nothing is copied between them. The transport is otherwise that of TCP: its queue, its producers,
half-close, ``loseConnection`` and ``abortConnection`` keep their meaning, with a close_notify where
TCP sends a FIN.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, ISSLTransport
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.reactors.readwatch import ReadWatch
from echoproto.reactors.substitute import putSubstitute, takeSubstitute
from echoproto.reactors.tcp import AcceptedTransport, TCPClient, TCPServer
from echoproto.reactors.transports import READ_DIRECTLY, DirectTransport

#: The maximum plaintext of a record (RFC 8446 section 5.1). OpenSSL returns at most one record.
RECORD_SIZE = 16_384

#: Full records of one connection that are received in one turn, at most.
FULL_RECORDS_PER_TURN = 16

_watch = ReadWatch()

_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

# Without the first, OpenSSL 3 answers a FIN with an alert, and sends nothing any more.
_OPTIONS = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0) | ssl.OP_NO_RENEGOTIATION


@implementer(ISSLTransport)
class SecuredTransport(DirectTransport):
    """
    A TCP transport with TLS on its socket, from the handshake on; see :func:`secureSocket`.

    Data that is written before the handshake is complete waits for it.
    """

    socket: ssl.SSLSocket
    protocol: Any

    # Defaults of a transport that becomes one of this class.
    _isSecured = False
    _isPaused = False
    _inputEnded = False
    _closeNotifySent = False
    # To look for a further record in vain costs a system call: it is done only after a message of
    # several records.
    _recordsPerTurn = 1
    _isInMessage = False
    # Whether OpenSSL must send before it can receive: an answer to a request for new keys.
    _readWaitsForRoom = False
    # The part of our close_notify that the kernel had no room for.
    _closeNotify = b""

    def getPeerCertificate(self) -> Any:
        """The peer's certificate, as ``ssl.SSLSocket.getpeercert`` returns it."""
        return self.socket.getpeercert()

    # Receiving

    def pauseProducing(self) -> None:
        """See ``FileDescriptor``; the handshake continues."""
        self._isPaused = True
        if self._isSecured:
            super().pauseProducing()

    def resumeProducing(self) -> None:
        """See ``FileDescriptor``."""
        self._isPaused = False
        super().resumeProducing()

    def doRead(self) -> Any:
        """
        Continue the handshake, or receive a record and deliver it; several if they are full and
        messages of several records have arrived before.
        """
        if not self._isSecured:
            return self._continueHandshake()
        if self._inputEnded:
            return CONNECTION_DONE
        for _ in range(self._recordsPerTurn):
            try:
                data = self._readRecord()
            except (OSError, MemoryError) as error:
                self._recordsPerTurn = 1
                return self._readFailed(error)
            if not data:
                return self._endOfInput()
            self._deliver(data)
            isInMessage, self._isInMessage = self._isInMessage, len(data) == RECORD_SIZE
            if not self._isInMessage:
                if isInMessage:
                    self._recordsPerTurn = FULL_RECORDS_PER_TURN
                return None
            if self._isPaused or self.disconnecting or self._aborting or not self.connected:
                return None
        return None

    def _readRecord(self) -> bytes:
        _watch.begin(self.socket)
        try:
            return self.socket.read(RECORD_SIZE)
        finally:
            _watch.end()

    def _readFailed(self, error: OSError | MemoryError) -> Any:
        """The reason to disconnect, if there is one."""
        if isinstance(error, ssl.SSLWantReadError):
            return None
        if isinstance(error, ssl.SSLWantWriteError):
            self._readWaitsForRoom = True
            self.reactor.removeReader(self)
            self.reactor.addWriter(self)
            return None
        if isinstance(error, ssl.SSLZeroReturnError):
            return self._endOfInput()
        if isinstance(error, MemoryError):
            return error
        if isinstance(error, ssl.SSLError) and not isinstance(
            error, (ssl.SSLEOFError, ssl.SSLSyscallError)
        ):
            # OpenSSL has sent an alert. Unread data would make the kernel reset the connection, and
            # the peer lose it.
            with suppress(OSError, MemoryError):
                os.read(self.socket.fileno(), RECORD_SIZE)
            return error
        return CONNECTION_LOST

    def _endOfInput(self) -> Any:
        """Tell a reset, which Python reports as a FIN, from a FIN and a close_notify."""
        try:
            self.socket.getpeername()
        except OSError:
            return CONNECTION_LOST
        return CONNECTION_DONE

    def _continueHandshake(self) -> Any:
        try:
            _watch.begin(self.socket)
            try:
                self.socket.do_handshake()
            finally:
                _watch.end()
        except (OSError, MemoryError) as error:
            why = self._readFailed(error)
            # A FIN here ends nothing in order.
            return CONNECTION_LOST if why is CONNECTION_DONE else why
        self._isSecured = True
        if self.disconnecting or self._isPaused:
            self.stopReading()
        self.startWriting()
        if not self.disconnecting and IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        return None

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The peer's close_notify, or its FIN without one: the end of input.

        A protocol without ``IHalfCloseableProtocol`` is closed once its data is sent.
        """
        if self._inputEnded:
            return
        self._inputEnded = True
        if not IHalfCloseableProtocol.providedBy(self.protocol):
            self.loseConnection()
            return
        super().readConnectionLost(reason)
        if self._writeDisconnected and self.connected and not self._closeNotify:
            self.connectionLost(reason)

    # Sending

    def flush(self) -> Any:
        """See :class:`DirectTransport`; after the handshake."""
        return super().flush() if self._isSecured else None

    def _sendQueue(self) -> None:
        data = b"".join(self._tempDataBuffer)
        self._tempDataBuffer.clear()
        self._tempDataLen = 0
        sent = self._encrypt(data)
        if sent != len(data):
            self.dataBuffer, self.offset = data, sent
            self._maybePauseProducer()
            self.reactor.addWriter(self)

    def writeSomeData(self, data: bytes) -> Any:
        """See ``FileDescriptor``."""
        sent = self._encrypt(memoryview(data)[: self.SEND_LIMIT])
        return CONNECTION_LOST if self._sendFailed else sent

    def _encrypt(self, data: bytes | memoryview) -> int:
        """Send as much of ``data`` as the kernel accepts; return the number of bytes."""
        size, sent = len(data), 0
        try:
            while sent < size:
                # One record, because OpenSSL must be called with as much again if it is not sent.
                sent += self.socket.write(memoryview(data)[sent : sent + RECORD_SIZE])
        except _WANTS:
            pass
        except OSError:
            self._sendFailed = True
        return sent

    def doWrite(self) -> Any:
        """See ``FileDescriptor``."""
        if self._readWaitsForRoom:
            self._readWaitsForRoom = False
            if not self._isSecured:
                self.reactor.addReader(self)
                self.reactor.removeWriter(self)
                return self._continueHandshake()
            if not self._isPaused:
                self.resumeProducing()
        if self._closeNotify:
            if not self._endOutput():
                return None
            self.stopWriting()
            return CONNECTION_DONE if self.disconnecting or self._inputEnded else None
        if self._writeDisconnected:
            self.stopWriting()
            return None
        return super().doWrite()

    # Closing

    def loseConnection(self) -> None:
        """
        Send the written data, then our close_notify, and close.

        A pull producer is waited for; a push producer is stopped. Before the handshake is complete,
        and with nothing written, the connection is aborted.
        """
        if not self.connected or self.disconnecting:
            return
        if not (self._isSecured or self._tempDataBuffer):
            self.abortConnection()
            return
        if self.producer is not None and self.streamingProducer:
            # A paused one may never unregister (twisted#6461).
            producer = self.producer
            self.unregisterProducer()
            producer.stopProducing()
        if self._closeNotify:
            self.stopReading()
            self.disconnecting = True
            return
        super().loseConnection()
        if not self._isSecured:
            self.startReading()

    def loseWriteConnection(self) -> None:
        """Send the written data, then our close_notify; reading continues."""
        if self.connected:
            super().loseWriteConnection()

    def _postLoseConnection(self) -> Any:
        if self._endOutput():
            return super()._postLoseConnection()
        self.reactor.addWriter(self)
        return None

    def _closeWriteConnection(self) -> Any:
        ended = self._endOutput()
        if not ended:
            self.reactor.addWriter(self)
        if IHalfCloseableProtocol.providedBy(self.protocol):
            try:
                self.protocol.writeConnectionLost()
            except BaseException as error:  # noqa: BLE001 - the stock transport does the same
                log.err()
                return error
        return CONNECTION_DONE if ended and self._inputEnded else None

    def _endOutput(self) -> bool:
        """Send our close_notify, once; return whether the kernel has accepted it."""
        if not self._closeNotifySent:
            self._closeNotifySent = True
            try:
                self._closeNotify = _closeNotifyOf(self.socket)
            except OSError:
                # A FIN ends the output too. Not the method of SSLSocket, which ends TLS.
                with suppress(OSError):
                    socket.socket.shutdown(self.socket, socket.SHUT_WR)
        with suppress(OSError):
            sent = os.write(self.socket.fileno(), self._closeNotify)
            self._closeNotify = self._closeNotify[sent:]
        return not self._closeNotify


def _closeNotifyOf(secured: ssl.SSLSocket) -> bytes:
    """
    The record that ends the output of a connection.

    Python's ``unwrap`` sends it, and then demands that the peer's is the next record to arrive:
    data would break the connection. So another socket is put in the place of the connection's
    meanwhile, which takes what is sent, and on which nothing arrives.

    :raise OSError: no descriptor is left for it, or the connection has failed.
    """
    descriptor = secured.fileno()
    substitute, taken = socket.socketpair()
    with substitute, taken:
        substitute.setblocking(False)
        taken.setblocking(False)
        original = putSubstitute(descriptor, substitute)
        try:
            with suppress(*_WANTS):
                secured.unwrap()
        finally:
            takeSubstitute(descriptor, original)
        return taken.recv(RECORD_SIZE)


class SecuredServer(SecuredTransport, AcceptedTransport):
    """An accepted TCP connection with TLS."""


class SecuredClient(SecuredTransport, tcp.Client):
    """An outgoing TCP connection with TLS."""


_SECURED: dict[type, type[SecuredTransport]] = {
    TCPServer: SecuredServer,
    TCPClient: SecuredClient,
}
READ_DIRECTLY.update(_SECURED.values())


def secureSocket(
    transport: Any, context: ssl.SSLContext, protocol: Any, hostname: str | None = None
) -> bool:
    """
    Begin TLS on a connection of the direct reactor that has received nothing yet.

    :param transport: any transport.
    :param context: its protocol decides the role, client or server.
    :param protocol: becomes the protocol of the transport, and is connected to it.
    :param hostname: the server's name, for a client.
    :return: whether the transport is one of those; if not, nothing happens.
    """
    if type(transport) not in _SECURED:
        return False
    _watch.start()
    plain = transport.socket
    context.options |= _OPTIONS
    transport.stopReading()
    # The reactor and the port know this object already.
    transport.__class__ = _SECURED[type(transport)]
    transport.protocol = protocol
    why: Any = None
    try:
        # A copy, because a failure closes it.
        with plain.dup() as copy:
            transport.socket = context.wrap_socket(
                copy,
                server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
                do_handshake_on_connect=False,
                server_hostname=hostname,
            )
    except ConnectionError:
        why = CONNECTION_LOST
    except (OSError, MemoryError) as error:
        why = error
    else:
        transport.fileno = transport.socket.fileno
        plain.close()
        # Before the protocol's code, which may raise.
        transport.startReading()
    protocol.makeConnection(transport)
    if why is None:
        # A client sends first.
        why = transport.doRead()
    if why:
        transport.connectionLost(Failure(why))
    return True
