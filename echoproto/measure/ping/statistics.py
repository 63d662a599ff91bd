"""
The probes of one target and their replies: classifies each reply, and counts.

Used by :mod:`.pinger`; knows no clock and no network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from echoproto.client.targets.failures import reasonsAfterAnswer
from echoproto.measure.intervals import UNDER_WAY, Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.history import Bursts, ProbeHistory, RecentProbes
from echoproto.measure.ping.payload import Difference, ProbePayload, difference


class OutcomeKind(Enum):
    """The kinds of outcomes, by the name that is shown."""

    REPLY = "reply"
    LATE = "late"
    REORDERED = "reordered"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    FOREIGN = "foreign"
    LOST = "lost"


#: Why data on a stream is foreign.
EXCESS = "more data than was sent"


@dataclass(frozen=True)
class ProbeOutcome:
    """
    A reply, or the loss of a probe.

    :ivar kind: the first that applies of: foreign, duplicate, corrupt, late, reordered.
    :ivar sequence: sequence number of the probe; ``None`` for a foreign reply.
    :ivar size: bytes of the reply.
    :ivar time: nanoseconds since the probe was sent; ``None`` for a loss or a foreign reply.
    :ivar difference: the first difference of a corrupt reply.
    :ivar reason: why a probe is lost, or why a reply is foreign.
    :ivar sentAt: when the probe was sent, in nanoseconds; ``None`` for a foreign reply.
    """

    kind: OutcomeKind
    sequence: int | None
    size: int = 0
    time: int | None = None
    difference: Difference | None = None
    reason: str = ""
    sentAt: int | None = None


class ReplyClassifier:
    """
    Numbers the probes of one target, and classifies the replies to them.

    :param probes: their payloads.
    :param timeout: nanoseconds after which a reply is late.
    :param history: the probes that can still be identified.
    :param counts: number of each kind; a late reply that is corrupt counts as both.
    :ivar excess: how often a stream had more data than replies to our probes.
    """

    def __init__(
        self,
        probes: ProbePayload,
        timeout: int,
        history: RecentProbes,
        counts: dict[OutcomeKind, int],
    ) -> None:
        self.probes = probes
        self.timeout = timeout
        self.counts = counts
        self.excess = 0
        self._recent = history
        self._highest = -1

    def sentAt(self, sequence: int) -> int:
        """When a probe was sent; 0 if that is too long ago."""
        return self._recent.sentAt(sequence)

    def send(self, at: int) -> bytes:
        """
        Count a probe.

        :param at: the time in nanoseconds, not before that of the last probe.
        :return: its payload.
        """
        self._recent.append(at)
        return self.probes.encode(self._recent.count - 1, at)

    def answered(self, sequence: int) -> bool:
        """Whether a probe has a reply."""
        return self._recent.took(sequence) >= 0

    def receive(self, reply: bytes, at: int, waited: int = 0) -> ProbeOutcome:
        """
        Count a received datagram.

        :param at: the time in nanoseconds.
        :param waited: nanoseconds that it has waited to be read, by the wall clock.
        """
        if not self.probes.size and not reply:
            sequence = next(self._recent.unanswered(), None)
        else:
            recent = self._recent
            sequence = self.probes.identify(reply, recent.times, recent.first)
        return self.receiveFor(sequence, reply, at, waited)

    def receiveFor(
        self, sequence: int | None, reply: bytes, at: int, waited: int = 0
    ) -> ProbeOutcome:
        """
        Count the reply to a known probe, as on a stream; a foreign one if that is ``None`` or was
        sent too long ago.
        """
        if sequence is None or sequence not in self._recent:
            return self._count(ProbeOutcome(OutcomeKind.FOREIGN, None, len(reply)))
        sentAt = self.sentAt(sequence)
        time = max(at - sentAt, 0)
        # If it has waited for longer than it was under way, the wall clock was set meanwhile.
        if waited <= time:
            time -= waited
        if self.answered(sequence):
            return self._count(
                ProbeOutcome(OutcomeKind.DUPLICATE, sequence, len(reply), time, sentAt=sentAt)
            )
        kinds = []
        sent = self.probes.encode(sequence, sentAt)
        wrong = None if sent == reply else difference(sent, reply)
        if wrong is not None:
            kinds.append(OutcomeKind.CORRUPT)
        if time > self.timeout:
            kinds.append(OutcomeKind.LATE)
        if sequence < self._highest:
            kinds.append(OutcomeKind.REORDERED)
        self._highest = max(self._highest, sequence)
        self._addTime(sequence, time)
        kinds = kinds or [OutcomeKind.REPLY]
        for kind in kinds[1:]:
            self.counts[kind] += 1
        return self._count(ProbeOutcome(kinds[0], sequence, len(reply), time, wrong, sentAt=sentAt))

    def receiveExcess(self, size: int) -> ProbeOutcome:
        """Count ``size`` bytes on a stream that follow the replies to all probes, as foreign."""
        self.excess += 1
        return self._count(ProbeOutcome(OutcomeKind.FOREIGN, None, size, reason=EXCESS))

    def _count(self, outcome: ProbeOutcome) -> ProbeOutcome:
        self.counts[outcome.kind] += 1
        return outcome

    def _addTime(self, sequence: int, time: int) -> None:
        """A probe has its first reply."""
        self._recent.settle(sequence, time)


class PingStatistics(ReplyClassifier):
    """
    Counts and times of the probes of one target.

    :param probes: their payloads.
    :param timeout: nanoseconds after which a reply is late.
    :ivar received: sent probes with a reply, right or wrong, in time or late.
    :ivar dropped: number of replies that our full receive buffer dropped.
    :ivar times: round-trip times of the first reply to each probe.
    :ivar variation: absolute differences of the round-trip times of consecutive probes
        (inter-packet delay variation, RFC 3393).
    :ivar jitter: smoothed differences in the order of arrival, in nanoseconds (RFC 3550 section
        6.4.1).
    """

    def __init__(self, probes: ProbePayload, timeout: int) -> None:
        self._history = ProbeHistory(timeout)
        super().__init__(probes, timeout, self._history, dict.fromkeys(OutcomeKind, 0))
        self.received = self.dropped = 0
        self.times = LatencyHistogram()
        self.variation = LatencyHistogram()
        self.jitter = 0.0
        self._underWay = 0
        self._reasons: Counter[str] = Counter()
        self._last: int | None = None

    @property
    def sent(self) -> int:
        """Probes so far; at the end without those that were still under way."""
        return self._history.count - self._underWay

    @property
    def reasons(self) -> Counter[str]:
        """The reasons of losses, with their numbers; a late reply does not change them."""
        return reasonsAfterAnswer(self._reasons) if self.received else self._reasons

    @property
    def lost(self) -> int:
        """Probes without a reply so far, except for replies that our receive buffer dropped."""
        return max(self.sent - self.received - self.dropped, 0)

    @property
    def isWrong(self) -> bool:
        """Whether bytes were wrong: in a reply, or beyond the replies on a stream."""
        return bool(self.counts[OutcomeKind.CORRUPT] or self.excess)

    @property
    def lossRatio(self) -> float:
        """The share of lost probes; 0 if none was sent."""
        return self.lost / self.sent if self.sent else 0.0

    def bursts(self) -> Bursts:
        """The runs of consecutive lost probes."""
        return self._history.bursts()

    def intervals(self) -> tuple[int, Sequence[Interval]]:
        """The width of the intervals of the run in nanoseconds, and the intervals."""
        return self._history.intervals()

    def dismiss(self, sequence: int, at: int) -> None:
        """
        The run ends: ignore a probe without a reply if that could still arrive, as others took
        longer.
        """
        if self.answered(sequence) or sequence not in self._history:
            return
        if at - self.sentAt(sequence) <= self.times.maximum:
            self._history.settle(sequence, UNDER_WAY)
            self._underWay += 1

    def lose(self, sequence: int, reason: str) -> ProbeOutcome:
        """Count a probe as lost; its reply is late if it arrives after all."""
        self.counts[OutcomeKind.LOST] += 1
        self._reasons[reason] += 1
        return ProbeOutcome(OutcomeKind.LOST, sequence, reason=reason, sentAt=self.sentAt(sequence))

    def _addTime(self, sequence: int, time: int) -> None:
        self.received += 1
        self.times.add(time)
        if self._last is not None:
            self.jitter += (abs(time - self._last) - self.jitter) / 16
        self._last = time
        super()._addTime(sequence, time)
        for neighbour in (sequence - 1, sequence + 1):
            if self.answered(neighbour):
                self.variation.add(abs(time - self._history.took(neighbour)))
