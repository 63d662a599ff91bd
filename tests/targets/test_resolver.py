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

from echoproto.errors import TargetError
from echoproto.targets.resolver import _FirstAddress, resolve
from tests.targets.fakeresolver import FakeResolver


class ResolveTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        """The receiver and the fake resolver provide Twisted's interfaces."""
        verifyClass(IResolutionReceiver, _FirstAddress)
        verifyClass(IHostnameResolver, FakeResolver)
        verifyObject(IReactorPluggableNameResolver, FakeResolver())

    def test_first(self) -> None:
        """The first address of a name is used."""
        resolver = FakeResolver("192.0.2.1", "192.0.2.2")
        self.assertEqual(self.successResultOf(resolve(resolver, "lab")), "192.0.2.1")
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
            self.assertEqual(self.successResultOf(resolve(FakeResolver(), host, family)), host)
            self.assertEqual(self.successResultOf(resolve(FakeResolver(), host)), host)
        wrong = resolve(FakeResolver(), "::1", socket.AF_INET)
        failure = self.failureResultOf(wrong, TargetError)
        self.assertIn("::1 is not an IPv4 address", str(failure.value))

    def test_invalidName(self) -> None:
        """An invalid host name is an error without a lookup."""
        for host in ("a..b", "\udcff", "x" * 300):
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
