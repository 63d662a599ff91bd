from __future__ import annotations

from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.datagrams import (
    PIPELINED_DATAGRAMS,
    datagramAnswers,
    datagramByteValues,
    datagramPipelining,
    datagramSizes,
    emptyDatagram,
    noDuplicates,
    replyAddress,
    replyPort,
)
from echoproto.conformance.results import Failed
from echoproto.protocols.echo import EchoDatagramProtocol
from tests.conformance.fakeservers import FakeDatagramServer, FaultyDatagramEcho

CHECKS = (
    datagramAnswers,
    datagramByteValues,
    emptyDatagram,
    datagramSizes,
    replyAddress,
    replyPort,
    noDuplicates,
    datagramPipelining,
)


class Silent(FaultyDatagramEcho):
    """Answers nothing."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        pass


class Text(FaultyDatagramEcho):
    """Treats datagrams as text that ends at the first NUL."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram.partition(b"\0")[0], addr)


class Upper(FaultyDatagramEcho):
    """Answers in upper case."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram.upper(), addr)


class Ending(FaultyDatagramEcho):
    """
    Ignores empty datagrams.

    :param end: whether an empty datagram also stops the server.
    """

    def __init__(self, end: bool) -> None:
        self.end = end
        self.over = False

    def answer(self, datagram: bytes, addr: Any) -> None:
        if not datagram:
            self.over = self.end
        elif not self.over:
            super().answer(datagram, addr)


class Short(FaultyDatagramEcho):
    """Truncates to 8,192 bytes, as Twisted's ``listenUDP``, and ignores 20,000 bytes or more."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        if len(datagram) < 20_000:
            super().answer(datagram[:8192], addr)


class Same(FaultyDatagramEcho):
    """Answers each datagram with the first one."""

    first = b""

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.first = self.first or datagram
        super().answer(self.first, addr)


class Twice(FaultyDatagramEcho):
    """
    Answers the first datagrams twice.

    :param twice: their number.
    """

    def __init__(self, twice: int) -> None:
        self.twice = twice

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram, addr)
        if self.twice:
            self.twice -= 1
            super().answer(datagram, addr)


class Lossy(FaultyDatagramEcho):
    """
    Loses the first datagrams.

    :param lost: their number.
    """

    def __init__(self, lost: int) -> None:
        self.lost = lost

    def answer(self, datagram: bytes, addr: Any) -> None:
        if self.lost:
            self.lost -= 1
        else:
            super().answer(datagram, addr)


class Elsewhere(FaultyDatagramEcho):
    """
    Answers from another port.

    :param through: the protocol of that port.
    """

    def __init__(self, through: Any) -> None:
        self.through = through

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.through.transport.write(datagram, addr)


class Repeating(FaultyDatagramEcho):
    """Answers every datagram twelve times."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        for _ in range(12):
            super().answer(datagram, addr)


class DatagramTests(SynchronousTestCase):
    def fails(
        self, check: Any, server: DatagramProtocol, message: str, host: str = "127.0.0.1"
    ) -> None:
        with self.assertRaisesRegex(Failed, f"^{message}$"):
            FakeDatagramServer(server, host).run(check)

    def test_conforming(self) -> None:
        """The echo server passes all of these checks, local and remote, on both families."""
        for host in ("127.0.0.1", "127.0.0.2", "192.0.2.1", "::1", "2001:db8::1"):
            for check in CHECKS:
                detail = FakeDatagramServer(host=host).run(check)
                self.assertEqual(detail, f"sent to {host}" if check is replyAddress else None)

    def test_silent(self) -> None:
        """A server that does not answer fails all of these checks."""
        for check, message in (
            (datagramAnswers, "no datagram received within 5 s"),
            (datagramByteValues, "no reply"),
            (emptyDatagram, "no reply, and none to any datagram after it"),
            (datagramSizes, "1 byte: no reply; also 1472, 2049, 4097, 8193, 32768, 65507 bytes"),
            (replyAddress, "no reply"),
            (replyPort, "no reply"),
            (noDuplicates, "no reply"),
            (datagramPipelining, "100 of 100 datagrams lost"),
        ):
            self.fails(check, Silent(), message)

    def test_everyByte(self) -> None:
        """A server that changes bytes, or stops at a NUL, fails."""
        self.fails(datagramByteValues, Text(), "the reply has 0 bytes")
        self.fails(datagramByteValues, Upper(), "the reply has other bytes")

    def test_empty(self) -> None:
        """A server that ignores an empty datagram fails, and so does one that stops at it."""
        self.fails(emptyDatagram, Ending(False), "no reply")
        self.fails(emptyDatagram, Ending(True), "no reply, and none to any datagram after it")

    def test_sizes(self) -> None:
        """A server that truncates long datagrams fails, on IPv4 and IPv6."""
        message = "8193 bytes: the reply has 8192 bytes; also 32768, 65507 bytes"
        self.fails(datagramSizes, Short(), message)
        self.fails(datagramSizes, Short(), message.replace("65507", "65527"), "::1")

    def test_replyAddress(self) -> None:
        """On loopback a second address is tried, and a reply from the wrong address fails."""
        fake = FakeDatagramServer()
        fake.wire.listenDatagrams(7007, EchoDatagramProtocol(fake.wire), "127.0.0.2")
        self.assertEqual(fake.run(replyAddress), "sent to 127.0.0.1 and 127.0.0.2")
        fake = FakeDatagramServer()
        fake.wire.listenDatagrams(7007, Elsewhere(fake.server), "127.0.0.2")
        with self.assertRaisesRegex(Failed, "^the reply to 127.0.0.2 left from 127.0.0.1$"):
            fake.run(replyAddress)

    def test_replyPort(self) -> None:
        """A server that answers from another port fails."""
        through = FaultyDatagramEcho()
        fake = FakeDatagramServer(Elsewhere(through))
        fake.wire.listenDatagrams(7008, through)
        with self.assertRaisesRegex(Failed, "^the reply to port 7007 left from port 7008$"):
            fake.run(replyPort)

    def test_duplicates(self) -> None:
        """Duplicate replies fail on loopback; elsewhere a network may cause some."""
        self.fails(noDuplicates, Twice(1), "21 replies to 20 datagrams")
        self.assertIsNone(FakeDatagramServer(Twice(2), "192.0.2.1").run(noDuplicates))
        self.fails(noDuplicates, Twice(3), "23 replies to 20 datagrams", "192.0.2.1")

    def test_same(self) -> None:
        """Equal replies to different datagrams fail, although they are no more."""
        message = "20 replies to 20 datagrams, of which 19 repeat another one"
        self.fails(noDuplicates, Same(), message)

    def test_manyReplies(self) -> None:
        """A server that answers repeatedly fails for duplicates, not for loss."""
        self.assertIsNone(FakeDatagramServer(Repeating()).run(datagramPipelining))
        self.fails(noDuplicates, Repeating(), "240 replies to 20 datagrams")

    def test_pipelined(self) -> None:
        """Lost datagrams fail on loopback; elsewhere some loss is tolerated and reported."""
        self.fails(
            datagramPipelining,
            Lossy(1),
            f"1 of {PIPELINED_DATAGRAMS} datagrams lost",
        )
        detail = FakeDatagramServer(Lossy(10), "192.0.2.1").run(datagramPipelining)
        self.assertEqual(detail, "10 of 100 datagrams lost")
        self.fails(
            datagramPipelining,
            Lossy(11),
            "11 of 100 datagrams lost",
            "192.0.2.1",
        )
