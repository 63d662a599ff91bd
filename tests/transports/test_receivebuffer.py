from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any
from unittest import mock

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.trial.unittest import SynchronousTestCase

from echoproto.text.units import SECOND
from echoproto.transports.receivebuffer import (
    StreamArrivals,
    droppedDatagrams,
    enlargeReceiveBuffer,
    waitedTime,
)


class OldSocket:
    """A socket of a kernel that knows neither option."""

    def __init__(self, values: bytes | None = None) -> None:
        self._values = values

    def setsockopt(self, *_: object) -> None:
        raise OSError(92, "Protocol not available")

    def getsockopt(self, *_: object) -> bytes:
        if self._values is None:
            raise OSError(92, "Protocol not available")
        return self._values


class ReceiveBufferTests(SynchronousTestCase):
    def socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind(("127.0.0.1", 0))
        return made

    def test_enlarged(self) -> None:
        """The buffer becomes as large as the kernel permits."""
        made = self.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        enlargeReceiveBuffer(made)
        self.assertGreater(made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), before)

    def test_dropped(self) -> None:
        """Datagrams for which the buffer has no room are counted."""
        made = self.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.assertEqual(droppedDatagrams(made), 0)
        for _ in range(100):
            self.socket().sendto(bytes(1000), made.getsockname())
        waiting = 0
        made.setblocking(False)
        try:
            while made.recv(2000):
                waiting += 1
        except BlockingIOError:
            self.assertEqual(droppedDatagrams(made), 100 - waiting)

    def test_waited(self) -> None:
        """A datagram that was received has waited since the kernel took it."""
        made = self.socket()
        self.assertEqual(waitedTime(made), 0)
        self.socket().sendto(b"ping", made.getsockname())
        made.recv(10)
        with mock.patch("time.time_ns", return_value=time.time_ns() + 60 * SECOND):
            waited = waitedTime(made)
        # A kernel that began to note arrivals only now stamps the datagram a little later.
        self.assertGreater(waited, 50 * SECOND)
        self.assertLess(waited, 600 * SECOND)
        with mock.patch("time.time_ns", return_value=time.time_ns() - 3600 * SECOND):
            self.assertEqual(waitedTime(made), 0)

    def test_unknown(self) -> None:
        """A kernel that knows the options not, or an older form of them, changes nothing."""
        for values in (None, bytes(32)):
            old = OldSocket(values)
            enlargeReceiveBuffer(old)  # type: ignore[arg-type]  # a part of a socket
            self.assertEqual(droppedDatagrams(old), 0)  # type: ignore[arg-type]  # likewise


class Transport:
    """A connection as a reactor has it."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made

    #: Returned at the end of the data.
    ended: object = b""

    def doRead(self) -> object:
        return self.socket.recv(100) or self.ended


class StreamArrivalsTests(SynchronousTestCase):
    def connected(self) -> tuple[socket.socket, Any]:
        """A server's socket, and the client's transport."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            server = listener.accept()[0]
        for made in (client, server):
            self.addCleanup(made.close)
        return server, Transport(client)

    def test_waited(self) -> None:
        """Received data has waited since the kernel took it, and is received whole."""
        server, transport = self.connected()
        arrivals = StreamArrivals(transport)
        self.assertEqual(arrivals.waited(), 0)
        end = time.monotonic() + 300
        # The kernel begins to note arrivals a little after the first request.
        while not arrivals.waited() and time.monotonic() < end:
            server.sendall(b"ping")
            self.assertEqual(transport.doRead(), b"ping")
        with mock.patch("time.time_ns", return_value=time.time_ns() + 60 * SECOND):
            self.assertGreater(arrivals.waited(), 50 * SECOND)
        server.close()
        self.assertEqual((transport.doRead(), arrivals.waited()), (b"", 0))

    def test_reset(self) -> None:
        """A reset, which the kernel reports once, is no orderly end; other ends are as ever."""
        for linger, reason in ((0, CONNECTION_LOST), (None, CONNECTION_DONE)):
            server, transport = self.connected()
            StreamArrivals(transport)
            # Nothing has arrived yet.
            transport.socket.setblocking(False)
            self.assertRaises(BlockingIOError, transport.doRead)
            transport.socket.setblocking(True)
            if linger is not None:
                option = struct.pack("ii", 1, linger)
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            server.close()
            select.select([transport.socket], [], [], 300)
            transport.ended = CONNECTION_DONE
            self.assertIs(transport.doRead(), reason)

    def test_unknown(self) -> None:
        """A kernel without timestamps changes nothing."""
        transport: Any = mock.Mock(socket=OldSocket())
        self.assertEqual(StreamArrivals(transport).waited(), 0)
