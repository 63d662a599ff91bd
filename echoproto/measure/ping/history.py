"""
The probes of a ping: the last ones one by one, older ones as intervals and counts of bursts.

So memory is bounded, however long the run.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from copy import copy

from echoproto.measure.intervals import Interval, IntervalSeries, intervalsOf, secondsOf
from echoproto.text.units import SECOND

#: Number of the last probes whose replies are recognized; more if their timeout is not over.
MAX_RECENT = 1 << 16

#: Round-trip time of a probe without a reply.
NO_REPLY_YET = -1


class Bursts:
    """
    Runs of consecutive lost probes.

    :ivar count: number of runs.
    :ivar longest: probes of the longest run.
    :ivar length: probes of the run that has not ended; 0 if the last probe was answered.
    """

    def __init__(self) -> None:
        self.count = self.longest = self.length = 0

    def add(self, took: Sequence[int]) -> None:
        """The round-trip times of the next probes."""
        for time in took:
            if time != NO_REPLY_YET:
                self.length = 0
                continue
            self.count += not self.length
            self.length += 1
            self.longest = max(self.longest, self.length)

    def extended(self, took: Sequence[int]) -> Bursts:
        """The bursts so far and those of the last probes."""
        bursts = copy(self)
        bursts.add(took)
        return bursts


class RecentProbes:
    """
    When each of the last probes was sent, and its round-trip time; in nanoseconds.

    :param timeout: younger probes are kept, whatever their number.
    :param capacity: of the others at least this many are kept, and at most twice as many.
    :ivar first: sequence number of the first probe that is kept.
    :ivar times: when each kept probe was sent, in ascending order.
    """

    def __init__(self, timeout: int, capacity: int) -> None:
        self.first = 0
        self.times = array("q")
        self._took = array("q")
        self._timeout = timeout
        self._capacity = capacity

    @property
    def count(self) -> int:
        """Number of probes so far."""
        return self.first + len(self.times)

    def append(self, at: int) -> None:
        """A probe is sent."""
        self.times.append(at)
        self._took.append(NO_REPLY_YET)
        if len(self.times) > 2 * self._capacity:
            count = len(self.times) - self._capacity
            self._forget(min(count, self._indexAt(at - self._timeout)))

    def _indexAt(self, time: int) -> int:
        return bisect_left(self.times, time)

    def _forget(self, count: int) -> None:
        """Forget the first ``count`` probes."""
        del self.times[:count], self._took[:count]
        self.first += count

    def __contains__(self, sequence: int) -> bool:
        """Whether a probe is kept."""
        return self.first <= sequence < self.count

    def sentAt(self, sequence: int) -> int:
        """When a probe was sent; 0 if it is not kept."""
        return self.times[sequence - self.first] if sequence in self else 0

    def took(self, sequence: int) -> int:
        """The round-trip time of a probe; negative if it has none or is not kept."""
        return self._took[sequence - self.first] if sequence in self else NO_REPLY_YET

    def settle(self, sequence: int, took: int) -> None:
        """Set the round-trip time of a probe that is kept."""
        self._took[sequence - self.first] = took

    def unanswered(self) -> Iterator[int]:
        """The kept probes without a reply, the oldest first."""
        return (self.first + index for index, took in enumerate(self._took) if took < 0)


class ProbeHistory(RecentProbes):
    """
    The probes of a whole run; see :class:`RecentProbes` for the parameter.
    """

    def __init__(self, timeout: int) -> None:
        super().__init__(timeout, MAX_RECENT)
        self._began = 0
        self._series = IntervalSeries()
        self._bursts = Bursts()

    def append(self, at: int) -> None:
        """A probe is sent."""
        if not self.count:
            self._began = at
        super().append(at)

    def _forget(self, count: int) -> None:
        """Add up the whole seconds among the first ``count`` probes, and forget these."""
        seconds = (self.times[count] - self._began) // SECOND
        count = self._indexAt(self._began + seconds * SECOND)
        times, took, done = self.times[:count], self._took[:count], self._series.seconds
        for second in secondsOf(self._began, times, took, seconds, done):
            self._series.add(second)
        self._bursts.add(took)
        super()._forget(count)

    def bursts(self) -> Bursts:
        """The bursts of losses so far."""
        return self._bursts.extended(self._took)

    def intervals(self) -> tuple[int, Sequence[Interval]]:
        """The width of the intervals so far, and the intervals."""
        if not self.first:
            return intervalsOf(self.times, self._took)
        seconds = (self.times[-1] - self._began) // SECOND + 1
        return self._series.extended(
            secondsOf(self._began, self.times, self._took, seconds, self._series.seconds)
        )
