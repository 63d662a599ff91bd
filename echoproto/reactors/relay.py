"""
Relays what a TCP transport receives to another transport, or back, without calling its protocol.

A protocol that writes every byte that it receives, such as a proxy or an echo, saves the calls of
``dataReceived`` and ``write`` for each message. Large messages are moved by splice(2)
(:mod:`.pipe`): they are never copied to this process.
"""

from __future__ import annotations

from errno import EAGAIN, ENOBUFS
from typing import Any

from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from echoproto.reactors.pipe import SplicePipe
from echoproto.reactors.transports import DirectTransport

#: Bytes requested in one receive, and after a receive that was filled. An application may set
#: another limit, ``bufferSize``, as on the stock transport.
RECEIVE_SIZE = 65_536
LARGE_RECEIVE_SIZE = 262_144


class IRelayTransport(Interface):
    """
    A stream transport that can relay.

    Wrappers of Twisted, such as those for TLS, pass on the interfaces and attributes of the
    transport below them, which would relay the encrypted data. So ask its class:
    ``hasattr(type(transport), "relayTo")``.
    """

    bytesRelayed = Attribute("Number of bytes received while relaying, since the connection began.")

    def relayTo(target: object) -> None:
        """
        From now on write what is received to ``target`` instead of calling ``dataReceived``, until
        :meth:`stopRelaying`, ``loseConnection``, or the end of input. Nothing else changes for the
        protocol: ``readConnectionLost`` and ``connectionLost`` are called as ever, and it may write
        to both transports.

        This transport becomes the streaming producer of ``target``, so it reads nothing while
        ``target`` has too much queued, and loses its connection when that of ``target`` is lost. If
        ``target`` has a producer already, that one has to pause this transport. Without effect if
        this transport has lost its connection.

        :param target: an ``ITransport`` and ``IConsumer``; may be this transport.
        :raise RuntimeError: this transport is relaying already, or is wrapped or encrypted, so that
            the data is not its protocol's.
        """

    def stopRelaying() -> None:
        """
        Pass received data to the protocol again. What was received before has been written to the
        target. Without effect if this transport does not relay.
        """


@implementer(IRelayTransport)
class RelayStream(DirectTransport):
    """A TCP transport that can relay; see :class:`IRelayTransport`."""

    def _prepare(self) -> None:
        super()._prepare()
        self._receiveSize = RECEIVE_SIZE
        self.bytesRelayed = 0
        self._target: Any = None
        # Whether data may be sent to its socket.
        self._isDirect = False
        # Whether this was registered as the producer of its target.
        self._isProducing = False

    def relayTo(self, target: Any) -> None:
        """See :class:`IRelayTransport`."""
        if self.disconnected:
            return
        if self._target is not None:
            raise RuntimeError("the transport is relaying already")
        if self.TLS or hasattr(self.protocol, "wrappedProtocol"):
            raise RuntimeError("the data of a wrapped transport cannot be relayed")
        self._target, self._isDirect = target, isinstance(target, RelayStream)
        if getattr(target, "producer", None) is None:
            self._isProducing = True
            target.registerProducer(self, True)

    def stopRelaying(self) -> None:
        """See :class:`IRelayTransport`."""
        target, self._target = self._target, None
        self._isDirect = False
        if target is None:
            return
        if self._isProducing:
            self._isProducing = False
            isPaused = getattr(target, "producerPaused", False)
            target.unregisterProducer()
            if isPaused:
                self.resumeProducing()

    def doRead(self) -> Any:
        """Receive once; pass that to the protocol, or to the target if the transport relays."""
        size = self._receiveSize if self.bufferSize == RECEIVE_SIZE else self.bufferSize
        target = self._target
        isClear = self._isDirect and not (
            target.isQueued
            or target.dataBuffer
            or not target.connected
            or target.TLS
            or target._writeDisconnected
            or not (target.streamingProducer or target.producer is None)
        )
        try:
            if size > RECEIVE_SIZE and isClear and self._splice(target):
                return None
            data = self.socket.recv(size)
        except OSError as error:
            return None if error.errno == EAGAIN else CONNECTION_LOST
        if len(data) == size or size != RECEIVE_SIZE:
            self._adaptReceiveSize(size, len(data))
        if not data:
            return self._dataReceived(data)
        if target is None:
            self._deliver(data)
        elif isClear:
            self.bytesRelayed += len(data)
            target._send(data)
        else:
            self.bytesRelayed += len(data)
            target.write(data)
        return None

    def _splice(self, target: RelayStream) -> bool:
        """Move what is received; returns whether there was any."""
        pipe: SplicePipe = self.reactor.pipe
        if not pipe.isUsable:
            return False
        taken, rest, number = pipe.move(self.socket.fileno(), target.socket.fileno())
        self.bytesRelayed += taken
        if taken < RECEIVE_SIZE // 2:
            self._receiveSize = RECEIVE_SIZE
        if rest:
            target._sendFailed = number not in (EAGAIN, ENOBUFS)
            target._keep(rest, 0)
        return taken > 0

    def _adaptReceiveSize(self, size: int, received: int) -> None:
        """
        Choose the size of the next receive.

        :param size: that of the last one, which has got ``received`` bytes.
        """
        if received == size:
            self._receiveSize = LARGE_RECEIVE_SIZE
        elif received < RECEIVE_SIZE // 2:
            self._receiveSize = RECEIVE_SIZE

    def startTLS(self, *arguments: object) -> None:
        """See ``ITLSTransport``."""
        self.stopRelaying()
        super().startTLS(*arguments)

    def loseConnection(self) -> None:
        """See ``ITransport``."""
        if self._target is not None:
            self.stopRelaying()
        super().loseConnection()

    def readConnectionLost(self, reason: Failure) -> None:
        """See ``IHalfCloseableDescriptor``."""
        self.stopRelaying()
        super().readConnectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """See ``FileDescriptor``."""
        if self._target is not None:
            self.stopRelaying()
        super().connectionLost(reason)
