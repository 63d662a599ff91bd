"""
A reactor for Linux that reads and writes at once: Twisted's epoll reactor without its detours.

``twistd --reactor=direct``, or :func:`install` before the reactor is imported. Any Twisted application may use it: it
knows nothing of echo, and nothing in this package imports it.

What the stock reactor does for every message and this one does not:

- A write goes to a queue, the descriptor is watched for writing, and the next turn sends. Here it is sent at once while
  nothing is queued (:class:`DirectWrites`). What the kernel does not take goes the stock way, so producers, half-close,
  disconnecting and TLS mean what they always do.
- An event passes through ``callWithLogger`` and ``_doReadOrWrite``. Here a descriptor that is only readable is read
  at once. The log's prefix is that of the descriptor all the same, and is asked for when something is logged
  (:class:`TurnContext`).
- Between two waits for events it looks for calls of threads, new and due timed calls, and makes itself a context.
  Here that is asked in one line, and done when there is something to do (:meth:`DirectReactor.mainLoop`).
- A close waits for a turn in which nothing is left to send. Here it is done when the turn ends if nothing is queued
  (:meth:`DirectWrites.loseConnection`).

Several writes in one turn are several sends: give ``write`` whole messages, or the pieces to ``writeSequence``.

Each override must agree with the stock code that it replaces: ``tests/reactors/test_direct.py`` fails when that
code changes in a later Twisted, and ``python -m tests.reactors`` runs Twisted's own tests of reactors. The gain that stands
beside an override is what it saves of the processor time that one echo of 64 bytes costs with 50 connections, 3.8 µs in
all, where nothing else is said; each was measured by taking that one override away. The stock port accepts in batches that
grow as connections arrive: an override of it gained nothing.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from errno import EAGAIN, ENOBUFS
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.main import CONNECTION_LOST, installReactor
from twisted.python import context, log

if sys.platform != "linux":
    raise ImportError("the direct reactor needs Linux; choose another")

from select import EPOLLIN

from twisted.internet.epollreactor import EPollReactor

#: Bytes asked for in one receive, and after one that was filled.
RECEIVE_SIZE = 65_536
LARGE_RECEIVE_SIZE = 262_144

#: Events taken from the kernel in one turn. The stock reactor makes room for one of every descriptor, each turn anew.
EVENTS_PER_TURN = 512


class DirectWrites(tcp.Connection):
    """Stands before a stream transport of Twisted's and sends at once what that would queue."""

    reactor: Any
    # The kernel tells of an error once, to the send; the end of input that is read next is not an orderly one.
    _sendFailed = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Read for every message: an instance's own attribute is found faster than its class's.
        self.dataBuffer = b""
        self.TLS = self._aborting = False
        self.producer = None
        self.streamingProducer = False
        self._receiveSize = RECEIVE_SIZE

    def write(self, data: bytes) -> None:
        """Send ``data`` now if nothing is before it; queue what the kernel does not take. Gain: 2.6 µs."""
        if (
            self.dataBuffer
            or self._tempDataBuffer
            or not self.connected
            or self._aborting
            or self.TLS
            # A pull producer is asked for more by the queue, when that is empty.
            or (self.producer is not None and not self.streamingProducer)
            or type(data) is not bytes
        ):
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError as error:
            self._sendFailed = error.errno not in (EAGAIN, ENOBUFS) and not self._writeDisconnected
            sent = 0
        if sent != len(data):
            super().write(data[sent:])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send the pieces as one; queue what is more than a producer may have queued. Gain: as of :meth:`write`."""
        data = b"".join(iovec) if set(map(type, iovec)) == {bytes} else b""
        if 0 < len(data) <= self.bufferSize:
            self.write(data)
        else:
            super().writeSequence(iovec)

    def loseConnection(self) -> None:
        """
        Close when the turn ends if nothing is queued; the stock way is to wait for room to write nothing.
        Gain: 5.5 of 37 µs that a connection costs which is opened, asked once and closed.
        """
        if (
            self.dataBuffer
            or self._tempDataBuffer
            or not self.connected
            or self.disconnecting
            or self.producer is not None
            or self.TLS
            or self._writeDisconnecting
            or self._writeDisconnected
        ):
            super().loseConnection()
            return
        self.stopReading()
        self.disconnecting = True
        self.reactor.closing.append(self)

    def closeNow(self) -> None:
        """Close, as :meth:`loseConnection` promised; the stock way where something has been written since."""
        if self.dataBuffer or self._tempDataBuffer or self.producer is not None or self.TLS:
            self.startWriting()
        elif self.connected and not self._aborting:
            self.reactor._disconnectSelectable(self, self._postLoseConnection(), False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See ``IConsumer``."""
        super().registerProducer(producer, streaming)
        if self.producer is not None and not streaming:
            # Asked for more when the queue is empty, which it may be already, as it has been in no stock transport.
            self.startWriting()

    def _dataReceived(self, data: bytes | None) -> Any:
        if not data and self._sendFailed:
            return CONNECTION_LOST
        return super()._dataReceived(data)


