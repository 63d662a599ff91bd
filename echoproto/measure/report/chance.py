"""
What chance does to counts: exact sums over the binomial and the hypergeometric distribution, and the normal one where these are wide.

Pure; used by :mod:`.comparing`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from math import ceil, sqrt
from statistics import NormalDist

#: Standard deviations from which on the normal distribution is as good: it is off by less than one in ten thousand of a deviation.
WIDE = 1000.0

# Of the likeliest value, below which a weight does not matter.
_NOTHING = 1e-20


def binomialQuantile(trials: int, share: float, level: float) -> int:
    """
    The least number that so many of ``trials`` do not exceed with a probability of ``level`` or more.

    :param share: how likely each is to count.
    """
    odds = share / (1 - share)
    deviation = sqrt(trials * share * (1 - share))
    if deviation > WIDE:
        return ceil(NormalDist(trials * share, deviation).inv_cdf(level))
    likeliest = min(int((trials + 1) * share), trials)
    weights = _weights(likeliest, 0, trials, lambda k: (trials - k) / (k + 1) * odds)
    numbers = sorted(weights)
    upTo = list(accumulate(weights[each] for each in numbers))
    return numbers[bisect_left(upTo, level * upTo[-1])]


def sameShare(hits: int, trials: int, otherHits: int, otherTrials: int) -> float:
    """
    How likely two shares are to differ as much as they do, or more, where they come of the same chance (Fisher's exact test, twice
    its smaller side).

    :param hits: how many counted of ``trials``.
    """
    every, total = trials + otherTrials, hits + otherHits
    if not 0 < total < every or not trials or not otherTrials:
        return 1.0
    mean = total * trials / every
    deviation = sqrt(mean * (otherTrials / every) * (every - total) / (every - 1))
    distance = abs(hits - mean)
    if deviation > WIDE:
        return min(1.0, 2 * NormalDist().cdf(-max(distance - 0.5, 0) / deviation))
    least, most = max(0, total - otherTrials), min(total, trials)
    likeliest = min(max((total + 1) * (trials + 1) // (every + 2), least), most)

    def ratio(k: int) -> float:
        return (total - k) * (trials - k) / ((k + 1) * (otherTrials - total + k + 1))

    weights = _weights(likeliest, least, most, ratio)
    tail = sum(weight for k, weight in weights.items() if (k >= hits if hits > mean else k <= hits))
    return min(1.0, 2 * tail / sum(weights.values()))


def _weights(
    likeliest: int, least: int, most: int, ratio: Callable[[int], float]
) -> dict[int, float]:
    """
    How likely each number is beside the likeliest.

    :param ratio: how likely a number's next is beside it.
    """
    found = {likeliest: 1.0}
    weight, number = 1.0, likeliest
    while number < most and weight > _NOTHING:
        weight *= ratio(number)
        number += 1
        found[number] = weight
    weight, number = 1.0, likeliest
    while number > least and weight > _NOTHING:
        number -= 1
        weight /= ratio(number)
        found[number] = weight
    return found
