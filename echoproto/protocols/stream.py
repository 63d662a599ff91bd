"""
The base class of all stream services: counting, backpressure, half-close, orderly closing, timeouts
and the drain.

:class:`StreamProtocol` and :class:`~echoproto.protocols.streamfactory.StreamFactory` are the base
classes of the services (:mod:`echoproto.protocols.echo`, :mod:`echoproto.protocols.greeting`), and
of services of your own. They run over any stream transport of Twisted: TCP, UNIX sockets, TLS.

``twisted.protocols.policies`` is not used: its wrappers do not relay half-close.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHandshakeListener, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.lifecycle import ConnectionLifecycle, Stage
from echoproto.protocols.observer import CloseReason, ConnectionSummary
from echoproto.protocols.socketoptions import setConnectionOptions


@implementer(IHandshakeListener)
class StreamProtocol(ConnectionLifecycle):
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

    peer: IAddress | None = None

    _bytesSent = 0

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

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended; report it to the factory."""
        try:
            if self.stage is Stage.SECURING:
                refusal = self._refusal or Refusal.NO_HANDSHAKE
                self.factory.observer.connectionRefused(self.peer, refusal.value)
            else:
                self.factory.observer.connectionEnded(self._summary(reason))
        finally:
            self.factory.closed(self, self.peer)

    def _summary(self, reason: Failure) -> ConnectionSummary:
        received, sent, ending = self.bytesReceived, self.bytesSent, self._ending
        if ending is None:
            ending = CloseReason.LOST
            if not (received or sent):
                ending = CloseReason.UNUSED
            elif isinstance(reason.value, ConnectionDone):
                ending = CloseReason.FINISHED
        seconds = self.factory.clock.seconds() - self._openedAt
        return ConnectionSummary(self.peer, ending, seconds, received, sent)