class DirectStream(DirectWrites):
    """
    Receives as much at once as the connection has shown to bring. Gain: 3.7 of 21 µs that an echo of 100 KiB costs.
    """

    _receiveSize: int

    def doRead(self) -> Any:
        """Receive once, and tell the protocol. Gain: 0.2 µs."""
        size = self._receiveSize
        try:
            data = self.socket.recv(size)
        except OSError as error:
            return None if error.errno == EAGAIN else CONNECTION_LOST
        if len(data) == size:
            self._receiveSize = LARGE_RECEIVE_SIZE
        elif size != RECEIVE_SIZE and len(data) < RECEIVE_SIZE // 2:
            self._receiveSize = RECEIVE_SIZE
        if not data:
            return self._dataReceived(data)
        self.protocol.dataReceived(data)
        return None


class TCPServer(DirectStream, tcp.Server):
    """An accepted TCP connection."""


class TCPClient(DirectStream, tcp.Client):
    """A TCP connection that we made."""


_DIRECT = frozenset({TCPServer, TCPClient})


class _Descriptors(DirectWrites):
    """On a UNIX socket descriptors may wait to go along with the next bytes."""

    _sendmsgQueue: list[int]

    def write(self, data: bytes) -> None:
        if self._sendmsgQueue:
            tcp.Connection.write(self, data)
        else:
            super().write(data)

    def loseConnection(self) -> None:
        if self._sendmsgQueue:
            tcp.Connection.loseConnection(self)
        else:
            super().loseConnection()


class UNIXServer(_Descriptors, unix.Server):
    """An accepted connection of a UNIX socket."""


class UNIXClient(_Descriptors, unix.Client):
    """A connection to a UNIX socket that we made."""


class TCPPort(tcp.Port):
    """Accepts connections whose writes are direct."""

    transport: Any = TCPServer


class UNIXPort(unix.Port):
    """Accepts connections whose writes are direct."""

    transport: Any = UNIXServer


class TCPConnector(tcp.Connector):
    """Makes connections whose writes are direct."""

    def _makeTransport(self) -> tcp.Client:
        return TCPClient(self.host, self.port, self.bindAddress, self, self.reactor)


class UNIXConnector(unix.Connector):
    """Makes connections whose writes are direct."""

    def _makeTransport(self) -> Any:
        return UNIXClient(self.address, self, self.reactor, self.checkPID)


class TurnContext(dict[Any, Any]):
    """
    The context (``twisted.python.context``) of a turn: what ``callWithLogger`` makes for every event, made when it is asked for.

    :param outer: what the log tells of who runs the reactor.
    :ivar descriptor: whose turn it is.
    """

    descriptor: Any = None

    def __init__(self, outer: dict[str, Any]) -> None:
        self._outer = outer

    def __missing__(self, key: Any) -> Any:
        if key is not log.ILogContext or self.descriptor is None:
            raise KeyError(key)
        try:
            prefix = self.descriptor.logPrefix()
        except Exception:  # noqa: BLE001 - an application's; as callWithLogger has it
            prefix = "(buggy logPrefix method)"
        return {**self._outer, "system": prefix}


