"""
UNIX sockets whose clients cannot harm the server, on every reactor.

:func:`prepareUNIXPort` adapts a listening port::

    prepareUNIXPort(reactor.listenUNIX("/run/echo", EchoFactory(reactor)))

- Descriptors that a client passes (SCM_RIGHTS, unix(7)) are closed in a thread: closing one may
  block, for example a TCP socket with SO_LINGER. Stock Twisted closes them in the reactor's thread,
  and logs a line for each. Those that are still in a socket when it is closed are treated alike.
- A client's name may have any length: Twisted takes one of four bytes for an IPv6 address.
- The user of the client's process is part of its address (:class:`UNIXPeer`).
- A file that has taken the place of the socket's own is not removed at the end.
- A client that has received everything and closes is reported as ``ConnectionDone``; the stock
  reactors report ``ConnectionLost``, because they see the end of both directions at once.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EAGAIN, ETOOMANYREFS
from fcntl import ioctl
from queue import SimpleQueue
from termios import FIONREAD
from threading import Thread
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

from echoproto.transports.unixfile import ownsFile, removeOnlyOwnFile

#: Seconds that the thread may take for one descriptor; above that, clients that pass more are cut
#: off. Below that, they are not read while any waits.
BLOCKED_AFTER = 1.0

_NO_LINGER = struct.pack("ii", 0, 0)


class UNIXPeer(UNIXAddress):
    """
    The address of a client of a UNIX socket.

    :ivar uid: the user of its process (SO_PEERCRED, unix(7)); ``None`` if the system does not tell.
    """

    def __init__(self, name: str | bytes | None, uid: int | None) -> None:
        super().__init__(name)
        self.uid = uid


class DescriptorCloser:
    """
    Closes descriptors of unknown kind in a thread, which is started for the first one.

    :param seconds: a monotonic clock.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._waiting: SimpleQueue[int] = SimpleQueue()
        self._seconds = seconds
        self._lastClosed = 0.0
        self._thread: Thread | None = None

    def close(self, descriptor: int) -> None:
        """Close a descriptor soon."""
        self._waiting.put(descriptor)
        if self._thread is None:
            self._lastClosed = self._seconds()
            # A daemon, so that a blocked close does not keep the process.
            self._thread = Thread(target=self._run, name="close descriptors", daemon=True)
            self._thread.start()

    def checkRoom(self) -> None:
        """
        Check that more descriptors may be received.

        :raise BlockingIOError: not now, some wait.
        :raise OSError: some wait, and the thread is blocked by one of them.
        """
        if not self._waiting.empty():
            isBlocked = self._seconds() - self._lastClosed > BLOCKED_AFTER
            raise OSError(ETOOMANYREFS if isBlocked else EAGAIN, "too many passed descriptors")

    def _run(self) -> None:
        while True:
            closeWithoutLinger(self._waiting.get())
            self._lastClosed = self._seconds()


def closeWithoutLinger(descriptor: int) -> None:
    """Close a descriptor; a socket without waiting for its peer."""
    # OSError: it is no socket.
    with suppress(OSError):
        passed = socket.socket(fileno=descriptor)
        try:
            passed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        finally:
            passed.detach()
    with suppress(OSError):
        os.close(descriptor)


class AcceptedUNIXSocket(socket.socket):
    """A connection from which no descriptor is received."""

    closer: DescriptorCloser
    _hasPassed = False

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        """See ``socket.socket``; raises the errors of :meth:`DescriptorCloser.checkRoom`."""
        if self._hasPassed:
            self.closer.checkRoom()
        cloexec = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, flags, address = super().recvmsg(bufsize, ancbufsize, flags | cloexec)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._hasPassed = True
                for (descriptor,) in struct.iter_unpack("i", content):
                    self.closer.close(descriptor)
        return data, [], flags, address

    def close(self) -> None:
        """Close; in the thread if there is unread data, which may have descriptors with it."""
        if self.fileno() >= 0 and self._hasUnread():
            self.closer.close(self.detach())
        else:
            super().close()

    def _hasUnread(self) -> bool:
        try:
            return any(ioctl(self, FIONREAD, bytes(4)))
        except OSError:
            # A sandbox forbids to ask.
            return True


class ListeningUNIXSocket(socket.socket):
    """Accepts connections as :class:`AcceptedUNIXSocket`, with the name and user of their peers."""

    closer: DescriptorCloser

    def accept(self) -> Any:
        """
        See ``socket.socket``.

        :return: the connection, and a pair of the peer's name and user.
        """
        plain, name = super().accept()
        made = AcceptedUNIXSocket(plain.family, plain.type, 0, fileno=plain.detach())
        made.closer = self.closer
        return made, (name, peerUser(made))


def peerUser(made: socket.socket) -> int | None:
    """The user of a UNIX socket's peer; ``None`` if the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("iii")
    try:
        credentials = made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    except OSError:
        return None
    uid: int = struct.unpack("iIi", credentials)[1]
    return uid


class OrderlyClose:
    """A mixin for UNIX transports, which report an orderly close as ``ConnectionDone``."""

    # Of the transport, whose class depends on the reactor.
    disconnecting: bool
    dataBuffer: bytes
    offset: int
    _tempDataBuffer: list[bytes]

    def connectionLost(self, reason: Failure) -> None:
        """See ``FileDescriptor``."""
        if reason.check(ConnectionLost) and self._isComplete():
            reason = Failure(CONNECTION_DONE)
        super().connectionLost(reason)  # type: ignore[misc]

    def _isComplete(self) -> bool:
        """Whether both ends have closed, and the peer has received everything."""
        made: socket.socket | None = getattr(self, "socket", None)
        isSent = not self._tempDataBuffer and self.offset >= len(self.dataBuffer)
        # The kernel reports an error if the peer has closed with unread data.
        return (
            made is not None
            and isSent
            and bool(self.disconnecting)
            and not made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        )


def prepareUNIXPort(port: Any, closer: DescriptorCloser | None = None) -> None:
    """
    Adapt a listening port of any reactor; see the module's docstring.

    :param port: a listening port of Twisted; it is left alone unless it has a UNIX socket.
    :param closer: by default a new one.
    """
    made = getattr(port, "socket", None)
    if made is None or made.family != getattr(socket, "AF_UNIX", None):
        return
    listening = ListeningUNIXSocket(made.family, made.type, 0, fileno=made.detach())
    listening.setblocking(False)
    listening.closer = closer if closer is not None else DescriptorCloser()
    server = type("UNIXServer", (OrderlyClose, port.transport), {})
    # Attributes of the instance, because every reactor has its own class of port.
    port.socket, port.fileno = listening, listening.fileno
    port.transport = lambda accepted, protocol, address, *rest: server(
        accepted, protocol, address[0], *rest
    )
    port._buildAddr = lambda address: UNIXPeer(*address)
    if listening.getsockname()[:1] == b"\0":
        # The stock message has the NUL of an abstract name.
        port._logConnectionLostMsg = lambda: None
    elif ownsFile(port):
        removeOnlyOwnFile(port)
