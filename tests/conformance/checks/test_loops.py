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
    """Answers nobody any more after so many datagrams."""

    def __init__(self, left: int) -> None:
        self.left = left

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left >= 0:
            super().answer(datagram, addr)


class LoopTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo answers none that could be another echo, and goes on after a burst."""
        self.assertEqual(FakeDatagramServer().run(echoPorts), "sent from ports 7, 19, 7007")
        self.assertRegex(
            FakeDatagramServer().run(datagramBurst), f"^1[0-9]{{3}} of {BURST_DATAGRAMS} returned$"
        )

    def test_answered(self) -> None:
        """A server that answers such datagrams is found; the ports are told."""
        with self.assertRaisesRegex(Failed, "^answers datagrams from ports 7, 19, 7007$"):
            FakeDatagramServer(FaultyDatagramEcho()).run(echoPorts)

    def test_taken(self) -> None:
        """
        Ports that we cannot have are not tester from; where it is all of them, nothing is said.
        """
        lab = FakeDatagramServer()
        for port in (19, 7007):
            lab.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        self.assertEqual(lab.run(echoPorts), "sent from port 7")
        lab = FakeDatagramServer()
        for port in (7, 19, 7007):
            lab.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        with self.assertRaisesRegex(Skipped, "^ports 7, 19 are in use, or need root$"):
            lab.run(echoPorts)

    def test_far(self) -> None:
        """Off loopback, and on IPv6, it is sent from the address that the kernel chooses."""
        lab = FakeDatagramServer(host="192.0.2.1", port=7)
        self.assertEqual(lab.run(echoPorts), "sent from ports 7, 19")
        lab = FakeDatagramServer(host="::1", port=7)
        self.assertEqual(lab.run(echoPorts), "sent from port 19")

    def test_silent(self) -> None:
        """Who answers nobody is not praised for it."""
        with self.assertRaisesRegex(Failed, "no datagram received within 5 s"):
            FakeDatagramServer(Overwhelmed(0)).run(echoPorts)

    def test_overwhelmed(self) -> None:
        """A server that does not outlive a burst is found."""
        with self.assertRaisesRegex(Failed, "no datagram received within 5 s"):
            FakeDatagramServer(Overwhelmed(1000)).run(datagramBurst)

    def test_full(self) -> None:
        """What our own kernel has no room for does not end the burst."""
        lab = FakeDatagramServer()
        write = MemoryDatagramPort.write
        left = [BURST_DATAGRAMS // 2]

        def full(port: MemoryDatagramPort, packet: bytes, addr: Any = None) -> None:
            if port.protocol is not lab.server and left[0]:
                left[0] -= 1
                raise OSError(ENOBUFS, strerror(ENOBUFS))
            write(port, packet, addr)

        self.patch(MemoryDatagramPort, "write", full)
        self.assertEqual(
            lab.run(datagramBurst), f"{BURST_DATAGRAMS // 2} of {BURST_DATAGRAMS} returned"
        )
