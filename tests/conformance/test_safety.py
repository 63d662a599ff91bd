from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.target import Target, parseTarget
from echoproto.conformance.safety import checkRisk, isPrivate
from echoproto.errors import TargetError


class PrivateTests(SynchronousTestCase):
    def test_private(self) -> None:
        """Loopback, private and link-local addresses are private, to the end of each range."""
        for host in (
            *("127.0.0.1", "127.255.255.255", "10.0.0.1", "10.255.255.255", "172.16.0.1"),
            *("172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.1.1"),
            *("::1", "fc00::1", "fdff::1", "fe80::1", "fe80::1%eth0", "febf::1"),
            *("::ffff:127.0.0.1", "::ffff:192.168.7.7"),
        ):
            self.assertTrue(isPrivate(host), host)

    def test_public(self) -> None:
        """All other addresses are not: public, shared, documentation, multicast, unspecified."""
        for host in (
            *(
                "8.8.8.8",
                "126.255.255.255",
                "128.0.0.1",
                "11.0.0.1",
                "172.15.255.255",
                "172.32.0.1",
            ),
            *("192.167.255.255", "192.169.0.1", "100.64.0.1", "192.0.2.1", "198.18.0.1"),
            *("0.0.0.0", "224.0.0.1", "255.255.255.255"),
            *("::", "::2", "2001:db8::1", "2000::1", "fbff::1", "fec0::1", "ff02::1"),
            *("::ffff:8.8.8.8", "64:ff9b::7f00:1"),
        ):
            self.assertFalse(isPrivate(host), host)


class CheckRiskTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        """Risky checks are allowed on private addresses and UNIX sockets."""
        checkRisk(parseTarget("lab1"), "192.168.1.2")
        checkRisk(parseTarget("unix:///run/echo"), "")

    def test_refused(self) -> None:
        """Risky checks on public or unknown addresses are refused; the error has the remedy."""
        for target, host, message in (
            (
                parseTarget("udp://lab1:7"),
                "192.0.2.1",
                "udp://lab1:7: refusing to run risky checks against the public address 192.0.2.1",
            ),
            (
                Target("ssl:lab1:7", "endpoint", path="ssl:lab1:7"),
                "",
                "an unknown address",
            ),
        ):
            with self.assertRaisesRegex(TargetError, f"{message}.*--yes-i-own-it"):
                checkRisk(target, host)
