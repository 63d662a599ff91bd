"""
Numeric addresses: their forms, and the key under which a source is counted.

An IPv4-mapped IPv6 address (``::ffff:192.0.2.1``) is treated as the IPv4 address everywhere, so
that no rule can be avoided by the socket of the other family.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, AF_INET6, if_indextoname, inet_ntop
from sys import byteorder
from typing import Any

from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.interfaces import IAddress

BROADCAST = IPv4Address("255.255.255.255")

# A union would be built and compared for every connection.
_TCP_ADDRESSES = (TCP4Address, TCP6Address)


def numericHost(address: IAddress | None) -> str | None:
    """The numeric address in ``address``; ``None`` if it has none, as on a UNIX socket."""
    return address.host if isinstance(address, _TCP_ADDRESSES) else None


def datagramAddress(address: tuple[Any, ...]) -> TCP4Address | TCP6Address:
    """
    The address that a UDP socket reports, for people and programs: a link-local one with its scope,
    ``fe80::1%eth0``.

    :param address: host and port, and for IPv6 possibly flow and scope.
    """
    host, port, _, scope = (*address, 0, 0)[:4]
    if ":" not in host:
        return TCP4Address("UDP", host, port)
    return TCP6Address("UDP", f"{host}%{_interfaceName(scope)}" if scope else host, port)


def rawAddress(address: bytes) -> tuple[str, int]:
    """
    Host and port of a socket address of the kernel.

    :param address: a struct sockaddr_in or sockaddr_in6, ip(7) and ipv6(7).
    """
    family = int.from_bytes(address[:2], byteorder)
    packed = address[4:8] if family == AF_INET else address[8:24]
    return inet_ntop(AF_INET if family == AF_INET else AF_INET6, packed), int.from_bytes(
        address[2:4], "big"
    )


def _interfaceName(index: int) -> str:
    try:
        return if_indextoname(index)
    except OSError:
        # It was removed meanwhile.
        return str(index)


def peerUID(address: IAddress | None) -> int | None:
    """The user in the address of a client of a UNIX socket; ``None`` if it has none."""
    return getattr(address, "uid", None)


def unmapped(host: str) -> IPv4Address | IPv6Address:
    """
    A numeric address without a scope (``%eth0``); an IPv4-mapped one as IPv4.

    :raise ValueError: ``host`` is no numeric address.
    """
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=1024)
def rateLimitKey(host: str) -> str | None:
    """
    The key under which a source is counted, or ``None`` if it is not the address of a single host.

    An IPv4 address counts by itself, an IPv6 address by its /64: one site has that many (RFC 4291
    section 2.5.4). Multicast, broadcast and unspecified addresses have no key (RFC 1122 section
    3.2.1.3).

    :param host: a numeric address.
    """
    address = unmapped(host)
    if address.is_multicast or address.is_unspecified or address == BROADCAST:
        return None
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
