"""
Rising rates of a load, to find the highest one at which a server holds a bound. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.schedule import fixed
from echoproto.text.units import SECOND

#: Share of the messages of a step that must be answered within the step: almost all, but those at
#: its end.
MINIMUM_ANSWERED = 0.95


@dataclass(frozen=True)
class RampStep:
    """
    A part of a load at one rate.

    :ivar rate: the rate, in messages per second.
    :ivar width: its length, in nanoseconds.
    :ivar counts: messages sent and replies received in it.
    :ivar failures: why the rate was not held; empty if it was.
    """

    rate: float
    width: int
    counts: IntervalCounts
    failures: Sequence[str] = ()

    @property
    def missing(self) -> str:
        """Why the replies are too few; empty if they are not."""
        due = self.rate * self.width / SECOND
        received = self.counts.service.count
        if received >= MINIMUM_ANSWERED * due:
            return ""
        return f"{received} of {due:.0f} replies in time"


def rampRates(first: float, last: float, steps: int) -> tuple[float, ...]:
    """Rates from the first to the last, each the same multiple of the one before."""
    factor = (last / first) ** (1 / max(steps - 1, 1))
    return tuple(first * factor**step for step in range(steps))


def rampTimes(rates: Sequence[float], width: int) -> Iterator[int]:
    """
    Generate the send times of a load at several rates.

    :param rates: messages per second; the last one goes on.
    :param width: nanoseconds at each rate.
    :return: nanoseconds since the beginning.
    """
    parts = [takewhile(width.__gt__, fixed(rate)) for rate in rates[:-1]]
    return chain.from_iterable(
        (number * width + at for at in part)
        for number, part in enumerate([*parts, fixed(rates[-1])])
    )
