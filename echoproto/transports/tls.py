"""
TLS that ends each direction by itself, as TCP does: a stream service loses nothing at its end.

A close_notify ends what its sender writes and no more: "This does not have any effect on its read
side of the connection" (RFC 8446 section 6.1). TLS 1.2 wanted what was pending thrown away (RFC
5246 section 7.2.1), which 1.3 withdrew because it truncates; here both go on writing.

Twisted's TLS transports know only the end of both directions. At the peer's close_notify they throw
away what is written in reply, at its FIN what is queued. Their ``loseWriteConnection`` is that of
TCP, a FIN without close_notify. And a paused producer keeps them open for ever.

:class:`TLSStreamFactory` stands before the factory of a service: the running program puts it there
(:mod:`echoproto.server.builder`), and so may any application::

    reactor.listenTCP(12345, TLSStreamFactory(certificateOptions, False, EchoFactory(reactor)))

It knows nothing of certificates, nor of time: the wrapped protocol cuts a peer that takes too long.
It needs the extra ``tls`` (pyOpenSSL), so only who speaks TLS imports it.
"""

# mypy: allow-untyped-calls
# Half of Twisted's TLS is untyped, and calls to inherited methods are not excluded as Twisted's.

from __future__ import annotations

from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet._producer_helpers import _PullToPush
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

#: The most that OpenSSL is asked for at once: two of its records.
READ_SIZE = 2**15


# IHalfCloseableProtocol, or the TCP transport would answer a FIN by dropping its queue.
@implementer(IHalfCloseableProtocol)
class TLSStream(TLSMemoryBIOProtocol):
    """
    The transport of the protocol that it wraps, and the protocol of a TCP (or UNIX) transport.

    *The end of input* is the peer's close_notify, or a FIN without one. The latter may be a
    truncation by somebody in between, and the wrapped protocol is not told the difference: an echo
    returns what came, and a protocol to which the end means something must say so in its own bytes.
    At the end of input the wrapped protocol's ``readConnectionLost`` is called once, after all the
    data, and it may go on writing. Where it provides no ``IHalfCloseableProtocol``, the connection
    is closed once all that it wrote is sent.

    *The end of output* is our close_notify. No FIN follows until the connection is closed: it would
    tell a TLS peer nothing new, and some take a FIN for the end of both directions.

    A failed handshake ends in ``connectionLost`` with ``OpenSSL.SSL.Error`` or ``ConnectionLost``.
    """

    # The peer's end; the request for ours; ours.
    _inputEnded = False
    _outputEnded = False
    _closeNotifySent = False

    # Typed by stock as what they begin with, or as less than they offer.
    _producer: Any
    _reason: Any
    transport: Any
    wrappedProtocol: Any

    # As the transport of the wrapped protocol

    def write(self, data: bytes) -> None:
        """Send ``data``; dropped after the end of output."""
        # OpenSSL refuses it then, which stock takes for a broken connection.
        if not self._outputEnded:
            super().write(data)

    def loseWriteConnection(self) -> None:
        """
        Send what has been written, then our close_notify; reading goes on.

        No producer is waited for. The wrapped protocol's ``writeConnectionLost`` is called before
        this returns, or when the handshake is done. Once the input ends too, we close.
        """
        # Stock has only the method of the transport beneath.
        if not (self._outputEnded or self.disconnecting or self._lostTLSConnection):
            self._outputEnded = True
            self._endOutput()

    def loseConnection(self) -> None:
        """
        Send what has been written, then our close_notify, and close; nothing is received any more.

        A pull producer is waited for, as ``ITransport`` says; a push producer is stopped. Before
        the handshake is done, and with nothing written, the connection is aborted.
        """
        # Stock waits for every producer to unregister; a paused one may never do so (twisted#6461).
        if self._producer is not None and not isinstance(self._producer._producer, _PullToPush):
            self._stopProducer()
        super().loseConnection()

    def stopProducing(self) -> None:
        """Close: we are a producer whose consumer is gone."""
        # Stock has that of the transport beneath: a FIN without close_notify.
        self.loseConnection()

    # As the protocol of the transport beneath

    def readConnectionLost(self) -> None:
        """The peer's FIN: the end of input, and of a handshake that is not done."""
        if self._handshakeDone:
            self._endInput()
        else:
            self._reason = Failure(ConnectionLost())
            self._tlsShutdownFinished(None)

    def writeConnectionLost(self) -> None:
        """Never called: we send no FIN before the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection beneath is gone."""
        # Stock reads on here, where nothing is left, to report that no close_notify came.
        self._lostTLSConnection = True
        super().connectionLost(reason)

    def _flushSendBIO(self) -> None:
        # All of it: stock takes 32 KiB and leaves the rest, where no backpressure sees it, until more is written.
        while True:
            try:
                data = self._tlsConnection.bio_read(READ_SIZE)
            except WantReadError:
                return
            self.transport.write(data)

    # The steps of stock that end both directions at once

    def _flushReceiveBIO(self) -> None:
        # As in stock, but for the end of input, and for that of output if it awaited the handshake.
        if self._outputEnded and not self._closeNotifySent:
            self._endOutput()
        while not self._lostTLSConnection:
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
        self._flushSendBIO()

    def _deliver(self, data: bytes) -> None:
        # After loseConnection() TCP delivers nothing either.
        if not self.disconnecting:
            self.wrappedProtocol.dataReceived(data)

    def _shutdownTLS(self) -> None:
        # Stock waits here for the peer's close_notify; TCP's loseConnection() waits for no FIN.
        if not self._lostTLSConnection:
            self._sendCloseNotify()
            self._tlsShutdownFinished(None)

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        super()._tlsShutdownFinished(reason)
        # The transport beneath is to close, and would not while a paused producer is registered.
        self._stopProducer()

    # What both sides come to

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


class TLSStreamFactory(TLSMemoryBIOFactory):
    """
    Puts TLS before the protocols of another factory; parameters as of ``TLSMemoryBIOFactory``.

    :param contextFactory: makes the TLS connections; ``CertificateOptions`` for a server.
    :param isClient: whether we send the ClientHello.
    :param wrappedFactory: builds the protocols that speak over TLS.
    :param clock: stock asks for it; the reactor where not given. Nothing is scheduled.
    """

    protocol = TLSStream

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A :class:`TLSStream`; ``None``, which closes, where the wrapped factory builds none."""
        # Stock wraps the None, and fails at the first byte.
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)
