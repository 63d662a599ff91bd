"""Wires in memory with ports that have a socket, or that cannot be connected."""

from __future__ import annotations

from socket import socket
from typing import Any

from echoproto.testing import DatagramWire


class SocketWire(DatagramWire):
    """A wire whose ports have a socket."""

    def __init__(self, receiver: socket) -> None:
        super().__init__()
        self._receiver = receiver

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)
        port.socket = self._receiver
        return port


class FailingWire(DatagramWire):
    """
    A wire whose ports cannot be connected.

    :param failures: number of the first ports of which that is so; without a number, of all.
    """

    def __init__(self, error: Exception, failures: int | None = None) -> None:
        super().__init__()
        self._error = error
        self._failures = failures

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)
        if self._failures is not None:
            self._failures -= 1
            if self._failures < 0:
                return port

        def connect(*args: Any) -> None:
            raise self._error

        port.connect = connect
        return port
