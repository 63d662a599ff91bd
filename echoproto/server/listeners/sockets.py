"""
Bound stream sockets, with IPv4 and IPv6 separate on every machine.

Twisted never sets ``IPV6_V6ONLY``, so ``net.ipv6.bindv6only`` decides whether ``::`` accepts IPv4
too. Here the socket is made and bound first, and then adopted by the reactor.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from errno import EADDRNOTAVAIL, EAFNOSUPPORT
from math import inf
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from echoproto.protocols.socketoptions import noteInheritance, setInheritedOptions
from echoproto.server.listeners.unixlock import removeLock, removeStaleLock
from echoproto.transports.serversocket import bindSocket

_INTERNET = (socket.AF_INET, socket.AF_INET6)

#: The permissions of a file, with all its special bits; see chmod(2).
MAX_MODE = 0o7777

#: The largest number that listen(2) takes; the kernel limits it to ``somaxconn``.
MAX_BACKLOG = 2**31 - 1

#: ``socket.socket``, or a replacement that lacks an address family.
MakeSocket = Callable[[int, int], socket.socket]


def boundSocket(
    kind: socket.SocketKind,
    interface: str,
    port: int,
    make: MakeSocket = socket.socket,
    shared: bool = False,
) -> socket.socket:
    """
    A non-blocking socket bound to ``interface`` and ``port``; an IPv6 one accepts IPv6 only.

    :param kind: ``SOCK_STREAM`` or ``SOCK_DGRAM``.
    :param interface: a numeric address; empty for all of IPv4.
    :param shared: whether other sockets may be bound there too; the kernel distributes clients
        among them (SO_REUSEPORT, socket(7)).
    :raise OSError: it cannot be bound.
    """
    family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
    made = make(family, kind)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of a server that has just stopped must not prevent the next start.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bindSocket(made, interface, port)
    except BaseException:
        made.close()
        raise
    return made


def checkFree(kind: socket.SocketKind, interface: str, port: int) -> None:
    """
    Check that no socket is bound there, before several share the place: the kernel would let them
    share it with another program of the same user, and both would miss clients.

    :raise OSError: a socket is bound there.
    """
    boundSocket(kind, interface, port).close()


def hasIPv6(make: MakeSocket = socket.socket) -> bool:
    """Whether this machine has IPv6."""
    try:
        boundSocket(socket.SOCK_STREAM, "::", 0, make).close()
    except OSError as error:
        # Any other error is not about IPv6, and is met again when the listener is opened.
        return error.errno not in (EAFNOSUPPORT, EADDRNOTAVAIL)
    return True


def pickPort(interfaces: Iterable[str], make: MakeSocket = socket.socket) -> int:
    """
    A port that the kernel picks for the first of ``interfaces`` and that is free for streams and
    datagrams on all. Another program may take it before it is bound.

    :raise CannotListenError: an address cannot be bound, or the port picked for the first is in use
        on another one: then the next pick may succeed.
    """
    port = 0
    with ExitStack() as held:
        for interface in interfaces:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    made = held.enter_context(boundSocket(kind, interface, port, make))
                except OSError as error:
                    raise CannotListenError(interface, port, error) from error
                port = made.getsockname()[1]
    return port


def _checkBacklog(backlog: int) -> None:
    if not 0 <= backlog <= MAX_BACKLOG:
        raise ValueError(f"invalid backlog {backlog} (0 to {MAX_BACKLOG})")


class StreamReactor:
    """
    A reactor whose ``listenTCP`` keeps IPv4 and IPv6 separate, and whose ``listenUNIX`` removes
    stale locks, and leaves none when it fails; otherwise the reactor's own.
    Endpoints listen through the reactor that they are given.

    :param reactor: the real one; an ``IReactorSocket``.
    :param shared: whether to open several ports at one place, which for port 0 is the place of the
        first; see :func:`boundSocket`.
    """

    def __init__(self, reactor: Any, shared: bool = False) -> None:
        self._reactor = reactor
        self._shared = shared
        self._picked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        See :meth:`twisted.internet.interfaces.IReactorTCP.listenTCP`.

        :raise CannotListenError: as there.
        :raise ValueError: the backlog is invalid.
        """
        _checkBacklog(backlog)
        try:
            if self._shared and not self._picked:
                checkFree(socket.SOCK_STREAM, interface, port)
            made = boundSocket(
                socket.SOCK_STREAM, interface, port or self._picked, shared=self._shared
            )
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        with made:
            if self._shared:
                self._picked = made.getsockname()[1]
            setInheritedOptions(made)
            made.listen(backlog)
            adopted: IListeningPort = self._reactor.adoptStreamPort(
                made.fileno(), made.family, factory
            )
        return adopted

    def listenUNIX(
        self,
        address: str,
        factory: Factory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        See :meth:`twisted.internet.interfaces.IReactorUNIX.listenUNIX`.

        :raise CannotListenError: as there.
        :raise ValueError: the address, the backlog or the mode is invalid, which Twisted notices
            too late: it would leave files behind.
        """
        _checkBacklog(backlog)
        if not address:
            raise ValueError("a UNIX socket needs a path or a name")
        if not 0 <= mode <= MAX_MODE:
            raise ValueError(f"invalid mode {mode:o} (0 to {MAX_MODE:o})")
        if wantPID:
            removeStaleLock(address)
        try:
            port: IListeningPort = self._reactor.listenUNIX(
                address, factory, backlog, mode, wantPID
            )
        except CannotListenError as error:
            # If it is text instead, another server holds the lock.
            if wantPID and isinstance(error.socketError, OSError):
                removeLock(address)
            raise
        return port


def setListenerOptions(port: object, userTimeout: float) -> None:
    """
    Set an option of a listening TCP socket that its connections inherit: TCP_USER_TIMEOUT (tcp(7)),
    with which the kernel ends connections whose client acknowledges nothing. It detects what the
    timeout checks cannot: a client that sends and never reads.

    :param port: a listening stream port of Twisted, or a
        :class:`~echoproto.server.workers.sharedsockets.SharedPort`; one that is not on TCP is left
        alone.
    :param userTimeout: in seconds; ``inf`` for the kernel's default.
    """
    own = getattr(port, "socket", None)
    if own is not None and own.family in _INTERNET:
        noteInheritance(port)
    if not hasattr(socket, "TCP_USER_TIMEOUT") or userTimeout == inf:
        return
    for made in port.sockets() if hasattr(port, "sockets") else [own]:
        if made is not None and made.family in _INTERNET:
            with suppress(OSError):
                made.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(userTimeout * 1000)
                )


def acceptOnlyWithRoom(port: Any, room: Callable[[], float]) -> None:
    """
    Make a port accept only as many connections as there is room for, and stop reading without room;
    the caller must call ``port.startReading()`` when there is room again. Otherwise a port accepts
    up to hundreds in one turn.

    :param port: a listening stream port of Twisted.
    :param room: returns how many more connections may be accepted.
    """
    # The method of the instance is replaced, not of the class, because every reactor has its own
    # ports.
    accept = port.doRead

    def doRead() -> None:
        if room() >= 1:
            port.numberAccepts = min(port.numberAccepts, room())
            accept()
        if room() < 1:
            port.stopReading()

    port.doRead = doRead
