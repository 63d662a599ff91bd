"""
When to send in an open loop: at times that do not depend on the replies.

Pure; the randomness is passed in. A server that is slow then shows in every probe that was due meanwhile, as it would to users
who come when they like.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

from echoproto.units import SECOND


def fixed(rate: float, first: int = 0, step: int = 1) -> Iterator[int]:
    """
    The same time between any two.

    :param rate: how many a second.
    :param first: of these times, the number of that to begin with.
    :param step: of the others, each so many is taken: as many may share the whole.
    :return: times in nanoseconds from the beginning.
    """
    return (round(number * SECOND / rate) for number in count(first, step))


def poisson(rate: float, random: Random) -> Iterator[int]:
    """
    As many users would come who know nothing of each other: exponentially distributed times between them.

    :param rate: how many a second, on average.
    """
    at = 0.0
    while True:
        yield round(at)
        at += random.expovariate(rate) * SECOND
