"""
The payload of probes, by which a reply is identified: late, duplicate, reordered, damaged, foreign.

A payload has, as far as it fits: a magic number, the session number, the sequence number and the
send time, then bytes that no other probe has, or the pattern of the caller. It is made again from
sequence number and time, so only the last one is kept. Used by :mod:`.statistics`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import shake_128
from struct import Struct

from echoproto.client.matching import firstDifference
from echoproto.text.units import counted

#: The first bytes of a payload.
MAGIC = b"ecPr"

_HEADER = Struct("!4s4sIQ")
_SESSION = Struct("!4sI")
#: Bytes of a whole header.
HEADER_SIZE = _HEADER.size

_SEQUENCE = Struct("!I")

#: Sequence numbers repeat after this many, as they have four bytes.
_SEQUENCE_NUMBERS = 1 << 32

#: Limitations of small payloads, keyed by the size at which each disappears.
_LIMITATIONS = {
    1: "an empty payload identifies nothing: replies are matched in the order of the probes",
    4: "a payload of {size} has only the low bytes of the sequence number: corrupt, foreign "
    "and late replies cannot be distinguished",
    8: "a payload of {size} has no session number: a foreign reply may be mistaken for ours",
    20: "a payload of {size} has no send time",
}

#: Recent probes that a reply is compared with if its header is damaged, and the compared bytes.
RECENT_PROBES = 1024
COMPARED_SIZE = 64

#: Maximum number of bytes that are shown of a difference.
EXCERPT_SIZE = 16


@dataclass(frozen=True)
class Difference:
    """
    The first difference between a reply and its probe.

    :ivar offset: offset of the first byte that differs.
    :ivar sent: the probe from there on, at most :data:`EXCERPT_SIZE` bytes.
    :ivar received: the reply from there on, likewise.
    :ivar length: size of the reply if it differs from that of the probe, else ``None``.
    """

    offset: int
    sent: bytes
    received: bytes
    length: int | None = None

    def __str__(self) -> str:
        length = "" if self.length is None else f"{counted(self.length, 'byte')} long, "
        return f"{length}at byte {self.offset} {excerpts(self.sent, self.received)}"


def excerpts(sent: bytes, received: bytes) -> str:
    """Sent and received bytes in words."""
    return f"sent {sent.hex(' ') or 'nothing'}, received {received.hex(' ') or 'nothing'}"


def difference(sent: bytes, received: bytes) -> Difference:
    """Describe the first difference between two unequal payloads."""
    index = firstDifference(sent, received)
    length = len(received) if len(received) != len(sent) else None
    part = slice(index, index + EXCERPT_SIZE)
    return Difference(index, sent[part], received[part], length)


class ProbePayload:
    """
    The payloads of one session.

    :param session: four bytes that no other session is likely to have.
    :param size: bytes of a payload.
    :param pattern: repeated after the header; if empty, each probe has bytes of its own.
    """

    def __init__(self, session: bytes, size: int, pattern: bytes = b"") -> None:
        self.size = size
        self._session = session
        self._pattern = pattern
        self._last = (-1, 0, b"")

    @property
    def fallback(self) -> str:
        """A warning if a payload of this size cannot carry the full header, else empty."""
        warnings = (text for least, text in _LIMITATIONS.items() if self.size < least)
        return next(warnings, "").format(size=counted(self.size, "byte"))

    def encode(self, sequence: int, at: int) -> bytes:
        """
        Make the payload of a probe.

        :param sequence: its sequence number.
        :param at: when it is sent, in nanoseconds.
        """
        lastSequence, lastAt, payload = self._last
        if lastSequence != sequence or lastAt != at:
            payload = self._prefix(sequence, at, self.size)
            self._last = sequence, at, payload
        return payload

    def _prefix(self, sequence: int, at: int, length: int) -> bytes:
        """At least the first ``length`` bytes of a payload."""
        header = self._header(sequence % _SEQUENCE_NUMBERS, at)
        missing = max(length - len(header), 0)
        if self._pattern:
            return header + (self._pattern * (missing // len(self._pattern) + 1))[:missing]
        number = _SEQUENCE.pack(sequence % _SEQUENCE_NUMBERS)
        return header + shake_128(self._session + number).digest(missing)

    def _header(self, sequence: int, at: int) -> bytes:
        if self.size >= _HEADER.size:
            return _HEADER.pack(MAGIC, self._session, sequence, at)
        if self.size >= _SESSION.size:
            return _SESSION.pack(self._session, sequence)
        return _SEQUENCE.pack(sequence)[-self.size :] if self.size else b""

    def identify(self, reply: bytes, sentAt: Sequence[int], first: int = 0) -> int | None:
        """
        Find the probe that a datagram answers, even if the reply is damaged.

        First by the sequence number or the send time in its header. If both are damaged, by
        content among the last :data:`RECENT_PROBES`. At least half of a reply must be intact, as
        one that is damaged more cannot be distinguished from a foreign datagram.

        :param sentAt: when each of the last probes was sent, in ascending order.
        :param first: sequence number of the first of these.
        :return: the sequence number of the probe; ``None`` for a foreign datagram.
        """
        count = first + len(sentAt)
        if self.size < _SEQUENCE.size:
            if len(reply) != self.size:
                return None
            latest = self._latest(int.from_bytes(reply, "big"), count, 1 << 8 * self.size)
            return latest if latest >= first else None
        if self._isForeign(reply):
            return None

        numbers = self._candidates(reply, sentAt, first)
        candidates = [number for number in numbers if first <= number < count]
        # Nearly always, and faster than a comparison byte by byte.
        if candidates and self.encode(candidates[0], sentAt[candidates[0] - first]) == reply:
            return candidates[0]
        found = self._bestMatch(candidates, sentAt, first, reply, share=0.75)
        if found is not None:
            return found
        # A damaged number may be that of another probe, so compare with all recent ones; if they
        # have a pattern, they are too similar.
        isUnique = not self._pattern and self.size > _HEADER.size
        recent = range(max(count - RECENT_PROBES, first), count) if isUnique else ()
        part = reply[:COMPARED_SIZE]
        return self._bestMatch([*candidates, *recent], sentAt, first, part, share=0.5)

    def _bestMatch(
        self,
        sequences: Iterable[int],
        sentAt: Sequence[int],
        first: int,
        part: bytes,
        share: float,
    ) -> int | None:
        """The probe that has most bytes in common, if that is at least ``share``."""
        length = min(len(part), self.size)
        matches = [
            (sum(map(int.__eq__, self._prefix(n, sentAt[n - first], length), part)), n)
            for n in sequences
        ]
        most, best = max(matches, default=(0, 0))
        return best if most and most >= len(part) * share else None

    def _isForeign(self, reply: bytes) -> bool:
        """Whether it is a probe of another session: intact magic number, other session number."""
        if self.size < _HEADER.size or reply[:4] != MAGIC:
            return False
        return sum(map(int.__eq__, self._session, reply[4:8])) <= 1

    def _candidates(self, reply: bytes, sentAt: Sequence[int], first: int) -> list[int]:
        """The numbers of the probes with the number, and the send time, of a reply's header."""
        reply += bytes(max(self.size - len(reply), 0))
        count = first + len(sentAt)
        if self.size >= _HEADER.size:
            _, _, sequence, at = _HEADER.unpack_from(reply)
            return [self._latest(sequence, count), first + bisect_left(sentAt, at)]
        if self.size >= _SESSION.size:
            return [self._latest(_SESSION.unpack_from(reply)[1], count)]
        return [self._latest(_SEQUENCE.unpack_from(reply)[0], count)]

    @staticmethod
    def _latest(low: int, count: int, modulus: int = _SEQUENCE_NUMBERS) -> int:
        """The last of ``count`` probes whose number modulo ``modulus`` is this; or negative."""
        return count - 1 - (count - 1 - low) % modulus
