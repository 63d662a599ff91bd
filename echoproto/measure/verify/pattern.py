"""
A stream of which every part is known: numbered blocks of random bytes, made again from a seed.

Each block has a header with the session's number and its own, then bytes that no other block within
:data:`ROUND` bytes has. So sixteen bytes tell where in the stream they belong, and a header where even after a round.
"""

from __future__ import annotations

from random import Random
from struct import Struct

#: The first bytes of a block.
MAGIC = b"ecVf"

#: magic, session, number
HEADER = Struct("!4s4sQ")

BLOCK = 4096
_BODY = BLOCK - HEADER.size

#: Blocks after which the bytes behind the headers come again; 16 MiB.
_BLOCKS = 4096
ROUND = _BLOCKS * BLOCK


class PatternStream:
    """
    The stream of one session.

    :param seed: of the bytes; the same seed makes the same stream.
    :ivar seed: likewise.
    :ivar session: its number, which the seed makes too.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        random = Random(seed)
        self.session = random.randbytes(4)
        self._bodies = memoryview(random.randbytes(_BLOCKS * _BODY))

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes of the stream, from ``start``."""
        first = start // BLOCK
        last = (start + length + BLOCK - 1) // BLOCK
        whole = b"".join(piece for number in range(first, last) for piece in self._block(number))
        skip = start - first * BLOCK
        return whole if (skip, len(whole)) == (0, length) else whole[skip : skip + length]

    def _block(self, number: int) -> tuple[bytes, memoryview]:
        begin = number % _BLOCKS * _BODY
        return (
            HEADER.pack(MAGIC, self.session, number),
            self._bodies[begin : begin + _BODY],
        )
