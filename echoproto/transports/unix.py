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

import socket
import struct
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

from echoproto.transports.descriptorcloser import (
    DescriptorCloser,
    passedDescriptors,
    unreadBytes,
)
from echoproto.transports.unixfile import ownsFile, removeOnlyOwnFile


class UNIXPeer(UNIXAddress):
    """
    The address of a client of a UNIX socket.

    :ivar uid: the user of its process (SO_PEERCRED, unix(7)); ``None`` if the system does not tell.
    """

    def __init__(self, name: str | bytes | None, uid: int | None) -> None:
        super().__init__(name)
        self.uid = uid


class AcceptedUNIXSocket(socket.socket):
    """A connection from which no descriptor is received."""

    closer: DescriptorCloser
    _hasPassed = False

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        """See ``socket.socket``; raises the errors of :meth:`DescriptorCloser.checkRoom`."""
        if self._hasPassed or (not self.closer.isIdle() and self._passesNext(bufsize)):
            self.closer.checkRoom()
        cloexec = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, flags, address = super().recvmsg(bufsize, ancbufsize, flags | cloexec)
        for descriptor in passedDescriptors(ancillary):
            self._hasPassed = True
            self.closer.close(descriptor)
        return data, [], flags, address

    def _passesNext(self, size: int) -> bool:
        """Whether a receive of ``size`` bytes would bring descriptors."""
        return bool(super().recvmsg(size, 0, socket.MSG_PEEK)[2] & socket.MSG_CTRUNC)

    def close(self) -> None:
        """Close; in the thread if there is unread data, which may have descriptors with it."""
        if self.fileno() >= 0 and self._hasUnread():
            self.closer.close(self.detach(), isOwn=True)
        else:
            super().close()

    def _hasUnread(self) -> bool:
        try:
            return unreadBytes(self) > 0
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
        :raise OSError: so many closed connections wait that no other may be opened.
        """
        self.closer.checkSockets()
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
