from __future__ import annotations

from errno import ENOBUFS
from os import strerror
from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.loops import BURST_DATAGRAMS, datagramBurst, echoPorts
from echoproto.conformance.results import Failed, Skipped
from echoproto.testing import MemoryDatagramPort
from tests.conformance.fakeservers import FakeDatagramServer, FaultyDatagramEcho


class Overwhelmed(FaultyDatagramEcho):
    """
    Stops answering after a number of datagrams.

    :param left: the number.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left >= 0:
            super().answer(datagram, addr)


class LoopTests(SynchronousTestCase):
    def test_conforming(self) -> None:
        """The echo server ignores datagrams from echo ports, and survives a burst."""
        self.assertEqual(FakeDatagramServer().run(echoPorts), "sent from ports 7, 19, 7007")
        self.assertRegex(
            FakeDatagramServer().run(datagramBurst), f"^1[0-9]{{3}} of {BURST_DATAGRAMS} returned$"
        )

    def test_answered(self) -> None:
        """A server that answers datagrams from echo ports fails, with the ports listed."""
        with self.assertRaisesRegex(Failed, "^answers datagrams from ports 7, 19, 7007$"):
            FakeDatagramServer(FaultyDatagramEcho()).run(echoPorts)

    def test_portsInUse(self) -> None:
        """Ports that cannot be bound are left out; without any port the check is skipped."""
        fake = FakeDatagramServer()
        for port in (19, 7007):
            fake.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        self.assertEqual(fake.run(echoPorts), "sent from port 7")
        fake = FakeDatagramServer()
        for port in (7, 19, 7007):
            fake.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        with self.assertRaisesRegex(Skipped, "^ports 7, 19 are in use, or need root$"):
            fake.run(echoPorts)

    def test_notLoopback(self) -> None:
        """Off loopback, and on IPv6, the kernel chooses the source address."""
        fake = FakeDatagramServer(host="192.0.2.1", port=7)
        self.assertEqual(fake.run(echoPorts), "sent from ports 7, 19")
        fake = FakeDatagramServer(host="::1", port=7)
        self.assertEqual(fake.run(echoPorts), "sent from port 19")

    def test_silent(self) -> None:
        """A server that answers nothing at all does not pass."""
        with self.assertRaisesRegex(Failed, "no datagram received within 5 s"):
            FakeDatagramServer(Overwhelmed(0)).run(echoPorts)

    def test_overwhelmed(self) -> None:
        """A server that does not survive a burst fails."""
        with self.assertRaisesRegex(Failed, "no datagram received within 5 s"):
            FakeDatagramServer(Overwhelmed(1000)).run(datagramBurst)

    def test_fullSendBuffer(self) -> None:
        """A full send buffer on the client's side does not end the burst."""
        fake = FakeDatagramServer()
        write = MemoryDatagramPort.write
        left = [BURST_DATAGRAMS // 2]

        def full(port: MemoryDatagramPort, packet: bytes, addr: Any = None) -> None:
            if port.protocol is not fake.server and left[0]:
                left[0] -= 1
                raise OSError(ENOBUFS, strerror(ENOBUFS))
            write(port, packet, addr)

        self.patch(MemoryDatagramPort, "write", full)
        self.assertEqual(
            fake.run(datagramBurst), f"{BURST_DATAGRAMS // 2} of {BURST_DATAGRAMS} returned"
        )
