from __future__ import annotations

import socket
from errno import EINVAL, ENODEV, EPERM
from os import strerror
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectError
from twisted.internet.protocol import ClientFactory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.clientsocket import (
    OptionsReactor,
    checkClientOptions,
    hasClientOptions,
    pathMTU,
    setClientOptions,
)
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.errors import TargetError

ALL = ConnectOptions(interface="lo", tos=184, ttl=7, dontFragment=True)
V4, V6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6


class SetClientOptionsTests(SynchronousTestCase):
    def test_kernel(self) -> None:
        """The kernel reports the options that were set, on both families and for TCP and UDP."""
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as made:
                setClientOptions(made, ALL)
                self.assertEqual(made.getsockopt(socket.SOL_SOCKET, 25, 16), b"lo\0")
                found = [made.getsockopt(V4, option) for option in (socket.IP_TOS, socket.IP_TTL)]
                self.assertEqual((found, made.getsockopt(V4, 10)), ([184, 7], 2))
            with socket.socket(socket.AF_INET6, kind) as made:
                setClientOptions(made, ALL)
                options = (socket.IPV6_TCLASS, socket.IPV6_UNICAST_HOPS, 23)
                self.assertEqual([made.getsockopt(V6, option) for option in options], [184, 7, 2])

    def test_none(self) -> None:
        """Without options a stream socket is left alone; no unused socket is opened."""
        made: Any = mock.Mock(family=socket.AF_INET, type=socket.SOCK_STREAM)
        setClientOptions(made, ConnectOptions())
        made.setsockopt.assert_not_called()
        self.assertTrue(hasClientOptions(ALL))
        self.assertFalse(hasClientOptions(ConnectOptions()))
        self.patch(socket, "socket", mock.Mock(side_effect=AssertionError))
        checkClientOptions(["127.0.0.1"], ConnectOptions())

    def test_refused(self) -> None:
        """An option that the kernel refuses is an error with its name and the remedy."""
        for number, message in (
            (ENODEV, "--interface lo: no such interface; 'ip link' lists them"),
            (EPERM, "--interface lo: not permitted; run as root or with CAP_NET_RAW"),
            (EINVAL, "--interface lo: Invalid argument"),
        ):
            made: Any = mock.Mock(family=socket.AF_INET, type=socket.SOCK_STREAM)
            made.setsockopt.side_effect = OSError(number, strerror(number))
            with self.assertRaises(TargetError) as raised:
                setClientOptions(made, ALL)
            self.assertEqual(str(raised.exception), message)

    def test_check(self) -> None:
        """A mistake is found on a socket of each family that has an address."""
        checkClientOptions(["127.0.0.1", "::1"], ALL)
        for address in ("127.0.0.1", "::1"):
            missing = ConnectOptions(interface="no-such-device")
            self.assertRaises(TargetError, checkClientOptions, [address], missing)

    def test_pathMTU(self) -> None:
        """The MTU of a connected socket's path is that of its interface, if nothing is smaller."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as connected:
                connected.connect((host, 9))
                self.assertGreater(pathMTU(connected), 1279)


class OptionsReactorTests(SynchronousTestCase):
    def connected(
        self, made: socket.socket | None, connect: ConnectOptions, *source: Any
    ) -> mock.Mock:
        """The transport of a connection whose socket is this one."""
        transport = mock.Mock(socket=made)
        reactor: Any = mock.Mock()
        reactor.connectTCP.return_value.transport = transport
        found: Any = OptionsReactor(reactor, connect).connectTCP(
            "127.0.0.1", 7, ClientFactory(), 5, *source
        )
        self.assertIs(found.transport, transport)
        (arguments, named) = reactor.connectTCP.call_args
        self.assertEqual((arguments[:2], named), (("127.0.0.1", 7), {"timeout": 5}))
        return transport

    def test_options(self) -> None:
        """A socket has its options and its source address before it is connected."""
        with socket.socket() as made:
            transport = self.connected(made, ALL, ("127.0.0.9", 0))
            self.assertEqual(made.getsockopt(V4, socket.IP_TOS), 184)
            self.assertEqual(made.getsockname()[0], "127.0.0.9")
            transport.failIfNotConnected.assert_not_called()
        with socket.socket() as made:
            self.connected(made, ConnectOptions(ttl=9))
            self.assertEqual(made.getsockopt(V4, socket.IP_TTL), 9)
        self.connected(None, ALL).failIfNotConnected.assert_not_called()

    def test_failed(self) -> None:
        """A refused option or source address fails the connection, with the reason."""
        with socket.socket() as made:
            for connect, source, reason in (
                (ConnectOptions(interface="no-such-device"), (), "--interface no-such-device: no"),
                (ALL, (("192.0.2.1", 0),), "Cannot assign requested address"),
            ):
                ((error,), _) = self.connected(made, connect, *source).failIfNotConnected.call_args
                self.assertIsInstance(error, ConnectError)
                self.assertIn(reason, error.args[0])
