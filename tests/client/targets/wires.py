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
    """A wire whose ports cannot be connected."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)

        def connect(*args: Any) -> None:
            raise self._error

        port.connect = connect
        return port
