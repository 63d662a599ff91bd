from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.matching import (
    REMEMBERED,
    DatagramMatcher,
    Expected,
    Outcome,
    StreamMatcher,
    firstDifference,
)
from echoproto.errors import EchoMismatch, UnexpectedReply


def wrong(outcome: Outcome[Expected]) -> tuple[Expected | None, int, bytes, bytes]:
    error = outcome.error
    assert isinstance(error, EchoMismatch)
    return outcome.expected, error.offset, error.sent, error.received


class FirstDifferenceTests(SynchronousTestCase):
    def test_where(self) -> None:
        """The result is the index of the first differing byte, or the shorter length."""
        self.assertEqual(firstDifference(b"abc", b"abd"), 2)
        self.assertEqual(firstDifference(b"abc", b"ab"), 2)
        self.assertEqual(firstDifference(b"", b""), 0)


class MatcherTestCase(SynchronousTestCase):
    """A test case with a matcher, created by the ``setUp`` of its subclasses."""

    matcher: StreamMatcher[Expected] | DatagramMatcher[Expected]

    def expect(self, *messages: bytes) -> list[Expected]:
        entries = [Expected(message) for message in messages]
        for expected in entries:
            self.matcher.expect(expected)
        return entries

    def receive(self, data: bytes) -> list[Outcome[Expected]]:
        return list(self.matcher.receive(data))


class StreamMatcherTests(MatcherTestCase):
    matcher: StreamMatcher[Expected]

    def setUp(self) -> None:
        self.matcher = StreamMatcher()

    @given(st.lists(st.binary(min_size=1, max_size=20), max_size=10), st.data())
    def test_anyChunks(self, messages: list[bytes], data: st.DataObject) -> None:
        """However the echoes are split, all messages are matched once, in order."""
        self.matcher = StreamMatcher()
        entries = self.expect(*messages)
        stream = b"".join(messages)
        outcomes = []
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            outcomes += self.receive(stream[:size])
            stream = stream[size:]
        self.assertEqual(outcomes, [Outcome(expected) for expected in entries])
        self.assertEqual(len(self.matcher.outstanding), 0)

    def test_wrongByte(self) -> None:
        """A wrong byte is reported at once, with its offset and the bytes that follow."""
        [expected] = self.expect(b"abcdef")
        self.receive(b"ab")
        [outcome] = self.receive(b"cXe")
        self.assertEqual(wrong(outcome), (expected, 3, b"de", b"Xe"))

    def test_afterAWrongByte(self) -> None:
        """A wrong message is reported once, and the next one is matched at its own position."""
        first, second = self.expect(b"abc", b"def")
        [bad, good] = self.receive(b"XbYdef")
        self.assertEqual(wrong(bad), (first, 0, b"abc", b"XbY"))
        self.assertEqual(good, Outcome(second))

    def test_droppedByte(self) -> None:
        """A byte lost on the way makes its message and all later ones wrong."""
        first, second = self.expect(b"abc", b"def")
        self.assertEqual([wrong(outcome)[0] for outcome in self.receive(b"acdef")], [first, second])

    def test_wrongInTwoPieces(self) -> None:
        """After a wrong byte, later bytes of the same message are not reported again."""
        self.expect(b"abcdef")
        self.assertEqual(len(self.receive(b"X")), 1)
        self.assertEqual(self.receive(b"YZ"), [])

    def test_extraBytes(self) -> None:
        """Bytes after the last message match no message."""
        [expected] = self.expect(b"abc")
        good, extra = self.receive(b"abcd")
        self.assertEqual(good, Outcome(expected))
        self.assertIsNone(extra.expected)
        assert isinstance(extra.error, UnexpectedReply)
        self.assertEqual(extra.error.received, b"d")

    def test_withdraw(self) -> None:
        """A withdrawn message is no longer expected."""
        first, second = self.expect(b"abc", b"def")
        self.matcher.withdraw(first)
        self.assertEqual(self.receive(b"def"), [Outcome(second)])


class DatagramMatcherTests(MatcherTestCase):
    matcher: DatagramMatcher[Expected]

    def setUp(self) -> None:
        self.matcher = DatagramMatcher()

    @given(st.lists(st.binary(max_size=4)), st.randoms())
    def test_anyOrder(self, messages: list[bytes], random: Random) -> None:
        """In any order of the replies, every message is matched once."""
        self.matcher = DatagramMatcher()
        entries = self.expect(*messages)
        replies = list(messages)
        random.shuffle(replies)
        outcomes = [outcome for reply in replies for outcome in self.receive(reply)]
        self.assertEqual({outcome.error for outcome in outcomes}, {None} if entries else set())
        self.assertEqual({outcome.expected for outcome in outcomes}, set(entries))

    def test_equalMessages(self) -> None:
        """Equal messages are matched oldest first."""
        first, second = self.expect(b"same", b"same")
        self.assertEqual(self.receive(b"same"), [Outcome(first)])
        self.assertEqual(self.receive(b"same"), [Outcome(second)])

    def test_duplicate(self) -> None:
        """A repeated reply is counted as a duplicate and affects no other message."""
        self.expect(b"one")
        self.receive(b"one")
        [second] = self.expect(b"two")
        self.assertEqual(self.receive(b"one"), [])
        self.assertEqual(self.matcher.duplicates, 1)
        self.assertEqual(self.matcher.outstanding, [second])

    def test_late(self) -> None:
        """A reply to a withdrawn message is counted as late."""
        [first] = self.expect(b"one")
        self.matcher.withdraw(first)
        self.assertEqual(self.receive(b"one"), [])
        self.assertEqual(self.matcher.late, 1)

    def test_wrongByte(self) -> None:
        """A wrong reply is attributed to the most similar outstanding message of its length."""
        _, near, _ = self.expect(b"aaaa", b"abcd", b"abcde")
        [outcome] = self.receive(b"abXd")
        self.assertEqual(wrong(outcome), (near, 2, b"cd", b"Xd"))
        self.assertTrue(near.wrong)

    def test_foreign(self) -> None:
        """A reply of a length that no outstanding message has is counted as foreign."""
        self.expect(b"abc")
        [outcome] = self.receive(b"abcd")
        self.assertIsNone(outcome.expected)
        self.assertIsInstance(outcome.error, UnexpectedReply)
        self.assertEqual(self.matcher.foreign, 1)

    def test_memoryIsBounded(self) -> None:
        """A duplicate is recognized only within a limited number of exchanges."""
        for number in range(REMEMBERED + 1):
            message = str(number).encode()
            self.expect(message)
            self.receive(message)
        self.receive(str(REMEMBERED).encode())
        self.assertEqual((self.matcher.duplicates, self.matcher.foreign), (1, 0))
        self.receive(b"0")
        self.assertEqual((self.matcher.duplicates, self.matcher.foreign), (1, 1))
