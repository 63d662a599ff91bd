"""
Checks every byte of a stream that comes back, says what is wrong with it and where, and goes on after that.

Called by :mod:`.verifier`; knows no clock and no carrier. What is kept is bounded by what is under way: the bytes themselves
are made again (:mod:`.pattern`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from echoproto.measure.ping.payload import EXCERPT
from echoproto.measure.verify.pattern import MAGIC, PatternStream

#: Bytes that must agree for two places to be the same one: more than the header of a block, of which neighbours share nearly all.
AGREEING = 32

#: Bytes after a first wrong one that are looked at, to tell what has happened.
LOOK = 65_536

#: Of what should have come, every so many bytes are looked for in what came.
STEP = 256

#: Bytes before a fault in which repeated ones are looked for.
PAST = 1 << 20


class FaultKind(Enum):
    """What can be wrong with a stream."""

    FLIPPED = "flipped"
    DROPPED = "dropped"
    INSERTED = "inserted"
    DUPLICATED = "duplicated"
    FOREIGN = "someone else's"
    CUT = "cut"


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong.

    :ivar kind: what.
    :ivar offset: where in the stream that was sent: of the first byte that is wrong or missing, or before which there are too many.
    :ivar length: bytes that are wrong, missing or too many.
    :ivar sent: what should have come, :data:`~echoproto.measure.ping.payload.EXCERPT` bytes at most.
    :ivar received: what came instead.
    """

    kind: FaultKind
    offset: int
    length: int
    sent: bytes = b""
    received: bytes = b""

    def __str__(self) -> str:
        bytes_ = "byte" if self.length == 1 else "bytes"
        said = f"{self.length} {bytes_} {self.kind.value} at offset {self.offset}"
        if self.kind is FaultKind.CUT:
            return said
        return f"{said}: sent {self.sent.hex(' ') or 'nothing'}, received {self.received.hex(' ') or 'nothing'}"


class IntegrityChecker:
    """
    Compares what comes with what was sent.

    :param source: what was sent.
    :ivar source: likewise.
    :ivar sent: bytes sent so far; whoever sends adds to it.
    :ivar received: bytes that came.
    :ivar offset: up to where the stream is accounted for.
    """

    def __init__(self, source: PatternStream) -> None:
        self.sent = self.received = self.offset = 0
        self.source = source
        # What came from the first wrong byte on, until it can be told what has happened.
        self._doubtful = b""
        # Of the stream from ``_begin`` on, so that it is not made again for every piece.
        self._expected = b""
        self._begin = 0

    def receive(self, data: bytes) -> list[Fault]:
        """
        Check what came, in pieces of any size.

        :return: the faults that are known by it.
        """
        self.received += len(data)
        if self._doubtful:
            self._doubtful += data
            return self._judge(final=False)
        if self._agrees(data):
            return []
        return self._judge(final=False)

    def end(self) -> list[Fault]:
        """Nothing more comes; what is missing is cut."""
        faults = self._judge(final=True)
        missing = self.sent - self.offset
        if missing:
            faults.append(Fault(FaultKind.CUT, self.offset, missing))
            self.offset = self.sent
        return faults

    def _agrees(self, data: bytes) -> bool:
        """Account for what is as it was sent; the rest is doubtful."""
        size = min(len(data), self.sent - self.offset)
        due = self._read(size)
        if due == data:
            self.offset += size
            return True
        same = _same(due, data)
        self.offset += same
        self._doubtful = data[same:]
        return False

    def _read(self, size: int) -> bytes:
        """The next ``size`` bytes of the stream."""
        begin = self.offset - self._begin
        if not 0 <= begin <= len(self._expected) - size:
            self._begin, begin = self.offset, 0
            self._expected = self.source.read(self.offset, max(size, LOOK))
        return self._expected[begin : begin + size]

    def _judge(self, final: bool) -> list[Fault]:
        """Tell what has happened, as long as there are bytes enough to tell."""
        faults: list[Fault] = []
        while self._doubtful:
            due = self.sent - self.offset
            if not final and len(self._doubtful) < (min(LOOK, due + AGREEING) if due else LOOK):
                break
            missing, extra = _align(self.source.read(self.offset, due), self._doubtful)
            if missing is None:
                # Nothing of it is ours. The last bytes may be the beginning of something that is.
                extra = len(self._doubtful) - (0 if final else AGREEING - 1)
                missing = 0
            faults += self._faults(missing, extra)
            self.offset += missing
            data, self._doubtful = self._doubtful[extra:], b""
            self._agrees(data)
        return faults

    def _faults(self, missing: int, extra: int) -> list[Fault]:
        sent = self.source.read(self.offset, min(missing or EXCERPT, EXCERPT))
        received = self._doubtful[: min(extra or EXCERPT, EXCERPT)]
        if missing == extra:
            return [Fault(FaultKind.FLIPPED, self.offset, missing, sent, received)]
        faults = []
        if extra:
            kind = self._kindOf(self._doubtful[:extra])
            faults.append(Fault(kind, self.offset, extra, sent, received))
        if missing:
            faults.append(Fault(FaultKind.DROPPED, self.offset, missing, sent, received))
        return faults

    def _kindOf(self, extra: bytes) -> FaultKind:
        """What bytes are that are too many."""
        begin = max(self.offset - PAST, 0)
        past = self.source.read(begin, self.offset - begin)
        if past.endswith(extra) or (len(extra) >= AGREEING and extra in past):
            return FaultKind.DUPLICATED
        header = extra.find(MAGIC)
        session = extra[header + 4 : header + 8]
        if header >= 0 and len(session) == 4 and session != self.source.session:
            return FaultKind.FOREIGN
        return FaultKind.INSERTED


