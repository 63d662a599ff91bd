"""
The echo service for streams and datagrams.

RFC 862: "An echo service simply sends back to the originating source any data it receives." On TCP
"this continues until the calling user terminates the connection"; on UDP "when a datagram is
received, the data from it is sent back in an answering datagram".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import directlyProvides

from echoproto.protocols.datagram import DatagramServerProtocol, IDatagramEcho
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory


class EchoProtocol(StreamProtocol):
    """
    One connection to the echo service: returns every byte in order, also after the client's FIN.

    A transport that can relay (:mod:`echoproto.reactors.relay`) returns them itself, unless a
    subclass has a ``dataReceived`` of its own.
    """

    _bytesDiscarded = 0
    _isRelayed = False

    def connectionMade(self) -> None:
        """Relay, if the transport can."""
        super().connectionMade()
        # A wrapper passes on the method of the transport below, whose data is not this protocol's.
        if (
            hasattr(type(self.transport), "relayTo")
            and type(self).dataReceived is EchoProtocol.dataReceived
        ):
            self._isRelayed = True
            self.transport.relayTo(self.transport)

    @property
    def bytesReceived(self) -> int:
        """Bytes received from the client so far."""
        return self._bytesPassed + (self.transport.bytesRelayed if self._isRelayed else 0)

    @bytesReceived.setter
    def bytesReceived(self, count: int) -> None:
        self._bytesPassed = count

    @property
    def bytesSent(self) -> int:
        """Bytes given to the transport so far."""
        return self.bytesReceived - self._bytesDiscarded

    def finish(self) -> None:
        """See :class:`StreamProtocol`."""
        if self._isRelayed:
            self.transport.stopRelaying()
        super().finish()

    def dataReceived(self, data: bytes) -> None:
        """Count the data and write it. This is the hot path of transports that cannot relay."""
        self._bytesPassed += len(data)
        if self.discarding:
            self._bytesDiscarded += len(data)
        else:
            self.transport.write(data)


class EchoFactory(StreamFactory):
    """
    The echo service on streams (RFC 862).

    ``TCP4ServerEndpoint(reactor, 12345).listen(EchoFactory(reactor))``
    """

    protocol = EchoProtocol


class EchoDatagramProtocol(DatagramServerProtocol):
    """
    The echo service on datagrams (RFC 862): answers each one whole, including empty ones.

    ``listenDatagrams(reactor, 12345, EchoDatagramProtocol(reactor))``
    """

    # The reply is the request, so there is nothing to compute or to measure.
    answer = DatagramServerProtocol.send

    def __init_subclass__(cls) -> None:
        """A subclass with a :meth:`reply` of its own sends that."""
        super().__init_subclass__()
        hasReply = cls.reply is not DatagramServerProtocol.reply
        if hasReply and cls.answer is DatagramServerProtocol.send:
            cls.answer = DatagramServerProtocol.answer  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # A subclass may want to see its datagrams; if not, it declares the interface itself.
        if type(self) is EchoDatagramProtocol:
            directlyProvides(self, IDatagramEcho)

    # IDatagramEcho

    def admit(self, sources: Sequence[bytes], size: int) -> Sequence[int]:
        """Count received datagrams, and refuse some."""
        self._received += len(sources)
        self._bytesReceived += size
        refused = self.admission.refusals(sources)
        if not refused:
            return ()
        for refusal in refused.values():
            self._refused[refusal.value] += 1
        return tuple(refused)

    def sent(self, count: int, size: int) -> None:
        """Count sent replies."""
        self._answered += count
        self._bytesSent += size
