from __future__ import annotations

import os
import socket
from collections.abc import Callable
from errno import EADDRINUSE, EAFNOSUPPORT
from functools import partial
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.listeners import sockets
from echoproto.server.listeners.sockets import (
    StreamReactor,
    acceptOnlyWithRoom,
    boundSocket,
    hasIPv6,
    pickPort,
    setListenerOptions,
)


def noIPv6(family: int, kind: int) -> socket.socket:
    if family == socket.AF_INET6:
        raise OSError(EAFNOSUPPORT, "Address family not supported by protocol")
    return socket.socket(family, kind)


class Taken:
    """Makes sockets, some of which find their port taken."""

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
        """
        A stream socket is bound, does not block, and may reuse an address that was just closed.
        """
        with boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0) as made:
            self.assertEqual((made.family, made.getblocking()), (socket.AF_INET, False))
            self.assertEqual(made.getsockname()[0], "127.0.0.1")
            self.assertTrue(made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))

    def test_shared(self) -> None:
        """Only shared sockets may be bound to the same address as others."""
        with boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0, shared=True) as first:
            port = first.getsockname()[1]
            boundSocket(socket.SOCK_STREAM, "127.0.0.1", port, shared=True).close()
            first.listen()
            with self.assertRaises(OSError):
                boundSocket(socket.SOCK_STREAM, "127.0.0.1", port)

    def test_everyIPv4(self) -> None:
        """No address means all of IPv4."""
        with boundSocket(socket.SOCK_DGRAM, "", 0) as made:
            self.assertEqual(made.getsockname()[0], "0.0.0.0")
            self.assertFalse(made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))

    def test_IPv6(self) -> None:
        """An IPv6 socket accepts IPv6 only, whatever the machine's default."""
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
        """The picked port can be bound on each address and carrier."""
        port = pickPort(["127.0.0.1", "::1"])
        for interface in ("127.0.0.1", "::1"):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                boundSocket(kind, interface, port).close()

    def test_taken(self) -> None:
        """If the port picked for the first is taken on another, the error is raised."""
        make = Taken(2)
        self.assertRaises(CannotListenError, pickPort, ["127.0.0.1"], make)


class HasIPv6Tests(SynchronousTestCase):
    def test_without(self) -> None:
        """A machine without the address family has no IPv6; one with a port taken has IPv6."""
        self.assertFalse(hasIPv6(noIPv6))
        self.assertTrue(hasIPv6(Taken(1)))
        self.assertEqual(hasIPv6(), socket.has_ipv6)


class StreamReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.real = MemoryReactorClock()
        self.reactor = StreamReactor(self.real)

    def test_listenTCP(self) -> None:
        """The reactor adopts our socket, for IPv6 with its family."""
        factory = Factory()
        self.reactor.listenTCP(0, factory, interface="::1")
        [(_, family, adopted)] = cast(Any, self.real.adoptedPorts)
        self.assertEqual((family, adopted), (socket.AF_INET6, factory))

    def test_taken(self) -> None:
        """A port that is taken is Twisted's CannotListenError."""
        with boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0) as held:
            held.listen()
            port = held.getsockname()[1]
            with self.assertRaises(CannotListenError) as raised:
                self.reactor.listenTCP(port, Factory(), interface="127.0.0.1")
        self.assertEqual((raised.exception.interface, raised.exception.port), ("127.0.0.1", port))

    def test_shared(self) -> None:
        """Shared ports that the kernel picks all have the address of the first."""
        shared = StreamReactor(self.real, shared=True)
        with (
            mock.patch.object(
                self.real, "adoptStreamPort", lambda fd, *_: socket.socket(fileno=os.dup(fd))
            ),
            cast(Any, shared.listenTCP(0, Factory(), interface="127.0.0.1")) as first,
            cast(Any, shared.listenTCP(0, Factory(), interface="127.0.0.1")) as second,
        ):
            self.assertEqual(first.getsockname(), second.getsockname())

    def test_establishedEarly(self) -> None:
        """A connection has its options even if it is established before anyone can accept it."""
        with (
            mock.patch.object(
                self.real, "adoptStreamPort", lambda fd, *_: socket.socket(fileno=os.dup(fd))
            ),
            cast(Any, self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")) as port,
            socket.create_connection(port.getsockname()),
            port.accept()[0] as accepted,
        ):
            self.assertEqual(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE), 1)
            self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)

    def test_listenUNIX(self) -> None:
        """A stale lock is removed before a UNIX socket with a lock is opened."""
        for wantPID, removed in ((True, ["/x"]), (False, [])):
            with mock.patch.object(sockets, "removeStaleLock") as remove:
                self.reactor.listenUNIX("/x", Factory(), wantPID=wantPID)
            self.assertEqual([call.args[0] for call in remove.call_args_list], removed)
        self.assertEqual(len(cast(Any, self.real.unixServers)), 2)

    def test_invalidUNIX(self) -> None:
        """A UNIX socket without a path, or with an impossible mode, is not begun to be opened."""
        for path, mode, reason in (("", 0o666, "needs a path"), ("/x", 0o10000, "mode 10000")):
            with self.assertRaisesRegex(ValueError, reason):
                self.reactor.listenUNIX(path, Factory(), mode=mode, wantPID=True)
        self.assertEqual(self.real.unixServers, [])

    def test_invalidBacklog(self) -> None:
        """Nothing is opened with a backlog that is no number of the kernel's."""
        listenUNIX = partial(self.reactor.listenUNIX, "/x", Factory())
        listenTCP = partial(self.reactor.listenTCP, 7, Factory())
        for listen in (listenUNIX, listenTCP):
            for backlog in (-1, 2**31):
                with self.assertRaisesRegex(ValueError, f"^invalid backlog {backlog} .0 to 214"):
                    listen(backlog=backlog)
        self.assertEqual(self.real.unixServers, [])

    def test_failedUNIX(self) -> None:
        """A UNIX socket that cannot be opened leaves no lock, except that of another server."""
        taken = OSError(EADDRINUSE, "in use")
        for reason, isLeft in ((taken, False), ("Cannot acquire lock", True)):
            path = Path(self.mktemp())
            lock = path.with_name(f"{path.name}.lock")
            lock.parent.mkdir(parents=True, exist_ok=True)
            error = CannotListenError(None, str(path), reason)
            self.patch(self.real, "listenUNIX", self.locking(lock, error))
            with self.assertRaises(CannotListenError):
                self.reactor.listenUNIX(str(path), Factory(), wantPID=True)
            self.assertEqual(lock.is_symlink(), isLeft)

    def locking(self, lock: Path, error: Exception) -> Callable[..., None]:
        def listen(*arguments: object) -> None:
            lock.symlink_to(str(os.getpid()))
            raise error

        return listen

    def test_theRest(self) -> None:
        """Everything else is the reactor's own."""
        self.assertEqual(self.reactor.seconds(), 0.0)


