"""A TCP connection whose server's end is a transport of a direct reactor."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from fcntl import ioctl
from select import select
from termios import TIOCOUTQ
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory

from echoproto.testing import MemoryTransport
from echoproto.testing.streams import PIECE_SIZE

#: Bytes that each socket buffers, so that long data fills the queues behind them.
BUFFER_SIZE = 16_384

#: Steps without a change after which nothing moves: the kernel may deliver late.
IDLE_STEPS = 30


#: Seconds of a pause for the kernel, and the number of pauses of one pair.
PAUSE, PATIENCE = 0.01, 6000


def _unacknowledged(sender: socket.socket, receiver: socket.socket) -> int:
    """Bytes that the kernel has sent or will send, and the receiver's has not accepted (tcp(7))."""
    # It would otherwise delay its acknowledgement.
    receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return int.from_bytes(ioctl(sender, TIOCOUTQ, bytes(4)), sys.byteorder)


def connectedSockets(
    family: socket.AddressFamily = socket.AF_INET, bufferSize: int | None = None
) -> tuple[socket.socket, socket.socket]:
    """
    The two ends of a TCP connection, not blocking; the second is the accepted one.

    :param bufferSize: of both buffers of both ends.
    """
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family) as listener:
        connecting = socket.socket(family)
        if bufferSize is not None:
            for one in (listener, connecting):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, bufferSize)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, bufferSize)
                # The segments of the loopback interface are longer than the buffers.
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        listener.bind((host, 0))
        listener.listen()
        connecting.connect(listener.getsockname())
        accepted, _ = listener.accept()
    for one in (connecting, accepted):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        one.setblocking(False)
    return connecting, accepted


class SocketEnd:
    """
    The server's end of a :class:`SocketPair`, as :class:`MemoryTransport` shows it.

    :ivar closed: why it is closed; ``None`` while it is open.
    """

    def __init__(self, transport: Any) -> None:
        self.closed: Exception | None = None
        self._transport = transport
        self._connectionLost = transport.connectionLost
        transport.connectionLost = self._lost

    def _lost(self, reason: Any) -> None:
        self.closed = self.closed or reason.value
        self._connectionLost(reason)

    @property
    def queue(self) -> bytes:
        """What is written and not yet sent."""
        transport = self._transport
        unsent: bytes = transport.dataBuffer[transport.offset :]
        return unsent + b"".join(transport._tempDataBuffer)


class SocketPair:
    """
    A connection with the interface of :class:`StreamPair`, on sockets.

    :param client: the client's protocol.
    :param factory: builds the server's protocol.
    :param reactor: a direct reactor that is not running.
    :ivar cut: the size of the next piece to or from the client; see :class:`StreamPair`.
    """

    def __init__(self, client: IProtocol, factory: Factory, reactor: Any) -> None:
        self.cut: Callable[[int], int] = lambda size: size
        self.socket, accepted = connectedSockets(bufferSize=BUFFER_SIZE)
        self._reactor = reactor
        self._patience = PATIENCE
        host = IPv4Address("TCP", *self.socket.getsockname())
        peer = IPv4Address("TCP", *self.socket.getpeername())
        with accepted:
            transport = reactor.adoptStreamConnection(accepted.fileno(), socket.AF_INET, factory)
        self.server = SocketEnd(transport)
        self.client = MemoryTransport(client, host, peer)
        client.makeConnection(self.client)

    def pump(self) -> None:
        """Run steps until nothing moves."""
        idle = 0
        for _ in range(1_000_000):
            idle = 0 if self.step() else idle + 1
            if idle >= IDLE_STEPS and not self._awaitKernel():
                return
            if idle:
                os.sched_yield()
        raise AssertionError("the pair does not come to rest")

    def _awaitKernel(self) -> bool:
        """
        If the kernel has data that is being read at the other end, give it time: a busy machine
        delivers late, and what found a full buffer is sent again by a timer.
        """
        if not (self._isUnderWay() and self._patience):
            return False
        self._patience -= 1
        select([self.socket], [], [], PAUSE)
        return True

    def _isUnderWay(self) -> bool:
        client, transport = self.client, self.server._transport
        if client.closed is not None:
            return False
        isReading = client._reads() and not client._finReceived
        if self.server.closed is not None:
            return isReading
        return (isReading and _unacknowledged(transport.socket, self.socket) > 0) or (
            transport in self._reactor.getReaders()
            and _unacknowledged(self.socket, transport.socket) > 0
        )

    def step(self) -> bool:
        """One piece from the client, one turn of the reactor, and one piece to the client."""
        sent = self._sendPiece()
        self._reactor.iterate(0)
        return self._receivePiece() or sent

    def _sendPiece(self) -> bool:
        client = self.client
        if client.closed is not None:
            return False
        if client._aborting:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._close(ConnectionAborted())
            return True
        try:
            if client.queue:
                size = self.cut(min(len(client.queue), PIECE_SIZE))
                sent = self.socket.send(client.queue[:size])
                del client.queue[:sent]
                return True
        except BlockingIOError:
            return False
        except OSError:
            client.queue.clear()
            self._close(ConnectionLost())
            return True
        moved = client._flushed()
        if client._finSent and client.closed is None and moved:
            self.socket.shutdown(socket.SHUT_WR)
        if client.closed is not None:
            self.socket.close()
        return moved

    def _receivePiece(self) -> bool:
        client = self.client
        if not client._reads() or client._finReceived:
            return False
        try:
            piece = self.socket.recv(self.cut(PIECE_SIZE))
        except BlockingIOError:
            return False
        except OSError:
            self._close(ConnectionLost())
            return True
        if piece:
            client.protocol.dataReceived(piece)
        else:
            client._endOfInput()
        return True

    def _close(self, why: Exception) -> None:
        self.socket.close()
        self.client._close(why)
