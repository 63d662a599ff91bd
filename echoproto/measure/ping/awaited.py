"""
The probes of a ping that wait for their replies, with their timeouts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IReactorTime

from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND

#: Number of the last probes without a reply in time that are kept, as their replies may still come.
MAX_OVERDUE = 1024


class AwaitedProbes:
    """
    Probes that were sent and are neither answered nor lost, by their sequence numbers.

    :param clock: calls later.
    :param timeout: nanoseconds that a reply may take.
    :param timedOut: called with a probe that has no reply by then.
    :ivar overdue: the last probes without a reply in time.
    """

    def __init__(self, clock: IReactorTime, timeout: int, timedOut: Callable[[int], None]) -> None:
        self.overdue: deque[int] = deque(maxlen=MAX_OVERDUE)
        self._clock = clock
        self._timeout = timeout
        self._timedOut = timedOut
        self._timers: dict[int, DeadlineCall] = {}
        self._inOrder: deque[int] = deque()

    def __bool__(self) -> bool:
        """Whether a reply is awaited."""
        return bool(self._timers)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._timers))

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._timers

    def add(self, sequence: int, isOrdered: bool) -> None:
        """A probe was sent; ``isOrdered`` if replies come in the order of the probes."""
        self._timers[sequence] = DeadlineCall(
            self._clock, self._timeout / SECOND, self._expired, sequence
        )
        if isOrdered:
            self._inOrder.append(sequence)

    def _expired(self, sequence: int) -> None:
        self.overdue.append(sequence)
        self._timedOut(sequence)

    def next(self) -> int | None:
        """The probe that the next reply on a stream answers; ``None`` if there is none."""
        return self._inOrder.popleft() if self._inOrder else None

    def discard(self, sequence: int) -> None:
        """Stop the timeout of a probe."""
        timer = self._timers.pop(sequence, None)
        if timer is not None:
            timer.stop()

    @property
    def isComplete(self) -> bool:
        """Whether no reply is missing on a stream, not even one that is late."""
        return not self._inOrder

    def disconnected(self) -> None:
        """The connection has ended: no reply can come any more."""
        self._inOrder.clear()
        self.overdue.clear()

    def end(self) -> None:
        """Stop all timeouts."""
        for sequence in self:
            self.discard(sequence)
