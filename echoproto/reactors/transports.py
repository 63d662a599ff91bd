"""
Stream transports of the direct reactor.

They are Twisted's own, with two differences: written data is sent when its event or the turn ends,
without waiting for the kernel to report room, and the size of a receive adapts to the connection.
The send queue is Twisted's, so producers, half-close, ``loseConnection``, ``abortConnection`` and
TLS keep their meaning.
"""

from __future__ import annotations

from errno import EAGAIN, ENOBUFS
from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from echoproto.reactors.eventcontext import EventContext

#: The reason of every orderly close.
_CLOSED = Failure(CONNECTION_DONE)

#: Classes whose ``doRead`` the reactor calls without the detours of the stock reactor.
READ_DIRECTLY: set[type] = set()


class DirectTransport(tcp.Connection):
    """
    A stream transport that is flushed when the turn ends.

    :ivar isQueued: whether it will be flushed, so that writing more needs no further step.
    :ivar logContext: the log context of its events.
    """

    reactor: Any
    _sendmsgQueue: Any = ()
    # Whether the protocol receives, and what it writes is sent when it returns.
    _isDelivering = False
    # Whether the end of input has been read.
    _hasEnded = False
    # The kernel reports an error once. After a failed send, the end of input is not an orderly
    # close.
    _sendFailed = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._prepare()

    def _prepare(self) -> None:
        # A client whose socket could not be made or bound has no reactor, and no events.
        self.logContext: Any = EventContext(getattr(self, "reactor", None), self)
        self.isQueued = False
        # Read for every message: an instance attribute is found faster than a class attribute. With
        # more than 30 of them each connection would need a dictionary.
        self.dataBuffer = b""
        self.disconnecting = self.TLS = self._aborting = False
        self._writeDisconnecting = self._writeDisconnected = False
        self.producer = None
        self.streamingProducer = self.producerPaused = False

    def write(self, data: bytes) -> None:
        """Queue ``data`` until the event or the turn ends."""
        if (
            type(data) is bytes
            and data
            and not self.dataBuffer
            and (
                self.producer is None
                or (self.streamingProducer and self._tempDataLen + len(data) <= self.bufferSize)
            )
            and self.connected
            and not self.TLS
            and not self._writeDisconnected
        ):
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            if not self.isQueued:
                self.isQueued = True
                self.reactor.flushing.append(self)
        else:
            super().write(data)

    def startWriting(self) -> None:
        """Write when the turn ends; if an earlier flush left data, when the kernel has room."""
        if not self.connected or self.dataBuffer:
            super().startWriting()
        elif not self.isQueued:
            self.isQueued = True
            self.reactor.flushing.append(self)

    def _maybePauseProducer(self) -> None:
        # A large reply in one piece, which is about to be sent, does not pause its producer unless
        # the kernel does not accept it: _keep() asks again.
        if not self._isDelivering or len(self._tempDataBuffer) > 1:
            super()._maybePauseProducer()

    def stopWriting(self) -> None:
        """See ``FileDescriptor``."""
        self.isQueued = False
        super().stopWriting()

    def flush(self) -> Any:
        """
        Send the queue, and finish what depends on it, such as closing. If the kernel does not
        accept all of it, wait for room.

        :return: the reason to disconnect, as ``doWrite`` returns it, or ``None``.
        """
        if self._writeDisconnected:
            # A read has queued it; an empty send after our own FIN would fail with EPIPE.
            return None
        if self.disconnecting and self._isEmpty():
            return self._close()
        if (
            self.disconnecting
            or self._writeDisconnecting
            or self.producerPaused
            or not self._tempDataBuffer
            or self._sendmsgQueue
            or (self.producer is not None and not self.streamingProducer)
        ):
            why = self.doWrite()
            if self.dataBuffer and self.connected and not why:
                super().startWriting()
            return why
        self._sendQueue()
        return None

    def _isEmpty(self) -> bool:
        return not (self.dataBuffer or self._tempDataBuffer or self._sendmsgQueue or self.producer)

    def _close(self) -> Any:
        """Close with nothing queued; a reason to disconnect is an error not reported before."""
        try:
            self.socket.send(b"")
        except OSError:
            return CONNECTION_LOST
        why: Any = self._postLoseConnection()
        if why is CONNECTION_DONE:
            self.connectionLost(_CLOSED)
            return None
        return why

    def _sendQueue(self) -> None:
        """Send a new queue."""
        # Python does not copy a single piece of bytes; a piece of another type may change later.
        data = b"".join(self._tempDataBuffer)
        self._tempDataBuffer.clear()
        self._tempDataLen = 0
        self._send(data)

    def _send(self, data: bytes) -> None:
        """Send data while nothing is queued; what the kernel does not accept is queued."""
        try:
            sent = self.socket.send(data)
        except OSError as error:
            self._sendFailed = error.errno not in (EAGAIN, ENOBUFS)
            sent = 0
        if sent != len(data):
            self._keep(data, sent)

    def _keep(self, data: bytes, sent: int) -> None:
        """Queue what the kernel has not accepted, and wait for room."""
        self.dataBuffer, self.offset = data, sent
        self._maybePauseProducer()
        super().startWriting()

    def _deliver(self, data: bytes) -> None:
        """
        Call the protocol, and send its reply.

        If the protocol has scheduled a call, which may write more, or has done anything but write,
        the reply waits until the turn ends.
        """
        if self.isQueued or self.dataBuffer:
            self.protocol.dataReceived(data)
            return
        # Pretend to be queued, so that a reply is sent here and not listed.
        self.isQueued = self._isDelivering = True
        self.protocol.dataReceived(data)
        self._isDelivering = False
        queue = self._tempDataBuffer
        if (
            not self.isQueued
            or self.disconnecting
            or self._writeDisconnecting
            or (queue and (self.producerPaused or self.reactor._newTimedCalls))
            or (queue and not (self.streamingProducer or self.producer is None))
        ):
            self.reactor.flushing.append(self)
            return
        self.isQueued = False
        if queue:
            self._sendQueue()

    def sendEarly(self) -> None:
        """Send a reply although the protocol, which runs the reactor, has not returned."""
        if self._isDelivering and self.isQueued:
            self._isDelivering = self.isQueued = False
            if self._tempDataBuffer or self.disconnecting or self._writeDisconnecting:
                self.startWriting()

    def _dataReceived(self, data: bytes | None) -> Any:
        if not data:
            self._hasEnded = True
            return CONNECTION_LOST if self._sendFailed else CONNECTION_DONE
        return super()._dataReceived(data)

    def abortConnection(self) -> None:
        """See ``IAbortableTransport``; what is written from now on is not sent."""
        super().abortConnection()
        # As the stock transport replaces doRead() and doWrite().
        self.flush = lambda: None  # type: ignore[method-assign]

    def connectionLost(self, reason: Failure) -> None:
        """See ``FileDescriptor``."""
        super().connectionLost(reason)
        # Breaks the cycle of references.
        self.logContext = None
