from __future__ import annotations

import os
import socket
import struct
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.pktinfo import (
    Ancillary,
    NotUnicast,
    destinations,
    enablePacketInfo,
    packControl,
    parseControl,
    replyControl,
    replySource,
    vrfOf,
)

IP_PKTINFO = 8
DESTINATION = socket.inet_aton("192.0.2.9")


def pktinfo(spec: bytes = DESTINATION, header: bytes = DESTINATION) -> Ancillary:
    return (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", 3, spec, header))


def pktinfo6(address: str, interface: int = 3) -> Ancillary:
    packed = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=i", interface)
    return (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed)


class DestinationsTests(SynchronousTestCase):
    def test_unicast(self) -> None:
        """Unicast destinations of both families are returned, and other data is ignored."""
        group = pktinfo(header=socket.inet_aton("224.0.0.1"))
        other = (socket.SOL_SOCKET, 1, b"")
        self.assertEqual(destinations([group, other, pktinfo()]), [DESTINATION])
        six = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
        self.assertEqual(destinations([pktinfo6("2001:db8::1")]), [six])


class ReplySourceTests(SynchronousTestCase):
    def test_IPv6(self) -> None:
        """A reply from a global address has no interface, one from a link-local address has."""
        for address, interface in (("2001:db8::1", 0), ("fe80::1", 3), ("fec0::1", 0)):
            self.assertEqual(
                replySource([pktinfo6(address)]), [pktinfo6(address, interface)], address
            )

    def test_IPv6Group(self) -> None:
        """A datagram to an IPv6 group raises NotUnicast."""
        self.assertRaises(NotUnicast, replySource, [pktinfo6("ff02::1")])

    def test_IPv4OnIPv6(self) -> None:
        """Datagrams to a mapped address are answered as IPv4, and refused for a group."""
        mapped = pktinfo6("::ffff:192.0.2.9")
        expected = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + DESTINATION + bytes(4))
        self.assertEqual(replySource([mapped, pktinfo()]), [expected])
        group = pktinfo(header=socket.inet_aton("192.0.2.255"))
        self.assertRaises(NotUnicast, replySource, [mapped, group])

    def test_noLocalAddress(self) -> None:
        """Without the local address the header's one is used; the kernel rejects groups."""
        late = pktinfo(spec=bytes(4))
        self.assertEqual(replySource([late]), replySource([pktinfo()]))

    def test_unknownDestination(self) -> None:
        """Without a known destination the kernel chooses the source address."""
        self.assertEqual(replySource([]), [])
        self.assertEqual(replySource([(socket.SOL_SOCKET, 29, bytes(16))]), [])

    def test_VRF(self) -> None:
        """A datagram that arrived in a VRF is answered by way of that VRF, on either family."""
        index = struct.pack("=i", 77)
        expected = (socket.IPPROTO_IP, IP_PKTINFO, index + DESTINATION + bytes(4))
        self.assertEqual(replySource([pktinfo()], {3: 77}.__getitem__), [expected])
        for address, interface in (("2001:db8::1", 77), ("fe80::1", 3)):
            self.assertEqual(
                replySource([pktinfo6(address)], {3: 77}.__getitem__),
                [pktinfo6(address, interface)],
            )


class ControlTests(SynchronousTestCase):
    """The memory of ancillary data; a kernel reads and fills it in test_datagrambatch.py."""

    def test_packed(self) -> None:
        """Packed ancillary data are read again, also with zeros behind; padding is dropped."""
        ancillary = [pktinfo6("2001:db8::1"), pktinfo(), (socket.SOL_SOCKET, 1, b"x")]
        packed = packControl(ancillary)
        self.assertEqual(parseControl(packed), ancillary)
        self.assertEqual(parseControl(packed + bytes(40)), ancillary)
        self.assertEqual((packControl([]), parseControl(b"")), (b"", []))

    def test_reply(self) -> None:
        """The reply's are those of replySource(); a group has none."""
        self.assertEqual(
            replyControl(packControl([pktinfo()]) + bytes(40)),
            packControl(replySource([pktinfo()])),
        )
        self.assertEqual(replyControl(bytes(72)), b"")
        self.assertIsNone(replyControl(packControl([pktinfo6("ff02::1")])))


class VRFTests(SynchronousTestCase):
    def test_master(self) -> None:
        """The VRF is the master of an interface; an interface without one, or none, has no VRF."""
        loopback = socket.if_nametoindex("lo")
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(vrfOf.__wrapped__(loopback, folder), 0)
            os.makedirs(f"{folder}/lo/master")
            with open(f"{folder}/lo/master/ifindex", "w") as index:
                index.write("77\n")
            self.assertEqual(vrfOf.__wrapped__(loopback, folder), 77)
            self.assertEqual(vrfOf.__wrapped__(2**31 - 1, folder), 0)
        self.assertEqual(vrfOf(loopback), 0)


class OptionTests(SynchronousTestCase):
    def test_IPv4OnIPv6(self) -> None:
        """An IPv6 socket also requests the destination of IPv4 datagrams."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
            enablePacketInfo(bound)
            options = (
                (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
                (socket.IPPROTO_IP, IP_PKTINFO),
            )
            self.assertEqual([bound.getsockopt(*option) for option in options], [1, 1])
