"""
Send times of an open loop, which do not depend on the replies.

So a slow server delays every message that is due meanwhile, as it would delay independent users.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

from echoproto.text.units import SECOND


def fixed(rate: float, first: int = 0, step: int = 1) -> Iterator[int]:
    """
    Generate times at a fixed interval.

    :param rate: messages per second.
    :param first: index of the first time to use.
    :param step: use every ``step``-th time, so that several processes can share a schedule.
    :return: nanoseconds since the beginning.
    """
    return (round(number * SECOND / rate) for number in count(first, step))


def poisson(rate: float, random: Random) -> Iterator[int]:
    """
    Generate times as of independent users, with exponentially distributed intervals.

    :param rate: messages per second, on average.
    """
    at = 0.0
    while True:
        yield round(at)
        at += random.expovariate(rate) * SECOND