def _same(ours: bytes, theirs: bytes) -> int:
    """How many bytes agree before the first that does not."""
    low, high = 0, min(len(ours), len(theirs))
    while low < high:
        middle = (low + high + 1) // 2
        if ours[low:middle] == theirs[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _align(due: bytes, came: bytes) -> tuple[int | None, int]:
    """
    Where the stream goes on, after bytes that do not agree.

    :return: how many bytes of ``due`` to leave out, and how many of ``came``; ``None`` where nothing agrees.
    """
    found = [
        each
        for each in (_replaced(due, came), _found(due, came), _found(came, due, swap=True))
        if each is not None
    ]
    if found:
        return min(found, key=max)
    return _anywhere(due, came)


def _replaced(due: bytes, came: bytes) -> tuple[int, int] | None:
    """As many bytes are wrong as are missing."""
    length = min(len(due), len(came))
    for index in range(1, min(length, LOOK)):
        if due[index] == came[index]:
            rest = min(AGREEING, length - index)
            if due[index : index + rest] == came[index : index + rest]:
                return index, index
    return (length, length) if len(due) == len(came) == 1 else None


def _found(where: bytes, what: bytes, swap: bool = False) -> tuple[int, int] | None:
    """Only bytes are missing; or, the other way round, only too many."""
    key = what[:AGREEING]
    place = where.find(key) if len(key) == AGREEING else -1
    if place < 0:
        return None
    return (0, place) if swap else (place, 0)


def _anywhere(due: bytes, came: bytes) -> tuple[int | None, int]:
    """Some bytes are missing, and others too many."""
    came = came[:LOOK]
    step = STEP if len(came) > 2 * STEP else 1
    best: tuple[int | None, int] = None, len(came)
    for place in range(0, min(len(due), len(came) + PAST) - AGREEING + 1, step):
        found = came.find(due[place : place + AGREEING], 0, best[1] + AGREEING)
        if 0 <= found < best[1]:
            best = _back(due, came, place, found)
    return best


def _back(due: bytes, came: bytes, place: int, found: int) -> tuple[int, int]:
    """The first bytes that agree, before those that do."""
    while place and found and due[place - 1] == came[found - 1]:
        place, found = place - 1, found - 1
    return place, found
