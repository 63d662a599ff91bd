"""
Who is served: pure decisions about connections and datagrams, with the clock passed in.

Asked by :mod:`echoproto.protocols.stream` once per connection and by :mod:`echoproto.protocols.datagram` once per
datagram. Knows no socket, no reactor and nothing of what is answered; who a source is says
:mod:`echoproto.addresses`.

*Connections* are limited in all, per source, and in how fast one source may make them. A source over its
limit is refused and costs no other source a place.

*Datagrams*: UDP sources can be forged, so one forged datagram between two echo services makes them
answer each other for ever (CERT CA-1996-01). Sources that could start such a loop are
refused; every other source is held to a rate, so that a loop with an echo on a port that
nobody could foresee is slowed to that rate. It cannot be told from a busy client, so it is
slowed, not stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from math import inf
from typing import Any

from echoproto.addresses import AddressFilter, rateLimitKey

#: Source ports that are refused: nothing honest sends from them, and the services that
#: stand there answer whatever they get. 0 (no reply possible), 7 echo, 9 discard,
#: 11 systat, 13 daytime, 15 netstat, 17 quote of the day, 19 chargen, 37 time.
LOOPING_PORTS = frozenset({0, 7, 9, 11, 13, 15, 17, 19, 37})

#: Datagrams per second and source, and how many may come at once: ten times what ``ping -i 0.01``
#: sends, so that there is room to measure, and little beside what a loop does that nobody slows.
DATAGRAM_RATE = 1000.0

#: Sources remembered. When the table is full those that were longest silent are
#: forgotten: they come back with full buckets, so forged sources cost nobody else a reply.
MAXIMUM_SOURCES = 16_384

#: Of a bucket's tokens, how many are taken at one look at the clock.
AHEAD = 1 / 64


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


class TokenBuckets:
    """
    A token bucket for each key, in a table of bounded size.

    The table has two halves: a key that takes stands in the younger one, and when that is full it becomes the older one, whose
    keys are forgotten. So a take costs one look-up, where to keep all keys in their order would cost as much again. The clock
    is looked at once for some tokens, which are taken ahead.

    :param rate: tokens per second that a bucket gains.
    :param burst: tokens that a full bucket holds; one that has been used before, as few less as :data:`AHEAD` says.
    :param seconds: the clock, in seconds.
    :param capacity: how many buckets are kept at most; the last half as many are kept for certain.
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
        self._ahead = int(burst * AHEAD)
        self._seconds = seconds
        self._half = max(capacity // 2, 1)
        # Of each key what was taken ahead, what was left besides, and when; changed in place, as it is once per datagram.
        self._younger: dict[str, list[float]] = {}
        self._older: dict[str, list[float]] = {}

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def take(self, key: str) -> bool:
        """Take one token from the bucket of ``key``; false where it has none."""
        bucket = self._younger.get(key) or self._rejuvenate(key)
        if bucket[0]:
            bucket[0] -= 1
            return True
        return self._look(bucket)

    def _look(self, bucket: list[float]) -> bool:
        """What a bucket has by now: take a token, and some ahead."""
        _, level, last = bucket
        now = self._seconds()
        # The clock may be set back, which takes no tokens. With what is taken ahead there are never more than the burst.
        if now > last:
            level = max(level, min(level + (now - last) * self._rate, self._burst - self._ahead))
        bucket[2] = now
        if level < 1:
            bucket[1] = level
            return False
        ahead = min(self._ahead, int(level) - 1)
        bucket[:2] = ahead, level - 1 - ahead
        return True

    def _rejuvenate(self, key: str) -> list[float]:
        """The older bucket of ``key``, or a full one, from now on among the younger."""
        bucket = self._older.pop(key, None) or [0, self._burst, 0.0]
        if len(self._younger) >= self._half:
            self._younger, self._older = {}, self._younger
        self._younger[key] = bucket
        return bucket


class ConnectionAdmission:
    """
    Decides whether a connection may be served, and counts those that are. Share one among all
    listeners of a program: its limits are for all of them together.

    :param seconds: the clock, in seconds; ``reactor.seconds`` for one.
    :param maximum: connections at once, in all.
    :param perSource: connections at once from each source.
    :param rate: connections per second that each source may make.
    :param burst: how many of these may come at once; as many as in a second where not given, and at least one.
    :param networks: who may come at all.
    :ivar open: connections admitted and not yet released.
    :ivar whenRoom: called when the last place had been taken and one is free again.
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
        """How many more connections may be served."""
        return self._maximum - self.open

    def admit(self, host: str | None) -> Refusal | None:
        """
        Take a place for one more connection.

        :param host: the client's numeric address; ``None`` where it has none, as on a UNIX socket: then only the
            number of all connections counts.
        :return: why there is none; ``None`` where it was taken, to be given back by :meth:`release`.
        """
        source = None if host is None else rateLimitKey(host)
        if host is not None and not self._networks.permits(host):
            return Refusal.DENIED
        if source is not None and self._bySource[source] >= self._perSource:
            return Refusal.SOURCE_FULL
        if self.room < 1:
            return Refusal.FULL
        # Last, so that what is refused for another reason takes no token.
        if source is not None and self._buckets is not None and not self._buckets.take(source):
            return Refusal.RATE
        self.open += 1
        if source is not None:
            self._bySource[source] += 1
        return None

    def release(self, host: str | None) -> None:
        """Give back the place that :meth:`admit` gave for ``host``."""
        wasFull = self.room < 1
        self.open -= 1
        source = None if host is None else rateLimitKey(host)
        if source is not None:
            self._bySource[source] -= 1
            if not self._bySource[source]:
                del self._bySource[source]
        if wasFull:
            self.whenRoom()


class DatagramAdmission:
    """
    Decides whether a datagram may be answered. Share one among all listeners of a
    program, so that each knows the others' ports and a source has one rate for all.

    :param seconds: the clock, in seconds; ``reactor.seconds`` for one.
    :param rate: datagrams per second that each source may have answered, and as many at once;
        0 for no limit.
    :param refusedPorts: source ports that are never answered.
    :param networks: who is answered at all.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        rate: float = DATAGRAM_RATE,
        refusedPorts: Iterable[int] = LOOPING_PORTS,
        networks: AddressFilter | None = None,
    ) -> None:
        self._networks = networks if networks is not None else AddressFilter()
        # Once per source rather than per datagram; bounded, as sources can be forged.
        self._sourceOf = lru_cache(maxsize=1024)(self._judge)
        self._refusedPorts = frozenset(refusedPorts)
        self._ownPorts: Counter[int] = Counter()
        # Both, as they are asked for each datagram.
        self._unanswered = self._refusedPorts
        self._buckets = TokenBuckets(rate, max(rate, 1.0), seconds) if rate else None

    def addOwnPort(self, port: int) -> None:
        """From now on refuse datagrams that come from ``port``, where we listen ourselves."""
        self._ownPorts[port] += 1
        self._unanswered = self._refusedPorts | set(self._ownPorts)

    def removeOwnPort(self, port: int) -> None:
        """One listener on ``port`` was closed; when all are, the port is as good as any."""
        self._ownPorts -= Counter((port,))
        self._unanswered = self._refusedPorts | set(self._ownPorts)

    def refusal(self, host: str, port: int) -> Refusal | None:
        """
        Why a datagram from ``host`` and ``port`` is not to be answered; ``None`` where it is.
        A datagram refused for its source does not count against that source's rate.
        """
        if port in self._unanswered:
            return Refusal.LOOPING_PORT if port in self._refusedPorts else Refusal.OWN_PORT
        source: Any = self._sourceOf(host)
        # Not isinstance(), which asks the metaclass of an Enum.
        if type(source) is Refusal:
            return source
        if self._buckets is not None and not self._buckets.take(source):
            return Refusal.RATE
        return None

    def _judge(self, host: str) -> str | Refusal:
        """The source's name, or why it is never answered."""
        source = rateLimitKey(host)
        if source is None:
            return Refusal.NOT_UNICAST
        return source if self._networks.permits(host) else Refusal.DENIED