class ListenerOptionsTests(SynchronousTestCase):
    def accepted(self, listener: socket.socket, userTimeout: float = inf) -> socket.socket:
        """A connection of a listening socket with the options."""
        self.addCleanup(listener.close)
        setListenerOptions(SimpleNamespace(socket=listener), userTimeout)
        listener.listen()
        client = socket.socket(listener.family)
        self.addCleanup(client.close)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        self.addCleanup(accepted.close)
        return accepted

    def tcp(self) -> socket.socket:
        return boundSocket(socket.SOCK_STREAM, "127.0.0.1", 0)

    def unix(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.bind("")
        return made

    def timeout(self, made: socket.socket) -> int:
        return made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    def test_userTimeout(self) -> None:
        """Connections inherit the timeout; the kernel's default stays for an infinite one."""
        self.assertEqual(self.timeout(self.accepted(self.tcp(), 1.5)), 1500)
        self.assertEqual(self.timeout(self.accepted(self.tcp())), 0)

    def test_shared(self) -> None:
        """The sockets of all workers have the timeout."""
        made = [self.tcp(), self.tcp()]
        setListenerOptions(SimpleNamespace(sockets=lambda: made), 1.5)
        for one in made:
            self.addCleanup(one.close)
            self.assertEqual(self.timeout(one), 1500)

    def test_otherKernels(self) -> None:
        """A kernel that lacks an option, and a port without a socket, are left alone."""
        lacking = mock.Mock(family=socket.AF_INET)
        lacking.setsockopt.side_effect = OSError
        setListenerOptions(SimpleNamespace(socket=lacking), 1.0)
        self.assertEqual(lacking.setsockopt.call_count, 1)
        setListenerOptions(object(), 1.0)

    def test_unix(self) -> None:
        """A connection of a UNIX socket works as before."""
        self.assertEqual(self.accepted(self.unix(), 1.0).family, socket.AF_UNIX)


class CrowdedPort:
    """A port with waiting clients; each turn accepts as many as stock ports do."""

    def __init__(self, waiting: int, accepted: Callable[[], None]) -> None:
        self.numberAccepts = 100
        self.reading = True
        self._waiting = waiting
        self._accepted = accepted

    def doRead(self) -> None:
        for _ in range(min(self.numberAccepts, self._waiting)):
            self._waiting -= 1
            self._accepted()

    def stopReading(self) -> None:
        self.reading = False


class AcceptOnlyWithRoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = 3
        self.port = CrowdedPort(10, self.accepted)
        acceptOnlyWithRoom(self.port, lambda: self.room)

    def accepted(self) -> None:
        self.room -= 1

    def test_noMoreThanRoom(self) -> None:
        """A turn accepts as many as there is room for; then the port is not read."""
        self.port.doRead()
        self.assertEqual((self.room, self.port.reading), (0, False))

    def test_noRoom(self) -> None:
        """Without room a turn accepts nothing."""
        self.room = 0
        self.port.doRead()
        self.assertEqual((self.room, self.port.reading), (0, False))

    def test_enoughRoom(self) -> None:
        """With room for all, the port continues."""
        self.room = 20
        self.port.doRead()
        self.assertEqual((self.room, self.port.reading), (10, True))
