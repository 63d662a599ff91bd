from __future__ import annotations

import socket
from errno import ENOPROTOOPT
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.serversocket import (
    IPV6_MINIMUM_MTU,
    boundAddress,
    setServerOptions,
    socketAddress,
)

# Of Linux's ip(7) and ipv6(7).
IP_MTU_DISCOVER, IPV6_MTU, PMTUDISC_OMIT = 10, 24, 5


class RefusingSocket(socket.socket):
    """A socket of a kernel without the options of path MTU discovery."""

    def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
        if option == IP_MTU_DISCOVER:
            raise OSError(ENOPROTOOPT, "Protocol not available")
        super().setsockopt(level, option, value)


class AddressTests(SynchronousTestCase):
    def test_socketAddress(self) -> None:
        """socketAddress() adds the scope of a link-local address and keeps the port."""
        scope = socket.if_nametoindex("lo")
        expected = ("fe80::1", 70_000, 0, scope)
        self.assertEqual(socketAddress("fe80::1%lo", 70_000, socket.AF_INET6), expected)
        self.assertEqual(socketAddress("", 7, socket.AF_INET), ("0.0.0.0", 7))

    def test_boundAddress(self) -> None:
        """A socket has one address, packed, or all of them."""
        for family, host, expected in (
            (socket.AF_INET, "127.0.0.1", bytes((127, 0, 0, 1))),
            (socket.AF_INET, "0.0.0.0", b""),
            (socket.AF_INET6, "::1", bytes(15) + b"\x01"),
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as made:
                made.bind((host, 0))
                self.assertEqual(boundAddress(made), expected)


class OptionTests(SynchronousTestCase):
    """Options of real sockets; nothing is sent."""

    def test_IPv4(self) -> None:
        """Routers may fragment replies, and ICMP errors do not change their size."""
        for family in (socket.AF_INET, socket.AF_INET6):
            with socket.socket(family, socket.SOCK_DGRAM) as made:
                setServerOptions(made)
                self.assertEqual(made.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER), PMTUDISC_OMIT)

    def test_IPv6(self) -> None:
        """On IPv6 long replies are sent in fragments that every link carries."""
        made = mock.Mock(family=socket.AF_INET6)
        setServerOptions(made)
        made.setsockopt.assert_called_with(socket.IPPROTO_IPV6, IPV6_MTU, IPV6_MINIMUM_MTU)
        self.assertEqual(IPV6_MINIMUM_MTU, 1280)

    def test_oldKernel(self) -> None:
        """A kernel without such an option is used as it is."""
        with RefusingSocket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            setServerOptions(made)
