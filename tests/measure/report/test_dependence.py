from __future__ import annotations

from array import array
from math import exp
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import SECOND, Interval, intervalsOf
from echoproto.measure.report.comparing import Verdict, compare
from echoproto.measure.report.dependence import ENOUGH, lossInflation, timesInflation
from echoproto.measure.report.saved import Saved
from echoproto.measure.spread import Spread
from tests.measure.results import savedOf


class Run:
    """
    A run of exchanges, some each second.

    :ivar drift: how much the times of a second have in common.
    :ivar burst: how likely the next is lost when one was, as one in five hundred is else.
    """

    def __init__(self, random: Random, drift: float = 0.0, burst: float = 0.0) -> None:
        self._random = random
        self._drift = drift
        self._burst = burst

    def saved(self, seconds: int = 30, each: int = 40) -> Saved:
        sentAt, took, times = array("q"), array("q"), Spread()
        level, isDown = 0.0, False
        for number in range(seconds * each):
            if number % each == 0:
                level = self._random.gauss(0, self._drift)
            isDown = self._random.random() < (self._burst if isDown else 0.002)
            sentAt.append(number * SECOND // each)
            took.append(-1 if isDown else round(exp(13 + level + self._random.gauss(0, 0.5))))
            if not isDown:
                times.add(took[-1])
        width, intervals = intervalsOf(sentAt, took)
        return savedOf(
            sent=len(took),
            received=times.count,
            times=times,
            width=width,
            intervals=tuple(intervals),
        )


class DependenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.random = Random(862)

    def different(self, run: Run) -> int:
        """Of twenty pairs of runs of the same, how many are told to differ."""
        found = 0
        for _ in range(20):
            told = compare(run.saved(), run.saved()).differences
            found += any(each.verdict in (Verdict.MORE, Verdict.LESS) for each in told)
        return found

    def test_independent(self) -> None:
        """Independent exchanges count for nearly as much as they are."""
        run = Run(self.random)
        found = [run.saved() for _ in range(20)]
        self.assertLess(sum(map(timesInflation, found)) / 20, 1.5)
        self.assertLess(sum(map(lossInflation, found)) / 20, 1.5)

    def test_drifting(self) -> None:
        """Where those of a second have something in common they count for much less, and two runs of the same do not differ."""
        run = Run(self.random, drift=0.4)
        result = run.saved()
        self.assertGreater(timesInflation(result), 5)
        self.assertLess(compare(result, result).independent[0], result.received / 5)
        self.assertLessEqual(self.different(run), 1)

    def test_bursts(self) -> None:
        """So do losses that come in bursts."""
        run = Run(self.random, burst=0.9)
        self.assertGreater(lossInflation(run.saved(60)), 3)
        self.assertLessEqual(self.different(run), 1)

    def test_rare(self) -> None:
        """One exchange a second is told by itself whether it knows of others."""
        calm = [Run(self.random).saved(200, 1) for _ in range(10)]
        self.assertLess(sum(map(timesInflation, calm)) / 10, 1.5)

    def test_unknown(self) -> None:
        """Without enough seconds, or without any reply, nothing is known."""
        few = tuple(Interval(each, 5, 5, 1, 1, 1, 1) for each in range(ENOUGH - 1))
        for intervals in ((), few):
            result = savedOf(1, 2, intervals=intervals)
            self.assertEqual((timesInflation(result), lossInflation(result)), (1, 1))
        gone = savedOf(received=0, intervals=tuple(Interval(each, 5, 0) for each in range(9)))
        self.assertEqual((timesInflation(gone), lossInflation(gone)), (1, 1))

    def test_foreign(self) -> None:
        """Seconds that tell what the histogram does not, as a file may have them, do no harm."""
        odd = tuple(Interval(each, 1, 1 << 61, 0, 9**20, 0, 0) for each in range(9))
        for result in (savedOf(1, intervals=odd), savedOf(intervals=odd)):
            self.assertGreaterEqual(min(timesInflation(result), lossInflation(result)), 1)
            compare(result, result)
