"""
The sockets of a UDP port. Its addresses keep their scope, which a link-local address of IPv6 needs;
the stock port of Twisted drops it when it binds and connects.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, InvalidAddressError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port

from echoproto.addresses import datagramAddress
from echoproto.transports.receivebuffer import droppedDatagrams
from echoproto.transports.serversocket import (
    bindSocket,
    setDatagramOptions,
    setServerOptions,
    socketAddress,
)


class ScopedPort(Port):
    """
    Twisted's UDP port, whose addresses keep their scope, and whose socket has options of its own.
    The IPv6 sockets that it makes accept IPv6 only.

    :ivar setOptions: sets the options of its own socket; by default those of
        :mod:`echoproto.transports.serversocket`.
    """

    setOptions: Callable[[socket.socket], None] = staticmethod(setServerOptions)

    _droppedBefore = 0
    _others: ScopedPort | None = None

    def startListening(self) -> None:
        """
        Listen, on a socket of its own unless it was given one.

        :raise CannotListenError: the address cannot be bound.
        """
        if cast(Any, self)._preexistingSocket is None:
            cast(Any, self)._preexistingSocket = self._boundSocket()
        self._droppedBefore = droppedDatagrams(cast(Any, self)._preexistingSocket)
        Port.startListening(self)

    def droppedDatagrams(self) -> int:
        """
        Number of datagrams that the kernel has dropped since the port began to listen, because its
        receive buffer was full or their checksum was wrong.
        """
        # The kernel counts since the socket was made, in 32 bits.
        return droppedDatagrams(self.socket) - self._droppedBefore & 0xFFFF_FFFF

    def _boundSocket(self) -> socket.socket:
        try:
            with ExitStack() as unlessBound:
                made = unlessBound.enter_context(self.createInternetSocket())
                # Not the stock port's bind(), which drops the scope of a link-local address.
                bindSocket(made, self.interface, self.port)
                unlessBound.pop_all()
        except OSError as error:
            raise CannotListenError(self.interface, self.port, error) from error
        return made

    def getHost(self) -> IPv4Address | IPv6Address:
        """The address that it is bound to, with its scope if it is link-local."""
        return datagramAddress(self.socket.getsockname())

    def createInternetSocket(self) -> socket.socket:
        """A socket with the options of this port; called by the stock port before it binds."""
        made: socket.socket = super().createInternetSocket()
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.setOptions(made)
        return made

    def connect(self, host: str, port: int) -> None:
        """See ``IUDPTransport``; with the scope of a link-local address."""
        if not isIPAddress(host) and not isIPv6Address(host):
            raise InvalidAddressError(host, "connect() takes numeric addresses, not names")
        # The stock port would pass a scope of 0, which replaces that in the address.
        self.socket.connect(socketAddress(host, port, self.addressFamily))
        cast(Any, self)._connectedAddr = (host, port)

    def reportOthers(self, report: Callable[[bytes, tuple[Any, ...]], None] | None) -> None:
        """
        Report datagrams from other addresses than the one that the port is connected to, of which
        the kernel gives it none: a second socket on the same local port receives them.

        :param report: called with each datagram and its source; ``None`` to stop. If the second
            socket cannot be opened, nothing is reported.
        """
        others, self._others = self._others, None
        if others is not None:
            others.stopListening()
        if report is not None:
            host, port = self.socket.getsockname()[:2]
            others = type(self)(port, _Reporter(report), host, reactor=self.reactor)
            others.setOptions = _shareAddress
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(CannotListenError):
                others.startListening()
                self._others = others
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def stopListening(self) -> Any:
        """See ``IListeningPort``."""
        self.reportOthers(None)
        return Port.stopListening(self)


def _shareAddress(made: socket.socket) -> None:
    """Let a second socket have the same local port."""
    setDatagramOptions(made)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class _Reporter(DatagramProtocol):
    noisy = False
    datagramReceived: Any

    def __init__(self, report: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self.datagramReceived = report
