"""
The times of all probes of a monitor.

There is one call of the event loop for all of them, so that its turns stay short when many probes
are due: replies are read, and pages are sent, in between.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND

#: Probes in one turn of the event loop, which take some 5 ms.
MAX_PROBES_PER_TURN = 50


class QueuedProbe:
    """
    A probe that may be due later, and again.

    :param send: sends it.
    """

    def __init__(self, send: Callable[[], None]) -> None:
        self.send: Callable[[], None] | None = send


class ProbeQueue:
    """
    Sends probes at their times.

    :param clock: calls later.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :param lateness: counts by how many seconds probes were late.
    """

    def __init__(
        self, clock: IReactorTime, monotonicNs: Callable[[], int], lateness: Histogram
    ) -> None:
        self._clock = clock
        self._monotonicNs = monotonicNs
        self._lateness = lateness
        # By time, and then by number, which no other has.
        self._heap: list[tuple[int, int, QueuedProbe]] = []
        self._numbers = count()
        self._timer: IDelayedCall | None = None
        self._isSending = False

    def add(self, due: int, probe: QueuedProbe) -> None:
        """
        Add a probe.

        :param due: when it is due, in nanoseconds.
        """
        heappush(self._heap, (due, next(self._numbers), probe))
        if self._heap[0][2] is probe:
            self._setTimer()

    def cancel(self, probe: QueuedProbe) -> None:
        """Send a probe no more."""
        probe.send = None
        self._setTimer()

    def _setTimer(self) -> None:
        """Wait for the first probe."""
        if self._isSending:
            return
        while self._heap and self._heap[0][2].send is None:
            heappop(self._heap)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            delay = max(self._heap[0][0] - self._monotonicNs(), 0)
            self._timer = self._clock.callLater(delay / SECOND, self._sendDue)

    def _sendDue(self) -> None:
        self._timer = None
        self._isSending = True
        try:
            self._sendSome()
        finally:
            self._isSending = False
            self._setTimer()

    def _sendSome(self) -> None:
        """Send the probes that are due, at most those of one turn."""
        for _ in range(MAX_PROBES_PER_TURN):
            if not self._heap or self._heap[0][0] > (now := self._monotonicNs()):
                return
            due, _, probe = heappop(self._heap)
            if probe.send is not None:
                self._lateness.add((now - due) / SECOND)
                probe.send()
