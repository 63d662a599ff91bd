"""A connection in memory: two transports, and a pump that moves bytes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyClass

#: Queued bytes above which a transport pauses its producer, as in Twisted's transports.
QUEUE_LIMIT = 65_536

#: Maximum bytes of one piece, as in Twisted's transports.
PIECE_SIZE = 65_536

#: Steps after which a pump gives up: two ends that answer each other never stop.
STEP_LIMIT = 1_000_000

CLIENT_ADDRESS = IPv4Address("TCP", "192.0.2.1", 50_000)
SERVER_ADDRESS = IPv4Address("TCP", "192.0.2.2", 12_345)


@implementer(ITCPTransport, IConsumer, IPushProducer)
class MemoryTransport:
    """
    One end of a :class:`StreamPair`.

    :ivar queue: bytes written here and not yet read by the other end.
    :ivar options: socket options that were set, by name.
    :ivar reading: whether the protocol receives data.
    :ivar closed: why this end is closed; ``None`` while it is open.
    """

    def __init__(self, protocol: IProtocol, host: IPv4Address, peer: IPv4Address) -> None:
        self.protocol = protocol
        self.queue = bytearray()
        self.options: dict[str, bool] = {}
        self.reading = True
        self.disconnecting = False
        self.closed: Exception | None = None
        self._host = host
        self._peer = peer
        self._producer: Any = None
        self._producerWaits = False
        self._finRequested = False
        self._finSent = False
        self._finReceived = False
        self._aborting = False

    def write(self, data: bytes) -> None:
        """Queue ``data``; a streaming producer is paused when the queue is full."""
        if not isinstance(data, bytes):
            raise TypeError(f"bytes are written, not {type(data).__name__}")
        if self.closed is not None or self._finSent or self._aborting:
            return
        self.queue += data
        if len(self.queue) > QUEUE_LIMIT and self._producer is not None and self._streaming:
            self._producerWaits = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Queue all pieces."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once the queue is empty and no producer waits; stop reading."""
        self.disconnecting = True
        if self._finSent:
            self._close(ConnectionDone())

    def loseWriteConnection(self) -> None:
        """Send the FIN once the queue is empty."""
        self._finRequested = True

    def abortConnection(self) -> None:
        """Reset the connection at the pump's next step; queued data is lost."""
        self._aborting = True
        self.queue.clear()

    def getHost(self) -> IPv4Address:
        """This end's address."""
        return self._host

    def getPeer(self) -> IPv4Address:
        """The other end's address."""
        return self._peer

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Keep the value in :attr:`options`."""
        self.options["TcpNoDelay"] = enabled

    def getTcpNoDelay(self) -> bool:
        """The last value set."""
        return self.options.get("TcpNoDelay", False)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Keep the value in :attr:`options`."""
        self.options["TcpKeepAlive"] = enabled

    def getTcpKeepAlive(self) -> bool:
        """The last value set."""
        return self.options.get("TcpKeepAlive", False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See ``IConsumer``; a pull producer is resumed at each step that finds the queue empty."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.closed is not None:
            producer.stopProducing()
            return
        self._producer = producer
        self._streaming = streaming
        self._producerWaits = not streaming

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        self._producer = None
        self._producerWaits = False

    def pauseProducing(self) -> None:
        """Stop reading for now."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        self.reading = True

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # Called by the pump. Each returns whether something happened.

    def _reads(self) -> bool:
        return self.closed is None and self.reading and not (self.disconnecting or self._aborting)

    def _flushed(self) -> bool:
        """The queue is empty: resume the producer, or close if that was requested."""
        if self.closed is not None or self.queue:
            return False
        if self._producerWaits:
            self._producerWaits = not self._streaming
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._close(ConnectionDone())
        elif self._finRequested and not self._finSent:
            self._finSent = True
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.writeConnectionLost()
        else:
            return False
        return True

    def _endOfInput(self) -> None:
        self._finReceived = True
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self._close(ConnectionDone())

    def _close(self, why: Exception) -> None:
        if self.closed is None:
            self.closed = why
            if self._producer is not None:
                self._producer.stopProducing()
            self.protocol.connectionLost(Failure(why))


class StreamPair:
    """
    A client and a server, connected. Nothing moves until :meth:`pump` or :meth:`step`.

    :param client: the client's protocol.
    :param server: the server's protocol. ``makeConnection`` is called on both.
    :param cut: the size of the next piece: called with the number of waiting bytes, at most
        :data:`PIECE_SIZE`; returns 1 to that number. All of them by default.
    :ivar client: the client's end.
    :ivar server: the server's end.
    """

    def __init__(
        self,
        client: IProtocol,
        server: IProtocol,
        cut: Callable[[int], int] | None = None,
    ) -> None:
        self.cut = cut
        self.client = MemoryTransport(client, CLIENT_ADDRESS, SERVER_ADDRESS)
        self.server = MemoryTransport(server, SERVER_ADDRESS, CLIENT_ADDRESS)
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    def pump(self) -> None:
        """Step until nothing moves; raises ``AssertionError`` if that never happens."""
        for _ in range(STEP_LIMIT):
            if not self.step():
                return
        raise AssertionError(f"the pair does not come to rest in {STEP_LIMIT} steps")

    def step(self) -> bool:
        """Move one piece each way; returns false if nothing moved."""
        toServer = self._moved(self.client, self.server)
        toClient = self._moved(self.server, self.client)
        return toServer or toClient

    def _moved(self, sender: MemoryTransport, receiver: MemoryTransport) -> bool:
        if sender._aborting and sender.closed is None:
            sender._close(ConnectionAborted())
            receiver._close(ConnectionLost())
            return True
        if sender.queue and receiver.closed is not None:
            # Bytes that will not be read: the receiver's kernel answers them with a reset.
            sender.queue.clear()
            sender._close(ConnectionLost())
            return True
        if sender.queue and receiver._reads():
            self._deliver(sender, receiver)
            return True
        return self._ended(sender, receiver) or sender._flushed()

    def _deliver(self, sender: MemoryTransport, receiver: MemoryTransport) -> None:
        size = min(len(sender.queue), PIECE_SIZE)
        if self.cut is not None:
            size = self.cut(size)
        piece = bytes(sender.queue[:size])
        del sender.queue[:size]
        receiver.protocol.dataReceived(piece)

    def _ended(self, sender: MemoryTransport, receiver: MemoryTransport) -> bool:
        over = sender._finSent or sender.closed is not None
        if not over or sender.queue or receiver._finReceived or not receiver._reads():
            return False
        receiver._endOfInput()
        return True


verifyClass(ITCPTransport, MemoryTransport)
verifyClass(IConsumer, MemoryTransport)
verifyClass(IPushProducer, MemoryTransport)
