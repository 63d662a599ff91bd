"""
The socket options of clients: network interface, type of service, time to live, no fragments.

They are set before a socket is bound or connected, so that they hold from the first packet on, and
so that a source address may be one of a VRF.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from errno import ENODEV, EPERM
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IConnector, IReactorTCP
from twisted.internet.protocol import ClientFactory

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.errors import TargetError
from echoproto.transports.serversocket import bindSocket, setDatagramOptions

# Python does not have these names; the numbers are those of Linux's socket(7), ip(7) and ipv6(7).
_SO_BINDTODEVICE = 25
_IP_MTU_DISCOVER, _IP_MTU, _IPV6_MTU_DISCOVER, _IPV6_MTU = 10, 14, 23, 24
_PMTUDISC_DO = 2

#: A name on the command line, then level, number and value for setsockopt(2).
_Option = tuple[str, int, int, Any]


def _options(family: int, connect: ConnectOptions) -> Iterator[_Option]:
    isIPv6 = family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if isIPv6 else socket.IPPROTO_IP
    if connect.interface:
        name = f"--interface {connect.interface}"
        yield name, socket.SOL_SOCKET, _SO_BINDTODEVICE, connect.interface.encode()
    if connect.tos is not None:
        yield "--tos", level, socket.IPV6_TCLASS if isIPv6 else socket.IP_TOS, connect.tos
    if connect.ttl is not None:
        yield "--ttl", level, socket.IPV6_UNICAST_HOPS if isIPv6 else socket.IP_TTL, connect.ttl
    if connect.dontFragment:
        discover = _IPV6_MTU_DISCOVER if isIPv6 else _IP_MTU_DISCOVER
        yield "--dont-fragment", level, discover, _PMTUDISC_DO
        if isIPv6:
            # Undoes setDatagramOptions(): no limit besides that of the path.
            yield "--dont-fragment", level, _IPV6_MTU, 0


def setClientOptions(made: socket.socket, connect: ConnectOptions) -> None:
    """
    Set the options of a socket that is neither bound nor connected.

    :raise TargetError: the kernel refuses one; the message has the cause and the remedy.
    """
    if made.type == socket.SOCK_DGRAM:
        setDatagramOptions(made)
    for name, level, number, value in _options(made.family, connect):
        try:
            made.setsockopt(level, number, value)
        except OSError as error:
            causes = {
                ENODEV: "no such interface; 'ip link' lists them",
                EPERM: "not permitted; run as root or with CAP_NET_RAW",
            }
            cause = causes.get(error.errno or 0, error.strerror)
            raise TargetError(f"{name}: {cause}") from error


def hasClientOptions(connect: ConnectOptions) -> bool:
    """Whether sockets have other options than usual."""
    return any(_options(socket.AF_INET, connect))


def checkClientOptions(addresses: Collection[str], connect: ConnectOptions) -> None:
    """
    Set the options of sockets that are not used, so that a mistake is found before the first probe.

    :param addresses: numeric addresses to connect to.
    :raise TargetError: see :func:`setClientOptions`.
    """
    if hasClientOptions(connect):
        for isIPv6 in {isIPv6Address(address) for address in addresses}:
            family = socket.AF_INET6 if isIPv6 else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as unused:
                setClientOptions(unused, connect)


def pathMTU(connected: socket.socket) -> int:
    """Bytes of the longest packet that the path of a connected socket carries, as far as known."""
    if connected.family == socket.AF_INET6:
        return connected.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
    return connected.getsockopt(socket.IPPROTO_IP, _IP_MTU)


class OptionsReactor:
    """
    Makes TCP connections whose sockets have options.

    :param reactor: makes the connections; in memory, where sockets are missing, without options.
    :param connect: the options.
    """

    def __init__(self, reactor: IReactorTCP, connect: ConnectOptions) -> None:
        self._reactor = reactor
        self._connect = connect

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """See ``IReactorTCP``. The reactor connects in a later turn: now the socket is new."""
        connector: Any = self._reactor.connectTCP(host, port, factory, timeout=timeout)
        transport = getattr(connector, "transport", None)
        # Without one the connection has failed.
        made: socket.socket | None = getattr(transport, "socket", None)
        if transport is not None and made is not None:
            try:
                setClientOptions(made, self._connect)
                if bindAddress is not None:
                    bindSocket(made, *bindAddress)
            except (OSError, TargetError) as error:
                reason = str(getattr(error, "strerror", None) or error)
                transport.failIfNotConnected(ConnectError(None, reason))
        found: IConnector = connector
        return found
