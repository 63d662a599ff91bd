"""
Which datagrams are answered: pure decisions about sources, with the clock passed in.

Called by :mod:`echoproto.datagrams` once per datagram. Knows no socket, no reactor and
nothing of what is answered.

UDP sources can be forged, so one forged datagram between two echo services makes them
answer each other for ever (CERT CA-1996-01). Sources that could start such a loop are
refused; every other source is held to a rate, so that a loop with an echo on a port that
nobody could foresee is slowed to that rate. It cannot be told from a busy client, so it is
slowed, not stopped.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

#: Source ports that are refused: nothing honest sends from them, and the services that
#: stand there answer whatever they get. 0 (no reply possible), 7 echo, 9 discard,
#: 11 systat, 13 daytime, 15 netstat, 17 quote of the day, 19 chargen, 37 time.
LOOPING_PORTS = frozenset({0, 7, 9, 11, 13, 15, 17, 19, 37})

#: Datagrams per second and source, and how many may come at once: ten times what ``ping -i 0.01``
#: sends, so that there is room to measure, and little beside what a loop does that nobody slows.
DATAGRAM_RATE = 1000.0

#: Sources remembered. When the table is full the source that was longest silent is
#: forgotten: it comes back with a full bucket, so forged sources cost nobody else a reply.
MAXIMUM_SOURCES = 16_384

BROADCAST = IPv4Address("255.255.255.255")


class Refusal(Enum):
    """Why a datagram is not answered."""

    LOOPING_PORT = "source port could loop"
    OWN_PORT = "source port is our own"
    NOT_UNICAST = "source address is not one host"
    RATE = "source over its rate"
    OWN_REPLY = "text of our own reply"
    AMPLIFYING = "reply longer than request"


class TokenBuckets:
    """
    A token bucket for each key, in a table of bounded size.

    :param rate: tokens per second that a bucket gains.
    :param burst: tokens that a full bucket holds.
    :param seconds: the clock, in seconds.
    :param capacity: how many buckets are kept at most.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        seconds: Callable[[], float],
        capacity: int = MAXIMUM_SOURCES,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._seconds = seconds
        self._capacity = capacity
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> bool:
        """Take one token from the bucket of ``key``; false where it has none."""
        now = self._seconds()
        level, then = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        taken = level >= 1
        self._buckets[key] = (level - 1 if taken else level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return taken


@lru_cache(maxsize=1024)
def sourceKey(host: str) -> str | None:
    """
    The name under which a source is counted, or ``None`` where it is not one host's address.

    An IPv4 address counts for itself, an IPv6 address by its /64 (one site owns that many, RFC 4291
    section 2.5.4), an IPv4 address mapped into IPv6 (``::ffff:``) for the IPv4 address. Multicast, broadcast and unspecified addresses are nobody's (RFC 1122 section 3.2.1.3).

    :param host: a numeric address; an IPv6 scope (``%eth0``) is ignored.
    """
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or address == BROADCAST:
        return None
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


class DatagramAdmission:
    """
    Decides whether a datagram may be answered. Share one among all listeners of a
    program, so that each knows the others' ports and a source has one rate for all.

    :param seconds: the clock, in seconds; ``reactor.seconds`` for one.
    :param rate: datagrams per second that each source may have answered, and as many at once;
        0 for no limit.
    :param refusedPorts: source ports that are never answered.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        rate: float = DATAGRAM_RATE,
        refusedPorts: Iterable[int] = LOOPING_PORTS,
    ) -> None:
        self._refusedPorts = frozenset(refusedPorts)
        self._ownPorts: Counter[int] = Counter()
        self._buckets = TokenBuckets(rate, max(rate, 1.0), seconds) if rate else None

    def addOwnPort(self, port: int) -> None:
        """From now on refuse datagrams that come from ``port``, where we listen ourselves."""
        self._ownPorts[port] += 1

    def removeOwnPort(self, port: int) -> None:
        """One listener on ``port`` was closed; when all are, the port is as good as any."""
        self._ownPorts -= Counter((port,))

    def refusal(self, host: str, port: int) -> Refusal | None:
        """
        Why a datagram from ``host`` and ``port`` is not to be answered; ``None`` where it is.
        A datagram refused for its source does not count against that source's rate.
        """
        if port in self._refusedPorts:
            return Refusal.LOOPING_PORT
        if port in self._ownPorts:
            return Refusal.OWN_PORT
        source = sourceKey(host)
        if source is None:
            return Refusal.NOT_UNICAST
        if self._buckets is not None and not self._buckets.take(source):
            return Refusal.RATE
        return None
