from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from echoproto.addresses import (
    datagramAddress,
    numericHost,
    peerUID,
    rateLimitKey,
    rawAddress,
    unmapped,
)
from echoproto.transports.unix import UNIXPeer


class UnmappedTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """An address of either family is parsed, without its scope."""
        self.assertEqual(unmapped("192.0.2.7"), IPv4Address("192.0.2.7"))
        self.assertEqual(unmapped("2001:db8::7"), IPv6Address("2001:db8::7"))
        self.assertEqual(unmapped("fe80::1%eth0"), IPv6Address("fe80::1"))

    def test_mapped(self) -> None:
        """An IPv4 address mapped into IPv6 becomes that IPv4 address, in any notation."""
        for host in ("::ffff:192.0.2.7", "::ffff:c000:207", "::FFFF:192.0.2.7%eth0"):
            self.assertEqual(unmapped(host), IPv4Address("192.0.2.7"), host)

    def test_invalid(self) -> None:
        """Anything but a numeric address raises ``ValueError``."""
        for host in ("", "localhost", "192.0.2", "192.0.2.0/24", "%eth0"):
            self.assertRaises(ValueError, unmapped, host)

    @given(st.ip_addresses(v=4))
    def test_everyMappedAddress(self, address: IPv4Address) -> None:
        """Every IPv4 address is restored from its mapped form."""
        self.assertEqual(unmapped(f"::ffff:{address}"), address)


class RateLimitKeyTests(SynchronousTestCase):
    def test_oneHost(self) -> None:
        """The key of an IPv4 source is its address, that of an IPv6 source its /64."""
        self.assertEqual(rateLimitKey("192.0.2.7"), "192.0.2.7")
        self.assertEqual(rateLimitKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
        self.assertEqual(rateLimitKey("fe80::1%eth0"), "fe80::/64")
        self.assertEqual(rateLimitKey("::ffff:192.0.2.7"), "192.0.2.7")

    def test_notUnicast(self) -> None:
        """Multicast, broadcast and unspecified addresses have no key."""
        for host in (
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "ff02::1",
            "::",
            "::ffff:224.0.0.1",
            "::ffff:255.255.255.255",
        ):
            self.assertIsNone(rateLimitKey(host), host)

    @given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
    def test_oneSite(self, address: IPv6Address, other: int) -> None:
        """All unicast addresses of a /64 have the same key."""
        neighbour = IPv6Address(int(address) >> 64 << 64 | other)
        keys = {rateLimitKey(str(source)) for source in (address, neighbour)}
        if int(address) >> 64:
            self.assertEqual(len(keys), 1)


class NumericHostTests(SynchronousTestCase):
    def test_numericAddress(self) -> None:
        """IP addresses have a numeric host; UNIX addresses, and no address, do not."""
        self.assertEqual(numericHost(TCP4Address("TCP", "192.0.2.1", 7)), "192.0.2.1")
        self.assertEqual(numericHost(TCP6Address("TCP", "2001:db8::7", 7)), "2001:db8::7")
        self.assertIsNone(numericHost(UNIXAddress(b"/run/echo")))
        self.assertIsNone(numericHost(None))


class DatagramAddressTests(SynchronousTestCase):
    def test_scope(self) -> None:
        """A link-local address has its interface, by name, or by number once that is removed."""
        index = socket.if_nametoindex("lo")
        for address, host in (
            (("192.0.2.1", 7), "192.0.2.1"),
            (("2001:db8::1", 7), "2001:db8::1"),
            (("2001:db8::1", 7, 0, 0), "2001:db8::1"),
            (("fe80::1", 7, 0, index), "fe80::1%lo"),
            (("fe80::1", 7, 0, 2**31 - 1), f"fe80::1%{2**31 - 1}"),
        ):
            made = datagramAddress(address)
            self.assertEqual((made.type, made.host, made.port), ("UDP", host, 7))

    def test_raw(self) -> None:
        """The kernel's form of an address, of either family, is read."""
        family = struct.pack("=H", socket.AF_INET) + b"\x1f\x90"
        self.assertEqual(rawAddress(family + bytes([192, 0, 2, 1]) + bytes(8)), ("192.0.2.1", 8080))
        family = struct.pack("=H", socket.AF_INET6) + b"\x1f\x90" + bytes(4)
        packed = socket.inet_pton(socket.AF_INET6, "fe80::1") + b"\x02\0\0\0"
        self.assertEqual(rawAddress(family + packed), ("fe80::1", 8080))


class PeerUIDTests(SynchronousTestCase):
    def test_user(self) -> None:
        """Only an address of a client of a UNIX socket has a user."""
        self.assertEqual(peerUID(UNIXPeer("/x", 1000)), 1000)
        self.assertIsNone(peerUID(UNIXAddress("/x")))
        self.assertIsNone(peerUID(None))
