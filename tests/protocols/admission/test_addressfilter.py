from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.addressfilter import AddressFilter, parseNetwork

#: Networks as text, many of them wide enough or near enough to contain test addresses.
networks = st.builds(
    lambda base, prefix: f"{base}/{prefix}",
    st.sampled_from(["0.0.0.0", "10.0.0.0", "127.0.0.1", "192.0.2.1", "::", "2001:db8::"]),
    st.integers(0, 32),
)


class ParseNetworkTests(SynchronousTestCase):
    def test_networks(self) -> None:
        """A network of either family is parsed; a single address is a network too."""
        for text, network in (
            ("192.0.2.0/24", IPv4Network("192.0.2.0/24")),
            ("192.0.2.0/255.255.255.0", IPv4Network("192.0.2.0/24")),
            ("192.0.2.7", IPv4Network("192.0.2.7/32")),
            ("2001:db8::/32", IPv6Network("2001:db8::/32")),
            ("2001:db8::7", IPv6Network("2001:db8::7/128")),
        ):
            self.assertEqual(parseNetwork(text), network, text)

    def test_hostBits(self) -> None:
        """Bits after the prefix are ignored."""
        self.assertEqual(parseNetwork("192.0.2.7/24"), IPv4Network("192.0.2.0/24"))
        self.assertEqual(parseNetwork("2001:db8::7/32"), IPv6Network("2001:db8::/32"))

    def test_mapped(self) -> None:
        """A network of mapped IPv4 addresses becomes the IPv4 network."""
        for text, network in (
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ):
            self.assertEqual(parseNetwork(text), IPv4Network(network), text)

    def test_widerThanMapped(self) -> None:
        """A network wider than the mapped addresses stays IPv6."""
        self.assertEqual(parseNetwork("::/0"), IPv6Network("::/0"))

    def test_invalidNetwork(self) -> None:
        """Anything but a network raises a one-line ``ValueError`` with examples."""
        for text in ("", "localhost", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/24\n"):
            error = self.assertRaises(ValueError, parseNetwork, text)
            self.assertEqual(
                str(error),
                f"{text!r} is not a network such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1",
            )
            self.assertNotIn("\n", str(error))
            self.assertTrue(error.__suppress_context__)


class AddressFilterTests(SynchronousTestCase):
    def test_noRules(self) -> None:
        """Without rules every address is permitted."""
        for host in ("192.0.2.7", "::1", "::ffff:192.0.2.7", "fe80::1%eth0"):
            self.assertTrue(AddressFilter().permits(host), host)

    def test_onlyAllow(self) -> None:
        """With allow rules, other addresses are refused."""
        permitted = AddressFilter(allow=["192.0.2.0/24", "2001:db8::/32"])
        for host, verdict in (
            ("192.0.2.7", True),
            ("192.0.3.7", False),
            ("2001:db8::7", True),
            ("2001:db9::7", False),
        ):
            self.assertEqual(permitted.permits(host), verdict, host)

    def test_onlyDeny(self) -> None:
        """With deny rules, other addresses are permitted."""
        permitted = AddressFilter(deny=["192.0.2.0/24"])
        self.assertFalse(permitted.permits("192.0.2.7"))
        self.assertTrue(permitted.permits("192.0.3.7"))
        self.assertTrue(permitted.permits("2001:db8::7"))

    def test_denyOverridesAllow(self) -> None:
        """Deny rules override allow rules, whichever network is wider."""
        inside = AddressFilter(allow=["192.0.2.0/24"], deny=["192.0.2.7"])
        self.assertFalse(inside.permits("192.0.2.7"))
        self.assertTrue(inside.permits("192.0.2.8"))
        self.assertFalse(AddressFilter(["192.0.2.7"], ["192.0.2.0/24"]).permits("192.0.2.7"))

    def test_mapped(self) -> None:
        """IPv4 rules apply to mapped addresses too, and IPv6 rules do not."""
        self.assertFalse(AddressFilter(deny=["192.0.2.0/24"]).permits("::ffff:192.0.2.7"))
        self.assertTrue(AddressFilter(allow=["192.0.2.0/24"]).permits("::ffff:192.0.2.7"))
        self.assertFalse(AddressFilter(deny=["::ffff:192.0.2.0/120"]).permits("192.0.2.7"))
        self.assertTrue(AddressFilter(deny=["::/0"]).permits("::ffff:192.0.2.7"))

    def test_invalidNetwork(self) -> None:
        """An invalid network in a rule raises ``ValueError``."""
        self.assertRaises(ValueError, AddressFilter, allow=["invalid"])
        self.assertRaises(ValueError, AddressFilter, deny=["invalid"])

    @given(
        st.ip_addresses(v=4) | st.sampled_from([IPv4Address("10.9.8.7"), IPv4Address("192.0.2.1")]),
        st.lists(networks, max_size=4),
        st.lists(networks, max_size=4),
    )
    def test_mappedAsPlain(self, address: IPv4Address, allow: list[str], deny: list[str]) -> None:
        """An address and its mapped form get the same result."""
        permitted = AddressFilter(allow, deny)
        plain = permitted.permits(str(address))
        self.assertEqual(permitted.permits(f"::ffff:{address}"), plain)

    @given(
        st.ip_addresses(),
        st.lists(st.ip_addresses().map(str) | networks, max_size=4),
        st.lists(st.ip_addresses().map(str) | networks, max_size=4),
    )
    def test_denyPermitsNoMore(
        self, address: IPv4Address | IPv6Address, allow: list[str], deny: list[str]
    ) -> None:
        """A deny rule never permits more addresses, and a denied address is never permitted."""
        without, permitted = AddressFilter(allow), AddressFilter(allow, deny)
        host = str(address)
        self.assertLessEqual(permitted.permits(host), without.permits(host))
        self.assertFalse(AddressFilter(allow, [*deny, host]).permits(host))
