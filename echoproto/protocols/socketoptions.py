"""The socket below a stream transport, and the options of an accepted connection."""

from __future__ import annotations

import socket
import sys
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


#: The options of every connection: urgent data stays in the stream, a vanished client is noticed,
#: and replies leave at once.
_CONNECTION_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


def setInheritedOptions(made: socket.socket) -> None:
    """
    Set the options of connections on a TCP socket that does not listen yet. On Linux connections
    inherit them when they are established, which may be long before they are accepted.
    """
    for option in _CONNECTION_OPTIONS:
        with suppress(OSError):
            made.setsockopt(*option)


def noteInheritance(port: Any) -> None:
    """
    Spare :func:`setConnectionOptions` its system calls if all connections of a port, also those
    that wait already, have inherited their options.

    :param port: a listening port of Twisted on TCP.
    """
    with suppress(OSError):
        port.connectionsInherit = sys.platform == "linux" and all(
            port.socket.getsockopt(level, name) == value
            for level, name, value in _CONNECTION_OPTIONS
        )


def setConnectionOptions(transport: Any) -> None:
    """
    Set the options of an accepted connection that it has not inherited: on TCP those of
    :func:`setInheritedOptions`; otherwise urgent data is kept, where there is any.
    """
    if getattr(getattr(transport, "server", None), "connectionsInherit", False):
        return
    # Decided by the peer's address, which the transport knows; the host's would need a system call.
    if getattr(transport.getPeer(), "type", None) == "TCP" and hasattr(transport, "setTcpNoDelay"):
        for setOption in (transport.setTcpNoDelay, transport.setTcpKeepAlive):
            # The connection may be closed already, or a sandbox may forbid the option.
            with suppress(OSError):
                setOption(True)
    keepUrgentData(transport)
