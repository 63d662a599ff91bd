from __future__ import annotations

from errno import ENOBUFS
from os import strerror
from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.loops import BURST, burst, echoPorts
from echoproto.conformance.results import Failed, Skipped
from echoproto.testing import MemoryDatagramPort
from tests.conformance.lab import DatagramLab, FaultyDatagrams


class Overwhelmed(FaultyDatagrams):
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
        self.assertEqual(DatagramLab().run(echoPorts), "asked from ports 7, 19, 7007")
        self.assertRegex(DatagramLab().run(burst), f"^1[0-9]{{3}} of {BURST} came back$")

    def test_answered(self) -> None:
        """A server that answers such datagrams is found; the ports are told."""
        with self.assertRaisesRegex(Failed, "^it answers datagrams from ports 7, 19, 7007$"):
            DatagramLab(FaultyDatagrams()).run(echoPorts)

    def test_taken(self) -> None:
        """Ports that we cannot have are not asked from; where it is all of them, nothing is said."""
        lab = DatagramLab()
        for port in (19, 7007):
            lab.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        self.assertEqual(lab.run(echoPorts), "asked from port 7")
        lab = DatagramLab()
        for port in (7, 19, 7007):
            lab.wire.listenUDP(port, DatagramProtocol(), "127.0.0.3")
        with self.assertRaisesRegex(Skipped, "^ports 7, 19 are taken, or need root$"):
            lab.run(echoPorts)

    def test_far(self) -> None:
        """Off loopback, and on IPv6, it is sent from the address that the kernel chooses."""
        lab = DatagramLab(host="192.0.2.1", port=7)
        self.assertEqual(lab.run(echoPorts), "asked from ports 7, 19")
        lab = DatagramLab(host="::1", port=7)
        self.assertEqual(lab.run(echoPorts), "asked from port 19")

    def test_silent(self) -> None:
        """Who answers nobody is not praised for it."""
        with self.assertRaisesRegex(Failed, "no datagram came back in 5 s"):
            DatagramLab(Overwhelmed(0)).run(echoPorts)

    def test_overwhelmed(self) -> None:
        """A server that does not outlive a burst is found."""
        with self.assertRaisesRegex(Failed, "no datagram came back in 5 s"):
            DatagramLab(Overwhelmed(1000)).run(burst)

    def test_full(self) -> None:
        """What our own kernel has no room for does not end the burst."""
        lab = DatagramLab()
        write = MemoryDatagramPort.write
        left = [BURST // 2]

        def full(port: MemoryDatagramPort, packet: bytes, addr: Any = None) -> None:
            if port.protocol is not lab.server and left[0]:
                left[0] -= 1
                raise OSError(ENOBUFS, strerror(ENOBUFS))
            write(port, packet, addr)

        self.patch(MemoryDatagramPort, "write", full)
        self.assertEqual(lab.run(burst), f"{BURST // 2} of {BURST} came back")
