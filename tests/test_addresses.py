from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from echoproto.addresses import AddressFilter, numericHost, parseNetwork, rateLimitKey, unmapped

#: IPv4 networks as text, many of them so wide or so near that addresses fall into them.
networks = st.builds(
    lambda base, prefix: f"{base}/{prefix}",
    st.sampled_from(["0.0.0.0", "10.0.0.0", "127.0.0.1", "192.0.2.1", "::", "2001:db8::"]),
    st.integers(0, 32),
)


class PlainAddressTests(SynchronousTestCase):
    def test_asItIs(self) -> None:
        """An address of either family is itself, without its scope."""
        self.assertEqual(unmapped("192.0.2.7"), IPv4Address("192.0.2.7"))
        self.assertEqual(unmapped("2001:db8::7"), IPv6Address("2001:db8::7"))
        self.assertEqual(unmapped("fe80::1%eth0"), IPv6Address("fe80::1"))

    def test_mapped(self) -> None:
        """An IPv4 address mapped into IPv6 is that IPv4 address, however it is written."""
        for host in ("::ffff:192.0.2.7", "::ffff:c000:207", "::FFFF:192.0.2.7%eth0"):
            self.assertEqual(unmapped(host), IPv4Address("192.0.2.7"), host)

    def test_noAddress(self) -> None:
        """What is no numeric address is a ``ValueError``."""
        for host in ("", "localhost", "192.0.2", "192.0.2.0/24", "%eth0"):
            self.assertRaises(ValueError, unmapped, host)

    @given(st.ip_addresses(v=4))
    def test_everyMappedAddress(self, address: IPv4Address) -> None:
        """Every IPv4 address comes out of its mapped form."""
        self.assertEqual(unmapped(f"::ffff:{address}"), address)


