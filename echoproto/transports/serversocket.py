"""
Sockets of a server: binding them, and the options of UDP sockets.

At boot an IPv6 address is tentative for a second or two (duplicate address detection, RFC 4862
section 5.4), and bind(2) fails. Such an address is bound all the same (IPV6_FREEBIND), and serves
as soon as it is valid; an address that the machine does not have is an error.

By default Linux sends IPv4 with "don't fragment" (``IP_PMTUDISC_WANT``, ip(7)), so behind a smaller
link whose ICMP errors are filtered a reply is lost for ever, although its request arrived in
fragments. Servers of DNS (BIND, Unbound, NSD, Knot) therefore allow routers to fragment replies.

Replies to a host of the same link that does not answer ARP or neighbour discovery wait for three
seconds, and the kernel keeps as many of them as the default send buffer holds
(``unres_qlen_bytes``, arp(7)): one such host, or one forged source, would leave no room for replies
to anybody else. So the buffer is larger, as that of Unbound.

Routers of IPv6 do not fragment. Here the fragments of a long reply are as small as every link must
carry (RFC 8200 section 5), but Linux makes fragments only of replies that are longer than its own
link's MTU or the path MTU reported by ICMPv6.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import EADDRNOTAVAIL
from typing import Any

from echoproto.transports.pktinfo import enablePacketInfo

# Python does not have these names; the numbers are those of Linux's ip(7) and ipv6(7).
_IP_MTU_DISCOVER, _IPV6_MTU, _IPV6_FREEBIND = 10, 24, 78

#: Bytes of the send buffer that are requested; root gets as many, and others at most
#: ``net.core.wmem_max``. The kernel doubles them for its own needs.
SEND_BUFFER = 4 << 20

# Of Linux's socket(7).
_SO_SNDBUFFORCE = 32

#: Flags of an address in if_inet6 (IFA_F_DADFAILED and IFA_F_TENTATIVE of Linux's rtnetlink(7)): a
#: tentative one that is a duplicate never becomes valid.
_DUPLICATE, _TENTATIVE = 0x08, 0x40

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
    # Bytes, because for text Python imports its codec of international names. Without the port, of
    # which getaddrinfo(3) would take the last 16 bits. It refuses bytes that are no text.
    name = (host or "0.0.0.0").encode(errors="surrogateescape")
    found = socket.getaddrinfo(name, None, family, socket.SOCK_DGRAM)
    resolved, _, *scope = found[0][4]
    return (resolved, port, *scope)


def boundAddress(made: socket.socket) -> bytes:
    """
    The single address that a UDP socket is bound to, packed; empty if it is bound to all addresses.
    """
    host = made.getsockname()[0].partition("%")[0]
    packed = socket.inet_pton(made.family, host)
    return packed if any(packed) else b""


def isTentative(address: tuple[Any, ...], path: str = "/proc/net/if_inet6") -> bool:
    """
    Whether an IPv6 address of this machine is tentative.

    :param address: as :func:`socketAddress` returns it.
    :param path: the table of addresses, Linux's proc_pid_net(5).
    """
    packed, scope = socket.inet_pton(socket.AF_INET6, address[0]).hex(), address[3]
    try:
        with open(path) as table:
            rows = [line.split() for line in table]
    except OSError:
        return False
    return any(
        row[0] == packed
        and scope in (0, int(row[1], 16))
        and int(row[4], 16) & (_TENTATIVE | _DUPLICATE) == _TENTATIVE
        for row in rows
    )


def bindSocket(
    made: socket.socket,
    host: str,
    port: int,
    tentative: Callable[[tuple[Any, ...]], bool] = isTentative,
) -> None:
    """
    Bind a socket, also to an address that is still tentative.

    :param host: see :func:`socketAddress`.
    :param tentative: see :func:`isTentative`.
    :raise OSError: it cannot be bound.
    """
    address = socketAddress(host, port, made.family)
    try:
        made.bind(address)
    except OSError as error:
        if error.errno != EADDRNOTAVAIL or made.family != socket.AF_INET6 or not tentative(address):
            raise
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        made.bind(address)


def setServerOptions(made: socket.socket) -> None:
    """
    Prepare a UDP socket of a server, whoever made it: as :func:`setDatagramOptions`, and replies
    that wait for one host leave room for others.
    """
    setDatagramOptions(made)
    with socket.socket(made.family, made.type) as other:
        isDefault = _sendBuffer(made) == _sendBuffer(other)
    # Another size is what systemd was told to grant, or was set here before.
    if isDefault:
        for option in (socket.SO_SNDBUF, _SO_SNDBUFFORCE):
            # Only root may force it.
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, option, SEND_BUFFER)


def _sendBuffer(made: socket.socket) -> int:
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def setDatagramOptions(made: socket.socket) -> None:
    """
    Prepare a UDP socket: it reports the destination of each datagram, and what it sends may be
    fragmented.
    """
    enablePacketInfo(made)
    for option in _FRAGMENT_OPTIONS.get(made.family, []):
        # An old or emulated kernel may lack one; then replies are sent as it does.
        with suppress(OSError):
            made.setsockopt(*option)
