"""
Probes for UDPEchoPlus (:mod:`echoproto.protocols.echoplus`), whose replies show the direction of
losses, and how long the server took.

The server numbers its replies. Between two replies that arrived, a missing number is a reply that
was lost on the way back. It also counts the replies that it could not send. The other missing
probes were lost on the way to the server. So nothing is known of probes after the last reply, and
of those before the first one only if that has number 0. A server that counts several clients
together shows more numbers, or failures, than this client sent probes; then nothing is known
either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.payload import HEADER_SIZE as PAYLOAD_HEADER_SIZE
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.protocols.echoplus import ANSWER_BYTES, HEADER_SIZE, NUMBERS, EchoPlusHeader

#: Bytes of the smallest probe: the fields of UDPEchoPlus, then those by which replies are
#: identified.
MINIMUM_PROBE_SIZE = HEADER_SIZE + PAYLOAD_HEADER_SIZE

#: Number of corrupt and duplicate replies that are remembered.
MAX_ODD_REPLIES = 1 << 16

#: Nanoseconds in a microsecond.
_MICROSECOND = 1000


class EchoPlusPayload(ProbePayload):
    """
    The payloads of one session.

    :param session: four bytes that no other session is likely to have.
    :param size: bytes of a payload, :data:`MINIMUM_PROBE_SIZE` or more.
    :param pattern: see :class:`ProbePayload`.
    """

    def __init__(self, session: bytes, size: int, pattern: bytes = b"") -> None:
        super().__init__(session, size, pattern)
        self._iteration = int.from_bytes(session, "big")
        self._rest = ProbePayload(session, size - HEADER_SIZE, pattern)

    def encode(self, sequence: int, at: int) -> bytes:
        """See :class:`ProbePayload`; the fields of the server are 0."""
        header = EchoPlusHeader(sequence, iteration=self._iteration)
        return header.encode() + self._rest.encode(sequence, at)

    def identify(self, reply: bytes, sentAt: Sequence[int], first: int = 0) -> int | None:
        """See :class:`ProbePayload`."""
        return self._rest.identify(reply[HEADER_SIZE:], sentAt, first)


@dataclass(frozen=True)
class LossDirections:
    """
    The directions of lost probes.

    :ivar up: lost on the way to the server.
    :ivar down: answered, and lost on the way back.
    :ivar unknown: lost in a direction that is not known.
    :ivar unsent: arrived at the server, which could not send the reply.
    """

    up: int
    down: int
    unknown: int
    unsent: int = 0


class _Range:
    """The range of a counter of the server, which wraps around after 32 bits."""

    def __init__(self, value: int) -> None:
        self.least = self.most = self._last = value

    def add(self, value: int) -> None:
        """A value near the last one."""
        half = NUMBERS // 2
        value = self._last = self._last + (value - self._last + half) % NUMBERS - half
        self.least, self.most = min(self.least, value), max(self.most, value)


class _ReplyNumbers:
    """
    The numbers of the replies of a server, and those of their probes.

    :ivar sequences: the probes.
    :ivar numbers: the replies.
    :ivar failures: the replies before them that could not be sent.
    :ivar received: replies that were received, every number once.
    :ivar answered: probes with a reply.
    """

    def __init__(self, sequence: int, header: EchoPlusHeader) -> None:
        self.sequences = _Range(sequence)
        self.numbers = _Range(header.replies)
        self.failures = _Range(header.failures)
        self.received = self.answered = 0

    def add(self, sequence: int, header: EchoPlusHeader) -> None:
        """A probe was answered."""
        self.sequences.add(sequence)
        self.numbers.add(header.replies)
        self.failures.add(header.failures)
        self.received += 1
        self.answered += 1

    def directions(self, corrupt: Sequence[int]) -> tuple[int, int, int]:
        """
        The losses up and down, and the unsent replies, as far as they are known.

        :param corrupt: the probes with a corrupt reply, whose numbers are unknown.
        """
        first, last = self.sequences.least, self.sequences.most
        arrived = sum(first < sequence < last for sequence in corrupt)
        missing = last - first + 1 - self.answered - arrived
        down = self.numbers.most - self.numbers.least + 1 - self.received - arrived
        unsent = self.failures.most - self.failures.least
        if not 0 <= down <= missing:
            up = down = unsent = 0
        elif down + unsent > missing:
            up = unsent = 0
        else:
            up = missing - down - unsent
        before = first - sum(sequence < first for sequence in corrupt)
        # If this is its first reply, the server has counted nothing else before.
        if self.numbers.least == 0 and (failures := self.failures.least) <= before:
            up, unsent = up + before - failures, unsent + failures
        return up, down, unsent


class EchoPlusStatistics(PingStatistics):
    """
    The probes of one target and their replies.

    :param probes: their payloads.
    :param timeout: nanoseconds after which a reply is late.
    :ivar echoed: replies without the fields of a server, which only echoes.
    :ivar impossible: replies whose time of the server is longer than their round trip.
    :ivar serverTimes: how long the server took, without impossible times.
    :ivar networkTimes: the round-trip times without that.
    """

    def __init__(self, probes: EchoPlusPayload, timeout: int) -> None:
        super().__init__(probes, timeout)
        self.echoed = self.impossible = 0
        self.serverTimes, self.networkTimes = LatencyHistogram(), LatencyHistogram()
        self._replies: _ReplyNumbers | None = None
        # Corrupt replies by their probes: their fields may be damaged, but they have arrived.
        self._corrupt: list[int] = []
        # The number of the reply to each of the last probes, to recognize repeated numbers.
        self._numbers: dict[int, set[int]] = {}

    def receive(self, reply: bytes, at: int, waited: int = 0) -> ProbeOutcome:
        """See :class:`PingStatistics`; the fields of the server are not compared."""
        header = EchoPlusHeader.decode(reply)
        if header is None:
            return super().receive(reply, at, waited)
        plain = bytearray(reply)
        plain[ANSWER_BYTES] = bytes(ANSWER_BYTES.stop - ANSWER_BYTES.start)
        outcome = super().receive(bytes(plain), at, waited)
        if outcome.sequence is not None:
            self._note(header, outcome.sequence, outcome)
        return outcome

    def _note(self, header: EchoPlusHeader, sequence: int, outcome: ProbeOutcome) -> None:
        if outcome.kind is OutcomeKind.CORRUPT:
            self._corrupt.append(sequence)
            del self._corrupt[:-MAX_ODD_REPLIES]
        elif not header.isAnswered:
            self.echoed += 1
        elif outcome.kind is OutcomeKind.DUPLICATE:
            self._noteDuplicate(header.replies, sequence)
        else:
            self._noteReply(header, sequence, outcome.time or 0)

    def _noteReply(self, header: EchoPlusHeader, sequence: int, time: int) -> None:
        if self._replies is None:
            self._replies = _ReplyNumbers(sequence, header)
        self._replies.add(sequence, header)
        self._numbers[sequence] = {header.replies}
        if len(self._numbers) > MAX_ODD_REPLIES:
            del self._numbers[next(iter(self._numbers))]
        serverTime = header.serverTime * _MICROSECOND
        # Longer than the round trip, by more than the clocks count: the server's clock is wrong.
        if serverTime <= time + _MICROSECOND:
            self.serverTimes.add(serverTime)
            self.networkTimes.add(max(time - serverTime, 0))
        else:
            self.impossible += 1

    def _noteDuplicate(self, number: int, sequence: int) -> None:
        """A reply with a number of its own is that to a probe that arrived twice."""
        known = self._numbers.get(sequence)
        if known is not None and number not in known and self._replies is not None:
            known.add(number)
            self._replies.received += 1

    @property
    def hint(self) -> str:
        """The mode that this server needs, in words; empty if it is this one."""
        isMissing = self.echoed and self._replies is None
        return "the server only echoes; try it without --mode udp-plus" if isMissing else ""

    @property
    def directions(self) -> LossDirections:
        """The directions of the losses so far."""
        if self._replies is None:
            return LossDirections(0, 0, self.lost)
        up, down, unsent = self._replies.directions(self._corrupt)
        down = max(down - self.dropped, 0)
        unsent = min(unsent, self.lost - down)
        up = min(up, self.lost - down - unsent)
        return LossDirections(up, down, self.lost - up - down - unsent, unsent)
