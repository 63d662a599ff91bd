"""
The receive buffer of a UDP socket, and the datagrams that the kernel dropped because it was full.

A client that does not count these takes its own drops for losses of the network.
"""

from __future__ import annotations

from contextlib import suppress
from socket import SO_RCVBUF, SOL_SOCKET, socket
from struct import Struct

#: Bytes that are requested; the kernel grants ``net.core.rmem_max`` at most, root as many.
RECEIVE_BUFFER = 4 << 20

# Of Linux: <asm-generic/socket.h>, and SK_MEMINFO_DROPS of <linux/sock_diag.h>.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = Struct("9I")
_DROPS = 8


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
