"""
The figures of a target since the monitor began: its counters, its histograms and its last hour.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from echoproto.measure.ping.history import NO_REPLY_YET, Bursts
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND

#: Minutes of :class:`LastHour`.
MINUTES = 60


class LastHour:
    """
    Probes, losses and round-trip times by the minute, of the last :data:`MINUTES`.

    Memory does not depend on the number of probes. Times are in nanoseconds.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._sent, self._lost, self._sum, self._longest = (
            array("q", bytes(8 * MINUTES)) for _ in range(4)
        )

    def add(self, at: int, took: int) -> None:
        """
        Count a probe.

        :param at: when it was sent, less than an hour before any other.
        :param took: its round-trip time; negative if it is lost.
        """
        index = self._advance(at)
        self._sent[index] += 1
        if took < 0:
            self._lost[index] += 1
        else:
            self._sum[index] += took
            self._longest[index] = max(self._longest[index], took)

    def _advance(self, at: int) -> int:
        """Forget the minutes that are older than an hour; the index of that of ``at``."""
        minute = at // (60 * SECOND)
        for later in range(max(self._minute + 1, minute - MINUTES + 1), minute + 1):
            for numbers in (self._sent, self._lost, self._sum, self._longest):
                numbers[later % MINUTES] = 0
        self._minute = max(self._minute, minute)
        return minute % MINUTES

    def rows(self, at: int) -> Sequence[tuple[int, int, int, int]]:
        """
        Of each minute, the oldest first: probes, losses, mean and longest round-trip time.

        :param at: now.
        """
        last = self._advance(at)
        order = [(last + 1 + offset) % MINUTES for offset in range(MINUTES)]
        return [
            (
                self._sent[index],
                self._lost[index],
                self._sum[index] // max(self._sent[index] - self._lost[index], 1),
                self._longest[index],
            )
            for index in order
        ]


class TargetCounters:
    """
    The figures of a target. A probe is counted when its wait is over, so that ``sent`` is always
    the sum of ``received``, ``lost`` and ``dropped``.

    :param buckets: upper bounds of the histograms, in seconds.
    :ivar received: probes with a reply in time, right or wrong; ``lost`` those without.
    :ivar dropped: probes whose reply our full receive buffer dropped, which says nothing of the
        target.
    :ivar counts: replies by kind; of late ones the probes are lost too.
    :ivar bursts: runs of lost probes.
    :ivar roundTrips: round-trip times of the received probes, in seconds.
    :ivar connecting: times to connect, with the TLS handshake, in seconds.
    :ivar failedLookups: lookups of its name that failed.
    :ivar lastTook: round-trip time of the last probe in nanoseconds; negative if it was lost.
    :ivar reason: why probes were lost last.
    :ivar address: the address in use; empty before the first lookup.
    """

    def __init__(self, buckets: Sequence[float]) -> None:
        self.received = self.lost = self.dropped = self.failedLookups = 0
        self.counts = dict.fromkeys(OutcomeKind, 0)
        self.bursts = Bursts()
        self.hour = LastHour()
        self.lastTook: int | None = None
        self.reason = self.address = ""
        self.setBuckets(buckets)

    def setBuckets(self, buckets: Sequence[float]) -> None:
        """Begin the histograms anew, with these bounds."""
        self.roundTrips, self.connecting = Histogram(buckets), Histogram(buckets)

    @property
    def sent(self) -> int:
        """The probes whose wait is over."""
        return self.received + self.lost + self.dropped

    def settle(self, at: int, took: int) -> None:
        """
        The wait of a probe is over.

        :param at: when it was sent, in nanoseconds.
        :param took: its round-trip time in nanoseconds; negative without a reply in time.
        """
        if took < 0:
            self.lost += 1
        else:
            self.received += 1
            self.roundTrips.add(took / SECOND)
        self.lastTook = took
        self.bursts.add((took if took >= 0 else NO_REPLY_YET,))
        self.hour.add(at, took)
