from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from echoproto.client.targets.resolver import _AddressCollector, asciiName, resolve
from echoproto.errors import TargetError
from tests.client.targets.fakeresolver import FakeResolver


class ResolveTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        """The receiver and the fake resolver provide Twisted's interfaces."""
        verifyClass(IResolutionReceiver, _AddressCollector)
        verifyClass(IHostnameResolver, FakeResolver)
        verifyObject(IReactorPluggableNameResolver, FakeResolver())

    def test_addresses(self) -> None:
        """All addresses of a name are found in their order, without duplicates."""
        resolver = FakeResolver("192.0.2.2", "192.0.2.1", "192.0.2.2")
        found = self.successResultOf(resolve(resolver, "lab"))
        self.assertEqual(found, ("192.0.2.2", "192.0.2.1"))
        self.assertEqual(resolver.lookups, [("lab", None, "UDP")])

    def test_family(self) -> None:
        """The lookup can be limited to one address family."""
        for family, kind in ((socket.AF_INET, IPv4Address), (socket.AF_INET6, IPv6Address)):
            resolver = FakeResolver("192.0.2.1")
            resolve(resolver, "lab", family, "TCP")
            self.assertEqual(resolver.lookups, [("lab", [kind], "TCP")])

    def test_numeric(self) -> None:
        """A numeric address is returned without a lookup; one of the other family is an error."""
        for host, family in (("192.0.2.1", socket.AF_INET), ("::1", socket.AF_INET6)):
            for found in (resolve(FakeResolver(), host, family), resolve(FakeResolver(), host)):
                self.assertEqual(self.successResultOf(found), (host,))
        wrong = resolve(FakeResolver(), "::1", socket.AF_INET)
        failure = self.failureResultOf(wrong, TargetError)
        self.assertIn("::1 is not an IPv4 address", str(failure.value))

    def test_mapped(self) -> None:
        """An IPv4-mapped address is IPv4, whether it is given or found, and is found once."""
        mapped = "::ffff:192.0.2.1"
        given = resolve(FakeResolver(), mapped, socket.AF_INET)
        self.assertEqual(self.successResultOf(given), ("192.0.2.1",))
        found = resolve(FakeResolver(mapped, "192.0.2.1"), "lab")
        self.assertEqual(self.successResultOf(found), ("192.0.2.1",))
        wrong = self.failureResultOf(resolve(FakeResolver(), mapped, socket.AF_INET6), TargetError)
        self.assertIn("192.0.2.1 is not an IPv6 address", str(wrong.value))

    def test_scope(self) -> None:
        """A link-local address keeps its scope."""
        found = self.successResultOf(resolve(FakeResolver("fe80::1%3", "2001:db8::1"), "lab"))
        self.assertEqual(found, ("fe80::1%3", "2001:db8::1"))

    def test_internationalName(self) -> None:
        """A name is looked up in its form of IDNA 2008; an underscore and a final dot are kept."""
        for host, name in (
            ("b\u00fccher.example", "xn--bcher-kva.example"),
            ("B\u00dcCHER.example", "xn--bcher-kva.example"),
            ("fa\u00df.example", "xn--fa-hia.example"),
            ("b\u00fccher\u3002example", "xn--bcher-kva.example"),
            ("my_service.b\u00fccher", "my_service.xn--bcher-kva"),
            ("my_service.", "my_service."),
        ):
            resolver = FakeResolver("192.0.2.1")
            resolve(resolver, host)
            self.assertEqual(resolver.lookups[0][0], name)
            self.assertEqual(asciiName(host), name)

    def test_invalidName(self) -> None:
        """An invalid host name is an error without a lookup."""
        for host in ("a..b", ".", "\udcff", "\u2615.example", "x" * 64, "x." * 127 + "x"):
            resolver = FakeResolver()
            failure = self.failureResultOf(resolve(resolver, host), TargetError)
            self.assertIn("invalid host name", str(failure.value))
            self.assertEqual(resolver.lookups, [])

    def test_noAddress(self) -> None:
        """A name without addresses fails; the error names it and the missing family."""
        for family, message in (
            (socket.AF_UNSPEC, "no such host: lab"),
            (socket.AF_INET6, "no IPv6 address of host lab"),
        ):
            failure = self.failureResultOf(resolve(FakeResolver(), "lab", family), DNSLookupError)
            self.assertIn(message, str(failure.value))
