"""
A load that several processes share: what each is to do, and what all of them have done.

Pure. Called by :mod:`echoproto.measure.load.workers`, which starts the processes; each of them runs a :class:`~.generator.LoadGenerator`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.load.schedule import fixed, poisson


def splitPlan(plan: LoadPlan, workers: int) -> list[LoadPlan]:
    """
    What each of so many is to do: together exactly the whole. They are fewer where there are fewer connections or messages.

    :param plan: of the whole; its times are not shared (:func:`sendTimes`).
    """
    count = plan.count
    of = min(workers, plan.connections, workers if count is None else count)
    return [
        replace(
            plan,
            connections=_share(plan.connections, index, of),
            count=None if count is None else _share(count, index, of),
            rate=None if plan.rate is None else plan.rate / of,
            times=None,
        )
        for index in range(of)
    ]


def _share(total: int, index: int, of: int) -> int:
    return total // of + (index < total % of)


def sendTimes(arrivals: str, rate: float, index: int = 0, of: int = 1) -> Iterator[int]:
    """
    When one of several is to send.

    :param arrivals: ``fixed``, where each has every so many of the whole's times; or ``poisson``, where each has its own chance,
        which together is that of the whole.
    :param rate: messages a second of the whole.
    """
    if arrivals == "fixed":
        return fixed(rate, index, of)
    return poisson(rate / of, Random())


class ResultAggregator:
    """
    What all have counted, second by second.

    :param workers: how many they are.
    :param tell: called with each second, when all have told theirs or have ended.
    """

    def __init__(self, workers: int, tell: Callable[[Interval, IntervalCounts], None]) -> None:
        self.tally = LoadCounters(tell)
        self._told = [0] * workers
        self._working = set(range(workers))
        self._open: list[IntervalCounts] = []

    def second(self, worker: int, counts: IntervalCounts) -> None:
        """A worker's next second."""
        place = self._told[worker] - len(self.tally.intervals)
        self._told[worker] += 1
        while len(self._open) <= place:
            self._open.append(IntervalCounts())
        self._open[place].add(counts)
        self._advance()

    def ended(self, worker: int) -> None:
        """A worker tells no more."""
        self._working.discard(worker)
        self._advance()

    def _advance(self) -> None:
        waiting = [self._told[each] for each in self._working]
        while self._open and len(self.tally.intervals) < min(waiting, default=max(self._told)):
            self.tally.counts = self._open.pop(0)
            self.tally.turn()

    def result(self, plan: LoadPlan, workers: Sequence[LoadResult]) -> LoadResult:
        """
        The whole.

        :param plan: of the whole.
        :param workers: what became of those that came to their ends, of which there is at least one.
        """
        connecting, errors = LatencyHistogram(), Counter[str]()
        for each in workers:
            connecting.merge(each.connecting)
            errors += each.errors
        return self.tally.result(
            target=workers[0].target,
            plan=plan,
            duration=max(each.duration for each in workers),
            connecting=connecting,
            errors=errors,
            busy=sum(each.busy for each in workers),
            waited=sum(each.waited for each in workers),
            workers=tuple(workers),
        )
