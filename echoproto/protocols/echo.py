"""
The echo service on both carriers.

RFC 862: "An echo service simply sends back to the originating source any data it receives."
On TCP "this continues until the calling user terminates the connection"; on UDP "when a
datagram is received, the data from it is sent back in an answering datagram".

The factories go into any Twisted application; the running program uses them as they are.
"""

from __future__ import annotations

from typing import Any

from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.protocols.stream import StreamFactory, StreamProtocol


class EchoProtocol(StreamProtocol):
    """One connection to the echo service: every byte back, in order, also after the client's FIN."""

    # A stream transport; without a cast, which would be a call for every message.
    transport: Any
    _bytesDiscarded = 0

    @property
    def bytesSent(self) -> int:
        """Bytes handed to the transport so far."""
        return self.bytesReceived - self._bytesDiscarded

    def dataReceived(self, data: bytes) -> None:
        """Count the bytes and write the bytes: the hot path, so nothing else is done here."""
        self.bytesReceived += len(data)
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
    The echo service on datagrams (RFC 862): each whole, empty ones included.

    ``listenDatagrams(reactor, 12345, EchoDatagramProtocol(reactor))``
    """

    # The hot path: what came goes back as it is, so there is nothing to make of it and to measure.
    answer = DatagramServerProtocol.send
