"""
Which reply belongs to which message, and whether it is right.

A stream keeps order, so a reply is matched by its position. Datagrams do not, so a reply is matched
by its content. Both matchers have the verbs ``expect`` and ``receive``.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from echoproto.errors import EchoMismatch, ExchangeError, UnexpectedReply

#: Datagrams remembered after their exchange, to recognize late and duplicate replies.
REMEMBERED = 1024


@dataclass(eq=False)
class Expected:
    """
    A message whose echo is outstanding.

    :ivar data: the message.
    :ivar matched: bytes of its echo received so far, right or wrong.
    :ivar wrong: whether one of them was wrong.
    """

    data: bytes
    matched: int = field(default=0, init=False)
    wrong: bool = field(default=False, init=False)


E = TypeVar("E", bound=Expected)


@dataclass(frozen=True)
class Outcome(Generic[E]):
    """
    The result for a message.

    :ivar expected: the message; ``None`` for data that answers none.
    :ivar error: the fault; ``None`` if the whole echo was right.
    """

    expected: E | None
    error: ExchangeError | None = None


def firstDifference(sent: bytes, received: bytes) -> int:
    """The index of the first byte that differs, or the length of the shorter one if none does."""
    # Slices are compared at the speed of memcmp(3), so bisection finds the end of the common
    # prefix.
    low, high = 0, min(len(sent), len(received))
    while low < high:
        middle = (low + high + 1) // 2
        if sent[low:middle] == received[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class StreamMatcher(Generic[E]):
    """
    Matches a stream of echoes by position.

    After a wrong byte the positions still count: the next message is expected at its own position.
    If bytes were changed it is found there; if bytes were lost or added, it is wrong too.

    :ivar outstanding: the messages whose echo is incomplete, oldest first.
    """

    def __init__(self) -> None:
        self.outstanding: deque[E] = deque()

    def expect(self, expected: E) -> None:
        """``expected`` follows in the stream; it is not empty."""
        self.outstanding.append(expected)

    def withdraw(self, expected: E) -> None:
        """``expected`` will not be sent."""
        self.outstanding.remove(expected)

    def receive(self, data: bytes) -> Iterator[Outcome[E]]:
        """
        Match received data, in pieces of any size.

        :return: an outcome for each message that is now complete or known to be wrong, in order;
            each message has one outcome. Data beyond the sent messages is the last one, an
            :class:`~echoproto.errors.UnexpectedReply` for no message.
        """
        while data and self.outstanding:
            expected = self.outstanding[0]
            begin = expected.matched
            piece, data = self._split(data, len(expected.data) - begin)
            expected.matched += len(piece)
            complete = expected.matched == len(expected.data)
            if complete:
                self.outstanding.popleft()
            if not expected.wrong:
                due = expected.data[begin : expected.matched]
                if piece != due:
                    expected.wrong = True
                    yield Outcome(expected, _wrongBytes(due, piece, begin))
                elif complete:
                    yield Outcome(expected)
        if data:
            yield Outcome(None, UnexpectedReply(data))

    @staticmethod
    def _split(data: bytes, size: int) -> tuple[bytes, bytes]:
        # Usually the whole piece belongs to one message, and is not copied.
        return (data, b"") if len(data) <= size else (data[:size], data[size:])


def _wrongBytes(sent: bytes, received: bytes, begin: int = 0) -> EchoMismatch:
    index = firstDifference(sent, received)
    return EchoMismatch(begin + index, sent[index:], received[index:])


class DatagramMatcher(Generic[E]):
    """
    Matches datagrams by content; equal messages are answered oldest first.

    A reply that equals no outstanding message counts as the wrong reply to the one of the same
    length with the fewest differences, if there is one. But first it is compared with messages
    answered or withdrawn before, because networks duplicate and delay datagrams.

    :ivar outstanding: the messages without a reply, oldest first.
    :ivar duplicates: second replies.
    :ivar late: replies to withdrawn messages.
    :ivar foreign: replies to no message of this client.
    """

    def __init__(self) -> None:
        self.outstanding: list[E] = []
        self.duplicates = 0
        self.late = 0
        self.foreign = 0
        # By hash(): a thousand whole datagrams would take much memory.
        self._past: OrderedDict[int, bool] = OrderedDict()

    def expect(self, expected: E) -> None:
        """``expected`` was sent."""
        self.outstanding.append(expected)

    def withdraw(self, expected: E) -> None:
        """Stop waiting for the reply to ``expected``."""
        self._retire(expected, answered=False)

    def receive(self, data: bytes) -> Iterator[Outcome[E]]:
        """
        Find the message that a datagram answers.

        :return: its outcome; none for a duplicate or a late reply, which are only counted.
        """
        for expected in self.outstanding:
            if expected.data == data:
                self._retire(expected, answered=True)
                yield Outcome(expected)
                return
        answered = self._past.get(hash(data))
        if answered is None:
            yield self._unknown(data)
        elif answered:
            self.duplicates += 1
        else:
            self.late += 1

    def _unknown(self, data: bytes) -> Outcome[E]:
        same = [expected for expected in self.outstanding if len(expected.data) == len(data)]
        if not same:
            self.foreign += 1
            return Outcome(None, UnexpectedReply(data))
        nearest = min(same, key=lambda expected: _differences(expected.data, data))
        nearest.wrong = True
        self._retire(nearest, answered=True)
        return Outcome(nearest, _wrongBytes(nearest.data, data))

    def _retire(self, expected: E, answered: bool) -> None:
        self.outstanding.remove(expected)
        key = hash(expected.data)
        self._past[key] = answered
        self._past.move_to_end(key)
        if len(self._past) > REMEMBERED:
            self._past.popitem(last=False)


def _differences(ours: bytes, theirs: bytes) -> int:
    return sum(map(int.__ne__, ours, theirs))
