"""
Bound sockets for streams, with IPv4 and IPv6 apart whatever the machine's default is.

Twisted never sets ``IPV6_V6ONLY`` and so leaves it to ``net.ipv6.bindv6only`` whether ``::`` takes IPv4 too. Here the
socket is made, set and bound by us and then adopted by the reactor, whose own kind of
transport serves it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from errno import EADDRNOTAVAIL, EAFNOSUPPORT
from math import inf
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from echoproto.transports.udp import socketAddress

#: ``socket.socket``, or a stand-in for a machine that lacks something.
MakeSocket = Callable[[int, int], socket.socket]


def boundSocket(
    kind: socket.SocketKind,
    interface: str,
    port: int,
    make: MakeSocket = socket.socket,
    shared: bool = False,
) -> socket.socket:
    """
    A non-blocking socket bound to ``interface`` and ``port``, for IPv6 to IPv6 alone.

    :param kind: ``SOCK_STREAM`` or ``SOCK_DGRAM``.
    :param interface: a numeric address; empty for all of IPv4.
    :param shared: whether others of ours may be bound there too; the kernel spreads clients over them (SO_REUSEPORT, socket(7)).
    :raise OSError: it cannot be had.
    """
    family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
    made = make(family, kind)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of a server that has just stopped must not keep the next from starting.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(socketAddress(interface, port, family))
    except BaseException:
        made.close()
        raise
    return made


def checkFree(kind: socket.SocketKind, interface: str, port: int) -> None:
    """
    Look whether nobody is bound there, before sockets are that share the place: the kernel would let them share it with
    another program of the same user's that shares, and each would be missing clients.

    :raise OSError: somebody is.
    """
    boundSocket(kind, interface, port).close()


def hasIPv6(make: MakeSocket = socket.socket) -> bool:
    """Whether this machine has IPv6 at all."""
    try:
        boundSocket(socket.SOCK_STREAM, "::", 0, make).close()
    except OSError as error:
        # Any other error is not about IPv6, and is met again when the listener is opened.
        return error.errno not in (EAFNOSUPPORT, EADDRNOTAVAIL)
    return True


def pickPort(interfaces: Iterable[str], make: MakeSocket = socket.socket) -> int:
    """
    A port that the kernel picks for the first of ``interfaces`` and that is free for streams and datagrams on all.
    It is free now: another program may take it before we do.

    :raise CannotListenError: an address cannot be had, or the port picked for the first is taken on another: then
        the next pick may do.
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


class StreamReactor:
    """
    A reactor whose ``listenTCP`` keeps IPv4 and IPv6 apart; all else is the reactor's own.
    Endpoints listen through the reactor that they are given, so giving them this one serves them all.

    :param reactor: the real one; an ``IReactorSocket``.
    :param shared: whether to open several ports at one place, which for port 0 is the one that the first got; see
        :func:`boundSocket`.
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
        """
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
            made.listen(backlog)
            adopted: IListeningPort = self._reactor.adoptStreamPort(
                made.fileno(), made.family, factory
            )
        return adopted


def setUserTimeout(port: Any, seconds: float) -> None:
    """
    Let the kernel end connections of a TCP port whose client takes nothing (TCP_USER_TIMEOUT, tcp(7); connections inherit it
    from the listening socket), where the kernel has such an option. It sees what a sweep cannot: a
    client that keeps sending and never reads.

    :param port: a listening port of Twisted's; one that is not TCP is left alone.
    :param seconds: ``inf`` for the kernel's own time.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    made = getattr(port, "socket", None)
    if option is None or seconds == inf or made is None:
        return
    if made.family in (socket.AF_INET, socket.AF_INET6):
        made.setsockopt(socket.IPPROTO_TCP, option, round(seconds * 1000))


def acceptOnlyWithRoom(port: Any, room: Callable[[], float]) -> None:
    """
    Let a port accept no more connections than there is room for, and stop reading where there is none; whoever
    makes room calls ``port.startReading()``. Without, a port accepts up to hundreds in one turn.

    :param port: a listening stream port of Twisted's.
    :param room: how many more connections may be accepted.
    """
    # The instance's method is replaced rather than the class: every reactor has ports of its own.
    accept = port.doRead

    def doRead() -> None:
        if room() >= 1:
            port.numberAccepts = min(port.numberAccepts, room())
            accept()
        if room() < 1:
            port.stopReading()

    port.doRead = doRead


def descriptorLimit() -> int:
    """File descriptors that this process may have open (RLIMIT_NOFILE, getrlimit(2))."""
    return getrlimit(RLIMIT_NOFILE)[0]
