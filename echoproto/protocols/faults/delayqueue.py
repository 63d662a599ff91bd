"""Items that wait for their time, in the order of their times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

Item = TypeVar("Item")


@dataclass
class DelayedTotal:
    """
    What waits in several queues.

    :ivar size: bytes.
    """

    size: int = 0


class DelayQueue(Generic[Item]):
    """
    Delivers items after their delays, by one timed call for all of them.

    :param clock: schedules the call; the reactor, or a ``Clock`` in tests.
    :param deliver: called with each item when it is due.
    :param total: counts the bytes of several queues.
    :ivar size: bytes of the items that wait.
    """

    def __init__(
        self,
        clock: IReactorTime,
        deliver: Callable[[Item], object],
        total: DelayedTotal | None = None,
    ) -> None:
        self.size = 0
        self.total = DelayedTotal() if total is None else total
        self._clock = clock
        self._deliver = deliver
        # Due time, number and size of each item. Items of one time stay in order by their numbers.
        self._waiting: list[tuple[float, int, int, Item]] = []
        self._number = 0
        self._latest = 0.0
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: Item, delay: float, size: int, inOrder: bool = False) -> None:
        """
        Deliver ``item`` after ``delay`` seconds.

        :param size: its bytes.
        :param inOrder: whether it must not overtake the items before it.
        """
        due = self._clock.seconds() + delay
        if inOrder:
            due = max(due, self._latest)
        self._latest = max(due, self._latest)
        self._number += 1
        self._count(size)
        heappush(self._waiting, (due, self._number, size, item))
        if self._waiting[0][1] == self._number:
            self._schedule()

    def clear(self) -> None:
        """Forget the items that wait."""
        self._waiting.clear()
        self._count(-self.size)
        self._schedule()

    def _count(self, size: int) -> None:
        self.size += size
        self.total.size += size

    def _schedule(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        if self._waiting:
            delay = max(self._waiting[0][0] - self._clock.seconds(), 0)
            self._call = self._clock.callLater(delay, self._deliverDue)

    def _deliverDue(self) -> None:
        now = self._clock.seconds()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, size, item = heappop(self._waiting)
            self._count(-size)
            self._deliver(item)
        self._schedule()
