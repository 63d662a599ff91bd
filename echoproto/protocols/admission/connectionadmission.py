"""
Admission of connections: pure decisions whether to serve one.

Connections are limited in total, per source, and in the rate at which one source may make them. A
refused source costs no other source a place. :mod:`echoproto.protocols.streamfactory` asks once per
connection. The clock is a parameter; sources are addresses of :mod:`echoproto.addresses`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf

from echoproto.addresses import rateLimitKey
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.admission.tokenbuckets import TokenBuckets


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
        if self._maximum - self.open < 1:
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
        wasFull = self._maximum - self.open < 1
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