class DirectReactor(EPollReactor):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        # Connections to close when the turn ends.
        self.closing: list[DirectWrites] = []

    def mainLoop(self) -> None:
        """Run until stopped. Gain: 0.4 of 4.5 µs with 5 connections; ever less with more, of which a turn has more to do."""
        turn = TurnContext(context.get(log.ILogContext))
        context.call(turn, self._loop, turn)
        log.msg("Main loop terminated.")

    def _loop(self, turn: TurnContext) -> None:
        while self._started:
            try:
                self.runUntilCurrent()
                self._takeTurns(turn)
            except BaseException:  # noqa: BLE001 - as the stock reactor has it
                log.err(None, "Unexpected error in main loop")

    def _takeTurns(self, turn: TurnContext) -> None:
        """Wait for events and handle them, again and again until ``runUntilCurrent`` has something to do."""
        timeout = self.timeout() if self.running else 0
        while True:
            self._takeTurn(turn, timeout)
            timeout = self.timeout()
            if (
                timeout == 0
                or self.threadCallQueue
                or self._justStopped
                or not self.running
                # Cancelled calls are thrown away when they are many.
                or self._cancellations > 50
            ):
                return

    def doPoll(self, timeout: float | None) -> None:
        """
        Wait for events, at most ``timeout`` seconds, and handle them. Gain: 2.1 µs, of which the direct call of
        ``doRead`` is 0.2.
        """
        turn = TurnContext(context.get(log.ILogContext))
        context.call(turn, self._takeTurn, turn, timeout)

    doIteration = doPoll

    def _takeTurn(self, turn: TurnContext, timeout: float | None) -> None:
        if self.closing:
            timeout = 0
        selectables = self._selectables
        for fd, event in self._poller.poll(-1 if timeout is None else timeout, EVENTS_PER_TURN):
            descriptor = selectables.get(fd)
            # It may have been closed by one before it.
            if descriptor is None:
                continue
            turn.descriptor = descriptor
            try:
                if event == EPOLLIN and type(descriptor) in _DIRECT:
                    try:
                        why = descriptor.doRead()
                    except BaseException as error:  # noqa: BLE001 - as the stock reactor has it
                        log.err()
                        why = error
                    if why:
                        self._disconnectSelectable(descriptor, why, True)
                else:
                    self._doReadOrWrite(descriptor, fd, event)
            except Exception:  # noqa: BLE001 - out of a protocol's connectionLost; the others must have their turns
                log.err()
        if self.closing:
            self._close(turn)
        turn.descriptor = None

    def _close(self, turn: TurnContext) -> None:
        closing, self.closing = self.closing, []
        for each in closing:
            turn.descriptor = each
            try:
                each.closeNow()
            except Exception:  # noqa: BLE001 - out of a protocol's connectionLost
                log.err()

    def removeAll(self) -> Any:
        """Also what is about to be closed; see ``IReactorFDSet``."""
        closing, self.closing = self.closing, []
        return [*super().removeAll(), *closing]

    def listenTCP(self, port: Any, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See ``IReactorTCP``."""
        return _listening(TCPPort(port, factory, backlog, interface, self))

    def listenUNIX(
        self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: Any = 0
    ) -> Any:
        """See ``IReactorUNIX``."""
        return _listening(UNIXPort(address, factory, backlog, mode, self, wantPID))

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: Any, factory: Any) -> Any:
        """See ``IReactorSocket``."""
        if addressFamily == socket.AF_UNIX:
            return _listening(UNIXPort._fromListeningDescriptor(self, fileDescriptor, factory))
        if addressFamily in self._supportedAddressFamilies:
            return _listening(
                TCPPort._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
            )
        return super().adoptStreamPort(fileDescriptor, addressFamily, factory)

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: Any, factory: Any) -> Any:
        """See ``IReactorSocket``."""
        if addressFamily == socket.AF_UNIX:
            return UNIXServer._fromConnectedSocket(fileDescriptor, factory, self)
        if addressFamily in self._supportedAddressFamilies:
            return TCPServer._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)
        return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> Any:
        """See ``IReactorTCP``."""
        return _connecting(TCPConnector(host, port, factory, timeout, bindAddress, self))

    def connectUNIX(
        self, address: Any, factory: Any, timeout: float = 30, checkPID: Any = 0
    ) -> Any:
        """See ``IReactorUNIX``."""
        return _connecting(UNIXConnector(address, factory, timeout, self, checkPID))


def _listening(port: Any) -> Any:
    port.startListening()
    return port


def _connecting(connector: Any) -> Any:
    connector.connect()
    return connector


def install() -> None:
    """Make it the process's reactor; call it before anything imports ``twisted.internet.reactor``."""
    installReactor(DirectReactor())
