"""
Datagrams of a load: each has the session's number and its own, then bytes that are made once and used again.

So each reply is known by its bytes, and none is taken for another's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from struct import Struct

_HEADER = Struct("!4sI")

#: Bytes of the number of the session, and of a datagram at least.
SESSION = 4
LEAST = _HEADER.size

_ROUND = 1 << 32


def numbered(session: bytes, bodies: Sequence[bytes]) -> Iterator[bytes]:
    """
    Datagrams without an end.

    :param session: four bytes that no other session is likely to have.
    :param bodies: what stands behind the numbers, one after the other and again.
    """
    return (
        _HEADER.pack(session, number % _ROUND) + bodies[number % len(bodies)] for number in count()
    )
