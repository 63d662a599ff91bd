"""The local address that a datagram was sent to, and replies that leave from it (IP_PKTINFO)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from functools import lru_cache
from struct import Struct

# Python has this name from 3.14 on; 8 in Linux's ip(7).
_IP_PKTINFO = 8


#: Options that make the kernel report the destination of each datagram.
_DESTINATION_OPTIONS: dict[int, list[tuple[int, int]]] = (
    {
        socket.AF_INET: [(socket.IPPROTO_IP, _IP_PKTINFO)],
        # The second one for a socket that receives IPv4 too.
        socket.AF_INET6: [
            (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
            (socket.IPPROTO_IP, _IP_PKTINFO),
        ],
    }
    if sys.platform == "linux"
    else {}
)


#: Room for the ancillary data of a datagram: struct in6_pktinfo and struct in_pktinfo are 20 and 12
#: bytes; for IPv4 on an IPv6 socket the kernel reports both.
ANCILLARY_BYTES = socket.CMSG_SPACE(20) + socket.CMSG_SPACE(12)


# The prefix of IPv4 addresses in IPv6 (RFC 4291 section 2.5.5.2).
_MAPPED = bytes(10) + b"\xff\xff"


Ancillary = tuple[int, int, bytes]


class NotUnicast(Exception):
    """
    A datagram was sent to a group: answering it would let one forged datagram cause many replies.
    """


@lru_cache(maxsize=256)
def vrfOf(interface: int, folder: str = "/sys/class/net") -> int:
    """
    The VRF (Linux's ip-vrf(8)) of an interface: the index of its device; 0 if there is none.
    Remembered for the life of the process.

    :param interface: the index of an interface that a datagram arrived on: never that of a port of
        a bridge or bond, whose datagrams arrive on their master.
    """
    try:
        with open(f"{folder}/{socket.if_indextoname(interface)}/master/ifindex") as master:
            return int(master.read())
    except OSError:
        return 0


def replySource(ancillary: list[Ancillary], vrf: Callable[[int], int] = vrfOf) -> list[Ancillary]:
    """
    The ancillary data of a reply, from that of its request.

    The interface is left to routing, except for addresses that need one. In a VRF, whose datagrams
    a socket without a VRF receives too (``net.ipv4.udp_l3mdev_accept``), the interface of the reply
    is that of the VRF, which selects its routing table.

    :param vrf: the index of the VRF of an interface; 0 for none.
    :return: ancillary data for ``sendmsg``; empty if the kernel may choose the source.
    :raise NotUnicast: the datagram was sent to a multicast or broadcast address.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            # struct in_pktinfo: interface, local address, address in the header. The local one is
            # zero for a datagram that arrived before the option was set, on a socket passed to us;
            # if that was sent to a group, the kernel refuses the reply (ENETUNREACH).
            if data[4:8] not in (data[8:12], bytes(4)):
                raise NotUnicast
            return [(level, kind, _vrfIndex(data[:4], vrf) + data[8:12] + bytes(4))]
        # For a mapped address struct in_pktinfo follows, which distinguishes groups from hosts.
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and data[:12] != _MAPPED:
            # struct in6_pktinfo: the address in the header, interface.
            if data[0] == 0xFF:
                raise NotUnicast
            linkLocal = data[0] == 0xFE and data[1] & 0xC0 == 0x80
            interface = data[16:20] if linkLocal else _vrfIndex(data[16:20], vrf)
            return [(level, kind, data[:16] + interface)]
    return []


# struct cmsghdr: its length with the data, level and type; see cmsg(3).
_HEADER = Struct("Nii")


def parseControl(control: bytes) -> list[Ancillary]:
    """The ancillary data in the memory that recvmsg(2) filled; the rest of it must be zeros."""
    found = []
    while len(control) >= _HEADER.size:
        length, level, kind = _HEADER.unpack_from(control)
        if length < _HEADER.size:
            break
        found.append((level, kind, control[_HEADER.size : length]))
        control = control[socket.CMSG_SPACE(length - _HEADER.size) :]
    return found


def packControl(ancillary: list[Ancillary]) -> bytes:
    """The memory for sendmsg(2) with these ancillary data."""
    return b"".join(
        (_HEADER.pack(socket.CMSG_LEN(len(data)), level, kind) + data).ljust(
            socket.CMSG_SPACE(len(data)), b"\0"
        )
        for level, kind, data in ancillary
    )


@lru_cache(maxsize=256)
def replyControl(control: bytes) -> bytes | None:
    """
    As :func:`replySource`, in the form of :func:`packControl`.

    :return: ``None`` if the datagram was sent to a group.
    """
    try:
        return packControl(replySource(parseControl(control)))
    except NotUnicast:
        return None


def _vrfIndex(interface: bytes, vrf: Callable[[int], int]) -> bytes:
    """The VRF of an interface; both are a C int."""
    return vrf(int.from_bytes(interface, sys.byteorder)).to_bytes(4, sys.byteorder)


def enablePacketInfo(made: socket.socket, wanted: int = 1) -> None:
    """
    Make the kernel report the destination of each datagram of a UDP socket; stop it if ``wanted``
    is 0.
    """
    for option in _DESTINATION_OPTIONS.get(made.family, []):
        made.setsockopt(*option, wanted)


def destinations(ancillary: list[Ancillary]) -> list[bytes]:
    """The addresses that a datagram was sent to, packed, if they are those of single hosts."""
    found = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            found.append(data[:16])
        # Only for a host's address the local one is the same.
        elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and data[4:8] == data[8:12]:
            found.append(data[8:12])
    return found
