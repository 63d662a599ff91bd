"""
Splits a load over several processes, and adds their results.

Pure. Used by :mod:`.workers`, which starts the processes; each runs a
:class:`~.generator.LoadGenerator`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from random import Random

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.load.ramp import rampTimes
from echoproto.measure.load.schedule import fixed, poisson


def splitPlan(plan: LoadPlan, workers: int) -> list[LoadPlan]:
    """
    Split a plan into the plans of several machines or workers, which add up to the whole.

    There are fewer than ``workers`` if there are fewer connections or messages.

    :param plan: the whole; its send times are not split (:func:`withTimes`).
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
            part=(plan.part[0] + plan.part[1] * index, plan.part[1] * of),
            firstConnection=plan.firstConnection + _before(plan.connections, index, of),
        )
        for index in range(of)
    ]


def _share(total: int, index: int, of: int) -> int:
    return total // of + (index < total % of)


def _before(total: int, index: int, of: int) -> int:
    """The sum of the shares of smaller indexes."""
    return total // of * index + min(index, total % of)


def withTimes(plan: LoadPlan) -> LoadPlan:
    """
    The plan with its send times, if it is an open loop without them.

    With ``fixed`` arrivals each part of a load has every so-many-th of the times of the whole; with
    ``poisson`` each has random times, which together are a Poisson process of the whole rate.
    """
    if plan.rate is None or plan.times is not None:
        return plan
    index, of = plan.part
    if plan.rates:
        return replace(plan, times=islice(rampTimes(plan.rates, plan.step), index, None, of))
    if plan.arrivals == "fixed":
        return replace(plan, times=fixed(plan.rate * of, index, of))
    return replace(plan, times=poisson(plan.rate, Random()))


class ResultAggregator:
    """
    Adds the counts of all workers, second by second.

    :param workers: number of workers.
    :param onInterval: called with each second that all workers have reported, or have ended before.
    """

    def __init__(
        self, workers: int, onInterval: Callable[[Interval, IntervalCounts], None]
    ) -> None:
        self.counters = LoadCounters(onInterval)
        self._reported = [0] * workers
        self._working = set(range(workers))
        self._open: list[IntervalCounts] = []

    def second(self, worker: int, counts: IntervalCounts) -> None:
        """Add the next second of a worker."""
        place = self._reported[worker] - len(self.counters.intervals)
        self._reported[worker] += 1
        while len(self._open) <= place:
            self._open.append(IntervalCounts())
        self._open[place].add(counts)
        self._closeIntervals()

    def ended(self, worker: int) -> None:
        """A worker has ended: do not wait for its reports any more."""
        self._working.discard(worker)
        self._closeIntervals()

    def _closeIntervals(self) -> None:
        reported = [self._reported[worker] for worker in self._working]
        complete = min(reported, default=max(self._reported))
        while self._open and len(self.counters.intervals) < complete:
            self.counters.counts = self._open.pop(0)
            self.counters.closeInterval()

    def result(self, plan: LoadPlan, results: Sequence[LoadResult]) -> LoadResult:
        """
        Make the result of the whole load.

        :param plan: the plan of the whole.
        :param results: those of the workers that have finished; at least one.
        """
        connecting, errors = LatencyHistogram(), Counter[str]()
        for result in results:
            connecting.merge(result.connecting)
            errors += result.errors
        return self.counters.result(
            target=results[0].target,
            plan=plan,
            began=min(result.began for result in results),
            duration=max(result.duration for result in results),
            connected=sum(result.connected for result in results),
            connectFailures=sum(result.connectFailures for result in results),
            disconnects=sum(result.disconnects for result in results),
            connecting=connecting,
            errors=errors,
            busy=sum(result.busy for result in results),
            waited=sum(result.waited for result in results),
            beganLate=max(result.beganLate for result in results),
            dropped=sum(result.dropped for result in results),
            heldUp=max(result.heldUp for result in results),
            hint=next((result.hint for result in results if result.hint), ""),
            workers=tuple(results),
        )
