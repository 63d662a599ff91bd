from __future__ import annotations

import errno
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols import echoplus
from echoproto.protocols.echoplus import (
    HEADER_SIZE,
    ISSUE1_SIZE,
    NUMBERS,
    EchoPlusDatagramProtocol,
    EchoPlusHeader,
    isAnswer,
)
from echoproto.testing import DatagramWire

NUMBER = st.integers(0, NUMBERS - 1)

#: The layout of TR-143: each field is 32 bits in network byte order.
VECTOR = bytes.fromhex("00000001 00000002 00000003 00000104 00000005 00000006")


class HeaderTests(SynchronousTestCase):
    def test_layout(self) -> None:
        """The fields have the order, the size and the byte order of TR-143."""
        header = EchoPlusHeader(1, 2, 3, 0x104, 5, 6)
        self.assertEqual(header.encode(), VECTOR)
        self.assertEqual(EchoPlusHeader.decode(VECTOR + b"payload"), header)
        self.assertEqual(header.serverTime, 0x101)

    def test_answer(self) -> None:
        """An answer has the bytes of its request, except for fields of the server that were set."""
        request = VECTOR + b"payload"
        answer = EchoPlusHeader(1, 9, 9, 9, 9, 6).encode() + b"payload"
        self.assertTrue(isAnswer(request, answer))
        for other in (request, answer[:-1], b"x" + answer[1:], answer[:-1] + b"x", request[:3]):
            self.assertFalse(isAnswer(request, other))

    def test_short(self) -> None:
        """A reply to a datagram that is too short for the fields is no answer."""
        self.assertFalse(isAnswer(b"1234567", b"1234"))
        self.assertFalse(isAnswer(b"Hello, server", b"Hello, client"))

    @given(st.tuples(*[NUMBER] * 6), st.binary())
    def test_roundTrip(self, numbers: tuple[int, ...], payload: bytes) -> None:
        """Every header is decoded as it was encoded, whatever follows it."""
        header = EchoPlusHeader(*numbers)
        self.assertEqual(EchoPlusHeader.decode(header.encode() + payload), header)

    @given(st.integers(0, HEADER_SIZE))
    def test_truncated(self, size: int) -> None:
        """A datagram of Issue 1 lacks the iteration; a shorter one has no header."""
        header = EchoPlusHeader.decode(VECTOR[:size])
        if size < ISSUE1_SIZE:
            self.assertIsNone(header)
        else:
            assert header is not None
            self.assertEqual((header.number, header.failures), (1, 5))

    def test_wrap(self) -> None:
        """Numbers and times wrap around."""
        self.assertEqual(EchoPlusHeader(NUMBERS + 1).encode()[:4], b"\0\0\0\1")
        self.assertEqual(EchoPlusHeader(0, 0, NUMBERS - 1, 2).serverTime, 3)

    def test_isAnswered(self) -> None:
        """A request that was only echoed has no fields of a server."""
        self.assertFalse(EchoPlusHeader(7, iteration=9).isAnswered)
        self.assertTrue(EchoPlusHeader(7, repliedAt=1).isAnswered)


class ServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.service = EchoPlusDatagramProtocol(self.wire)
        self.wire.listenUDP(7, self.service)

    def ask(self, request: bytes, port: int = 5000) -> bytes:
        self.service.datagramReceived(request, ("192.0.2.1", port))
        return self.wire.pending.pop().data

    def header(self, number: int, port: int = 5000) -> EchoPlusHeader:
        header = EchoPlusHeader.decode(self.ask(EchoPlusHeader(number).encode(), port))
        assert header is not None
        return header

    def test_reply(self) -> None:
        """The four fields of the server are set, and all other bytes are returned unchanged."""
        self.wire.advance(2.5)
        reply = self.ask(b"GENS" + b"x" * 16 + b"ITERpayload")
        self.assertEqual(reply[:4] + reply[20:], b"GENSITERpayload")
        header = EchoPlusHeader.decode(reply)
        assert header is not None
        self.assertEqual(
            (header.replies, header.receivedAt, header.repliedAt, header.failures),
            (0, 2_500_000, 2_500_000, 0),
        )

    def test_counts(self) -> None:
        """Replies are counted for each source."""
        self.assertEqual([self.header(number).replies for number in range(3)], [0, 1, 2])
        self.assertEqual(self.header(9, port=5001).replies, 0)

    def test_times(self) -> None:
        """The times are those of the clock, before and after."""
        clock = Clock()
        seconds = iter((1.0, 1.25))
        self.patch(clock, "seconds", lambda: next(seconds))
        self.service.clock = clock
        self.assertEqual(self.header(1).serverTime, 250_000)

    def test_failures(self) -> None:
        """Replies that cannot be sent are counted, and reported in the next one."""

        def write(reply: bytes, addr: Any) -> None:
            raise OSError(errno.ENOBUFS, "full")

        with self.subTest("failing"):
            working, self.service.transport.write = self.service.transport.write, write
            self.service.datagramReceived(EchoPlusHeader(1).encode(), ("192.0.2.1", 5000))
            self.service.transport.write = working
        header = self.header(2)
        self.assertEqual((header.replies, header.failures), (0, 1))
        self.assertEqual(self.service.totals().errors, {"send ENOBUFS": 1})

    def test_short(self) -> None:
        """A datagram without room for the fields is echoed, and one of Issue 1 is not longer."""
        for size in range(ISSUE1_SIZE):
            self.assertEqual(self.ask(bytes(size)), bytes(size))
        self.assertEqual(len(self.ask(bytes(ISSUE1_SIZE))), ISSUE1_SIZE)

    def test_guarded(self) -> None:
        """Datagrams from refused ports are not answered, as by echo."""
        self.service.datagramReceived(VECTOR, ("192.0.2.1", 7))
        self.assertEqual(self.wire.pending, [])

    def test_bounded(self) -> None:
        """The counts of the source that was silent longest begin again."""
        self.patch(echoplus, "MAX_SOURCES", 2)
        for port in (5001, 5002, 5001, 5003):
            self.header(1, port)
        self.assertEqual([self.header(1, port).replies for port in (5001, 5002)], [2, 0])
