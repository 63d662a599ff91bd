"""
Admission: pure decisions whether to serve a connection or answer a datagram.

:mod:`echoproto.protocols.streamfactory` calls it once per connection, and
:mod:`echoproto.protocols.datagram` once per datagram. The clock is a parameter; sources are
addresses of :mod:`echoproto.addresses`.

*Connections* are limited in total, per source, and in the rate at which one source may make them. A
refused source costs no other source a place.

*Datagrams*: UDP sources can be forged, so one forged datagram between two echo services makes them
answer each other for ever (CERT CA-1996-01). Sources that could start such a loop are refused.
Every other source is limited to a rate, which slows a loop with an echo service on an unforeseen
port. Such a loop looks like a busy client, so it cannot be stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache
from math import inf
from typing import Any

from echoproto.addresses import AddressFilter, rateLimitKey, rawAddress
from echoproto.protocols.tokenbuckets import TokenBuckets

#: Refused source ports: no honest client sends from them, and the services on them answer anything.
#: 0 (no reply possible), 7 echo, 9 discard, 11 systat, 13 daytime, 15 netstat, 17 quote of the day,
#: 19 chargen, 37 time.
LOOPING_PORTS = frozenset({0, 7, 9, 11, 13, 15, 17, 19, 37})

#: Datagrams per second and source, and the size of a burst: ten times the rate of ``ping -i 0.01``,
#: which leaves room to measure, and little compared with an unlimited loop.
DATAGRAM_RATE = 1000.0

#: The rate that stands for no limit: more than any machine can receive.
UNLIMITED_RATE = 1e15


class Refusal(Enum):
    """Why a connection is not served or a datagram not answered."""

    FULL = "too many connections"
    SOURCE_FULL = "too many connections from the source"
    DENIED = "source is not allowed"
    UNTRUSTED = "source is not a trusted proxy"
    NO_HEADER = "no PROXY header"
    LATE_HEADER = "PROXY header took too long"
    NO_HANDSHAKE = "TLS handshake failed"
    LATE_HANDSHAKE = "TLS handshake took too long"
    LOOPING_PORT = "source port could loop"
    OWN_PORT = "source port is our own"
    NOT_UNICAST = "source address is not one host"
    RATE = "source over its rate"
    OWN_REPLY = "text of our own reply"
    AMPLIFYING = "reply longer than request"


#: Why connections are refused: at every listener, at one with PROXY headers, at one with TLS.
CONNECTION_REFUSALS = (Refusal.FULL, Refusal.SOURCE_FULL, Refusal.DENIED, Refusal.RATE)
HEADER_REFUSALS = (Refusal.UNTRUSTED, Refusal.NO_HEADER, Refusal.LATE_HEADER)
HANDSHAKE_REFUSALS = (Refusal.NO_HANDSHAKE, Refusal.LATE_HANDSHAKE)

#: Why datagrams are refused at every listener.
DATAGRAM_REFUSALS = (
    Refusal.LOOPING_PORT,
    Refusal.OWN_PORT,
    Refusal.NOT_UNICAST,
    Refusal.DENIED,
    Refusal.RATE,
)


class ConnectionAdmission:
    """
    Decides whether to serve a connection, and counts the served ones. Share one among all listeners
    of a program: the limits are for all of them together.

    :param seconds: the clock, in seconds, for example ``reactor.seconds``.
    :param maximum: connections at once, in total.
    :param perSource: connections at once from each source.
    :param rate: connections per second from each source.
    :param burst: connections at once within the rate, at least one; by default as many as in a
        second.
    :param networks: the allowed networks.
    :ivar open: connections admitted and not yet released.
    :ivar whenRoom: called when the limit was reached and a place is free again.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        maximum: float = inf,
        perSource: float = inf,
        rate: float = inf,
        burst: float = 0.0,
        networks: AddressFilter | None = None,
    ) -> None:
        self.open = 0
        self.whenRoom: Callable[[], None] = lambda: None
        self._maximum = maximum
        self._perSource = perSource
        self._networks = networks if networks is not None else AddressFilter()
        self._bySource: Counter[str] = Counter()
        self._buckets = TokenBuckets(rate, max(burst or rate, 1.0), seconds) if rate < inf else None

    @property
    def room(self) -> float:
        """Number of connections that can still be admitted."""
        return self._maximum - self.open

    def admit(
        self, host: str | None, uid: int | None = None, isTrusted: bool = False
    ) -> Refusal | None:
        """
        Take a place for a connection.

        :param host: the client's numeric address; ``None`` if it has none, as on a UNIX socket.
        :param uid: the client's user, which is its source if it has no address; ``None`` if that is
            unknown: then only the total limit applies.
        :param isTrusted: whether it is served whatever networks are allowed.
        :return: the reason to refuse it; ``None`` if a place was taken, to be given back by
            :meth:`release`.
        """
        source = _sourceOf(host, uid)
        if host is not None and not isTrusted and not self._networks.permits(host):
            return Refusal.DENIED
        if source is not None and self._bySource[source] >= self._perSource:
            return Refusal.SOURCE_FULL
        if self.room < 1:
            return Refusal.FULL
        # Last, so that a connection refused for another reason takes no token.
        if source is not None and self._buckets is not None and not self._buckets.take(source):
            return Refusal.RATE
        self.open += 1
        if source is not None:
            self._bySource[source] += 1
        return None

    def release(self, host: str | None, uid: int | None = None) -> None:
        """Give back the place that :meth:`admit` took for ``host`` and ``uid``."""
        wasFull = self.room < 1
        self.open -= 1
        source = _sourceOf(host, uid)
        if source is not None:
            self._bySource[source] -= 1
            if not self._bySource[source]:
                del self._bySource[source]
        if wasFull:
            self.whenRoom()


