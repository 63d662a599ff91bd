"""A UDP socket in memory, a port on it, and a protocol that records."""

from __future__ import annotations

import socket
from errno import EAGAIN, ENOPROTOOPT
from typing import Any, cast

from twisted.internet.protocol import DatagramProtocol
from typing_extensions import Self

from echoproto.transports.pktinfo import Ancillary
from echoproto.transports.udp import DatagramPort

PEER = ("192.0.2.1", 40_000)


class FakeSocket:
    """Receives the contents of ``waiting``, and records sent datagrams."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.waiting: list[OSError | tuple[bytes, list[Ancillary], int, Any]] = []
        self.sent: list[tuple[bytes, list[Ancillary], Any]] = []
        self.error = 0
        self.bound = "0.0.0.0"
        self.option: Any = None

    def setsockopt(self, *option: int) -> None:
        self.option = option

    def recvmsg(self, size: int, ancillarySize: int) -> Any:
        if not self.waiting:
            raise OSError(EAGAIN, "nothing waits")
        next = self.waiting.pop(0)
        if isinstance(next, OSError):
            raise next
        data, ancillary, flags, addr = next
        return data[:size], ancillary, flags, addr

    def recvfrom(self, size: int) -> Any:
        data, _, _, addr = self.recvmsg(size, 0)
        return data, addr

    def sendto(self, data: bytes, to: Any) -> None:
        self.sent.append((data, [], to))

    def sendmsg(self, data: list[bytes], ancillary: list[Ancillary], flags: int, to: Any) -> None:
        self.sent.append((b"".join(data), ancillary, to))

    def send(self, data: bytes) -> None:
        self.sent.append((data, [], None))

    def bind(self, address: Any) -> None:
        pass

    def getsockname(self) -> Any:
        return (self.bound, 7777)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fileno(self) -> int:
        return 3

    def connect(self, address: Any) -> None:
        pass

    def getsockopt(self, level: int, option: int, size: int = 0) -> int:
        """Return and clear the pending socket error; there are no other options."""
        if size:
            raise OSError(ENOPROTOOPT, "x")
        error, self.error = self.error, 0
        return error

    def close(self) -> None:
        pass


class FakeSocketPort(DatagramPort):
    def createInternetSocket(self) -> socket.socket:
        return cast(socket.socket, FakeSocket())


class RecordingEcho(DatagramProtocol):
    """Echoes and records received datagrams."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0

    def connectionRefused(self) -> None:
        self.refused += 1

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))
        cast(Any, self.transport).write(datagram, addr)
