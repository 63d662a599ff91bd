from __future__ import annotations

import ctypes
import socket
import struct
import sys
from errno import EAGAIN, EBADF, ENOBUFS
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.addresses import rawAddress
from echoproto.protocols.datagram import MAX_IPV4_DATAGRAM
from echoproto.transports import datagrambatch
from echoproto.transports.datagrambatch import (
    BATCH_DATAGRAMS,
    DatagramBatch,
    datagramBatch,
)
from echoproto.transports.pktinfo import enablePacketInfo, replyControl

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class LimitedCalls:
    """
    The calls of libc, which fail as ``errors`` say: for a send the errno, or a negative number of
    datagrams that are sent before it stops.
    """

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self._libc = datagrambatch._libc()

    def recvmmsg(self, *arguments: Any) -> int:
        if self.errors:
            ctypes.set_errno(self.errors.pop(0))
            return -1
        received: int = self._libc.recvmmsg(*arguments)
        return received

    def sendmmsg(self, descriptor: int, messages: Any, count: int, flags: int) -> int:
        limit = self.errors.pop(0) if self.errors else -count
        if limit > 0:
            ctypes.set_errno(limit)
            return -1
        sent: int = self._libc.sendmmsg(descriptor, messages, min(count, -limit), flags)
        return sent


class BatchTests(SynchronousTestCase):
    """Batches on sockets of the loopback interface, where a sent datagram has arrived."""

    def bound(self, family: int = socket.AF_INET, host: str = "") -> socket.socket:
        made = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.setblocking(False)
        made.bind((host or LOOPBACK[socket.AddressFamily(family)], 0))
        return made

    def batch(self, family: int = socket.AF_INET, hasControl: bool = False) -> DatagramBatch:
        found = datagramBatch(family, hasControl)
        assert found is not None
        return found

    def test_exchange(self) -> None:
        """Datagrams of all sizes are received with their sources, and sent back whole."""
        for family in LOOPBACK:
            server, batch = self.bound(family), self.batch(family)
            texts = [b"", b"x", bytes(range(256)) * 4, bytes(MAX_IPV4_DATAGRAM)]
            clients = [self.bound(family) for _ in texts]
            for client, text in zip(clients, texts, strict=True):
                client.sendto(text, server.getsockname())
            count = batch.receive(server.fileno())
            self.assertEqual((count, batch.sizes(0, count)), (4, [len(text) for text in texts]))
            sources = [rawAddress(source) for source in batch.sources(0, count)]
            self.assertEqual(sources, [client.getsockname()[:2] for client in clients])
            self.assertEqual(batch.sources(1, 3), batch.sources(0, 4)[1:3])
            self.assertEqual(batch.send(server.fileno(), 0, count, b""), count)
            self.assertEqual([client.recv(70_000) for client in clients], texts)

    def test_full(self) -> None:
        """A batch is limited, and what is more stays for the next one."""
        server, client, batch = self.bound(), self.bound(), self.batch()
        for _ in range(BATCH_DATAGRAMS + 1):
            client.sendto(b"x", server.getsockname())
        self.assertEqual(batch.receive(server.fileno()), BATCH_DATAGRAMS)
        self.assertEqual([batch.receive(server.fileno()) for _ in range(2)], [1, 0])

    def test_source(self) -> None:
        """Replies leave from the address of their ancillary data; the next receive has its own."""
        server, client = self.bound(host="0.0.0.0"), self.bound()
        enablePacketInfo(server)
        batch = self.batch(hasControl=True)
        for hosts in (("127.0.0.2", "127.0.0.3"), ("127.0.0.4", "127.0.0.5")):
            for host in hosts:
                client.sendto(host.encode(), (host, server.getsockname()[1]))
            self.assertEqual(batch.receive(server.fileno()), 2)
            self.assertEqual(batch.controls, batch.control(0) + batch.control(1))
            for index, host in enumerate(hosts):
                control = replyControl(batch.control(index))
                assert control
                self.assertEqual(batch.send(server.fileno(), index, index + 1, control), 1)
                answer, (source, _) = client.recvfrom(100)
                self.assertEqual((answer, source), (host.encode(), host))

    def test_noAncillaryData(self) -> None:
        """Without ancillary data its memory holds zeros, also after a datagram that had some."""
        server, client = self.bound(), self.bound()
        batch = self.batch(hasControl=True)
        for wanted in (1, 0):
            enablePacketInfo(server, wanted)
            client.sendto(b"x", server.getsockname())
            self.assertEqual(batch.receive(server.fileno()), 1)
            self.assertEqual(any(batch.control(0)), bool(wanted))
        self.assertEqual(batch.send(server.fileno(), 0, 1, b""), 1)
        self.assertEqual(client.recv(100), b"x")

    def test_errors(self) -> None:
        """A failed call raises its error; nothing waiting is no error."""
        batch = self.batch()
        for call in (lambda: batch.receive(-1), lambda: batch.send(-1, 0, 1, b"")):
            error = self.assertRaises(OSError, call)
            self.assertEqual(error.errno, EBADF)
        self.assertEqual(DatagramBatch(LimitedCalls(EAGAIN), 16, 0).receive(-1), 0)

    def test_partly(self) -> None:
        """A send reports how many were sent, or the error of the first one."""
        server, client = self.bound(), self.bound()
        batch = DatagramBatch(LimitedCalls(), 16, 0)
        for _ in range(3):
            client.sendto(b"x", server.getsockname())
        batch.receive(server.fileno())
        limited = DatagramBatch(LimitedCalls(-2, ENOBUFS), 16, 0)
        limited._replies[0:3] = batch._replies[0:3]
        self.assertEqual(limited.send(server.fileno(), 0, 3, b""), 2)
        error = self.assertRaises(OSError, limited.send, server.fileno(), 2, 3, b"")
        self.assertEqual(error.errno, ENOBUFS)


class AvailableTests(SynchronousTestCase):
    def setUp(self) -> None:
        for made in (datagramBatch, datagrambatch._memory, datagrambatch._libc):
            made.cache_clear()

    tearDown = setUp

    def test_shared(self) -> None:
        """All ports of a family share their memory."""
        self.assertIs(
            datagramBatch(socket.AF_INET, False), datagramBatch(int(socket.AF_INET), False)
        )

    def test_missing(self) -> None:
        """On another system, for another family or without the calls there are no batches."""
        self.assertIsNone(datagramBatch(socket.AF_UNIX, False))
        for name in ("recvmmsg", "sendmmsg"):
            datagramBatch.cache_clear()
            calls = mock.Mock(spec={"recvmmsg", "sendmmsg"} - {name})
            with mock.patch.object(datagrambatch, "_libc", return_value=calls):
                self.assertIsNone(datagramBatch(socket.AF_INET, False))
        datagramBatch.cache_clear()
        with mock.patch.object(sys, "platform", "darwin"):
            self.assertIsNone(datagramBatch(socket.AF_INET, False))

    def test_layout(self) -> None:
        """A column of small numbers is found in the low half of a size_t on either byte order."""
        vectors = (datagrambatch._Vector * 3)()
        for index, vector in enumerate(vectors):
            vector.size = index + 1
        offset = datagrambatch._Vector.size.offset + datagrambatch._LOW
        self.assertEqual(datagrambatch._column(vectors, offset).tolist(), [1, 2, 3])
        self.assertEqual(struct.calcsize("N"), datagrambatch._Vector.base.size)
