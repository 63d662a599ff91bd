"""The socket below a stream transport, and the options of an accepted connection."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, cast


def socketOf(transport: Any) -> socket.socket:
    """
    The socket of a transport; of a transport over another one, such as TLS, that of the lowest.

    :raise AttributeError: it has none, as a transport in memory.
    """
    while (inner := getattr(transport, "transport", None)) is not None:
        transport = inner
    return cast(socket.socket, transport.getHandle())


def keepUrgentData(transport: Any) -> None:
    """
    Leave urgent data in the stream (SO_OOBINLINE, socket(7)); otherwise the kernel removes it. RFC
    862 returns "any data it receives", and RFC 6093 section 6 tells programs to set the option. A
    TCP connection can inherit it from its listening socket, one of a UNIX socket cannot.
    """
    # The connection may be closed already.
    with suppress(AttributeError, OSError):
        socketOf(transport).setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
