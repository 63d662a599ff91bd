"""
The receive buffer of a UDP socket: its size, the datagrams that the kernel dropped because it was
full, and the time that a datagram has waited in it.

So a client does not take its own drops for losses, nor its own delays for those of the network.
"""

from __future__ import annotations

import time
from contextlib import suppress
from fcntl import ioctl
from socket import SO_RCVBUF, SOL_SOCKET, socket
from struct import Struct

#: Bytes that are requested; the kernel grants ``net.core.rmem_max`` at most, root as many.
RECEIVE_BUFFER = 4 << 20

# Of Linux: <asm-generic/socket.h>, and SK_MEMINFO_DROPS of <linux/sock_diag.h>.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = Struct("9I")
_DROPS = 8

# <asm-generic/sockios.h>: a struct timespec; see socket(7).
_SIOCGSTAMPNS = 0x8907
_TIMESPEC = Struct("ll")


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
        stamp = ioctl(receiver, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
    except OSError:
        return 0
    arrivedAt, fraction = _TIMESPEC.unpack(stamp)
    # The kernel has wall clock time only; if that was set back meanwhile the time is unknown.
    return int(max(time.time_ns() - arrivedAt * 10**9 - fraction, 0))
