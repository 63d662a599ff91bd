from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify.pattern import (
    BLOCK_SIZE,
    HEADER,
    MAGIC,
    PERIOD,
    DatagramPattern,
    PatternStream,
)


class SourceTests(SynchronousTestCase):
    def test_again(self) -> None:
        """The same seed makes the same stream, from any offset in pieces of any size."""
        source = PatternStream(7)
        whole = source.read(0, 3 * BLOCK_SIZE)
        self.assertEqual(PatternStream(7).read(0, 3 * BLOCK_SIZE), whole)
        self.assertNotEqual(PatternStream(8).read(16, 16), whole[16:32])
        for start, length in (
            (0, 1),
            (5, BLOCK_SIZE),
            (BLOCK_SIZE - 1, 2),
            (BLOCK_SIZE, BLOCK_SIZE),
            (100, 0),
        ):
            self.assertEqual(source.read(start, length), whole[start : start + length])

    def test_numbered(self) -> None:
        """Each block begins with its number."""
        source = PatternStream(7)
        for number in (0, 1, 5000, 1 << 40):
            header = source.read(number * BLOCK_SIZE, HEADER.size)
            self.assertEqual(HEADER.unpack(header), (MAGIC, source.session, number))

    def test_unique(self) -> None:
        """Within a period any 16 bytes are unique; after it only the headers differ."""
        source = PatternStream(7)
        stream = source.read(0, 1 << 20)
        for start in range(0, 1 << 20, 50_021):
            self.assertEqual(stream.find(stream[start : start + 16]), start)
        self.assertNotEqual(source.read(PERIOD, BLOCK_SIZE), source.read(0, BLOCK_SIZE))
        self.assertEqual(source.read(PERIOD + 20, 100), source.read(20, 100))


class DatagramPatternTests(SynchronousTestCase):
    def test_identify(self) -> None:
        """A reply is identified by its header, or by most of its bytes if that is damaged."""
        pattern = DatagramPattern(PatternStream(7), 64)
        sent = [pattern.encode(number) for number in range(3)]
        self.assertEqual([len(datagram) for datagram in sent], [64] * 3)
        for reply, number in (
            (sent[2], 2),
            (sent[1][:40], 1),
            (b"\xff" + sent[1][1:], 1),
            # The number of another one, or of none.
            (sent[1][:15] + b"\0" + sent[1][16:], 1),
            (sent[1][:15] + b"\x09" + sent[1][16:], 1),
            (b"", None),
            (b"hello", None),
            (DatagramPattern(PatternStream(8), 64).encode(1), None),
        ):
            self.assertEqual(pattern.identify(reply, 3, [0, 1, 2]), number)
        self.assertIsNone(pattern.identify(b"\xff" + sent[1][1:], 3, []))