def _sourceOf(host: str | None, uid: int | None) -> str | None:
    """The key of a connection's source."""
    if host is not None:
        return rateLimitKey(host)
    return None if uid is None else f"user {uid}"


class DatagramAdmission:
    """
    Decides whether to answer a datagram. Share one among all listeners of a program, so that it
    knows all their ports, and a source has one rate for all.

    :param seconds: the clock, in seconds, for example ``reactor.seconds``.
    :param rate: datagrams per second answered to each source, and the size of a burst; 0 for no
        limit.
    :param refusedPorts: source ports that are never answered.
    :param networks: the allowed networks.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        rate: float = DATAGRAM_RATE,
        refusedPorts: Iterable[int] = LOOPING_PORTS,
        networks: AddressFilter | None = None,
    ) -> None:
        self._networks = networks if networks is not None else AddressFilter()
        # Once per source, not per datagram; bounded, because sources can be forged.
        self._sourceOf = lru_cache(maxsize=1024)(self._classify)
        self._refusedPorts = frozenset(refusedPorts)
        self._ownPorts: Counter[int] = Counter()
        # Attributes of this object, because they are read for every datagram.
        self._unanswered = self._refusedPorts
        # Without a limit the buckets are so full that they are never empty.
        rate = rate or UNLIMITED_RATE
        self._buckets = TokenBuckets(rate, max(rate, 1.0), seconds)

    def addOwnPort(self, port: int) -> None:
        """Refuse datagrams from ``port``, on which this program listens, from now on."""
        self._ownPorts[port] += 1
        self._buckets.aliases.clear()
        self._unanswered = self._refusedPorts | set(self._ownPorts)

    def removeOwnPort(self, port: int) -> None:
        """
        A listener on ``port`` was closed; when all are closed, the port is treated as any other.
        """
        self._ownPorts -= Counter((port,))
        self._unanswered = self._refusedPorts | set(self._ownPorts)

    def refusal(self, host: str, port: int) -> Refusal | None:
        """
        The reason not to answer a datagram from ``host`` and ``port``; ``None`` to answer it. A
        datagram that is refused for its address or port does not count against the rate.
        """
        if port in self._unanswered:
            return Refusal.LOOPING_PORT if port in self._refusedPorts else Refusal.OWN_PORT
        source: Any = self._sourceOf(host)
        # Not isinstance(), which would call the metaclass of an Enum.
        if type(source) is Refusal:
            return source
        return None if self._buckets.take(source) else Refusal.RATE

    def refusals(self, sources: Sequence[bytes]) -> dict[int, Refusal]:
        """
        The datagrams of a batch that must not be answered: their indexes, in order, and reasons.

        :param sources: their source addresses; see :func:`rawAddress`.
        """
        refused: dict[int, Refusal] = {}
        for index, bucket in enumerate(map(self._buckets.aliases.get, sources)):
            if bucket is None:
                refusal = self._refusalOfNew(sources[index])
                if refusal is not None:
                    refused[index] = refusal
            elif bucket[0]:
                bucket[0] -= 1
            elif not self._buckets.refill(bucket):
                refused[index] = Refusal.RATE
        return refused

    def _refusalOfNew(self, address: bytes) -> Refusal | None:
        """As :meth:`refusal`; and if the source may be answered, remember it."""
        host, port = rawAddress(address)
        refusal = self.refusal(host, port)
        if refusal is None or refusal is Refusal.RATE:
            self._buckets.addAlias(address, str(self._sourceOf(host)))
        return refusal

    def _classify(self, host: str) -> str | Refusal:
        """The rate-limit key of a source, or the reason why it is never answered."""
        source = rateLimitKey(host)
        if source is None:
            return Refusal.NOT_UNICAST
        return source if self._networks.permits(host) else Refusal.DENIED
