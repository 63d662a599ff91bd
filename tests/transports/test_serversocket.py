from __future__ import annotations

import os
import socket
from errno import EADDRNOTAVAIL, ENOPROTOOPT, EPERM
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.serversocket import (
    IPV6_MINIMUM_MTU,
    bindSocket,
    boundAddress,
    isTentative,
    setDatagramOptions,
    setServerOptions,
    socketAddress,
)

# Of Linux's ip(7) and ipv6(7).
IP_MTU_DISCOVER, IPV6_MTU, PMTUDISC_OMIT = 10, 24, 5

# Of Linux's socket(7).
SO_SNDBUFFORCE = 32


class RefusingSocket(socket.socket):
    """A socket of a kernel without the options of path MTU discovery."""

    def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
        if option == IP_MTU_DISCOVER:
            raise OSError(ENOPROTOOPT, "Protocol not available")
        super().setsockopt(level, option, value)


class ForbiddingSocket(socket.socket):
    """A socket of a user who may not force the size of its buffer."""

    def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
        if option == SO_SNDBUFFORCE:
            raise PermissionError(EPERM, "Operation not permitted")
        super().setsockopt(level, option, value)


class AddressTests(SynchronousTestCase):
    def test_socketAddress(self) -> None:
        """socketAddress() adds the scope of a link-local address and keeps the port."""
        scope = socket.if_nametoindex("lo")
        expected = ("fe80::1", 70_000, 0, scope)
        self.assertEqual(socketAddress("fe80::1%lo", 70_000, socket.AF_INET6), expected)
        self.assertEqual(socketAddress("", 7, socket.AF_INET), ("0.0.0.0", 7))

    def test_noAddress(self) -> None:
        """A byte of the command line that is no text is an address that does not exist."""
        with self.assertRaises(socket.gaierror):
            socketAddress(os.fsdecode(b"\xff"), 7, socket.AF_INET)

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
        setDatagramOptions(made)
        made.setsockopt.assert_called_with(socket.IPPROTO_IPV6, IPV6_MTU, IPV6_MINIMUM_MTU)
        self.assertEqual(IPV6_MINIMUM_MTU, 1280)

    def test_sendBuffer(self) -> None:
        """
        The send buffer of a server is larger than the replies that wait for one host without an
        Ethernet address; that of a client is the kernel's default.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            with socket.socket(family, socket.SOCK_DGRAM) as made:
                default = made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
                setDatagramOptions(made)
                self.assertEqual(made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), default)
                setServerOptions(made)
                self.assertGreater(made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), default)

    def test_sendBufferOfUser(self) -> None:
        """A user who may not force the size gets what the kernel permits."""
        with ForbiddingSocket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            default = made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            setServerOptions(made)
            self.assertGreater(made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), default)

    def test_chosenSendBuffer(self) -> None:
        """A size that somebody else has chosen, such as systemd, is kept."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
            setServerOptions(made)
            self.assertEqual(made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 20_000)

    def test_oldKernel(self) -> None:
        """A kernel without such an option is used as it is."""
        with RefusingSocket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            setServerOptions(made)


class BindTests(SynchronousTestCase):
    def table(self, *rows: str) -> str:
        path: str = self.mktemp()
        with open(path, "w") as table:
            table.writelines(f"{row} eth0\n" for row in rows)
        return path

    def test_isTentative(self) -> None:
        """An address is tentative while it is checked: not if valid, duplicate or absent."""
        host = "20010db8000000000000000000000001"
        linkLocal = "fe800000000000000000000000000001"
        path = self.table(
            f"{host} 02 40 00 c0", f"{linkLocal} 02 40 20 80", f"{linkLocal} 03 40 20 c0"
        )
        for address, expected in (
            (("2001:db8::1", 7, 0, 0), True),
            (("2001:db8::2", 7, 0, 0), False),
            (("fe80::1", 7, 0, 2), False),
            (("fe80::1", 7, 0, 3), True),
        ):
            self.assertEqual(isTentative(address, path), expected, address)
        self.assertFalse(isTentative(("2001:db8::1", 7, 0, 0), self.table(f"{host} 02 40 00 c8")))
        self.assertFalse(isTentative(("2001:db8::1", 7, 0, 0), "/nonexistent"))

    def test_tentative(self) -> None:
        """A tentative address is bound; one that the machine does not have is an error."""
        for family, host in ((socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "192.0.2.1")):
            with socket.socket(family) as made:
                error = self.assertRaises(OSError, bindSocket, made, host, 0)
                self.assertEqual(error.errno, EADDRNOTAVAIL)
        with socket.socket(socket.AF_INET6) as made:
            bindSocket(made, "2001:db8::1", 0, lambda address: True)
            self.assertEqual(made.getsockname()[0], "2001:db8::1")
