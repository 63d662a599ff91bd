"""Rate limits for any number of sources, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

#: Sources remembered. When the table is full, the sources that were silent longest are dropped.
#: They start again with a full bucket, so forged sources cost honest ones no reply.
MAXIMUM_SOURCES = 16_384

#: Share of a bucket's tokens that is taken at one reading of the clock.
PREFETCH_SHARE = 1 / 64


class TokenBuckets:
    """
    A token bucket per key, in a table of bounded size.

    Two generations instead of an ordered table: active keys live in the current one; when it is
    full it becomes the previous one, and the old previous one is dropped. That costs one dictionary
    lookup per token, half the cost of an ordered dictionary. The clock is read once for several
    tokens, which are taken in advance.

    :param rate: tokens per second that a bucket gains.
    :param burst: tokens in a full bucket; up to the share :data:`PREFETCH_SHARE` less
        for one that has been used before.
    :param seconds: the clock, in seconds.
    :param capacity: maximum number of buckets; the most recent half is never dropped.
    :ivar aliases: buckets of the current generation by further keys of the caller; it is emptied
        when a generation begins.
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
        self._prefetch = int(burst * PREFETCH_SHARE)
        self._seconds = seconds
        self._half = max(capacity // 2, 1)
        # Per key: tokens taken in advance, tokens left, and the time. Changed in place, once per
        # datagram.
        self._current: dict[str, list[float]] = {}
        self._previous: dict[str, list[float]] = {}
        self.aliases: dict[bytes, list[float]] = {}

    def __len__(self) -> int:
        return len(self._current) + len(self._previous)

    def take(self, key: str) -> bool:
        """Take one token from the bucket of ``key``; false if it is empty."""
        bucket = self._current.get(key) or self._promote(key)
        if bucket[0]:
            bucket[0] -= 1
            return True
        return self.refill(bucket)

    def addAlias(self, alias: bytes, key: str) -> None:
        """Let ``alias`` mean the bucket of ``key``, from which a token was taken just now."""
        if len(self.aliases) >= 2 * self._half:
            self.aliases.clear()
        self.aliases[alias] = self._current[key]

    def refill(self, bucket: list[float]) -> bool:
        """Refill a bucket; take a token, and some in advance."""
        _, level, last = bucket
        now = self._seconds()
        # A clock that is set back takes no tokens away. Including those taken in advance there are
        # never more than the burst.
        if now > last:
            level = max(level, min(level + (now - last) * self._rate, self._burst - self._prefetch))
        bucket[2] = now
        if level < 1:
            bucket[1] = level
            return False
        ahead = min(self._prefetch, int(level) - 1)
        bucket[:2] = ahead, level - 1 - ahead
        return True

    def _promote(self, key: str) -> list[float]:
        """Move the bucket of ``key`` to the current generation, or make a full one."""
        bucket = self._previous.pop(key, None) or [0, self._burst, 0.0]
        if len(self._current) >= self._half:
            self._current, self._previous = {}, self._current
            self.aliases.clear()
        self._current[key] = bucket
        return bucket
