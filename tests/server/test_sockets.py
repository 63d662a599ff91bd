from __future__ import annotations

import socket
from errno import EADDRINUSE, EAFNOSUPPORT
from typing import Any, cast

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.sockets import StreamReactor, boundSocket, hasIPv6, pickPort
from tests.certificates import serverPEM


def noIPv6(family: int, kind: int) -> socket.socket:
    if family == socket.AF_INET6:
        raise OSError(EAFNOSUPPORT, "Address family not supported by protocol")
    return socket.socket(family, kind)


class Taken:
    """Makes sockets, of which some find their port taken."""

    def __init__(self, *taken: int) -> None:
        self.taken = taken
        self.made = 0

    def __call__(self, family: int, kind: int) -> socket.socket:
        self.made += 1
        if self.made in self.taken:
            raise OSError(EADDRINUSE, "Address already in use")
        return socket.socket(family, kind)


class BoundSocketTests(SynchronousTestCase):
    def test_IPv4(self) -> None:
        """A stream socket is bound, does not block, and may follow one that has just closed."""
        with boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0) as made:
            self.assertEqual((made.family, made.getblocking()), (socket.AF_INET, False))
            self.assertEqual(made.getsockname()[0], "127.0.0.1")
            self.assertTrue(made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))

    def test_everyIPv4(self) -> None:
        """No address means all of IPv4."""
        with boundSocket(socket.SOCK_DGRAM, "", 0) as made:
            self.assertEqual(made.getsockname()[0], "0.0.0.0")
            self.assertFalse(made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))

    def test_IPv6(self) -> None:
        """An IPv6 socket takes IPv6 only, whatever the machine's default."""
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with boundSocket(kind, "::", 0) as made:
                self.assertEqual(made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 1)

    def test_taken(self) -> None:
        """A port that is taken is an OSError."""
        with boundSocket(socket.SOCK_DGRAM, "127.0.0.1", 0) as held:
            port = held.getsockname()[1]
            error = self.assertRaises(OSError, boundSocket, socket.SOCK_DGRAM, "127.0.0.1", port)
        self.assertEqual(error.errno, EADDRINUSE)


class PickPortTests(SynchronousTestCase):
    def test_freeOnAll(self) -> None:
        """The port that is picked can be bound on each address and carrier."""
        port = pickPort(["127.0.0.1", "::1"])
        for interface in ("127.0.0.1", "::1"):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                boundSocket(kind, interface, port).close()

    def test_taken(self) -> None:
        """Where the port picked for the first is taken on another, the error is raised."""
        make = Taken(2)
        self.assertRaises(CannotListenError, pickPort, ["127.0.0.1"], make)


class HasIPv6Tests(SynchronousTestCase):
    def test_without(self) -> None:
        """A machine without the address family has no IPv6; one where a port is taken has."""
        self.assertFalse(hasIPv6(noIPv6))
        self.assertTrue(hasIPv6(Taken(1)))
        self.assertEqual(hasIPv6(), socket.has_ipv6)


class StreamReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.real = MemoryReactorClock()
        self.reactor = StreamReactor(self.real)

    def test_listenTCP(self) -> None:
        """The reactor adopts a socket of ours, for IPv6 of that family."""
        factory = Factory()
        self.reactor.listenTCP(0, factory, interface="::1")
        [(_, family, adopted)] = cast(Any, self.real.adoptedPorts)
        self.assertEqual((family, adopted), (socket.AF_INET6, factory))

    def test_listenSSL(self) -> None:
        """TLS is spoken over such a socket, too."""
        factory = Factory()
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        self.reactor.listenSSL(0, factory, options, interface="::1")
        [(_, family, adopted)] = cast(Any, self.real.adoptedPorts)
        self.assertEqual((family, adopted.wrappedFactory), (socket.AF_INET6, factory))

    def test_taken(self) -> None:
        """A port that is taken is Twisted's CannotListenError."""
        with boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0) as held:
            held.listen()
            port = held.getsockname()[1]
            with self.assertRaises(CannotListenError) as raised:
                self.reactor.listenTCP(port, Factory(), interface="127.0.0.1")
        self.assertEqual((raised.exception.interface, raised.exception.port), ("127.0.0.1", port))

    def test_theRest(self) -> None:
        """All else is the reactor's own."""
        self.assertEqual(self.reactor.seconds(), 0.0)
        self.reactor.listenUNIX("/x", Factory())
        self.assertEqual(len(cast(Any, self.real.unixServers)), 1)
