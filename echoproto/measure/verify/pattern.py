"""
A stream of known bytes: numbered blocks of random bytes, made from a seed.

Each block has a header with the session number and its own number, then bytes that no other block
within :data:`PERIOD` bytes has. So any 16 bytes identify their place within a period, and a header
identifies it in the whole stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from struct import Struct

#: The first bytes of a block.
MAGIC = b"ecVf"

#: Magic number, session number, block number.
HEADER = Struct("!4s4sQ")

BLOCK_SIZE = 4096
#: Share of equal bytes above which a reply with a damaged header is that of a datagram.
MATCHING_SHARE = 0.5

_BODY_SIZE = BLOCK_SIZE - HEADER.size

#: Blocks, and bytes (16 MiB), after which the bytes behind the headers repeat.
_BLOCKS = 4096
PERIOD = _BLOCKS * BLOCK_SIZE


class PatternStream:
    """
    The stream of one session.

    :param seed: seed of the bytes; the same seed makes the same stream.
    :ivar seed: the seed.
    :ivar session: the session number, which also depends on the seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        random = Random(seed)
        self.session = random.randbytes(4)
        self._bodies = memoryview(random.randbytes(_BLOCKS * _BODY_SIZE))

    def read(self, start: int, length: int) -> bytes:
        """Return ``length`` bytes of the stream from ``start`` on."""
        first = start // BLOCK_SIZE
        last = (start + length + BLOCK_SIZE - 1) // BLOCK_SIZE
        whole = b"".join(piece for number in range(first, last) for piece in self._block(number))
        skip = start - first * BLOCK_SIZE
        return whole if (skip, len(whole)) == (0, length) else whole[skip : skip + length]

    def _block(self, number: int) -> tuple[bytes, memoryview]:
        begin = number % _BLOCKS * _BODY_SIZE
        header = HEADER.pack(MAGIC, self.session, number)
        return header, self._bodies[begin : begin + _BODY_SIZE]


class DatagramPattern:
    """
    Numbered datagrams of known content: a header, then bytes of the stream.

    :param source: the stream.
    :param size: bytes of a datagram.
    :ivar source: the stream.
    """

    def __init__(self, source: PatternStream, size: int) -> None:
        self.source = source
        self._size = size

    def encode(self, number: int) -> bytes:
        """Return the datagram with this number."""
        header = HEADER.pack(MAGIC, self.source.session, number)
        return header + self.source.read(number * self._size, self._size - HEADER.size)

    def identify(self, reply: bytes, sent: int, awaited: Iterable[int]) -> int | None:
        """
        The number of the datagram that this is the reply to; ``None`` if it is foreign.

        :param sent: number of datagrams that were sent.
        :param awaited: those that a reply with a damaged header may be to.
        """
        if len(reply) >= HEADER.size:
            magic, session, number = HEADER.unpack_from(reply)
            isOurs = (magic, session) == (MAGIC, self.source.session) and number < sent
            if isOurs and self._similarity(number, reply) > MATCHING_SHARE:
                return int(number)
        similarities = {number: self._similarity(number, reply) for number in awaited}
        likely = max(similarities, key=similarities.__getitem__, default=None)
        isMatch = likely is not None and similarities[likely] > MATCHING_SHARE
        return likely if isMatch else None

    def _similarity(self, number: int, reply: bytes) -> float:
        """The share of the bytes of a reply that are as in a datagram."""
        expected = self.encode(number)
        if reply == expected:
            return 1.0
        return sum(map(int.__eq__, expected, reply)) / max(len(reply), 1)
