"""
Checks every byte of an echoed stream, classifies each fault, and resumes after it.

Used by :mod:`.verifier`; knows no clock and no network. Memory is bounded by the bytes under way:
the expected bytes are made again from the seed (:mod:`.pattern`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from echoproto.client.matching import firstDifference
from echoproto.measure.ping.payload import EXCERPT_SIZE, excerpts
from echoproto.measure.verify.alignment import LOOKAHEAD, LOOKBEHIND, MINIMUM_MATCH, align
from echoproto.measure.verify.pattern import MAGIC, PatternStream
from echoproto.text.units import counted


class FaultKind(Enum):
    """The kinds of faults in a stream, and of datagrams."""

    FLIPPED = "flipped"
    DROPPED = "dropped"
    INSERTED = "inserted"
    DUPLICATED = "duplicated"
    FOREIGN = "foreign"
    CUT = "cut"
    LOST = "lost"
    DAMAGED = "damaged"
    REPEATED = "repeated"
    REORDERED = "reordered"
    LATE = "late"

    @property
    def isWrong(self) -> bool:
        """Whether it is wrong data; a network may lose, delay, reorder and repeat datagrams."""
        return self.value not in ("cut", "lost", "repeated", "reordered", "late")

    @property
    def isListed(self) -> bool:
        """
        Whether it is listed; repeated and reordered datagrams, which may be so many that they would
        hide the others, are counted only.
        """
        return self not in (FaultKind.REPEATED, FaultKind.REORDERED)


@dataclass(frozen=True)
class Fault:
    """
    One fault of a stream.

    :ivar kind: its kind.
    :ivar offset: offset in the sent stream of the first byte that is wrong or missing, or before
        which there are additional bytes.
    :ivar length: number of bytes that are wrong, missing or additional.
    :ivar sent: the expected bytes, at most :data:`~echoproto.measure.ping.payload.EXCERPT_SIZE`.
    :ivar received: the received bytes, likewise.
    """

    kind: FaultKind
    offset: int
    length: int
    sent: bytes = b""
    received: bytes = b""

    def __str__(self) -> str:
        place = f"{counted(self.length, 'byte')} {self.kind.value} at offset {self.offset}"
        if self.kind is FaultKind.CUT:
            return place
        return f"{place}: {excerpts(self.sent, self.received)}"


@dataclass(frozen=True)
class DatagramFault(Fault):
    """
    A fault of one datagram; its offset is that of the datagram in all that was sent.

    :ivar reason: why one is lost; empty if that is unknown.
    """

    reason: str = ""

    def __str__(self) -> str:
        place = f"datagram {self.offset // self.length + 1} {self.kind.value}"
        if self.kind is FaultKind.FOREIGN:
            return f"foreign datagram: received {self.received.hex(' ') or 'nothing'}"
        if self.kind is not FaultKind.DAMAGED:
            return f"{place}: {self.reason}" if self.reason else place
        return f"{place}: {excerpts(self.sent, self.received)}"


class IntegrityChecker:
    """
    Compares the received stream with the sent one.

    :param source: the sent stream.
    :ivar source: the sent stream.
    :ivar sent: bytes sent so far; updated by the sender.
    :ivar received: bytes received so far.
    :ivar offset: end of the part of the sent stream that is checked.
    """

    def __init__(self, source: PatternStream) -> None:
        self.sent = self.received = self.offset = 0
        self.source = source
        # Received bytes from the first wrong one on, until the fault can be classified.
        self._unmatched = b""
        # The expected stream from ``_begin`` on, so that it is not made again for every piece.
        self._expected = b""
        self._begin = 0

    def receive(self, data: bytes) -> list[Fault]:
        """
        Check received data, in pieces of any size.

        :return: the faults that could be classified now.
        """
        self.received += len(data)
        if self._unmatched:
            self._unmatched += data
        elif self._agrees(data):
            return []
        return self._classify(final=False)

    def end(self) -> list[Fault]:
        """Check the rest: no more data will be received, so missing bytes are cut."""
        faults = self._classify(final=True)
        missing = self.sent - self.offset
        if missing:
            faults.append(Fault(FaultKind.CUT, self.offset, missing))
            self.offset = self.sent
        return faults

    def _agrees(self, data: bytes) -> bool:
        """Account for the bytes that are right; keep the rest as unmatched."""
        size = min(len(data), self.sent - self.offset)
        expected = self._read(size)
        if expected == data:
            self.offset += size
            return True
        same = firstDifference(expected, data)
        self.offset += same
        self._unmatched = data[same:]
        return False

    def _read(self, size: int) -> bytes:
        """Return the next ``size`` bytes of the sent stream."""
        begin = self.offset - self._begin
        if not 0 <= begin <= len(self._expected) - size:
            self._begin, begin = self.offset, 0
            self._expected = self.source.read(self.offset, max(size, LOOKAHEAD))
        return self._expected[begin : begin + size]

    def _classify(self, final: bool) -> list[Fault]:
        """Classify faults, as long as there are enough unmatched bytes."""
        faults: list[Fault] = []
        while self._unmatched:
            due = self.sent - self.offset
            needed = min(LOOKAHEAD, due + MINIMUM_MATCH) if due else LOOKAHEAD
            if not final and len(self._unmatched) < needed:
                break
            missing, extra = align(self.source.read(self.offset, due), self._unmatched)
            if missing is None:
                # Nothing matches. The last bytes may be the beginning of a match.
                extra = len(self._unmatched) - (0 if final else MINIMUM_MATCH - 1)
                # At the end as many bytes as are missing have replaced them.
                missing = due if final and due == extra else 0
            faults += self._faults(missing, extra)
            self.offset += missing
            data, self._unmatched = self._unmatched[extra:], b""
            self._agrees(data)
        return faults

    def _faults(self, missing: int, extra: int) -> list[Fault]:
        sent = self.source.read(self.offset, min(missing or EXCERPT_SIZE, EXCERPT_SIZE))
        received = self._unmatched[: min(extra or EXCERPT_SIZE, EXCERPT_SIZE)]
        if missing == extra:
            return [Fault(FaultKind.FLIPPED, self.offset, missing, sent, received)]
        faults = []
        if extra:
            kind = self._kindOf(self._unmatched[:extra])
            faults.append(Fault(kind, self.offset, extra, sent, received))
        if missing:
            faults.append(Fault(FaultKind.DROPPED, self.offset, missing, sent, received))
        return faults

    def _kindOf(self, extra: bytes) -> FaultKind:
        """The kind of additional bytes."""
        begin = max(self.offset - LOOKBEHIND, 0)
        past = self.source.read(begin, self.offset - begin)
        if past.endswith(extra) or (len(extra) >= MINIMUM_MATCH and extra in past):
            return FaultKind.DUPLICATED
        header = extra.find(MAGIC)
        session = extra[header + 4 : header + 8]
        if header >= 0 and len(session) == 4 and session != self.source.session:
            return FaultKind.FOREIGN
        return FaultKind.INSERTED
