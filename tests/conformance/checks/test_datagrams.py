from __future__ import annotations

from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.datagrams import (
    PIPELINED,
    answers,
    empty,
    everyByte,
    once,
    pipelined,
    port,
    sizes,
    source,
)
from echoproto.conformance.results import Failed
from echoproto.protocols.echo import EchoDatagramProtocol
from tests.conformance.lab import DatagramLab, FaultyDatagrams

CHECKS = (answers, everyByte, empty, sizes, source, port, once, pipelined)


class Silent(FaultyDatagrams):
    """Answers nothing."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        pass


class Text(FaultyDatagrams):
    """Takes all for text that ends at the first zero."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram.partition(b"\0")[0], addr)


class Upper(FaultyDatagrams):
    """Answers in other letters."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram.upper(), addr)


class Ending(FaultyDatagrams):
    """
    Takes an empty datagram for nothing, or for the end.

    :param end: which.
    """

    def __init__(self, end: bool) -> None:
        self.end = end
        self.over = False

    def answer(self, datagram: bytes, addr: Any) -> None:
        if not datagram:
            self.over = self.end
        elif not self.over:
            super().answer(datagram, addr)


class Short(FaultyDatagrams):
    """Has room for 8,192 bytes, as Twisted's ``listenUDP``; answers nothing that is longer than 20,000."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        if len(datagram) < 20_000:
            super().answer(datagram[:8192], addr)


class Twice(FaultyDatagrams):
    """Answers some datagrams twice, the first so many."""

    def __init__(self, twice: int) -> None:
        self.twice = twice

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(datagram, addr)
        if self.twice:
            self.twice -= 1
            super().answer(datagram, addr)


class Lossy(FaultyDatagrams):
    """Loses the first so many."""

    def __init__(self, lost: int) -> None:
        self.lost = lost

    def answer(self, datagram: bytes, addr: Any) -> None:
        if self.lost:
            self.lost -= 1
        else:
            super().answer(datagram, addr)


class Elsewhere(FaultyDatagrams):
    """
    Answers through another port than the one that was asked.

    :param through: the protocol of that port.
    """

    def __init__(self, through: Any) -> None:
        self.through = through

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.through.transport.write(datagram, addr)


class DatagramTests(SynchronousTestCase):
    def fails(
        self, check: Any, server: DatagramProtocol, says: str, host: str = "127.0.0.1"
    ) -> None:
        with self.assertRaisesRegex(Failed, f"^{says}$"):
            DatagramLab(server, host).run(check)

    def test_ours(self) -> None:
        """Our echo passes them all, near and far, on both families."""
        for host in ("127.0.0.1", "127.0.0.2", "192.0.2.1", "::1", "2001:db8::1"):
            for check in CHECKS:
                said = DatagramLab(host=host).run(check)
                self.assertEqual(said, f"asked at {host}" if check is source else "")

    def test_silent(self) -> None:
        """Who does not answer passes none of them."""
        for check, says in (
            (answers, "no datagram came back in 5 s"),
            (everyByte, "no reply"),
            (empty, "no reply, and from then on none to anything"),
            (sizes, "1 bytes: no reply; also 1472, 2049, 4097, 8193, 32768, 65507 bytes"),
            (source, "no reply"),
            (port, "no reply"),
            (once, "no reply"),
            (pipelined, "of 100 datagrams at once 100 did not come back"),
        ):
            self.fails(check, Silent(), says)

    def test_everyByte(self) -> None:
        """A server that changes bytes, or ends at some, is found."""
        self.fails(everyByte, Text(), "the reply has 0 bytes")
        self.fails(everyByte, Upper(), "the reply has other bytes")

    def test_empty(self) -> None:
        """A server that takes nothing for no datagram is found, and one that takes it for the end."""
        self.fails(empty, Ending(False), "no reply")
        self.fails(empty, Ending(True), "no reply, and from then on none to anything")

    def test_sizes(self) -> None:
        """A server that cuts is found, and one that has no room."""
        says = "8193 bytes: the reply has 8192 bytes; also 32768, 65507 bytes"
        self.fails(sizes, Short(), says)
        self.fails(sizes, Short(), says.replace("65507", "65527"), "::1")

    def test_source(self) -> None:
        """A server on every address of loopback is asked at two, and found where it answers from one."""
        lab = DatagramLab()
        lab.wire.listenDatagrams(7007, EchoDatagramProtocol(lab.wire), "127.0.0.2")
        self.assertEqual(lab.run(source), "asked at 127.0.0.1 and 127.0.0.2")
        lab = DatagramLab()
        lab.wire.listenDatagrams(7007, Elsewhere(lab.server), "127.0.0.2")
        with self.assertRaisesRegex(Failed, "^asked at 127.0.0.2 it answers from 127.0.0.1$"):
            lab.run(source)

    def test_port(self) -> None:
        """A server that answers from another port is found."""
        through = FaultyDatagrams()
        lab = DatagramLab(Elsewhere(through))
        lab.wire.listenDatagrams(7008, through)
        with self.assertRaisesRegex(Failed, "^asked at port 7007 it answers from port 7008$"):
            lab.run(port)

    def test_once(self) -> None:
        """Second replies are a fault on loopback; elsewhere a network may double some."""
        self.fails(once, Twice(1), "to 20 datagrams 21 replies came")
        self.assertEqual(DatagramLab(Twice(2), "192.0.2.1").run(once), "")
        self.fails(once, Twice(3), "to 20 datagrams 23 replies came", "192.0.2.1")

    def test_pipelined(self) -> None:
        """Loss is a fault on loopback; elsewhere a network may lose some, and how many is told."""
        self.fails(pipelined, Lossy(1), f"of {PIPELINED} datagrams at once 1 did not come back")
        said = DatagramLab(Lossy(10), "192.0.2.1").run(pipelined)
        self.assertEqual(said, "10 of 100 were lost on the way")
        self.fails(
            pipelined, Lossy(11), "of 100 datagrams at once 11 did not come back", "192.0.2.1"
        )
