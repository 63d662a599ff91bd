"""
The messages of a load.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from random import Random

from echoproto.measure.load.datagrams import MINIMUM_SIZE, numberedDatagrams
from echoproto.measure.ping.payload import ProbePayload

#: Different messages of a load, so that a reply in the place of another one is wrong.
DISTINCT_MESSAGES = 64


def loadMessages(isUDP: bool, sizes: tuple[int, int], random: Random) -> Iterator[bytes]:
    """
    Messages without end; those of UDP are numbered, so that no two are equal.

    :param sizes: bytes of the smallest and of the largest.
    :param random: chooses their content.
    """
    session = random.randbytes(4)
    payloads = [
        ProbePayload(session, random.randint(*sizes)).encode(number, 0)
        for number in range(DISTINCT_MESSAGES)
    ]
    if not isUDP:
        return cycle(payloads)
    return numberedDatagrams(session, [payload[MINIMUM_SIZE:] for payload in payloads])
