"""
How much of what a transport was given the other side's kernel has not taken yet.

Twisted's transports tell when their own queue is empty, but what they have handed to the kernel may wait
there for as long as the client does not read, and a socket closed then may lose it. Asked only of
connections that are being closed, by :mod:`echoproto.protocols.stream`.
"""

from __future__ import annotations

from fcntl import ioctl
from struct import unpack
from termios import TIOCOUTQ
from typing import Any


def unsentBytes(transport: Any) -> int:
    """
    Bytes in the kernel's send queue that are not acknowledged (SIOCOUTQ, tcp(7); unix(7)).

    :param transport: any; of a TLS transport the one beneath it is asked.
    :return: the number; 0 where the transport has no socket or its kernel does not tell.
    """
    while (inner := getattr(transport, "transport", None)) is not None:
        transport = inner
    try:
        answer = ioctl(transport.getHandle().fileno(), TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return 0
    return int(unpack("i", answer)[0])
