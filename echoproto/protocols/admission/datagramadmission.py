"""
Admission of datagrams: pure decisions whether to answer one.

UDP sources can be forged, so one forged datagram between two echo services makes them answer each
other for ever (CERT CA-1996-01). Sources that could start such a loop are refused. Every other
source is limited to a rate, which slows a loop with an echo service on an unforeseen port. Such a
loop looks like a busy client, so it cannot be stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from echoproto.addresses import rateLimitKey, rawAddress
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.admission.tokenbuckets import TokenBuckets

#: Refused source ports: no honest client sends from them, and the services on them answer anything.
#: 0 (no reply possible), 7 echo, 9 discard, 11 systat, 13 daytime, 15 netstat, 17 quote of the day,
#: 19 chargen, 37 time.
LOOPING_PORTS = frozenset({0, 7, 9, 11, 13, 15, 17, 19, 37})

#: Datagrams per second and source, and the size of a burst: ten times the rate of ``ping -i 0.01``,
#: which leaves room to measure, and little compared with an unlimited loop.
DATAGRAM_RATE = 1000.0

#: The rate that stands for no limit: more than any machine can receive.
UNLIMITED_RATE = 1e15


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
