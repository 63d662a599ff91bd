from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass

from echoproto.errors import TargetError
from echoproto.targets.resolver import _FirstAddress, resolve
from tests.targets.fakeresolver import Names


class ResolveTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        """The receiver and the resolver of these tests are what Twisted asks for."""
        verifyClass(IResolutionReceiver, _FirstAddress)
        verifyClass(IHostnameResolver, Names)

    def test_first(self) -> None:
        """Of a name's addresses the first is taken."""
        names = Names("192.0.2.1", "192.0.2.2")
        self.assertEqual(self.successResultOf(resolve(names, "lab")), "192.0.2.1")
        self.assertEqual(names.asked, [("lab", None, "UDP")])

    def test_family(self) -> None:
        """Addresses of one family may be asked for."""
        for family, kind in ((socket.AF_INET, IPv4Address), (socket.AF_INET6, IPv6Address)):
            names = Names("192.0.2.1")
            resolve(names, "lab", family, "TCP")
            self.assertEqual(names.asked, [("lab", [kind], "TCP")])

    def test_numeric(self) -> None:
        """A numeric address is taken as it is, if it is of the family that was asked for."""
        for host, family in (("192.0.2.1", socket.AF_INET), ("::1", socket.AF_INET6)):
            self.assertEqual(self.successResultOf(resolve(Names(), host, family)), host)
            self.assertEqual(self.successResultOf(resolve(Names(), host)), host)
        wrong = resolve(Names(), "::1", socket.AF_INET)
        failure = self.failureResultOf(wrong, TargetError)
        self.assertIn("::1 is not an IPv4 address", str(failure.value))

    def test_noName(self) -> None:
        """What cannot be the name of a host is not looked up."""
        for host in ("a..b", "\udcff", "x" * 300):
            names = Names()
            failure = self.failureResultOf(resolve(names, host), TargetError)
            self.assertIn("invalid host name", str(failure.value))
            self.assertEqual(names.asked, [])

    def test_none(self) -> None:
        """A name without an address fails, and says which, and of which family."""
        for family, says in (
            (socket.AF_UNSPEC, "no such host: lab"),
            (socket.AF_INET6, "no IPv6 address of host lab"),
        ):
            failure = self.failureResultOf(resolve(Names(), "lab", family), DNSLookupError)
            self.assertIn(says, str(failure.value))
