"""
What a probe carries, so that its echo is known again: late, twice, out of order, damaged, or not ours at all.

A payload is, as far as it fits: a magic number, the session's number, the sequence number and the time of sending, then bytes
that no other probe has (or the pattern that was asked for). It can be made again from sequence number and time, so none is kept.

Used by :mod:`.statistics`; knows no clock and no carrier.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import shake_128
from struct import Struct

#: The first bytes of a payload.
MAGIC = b"ecPr"

_HEADER = Struct("!4s4sIQ")
_SESSION = Struct("!4sI")
_SEQUENCE = Struct("!I")

#: Sequence numbers go round after so many: as a payload of four bytes or more holds them.
_ROUND = 1 << 32

#: Why the smaller payloads tell less, by the least size that tells more.
_FALLBACKS = {
    1: "an empty payload holds nothing: replies are taken in the order of the probes",
    4: "a payload of {size} bytes holds only the last digits of the sequence number: corrupt, foreign and late replies "
    "cannot be told apart",
    8: "a payload of {size} bytes holds only the sequence number: a foreign reply may be taken for ours",
    20: "a payload of {size} bytes holds no time of sending",
}

#: Probes that are tried where a reply's header names none of ours, and the bytes of each that are compared.
REMEMBERED = 1024
COMPARED = 64

#: Bytes of a difference that are shown.
EXCERPT = 16


@dataclass(frozen=True)
class Difference:
    """
    Where a reply differs from its probe.

    :ivar offset: of the first byte that does.
    :ivar sent: the probe's bytes from there on, :data:`EXCERPT` at most.
    :ivar received: the reply's.
    :ivar length: bytes of the reply where it is shorter or longer than the probe, else ``None``.
    """

    offset: int
    sent: bytes
    received: bytes
    length: int | None = None

    def __str__(self) -> str:
        cut = "" if self.length is None else f"{self.length} bytes long, "
        sent, received = self.sent.hex(" ") or "nothing", self.received.hex(" ") or "nothing"
        return f"{cut}at byte {self.offset} sent {sent}, received {received}"


def difference(sent: bytes, received: bytes) -> Difference:
    """Where ``received`` differs from ``sent``, which it does."""
    index = next(
        (
            each
            for each, (ours, theirs) in enumerate(zip(sent, received, strict=False))
            if ours != theirs
        ),
        min(len(sent), len(received)),
    )
    length = len(received) if len(received) != len(sent) else None
    part = slice(index, index + EXCERPT)
    return Difference(index, sent[part], received[part], length)


class ProbePayload:
    """
    The payloads of one session.

    :param session: four bytes that no other session is likely to have.
    :param size: bytes of a payload.
    :param pattern: what fills it behind the header, again and again; bytes of the probe's own where empty.
    """

    def __init__(self, session: bytes, size: int, pattern: bytes = b"") -> None:
        self.size = size
        self._session = session
        self._pattern = pattern

    @property
    def fallback(self) -> str:
        """What a payload of this size cannot tell, for people; empty where it tells all."""
        told = next((text for least, text in _FALLBACKS.items() if self.size < least), "")
        return told.format(size=self.size)

    def encode(self, sequence: int, at: int) -> bytes:
        """
        The payload of the probe ``sequence``.

        :param at: when it is sent, in nanoseconds of some clock of ours.
        """
        return self._beginning(sequence, at, self.size)

    def _beginning(self, sequence: int, at: int, length: int) -> bytes:
        """The first ``length`` bytes of a payload, or some more."""
        header = self._header(sequence % _ROUND, at)
        missing = max(length - len(header), 0)
        if self._pattern:
            return header + (self._pattern * (missing // len(self._pattern) + 1))[:missing]
        return header + shake_128(self._session + _SEQUENCE.pack(sequence % _ROUND)).digest(missing)

    def _header(self, sequence: int, at: int) -> bytes:
        if self.size >= _HEADER.size:
            return _HEADER.pack(MAGIC, self._session, sequence, at)
        if self.size >= _SESSION.size:
            return _SESSION.pack(self._session, sequence)
        return _SEQUENCE.pack(sequence)[-self.size :] if self.size else b""

    def identify(self, reply: bytes, sentAt: Sequence[int]) -> int | None:
        """
        Which probe a datagram answers, rightly or wrongly.

        It is the one that its header names, by sequence number or, where that is damaged, by time; where both are, one of the last
        :data:`REMEMBERED` whose bytes it has. Of a reply at least half must be as it was sent: a larger damage cannot be told
        from someone else's datagram.

        :param sentAt: when each probe was sent, in order; ascending.
        :return: its sequence number; ``None`` where it is nobody's.
        """
        if self.size < _SEQUENCE.size:
            return self._latest(reply, len(sentAt))
        if self._anotherSession(reply):
            return None
        named = self._named(reply, sentAt)
        found = self._best(named, reply, sentAt, share=0.75)
        if found is not None:
            return found
        # A damaged number may be another probe's, so the best of all is looked for; a pattern tells none from the others.
        fill = not self._pattern and self.size > _HEADER.size
        latest = range(max(len(sentAt) - REMEMBERED, 0), len(sentAt)) if fill else ()
        return self._best([*named, *latest], reply[:COMPARED], sentAt, share=0.5)

    def _best(
        self, sequences: Iterable[int], reply: bytes, sentAt: Sequence[int], share: float
    ) -> int | None:
        """The one that a reply has most bytes of, if they are at least this share of the reply."""
        length = min(len(reply), self.size)
        alike = [
            (sum(map(int.__eq__, self._beginning(each, sentAt[each], length), reply)), each)
            for each in sequences
        ]
        most, best = max(alike, default=(0, 0))
        return best if most and most >= len(reply) * share else None

    def _anotherSession(self, reply: bytes) -> bool:
        """Whether it is another's probe: of its session's number hardly a byte is ours, and nothing else is damaged."""
        if self.size < _HEADER.size or reply[:4] != MAGIC:
            return False
        return sum(map(int.__eq__, self._session, reply[4:8])) <= 1

    def _named(self, reply: bytes, sentAt: Sequence[int]) -> list[int]:
        named = []
        reply += bytes(max(self.size - len(reply), 0))
        if self.size >= _HEADER.size:
            _, _, sequence, at = _HEADER.unpack_from(reply)
            place = bisect_left(sentAt, at)
            named = [self._near(sequence, len(sentAt)), place]
        elif self.size >= _SESSION.size:
            named = [self._near(_SESSION.unpack_from(reply)[1], len(sentAt))]
        else:
            named = [self._near(_SEQUENCE.unpack_from(reply)[0], len(sentAt))]
        return [each for each in named if 0 <= each < len(sentAt)]

    @staticmethod
    def _near(sequence: int, count: int) -> int:
        """The last probe with this number, where they have gone round."""
        return (
            sequence if sequence >= count else sequence + (count - 1 - sequence) // _ROUND * _ROUND
        )

    def _latest(self, reply: bytes, count: int) -> int | None:
        """The last probe whose number ends so."""
        if len(reply) != self.size:
            return None
        modulus = 1 << 8 * self.size
        back = (count - 1 - int.from_bytes(reply, "big")) % modulus
        return count - 1 - back if back < count else None
