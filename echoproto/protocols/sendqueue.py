"""
The data that a transport has given to the kernel and the peer has not acknowledged.

Twisted's transports report when their own queue is empty, but data in the kernel waits there as
long as the client does not read, and closing the socket may lose it. Used for connections that are
being closed, by
:mod:`echoproto.protocols.lifecycle`.
"""

from __future__ import annotations

from fcntl import ioctl
from struct import unpack
from termios import TIOCOUTQ

from echoproto.protocols.socketoptions import socketOf


def unsentBytes(transport: object) -> int:
    """
    Unacknowledged bytes in the kernel's send queue (SIOCOUTQ, tcp(7); unix(7)).

    :param transport: any; for a TLS transport, the one below it counts.
    :return: the number; 0 if the transport has no socket or the kernel does not report it.
    """
    try:
        answer = ioctl(socketOf(transport).fileno(), TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return 0
    return int(unpack("i", answer)[0])