class SourceKeyTests(SynchronousTestCase):
    def test_oneHost(self) -> None:
        """An IPv4 source counts for itself, an IPv6 source by its /64, whatever its scope."""
        self.assertEqual(rateLimitKey("192.0.2.7"), "192.0.2.7")
        self.assertEqual(rateLimitKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
        self.assertEqual(rateLimitKey("fe80::1%eth0"), "fe80::/64")
        self.assertEqual(rateLimitKey("::ffff:192.0.2.7"), "192.0.2.7")

    def test_nobody(self) -> None:
        """Multicast, broadcast and unspecified addresses are no source."""
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
        """All addresses of a /64 have one name, except where they are nobody's or another's."""
        neighbour = IPv6Address(int(address) >> 64 << 64 | other)
        keys = {rateLimitKey(str(one)) for one in (address, neighbour)}
        if int(address) >> 64:
            self.assertEqual(len(keys), 1)


class ParseNetworkTests(SynchronousTestCase):
    def test_networks(self) -> None:
        """A network of either family, or one address, which is a network of its own."""
        for text, network in (
            ("192.0.2.0/24", IPv4Network("192.0.2.0/24")),
            ("192.0.2.0/255.255.255.0", IPv4Network("192.0.2.0/24")),
            ("192.0.2.7", IPv4Network("192.0.2.7/32")),
            ("2001:db8::/32", IPv6Network("2001:db8::/32")),
            ("2001:db8::7", IPv6Network("2001:db8::7/128")),
        ):
            self.assertEqual(parseNetwork(text), network, text)

    def test_hostBits(self) -> None:
        """Bits behind the prefix are ignored."""
        self.assertEqual(parseNetwork("192.0.2.7/24"), IPv4Network("192.0.2.0/24"))
        self.assertEqual(parseNetwork("2001:db8::7/32"), IPv6Network("2001:db8::/32"))

    def test_mapped(self) -> None:
        """A network of mapped IPv4 addresses is the IPv4 network."""
        for text, network in (
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ):
            self.assertEqual(parseNetwork(text), IPv4Network(network), text)

    def test_widerThanMapped(self) -> None:
        """A network that holds more than mapped addresses stays IPv6."""
        self.assertEqual(parseNetwork("::/0"), IPv6Network("::/0"))

    def test_noNetwork(self) -> None:
        """
        What is no network is a ``ValueError``, whose one line quotes it and says what would be.
        """
        for text in ("", "localhost", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/24\n"):
            error = self.assertRaises(ValueError, parseNetwork, text)
            self.assertEqual(
                str(error),
                f"{text!r} is not a network such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1",
            )
            self.assertNotIn("\n", str(error))
            self.assertTrue(error.__suppress_context__)


class NetworksTests(SynchronousTestCase):
    def test_nobodyNamed(self) -> None:
        """Where nobody is named everybody may come."""
        for host in ("192.0.2.7", "::1", "::ffff:192.0.2.7", "fe80::1%eth0"):
            self.assertTrue(AddressFilter().permits(host), host)

    def test_allowAlone(self) -> None:
        """Where somebody is allowed nobody else may come."""
        permitted = AddressFilter(allow=["192.0.2.0/24", "2001:db8::/32"])
        for host, verdict in (
            ("192.0.2.7", True),
            ("192.0.3.7", False),
            ("2001:db8::7", True),
            ("2001:db9::7", False),
        ):
            self.assertEqual(permitted.permits(host), verdict, host)

    def test_denyAlone(self) -> None:
        """Where somebody is denied everybody else may come."""
        permitted = AddressFilter(deny=["192.0.2.0/24"])
        self.assertFalse(permitted.permits("192.0.2.7"))
        self.assertTrue(permitted.permits("192.0.3.7"))
        self.assertTrue(permitted.permits("2001:db8::7"))

    def test_denyIsStronger(self) -> None:
        """Who is denied may not come, though allowed, whichever network is the wider."""
        inside = AddressFilter(allow=["192.0.2.0/24"], deny=["192.0.2.7"])
        self.assertFalse(inside.permits("192.0.2.7"))
        self.assertTrue(inside.permits("192.0.2.8"))
        self.assertFalse(AddressFilter(["192.0.2.7"], ["192.0.2.0/24"]).permits("192.0.2.7"))

    def test_mapped(self) -> None:
        """
        No rule is passed by taking the other family's socket; none for IPv6 binds an IPv4 address.
        """
        self.assertFalse(AddressFilter(deny=["192.0.2.0/24"]).permits("::ffff:192.0.2.7"))
        self.assertTrue(AddressFilter(allow=["192.0.2.0/24"]).permits("::ffff:192.0.2.7"))
        self.assertFalse(AddressFilter(deny=["::ffff:192.0.2.0/120"]).permits("192.0.2.7"))
        self.assertTrue(AddressFilter(deny=["::/0"]).permits("::ffff:192.0.2.7"))

    def test_noNetwork(self) -> None:
        """A list with something that is no network is refused."""
        self.assertRaises(ValueError, AddressFilter, allow=["everybody"])
        self.assertRaises(ValueError, AddressFilter, deny=["nobody"])

    @given(
        st.ip_addresses(v=4) | st.sampled_from([IPv4Address("10.9.8.7"), IPv4Address("192.0.2.1")]),
        st.lists(networks, max_size=4),
        st.lists(networks, max_size=4),
    )
    def test_mappedAsPlain(self, address: IPv4Address, allow: list[str], deny: list[str]) -> None:
        """Whoever is named, an address is judged the same in both forms."""
        permitted = AddressFilter(allow, deny)
        plain = permitted.permits(str(address))
        self.assertEqual(permitted.permits(f"::ffff:{address}"), plain)

    @given(
        st.ip_addresses(),
        st.lists(st.ip_addresses().map(str) | networks, max_size=4),
        st.lists(st.ip_addresses().map(str) | networks, max_size=4),
    )
    def test_neverMoreByDenying(
        self, address: IPv4Address | IPv6Address, allow: list[str], deny: list[str]
    ) -> None:
        """To deny somebody never lets anybody in, and who is denied by name never comes."""
        without, permitted = AddressFilter(allow), AddressFilter(allow, deny)
        host = str(address)
        self.assertLessEqual(permitted.permits(host), without.permits(host))
        self.assertFalse(AddressFilter(allow, [*deny, host]).permits(host))


class HostOfTests(SynchronousTestCase):
    def test_numericAddress(self) -> None:
        """An address over IP has a host; a UNIX socket, or none at all, has none."""
        self.assertEqual(numericHost(TCP4Address("TCP", "192.0.2.1", 7)), "192.0.2.1")
        self.assertEqual(numericHost(TCP6Address("TCP", "2001:db8::7", 7)), "2001:db8::7")
        self.assertIsNone(numericHost(UNIXAddress(b"/run/echo")))
        self.assertIsNone(numericHost(None))
