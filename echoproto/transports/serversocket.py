"""
UDP sockets of a server: their addresses, and their options.

By default Linux sends IPv4 with "don't fragment" (``IP_PMTUDISC_WANT``, ip(7)), so behind a smaller
link whose ICMP errors are filtered a reply is lost for ever, although its request arrived in
fragments. Servers of DNS (BIND, Unbound, NSD, Knot) therefore allow routers to fragment replies.

Routers of IPv6 do not fragment. Here the fragments of a long reply are as small as every link must
carry (RFC 8200 section 5), but Linux makes fragments only of replies that are longer than its own
link's MTU or the path MTU reported by ICMPv6.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

from echoproto.transports.pktinfo import enablePacketInfo

# Python does not have these names; the numbers are those of Linux's ip(7) and ipv6(7).
_IP_MTU_DISCOVER, _IPV6_MTU = 10, 24

#: No "don't fragment", and no path MTU, which forged ICMP errors could make small.
_PMTUDISC_OMIT = 5

#: Bytes that every IPv6 link carries (RFC 8200 section 5).
IPV6_MINIMUM_MTU = 1280

#: Options that make replies pass smaller links. Those of IPv4 also for IPv6 sockets, which may
#: accept IPv4.
_FRAGMENT_OPTIONS: dict[int, list[tuple[int, int, int]]] = (
    {
        socket.AF_INET: [(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT)],
        socket.AF_INET6: [
            (socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT),
            (socket.IPPROTO_IPV6, _IPV6_MTU, IPV6_MINIMUM_MTU),
        ],
    }
    if sys.platform == "linux"
    else {}
)


def socketAddress(host: str, port: int, family: int) -> tuple[Any, ...]:
    """
    The address to bind, with the scope of a link-local one (``fe80::1%eth0``).

    :param host: a numeric address; empty for all of IPv4.
    :raise OSError: ``host`` is no address of ``family``.
    """
    # Without the port, of which getaddrinfo(3) would take the last 16 bits.
    found = socket.getaddrinfo(host or "0.0.0.0", None, family, socket.SOCK_DGRAM)
    resolved, _, *scope = found[0][4]
    return (resolved, port, *scope)


def boundAddress(made: socket.socket) -> bytes:
    """
    The single address that a UDP socket is bound to, packed; empty if it is bound to all addresses.
    """
    host = made.getsockname()[0].partition("%")[0]
    packed = socket.inet_pton(made.family, host)
    return packed if any(packed) else b""


def setServerOptions(made: socket.socket) -> None:
    """
    Prepare a UDP socket of a server, whoever made it: it reports the destination of each datagram,
    and its replies may be fragmented.
    """
    enablePacketInfo(made)
    for option in _FRAGMENT_OPTIONS.get(made.family, []):
        # An old or emulated kernel may lack one; then replies are sent as it does.
        with suppress(OSError):
            made.setsockopt(*option)
