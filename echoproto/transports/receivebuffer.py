"""
The receive buffer of a socket: its size and the datagrams that the kernel dropped because it was
full, for UDP, and the time that received data has waited in it.

So a client does not take its own drops for losses, nor its own delays for those of the network.
"""

from __future__ import annotations

import time
from contextlib import suppress
from fcntl import ioctl
from socket import CMSG_SPACE, MSG_DONTWAIT, MSG_PEEK, SO_RCVBUF, SOL_SOCKET, socket
from struct import Struct
from typing import Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Connection

#: Bytes that are requested; the kernel grants ``net.core.rmem_max`` at most, root as many.
RECEIVE_BUFFER = 4 << 20

# Of Linux: <asm-generic/socket.h>, and SK_MEMINFO_DROPS of <linux/sock_diag.h>.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = Struct("9I")
_DROPS = 8

# <asm-generic/sockios.h>: a struct timespec; see socket(7).
_SIOCGSTAMPNS = 0x8907
_SO_TIMESTAMPNS = 35
_TIMESPEC = Struct("ll")
_CONTROL_SIZE = CMSG_SPACE(_TIMESPEC.size)


def enlargeReceiveBuffer(receiver: socket) -> None:
    """Let a socket hold as many datagrams as the kernel permits."""
    for option in (SO_RCVBUF, _SO_RCVBUFFORCE):
        with suppress(OSError):
            receiver.setsockopt(SOL_SOCKET, option, RECEIVE_BUFFER)


def droppedDatagrams(receiver: socket) -> int:
    """Number of datagrams that the kernel has dropped; 0 if it does not count them."""
    try:
        values = receiver.getsockopt(SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(values)[_DROPS]) if len(values) == _MEMINFO.size else 0


def waitedTime(receiver: socket) -> int:
    """
    Nanoseconds between the arrival of the datagram that was received last, and now.

    It is 0 if the kernel does not tell. The first call makes it note the arrivals from then on.
    """
    try:
        return _timeSince(ioctl(receiver, _SIOCGSTAMPNS, bytes(_TIMESPEC.size)))
    except OSError:
        return 0


def _timeSince(stamp: bytes) -> int:
    """Nanoseconds from a timestamp of the kernel until now."""
    arrivedAt, fraction = _TIMESPEC.unpack(stamp)
    # The kernel has wall clock time only; if that was set back meanwhile the time is unknown.
    return int(max(time.time_ns() - arrivedAt * 10**9 - fraction, 0))


class StreamArrivals:
    """
    Notes when the data arrived that a TCP transport receives.

    The kernel returns the timestamp together with the data only. Other code receives the data, so
    it is peeked at before.

    :param transport: a connected transport of a reactor.
    """

    #: The content is of no interest.
    _peeked = bytearray(1 << 16)

    def __init__(self, transport: Connection) -> None:
        self._transport = transport
        self._socket: socket = transport.socket
        self._stamp = b""
        with suppress(OSError):
            self._socket.setsockopt(SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        # Twisted replaces it, too, to abort a connection.
        transport.doRead = self._doRead  # type: ignore[method-assign]

    def _doRead(self) -> Any:
        """See ``IReadDescriptor``."""
        isLost = self._peek()
        ended = type(self._transport).doRead(self._transport)
        return CONNECTION_LOST if isLost and ended is CONNECTION_DONE else ended

    def _peek(self) -> bool:
        """Whether that has received an error, as of a reset, which the kernel reports only once."""
        try:
            # The method of an SSLSocket would refuse.
            flags = MSG_PEEK | MSG_DONTWAIT
            found = socket.recvmsg_into(self._socket, [self._peeked], _CONTROL_SIZE, flags)
        except BlockingIOError:
            # Nothing new has arrived: OpenSSL has kept data that arrived before.
            return False
        except OSError:
            return True
        self._stamp = b"".join(data for _, kind, data in found[1] if kind == _SO_TIMESTAMPNS)
        return False

    def waited(self) -> int:
        """Nanoseconds between the arrival of the data that was received last, and now, or 0."""
        return _timeSince(self._stamp) if self._stamp else 0
