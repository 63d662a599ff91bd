"""
A stream of known bytes: numbered blocks of random bytes, made from a seed.

Each block has a header with the session number and its own number, then bytes that no other block
within :data:`PERIOD` bytes has. So any 16 bytes identify their place within a period, and a header
identifies it in the whole stream.
"""

from __future__ import annotations

from random import Random
from struct import Struct

#: The first bytes of a block.
MAGIC = b"ecVf"

#: Magic number, session number, block number.
HEADER = Struct("!4s4sQ")

BLOCK_SIZE = 4096
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
