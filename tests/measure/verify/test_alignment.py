from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify.alignment import LOOKAHEAD, MINIMUM_MATCH, SEARCH_STRIDE, align

STREAM = Random(7).randbytes(8 * SEARCH_STRIDE)
OTHER = Random(8).randbytes(8 * SEARCH_STRIDE)


class AlignTests(SynchronousTestCase):
    def test_replaced(self) -> None:
        """After replaced bytes both streams skip the same number."""
        received = bytes(byte ^ 1 for byte in STREAM[:5]) + STREAM[5:]
        self.assertEqual(align(STREAM, received), (5, 5))

    def test_agreesBriefly(self) -> None:
        """A few equal bytes do not count as a match."""
        received = bytearray(bytes(byte ^ 1 for byte in STREAM[:100]) + STREAM[100:])
        received[3] = STREAM[3]
        self.assertEqual(align(STREAM, bytes(received)), (100, 100))

    def test_missing(self) -> None:
        """After missing bytes only the expected stream skips some."""
        self.assertEqual(align(STREAM, STREAM[100:]), (100, 0))

    def test_added(self) -> None:
        """After added bytes only the received stream skips some."""
        self.assertEqual(align(STREAM, OTHER[:100] + STREAM), (0, 100))

    def test_both(self) -> None:
        """If bytes are missing and others added, the streams skip different numbers of bytes."""
        self.assertEqual(align(STREAM, OTHER[:90] + STREAM[300:]), (300, 90))

    def test_bothInShortPiece(self) -> None:
        """The search of a short piece finds every place."""
        self.assertEqual(align(STREAM[:200], OTHER[:20] + STREAM[99:150]), (99, 20))

    def test_nothing(self) -> None:
        """Without any match, the searched part of the received bytes is skipped."""
        self.assertEqual(align(STREAM, OTHER), (None, len(OTHER)))
        self.assertEqual(align(STREAM, OTHER[: MINIMUM_MATCH - 1]), (None, MINIMUM_MATCH - 1))
        long = OTHER * (LOOKAHEAD // len(OTHER) + 1)
        self.assertEqual(align(STREAM, long), (None, LOOKAHEAD))
