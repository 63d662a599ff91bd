from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify.integrity import DatagramFault, Fault, FaultKind, IntegrityChecker
from echoproto.measure.verify.pattern import PatternStream

SIZE = 1_000_000
SOURCE = PatternStream(862)
STREAM = SOURCE.read(0, SIZE)


class Relay:
    """
    Does known things to a stream, at offsets far enough from each other.

    :ivar stream: what is left of it.
    :ivar done: what was done, as it should be found.
    """

    def __init__(self, random: Random, count: int) -> None:
        self.done: list[tuple[FaultKind, int, int]] = []
        pieces = []
        at = 0
        for number in range(count):
            offset = SIZE // count * number + random.randrange(1000, SIZE // count // 2)
            pieces.append(STREAM[at:offset])
            kind = random.choice([*FaultKind][:5])
            length = random.choice([1, 2, 7, 100, 5000])
            at = offset + self.harm(kind, random, offset, length, pieces)
        self.stream = b"".join([*pieces, STREAM[at:]])

    def harm(
        self, kind: FaultKind, random: Random, offset: int, length: int, pieces: list[bytes]
    ) -> int:
        """Apply the fault; returns how many bytes of the stream it omits."""
        part = STREAM[offset : offset + length]
        left = 0
        if kind is FaultKind.FLIPPED:
            pieces.append(bytes(byte ^ 0xFF for byte in part))
            left = length
        elif kind is FaultKind.DROPPED:
            # The next byte must differ from the first dropped one, or the place is ambiguous.
            while STREAM[offset] == STREAM[offset + length]:
                length += 1
            left = length
        elif kind is FaultKind.DUPLICATED:
            while STREAM[offset - length] == STREAM[offset]:
                length += 1
            pieces.append(STREAM[offset - length : offset])
        else:
            foreign = kind is FaultKind.FOREIGN
            length = 5000 if foreign else length
            extra = PatternStream(1).read(0, length) if foreign else random.randbytes(length)
            first = bytes([STREAM[offset] ^ 1])
            pieces.append(first + extra[1:] if not foreign else self.unlike(extra, offset))
        self.done.append((kind, offset, length))
        return left

    def unlike(self, extra: bytes, offset: int) -> bytes:
        return extra if extra[0] != STREAM[offset] else bytes([extra[0] ^ 1]) + extra[1:]


class IntegrityTests(SynchronousTestCase):
    def check(
        self, stream: bytes, random: Random, sent: int = SIZE
    ) -> tuple[IntegrityChecker, list[Fault]]:
        """The faults of a stream that is received in pieces of random sizes."""
        integrity = IntegrityChecker(SOURCE)
        integrity.sent = sent
        faults: list[Fault] = []
        at = 0
        while at < len(stream):
            size = random.choice([1, 100, 4096, 65_536, 262_144])
            faults += integrity.receive(stream[at : at + size])
            at += size
        return integrity, faults + integrity.end()

    def test_right(self) -> None:
        """An unchanged stream has no faults, in pieces of any size."""
        for seed in range(5):
            integrity, faults = self.check(STREAM, Random(seed))
            self.assertEqual((faults, integrity.offset, integrity.received), ([], SIZE, SIZE))

    def test_exact(self) -> None:
        """Each fault of a relay is found with its kind, offset and length, for twenty seeds."""
        for seed in range(20):
            random = Random(seed)
            relay = Relay(random, random.randint(1, 8))
            _, faults = self.check(relay.stream, random)
            found = [(fault.kind, fault.offset, fault.length) for fault in faults]
            self.assertEqual(found, relay.done, seed)

    def test_cut(self) -> None:
        """Missing bytes at the end are cut, with their number."""
        integrity, faults = self.check(STREAM[:-100], Random(1))
        self.assertEqual(faults, [Fault(FaultKind.CUT, SIZE - 100, 100)])
        self.assertEqual(str(faults[0]), f"100 bytes cut at offset {SIZE - 100}")
        self.assertEqual(integrity.offset, SIZE)

    def test_tooMany(self) -> None:
        """Data after the end is duplicated or inserted."""
        _, faults = self.check(STREAM + STREAM[-100:], Random(1))
        self.assertEqual(
            [(fault.kind, fault.offset) for fault in faults], [(FaultKind.DUPLICATED, SIZE)]
        )
        _, faults = self.check(STREAM + b"x", Random(1))
        self.assertEqual(
            [(fault.kind, fault.length) for fault in faults], [(FaultKind.INSERTED, 1)]
        )

    def test_replaced(self) -> None:
        """If bytes are replaced by fewer or more, they count as inserted and dropped."""
        harmed = STREAM[:5000] + b"\0" * 50 + STREAM[5100:]
        _, faults = self.check(harmed, Random(1))
        self.assertEqual(
            [(fault.kind, fault.offset, fault.length) for fault in faults],
            [(FaultKind.INSERTED, 5000, 50), (FaultKind.DROPPED, 5000, 100)],
        )

    def test_nothingOfOurs(self) -> None:
        """Unrelated data counts as inserted, in bounded memory."""
        noise = Random(3).randbytes(400_000)
        _, faults = self.check(noise, Random(1))
        self.assertEqual({fault.kind for fault in faults[:-1]}, {FaultKind.INSERTED})
        self.assertEqual(sum(fault.length for fault in faults[:-1]), len(noise))
        self.assertEqual(faults[-1], Fault(FaultKind.CUT, 0, SIZE))

    def test_shown(self) -> None:
        """A fault is shown with some bytes of both."""
        fault = Fault(FaultKind.FLIPPED, 12, 1, b"\x00", b"\xff")
        self.assertEqual(str(fault), "1 byte flipped at offset 12: sent 00, received ff")
        self.assertIn("received nothing", str(Fault(FaultKind.DROPPED, 1, 2, b"\0")))

    def test_lastBytes(self) -> None:
        """The last bytes may be wrong, with nothing after them to compare."""
        for count in (1, 2, 5, 100, 5000):
            wrong = bytes(byte ^ 1 for byte in STREAM[-count:])
            _, faults = self.check(STREAM[:-count] + wrong, Random(1))
            self.assertEqual(
                [(fault.kind, fault.offset, fault.length) for fault in faults],
                [(FaultKind.FLIPPED, SIZE - count, count)],
            )


class DatagramFaultTests(SynchronousTestCase):
    def test_words(self) -> None:
        """A fault of a datagram has its number, from 1, and excerpts if it is wrong."""
        for kind, text in (
            (FaultKind.LOST, "datagram 3 lost"),
            (FaultKind.DAMAGED, "datagram 3 damaged: sent 00, received nothing"),
            (FaultKind.FOREIGN, "foreign datagram: received nothing"),
        ):
            self.assertEqual(str(DatagramFault(kind, 128, 64, b"\0")), text)

    def test_isListed(self) -> None:
        """Repeated and reordered datagrams are counted only; every other fault is listed."""
        counted = {kind.value for kind in FaultKind if not kind.isListed}
        self.assertEqual(counted, {"reordered", "repeated"})

    def test_isWrong(self) -> None:
        """A network may lose, delay, reorder and repeat datagrams; other faults are wrong data."""
        harmless = {kind.value for kind in FaultKind if not kind.isWrong}
        self.assertEqual(harmless, {"cut", "lost", "late", "reordered", "repeated"})
