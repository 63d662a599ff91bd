from __future__ import annotations

from array import array
from fractions import Fraction
from math import comb, exp
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval, intervalsOf
from echoproto.measure.latency import LatencyHistogram
from echoproto.report import statistics
from echoproto.report.compare import ComparisonVerdict, compare
from echoproto.report.result import StoredResult
from echoproto.report.statistics import (
    MIN_BATCHES,
    binomialQuantile,
    fisherExact,
    lossDesignEffect,
    timesDesignEffect,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import storedResult


def exactQuantile(trials: int, share: Fraction, level: Fraction) -> int:
    """The definition, in fractions."""
    total, number = Fraction(0), -1
    while total < level:
        number += 1
        total += comb(trials, number) * share**number * (1 - share) ** (trials - number)
    return number


def fisher(hits: int, trials: int, otherHits: int, otherTrials: int) -> Fraction:
    """Twice the smaller tail by the definition, in fractions."""
    total = hits + otherHits
    every = {
        k: comb(trials, k) * comb(otherTrials, total - k) for k in range(min(total, trials) + 1)
    }
    lower = sum(ways for k, ways in every.items() if k <= hits)
    upper = sum(ways for k, ways in every.items() if k >= hits)
    return min(Fraction(1), Fraction(2 * min(lower, upper), sum(every.values())))


class BinomialTests(SynchronousTestCase):
    @given(
        st.integers(0, 300),
        st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(999, 1000)]),
        st.sampled_from([Fraction(1, 200), Fraction(199, 200)]),
    )
    def test_exact(self, trials: int, share: Fraction, level: Fraction) -> None:
        """It agrees with the definition."""
        found = binomialQuantile(trials, float(share), float(level))
        self.assertEqual(found, exactQuantile(trials, share, level))

    def test_wide(self) -> None:
        """Large samples use the normal distribution, which agrees with the exact one."""
        for share in (0.5, 0.9, 0.999):
            trials = round(0.9 * statistics.NORMAL_DEVIATION**2 / (share * (1 - share)))
            exact = binomialQuantile(trials, share, 0.995)
            self.patch(statistics, "NORMAL_DEVIATION", 1.0)
            self.assertLessEqual(abs(binomialQuantile(trials, share, 0.995) - exact), 3)
            self.patch(statistics, "NORMAL_DEVIATION", 1000.0)
        # The largest count of a file.
        self.assertGreater(binomialQuantile((1 << 62) - 1, 0.5, 0.995), 1 << 61)


class ShareTests(SynchronousTestCase):
    @given(st.data())
    def test_exact(self, data: st.DataObject) -> None:
        """It agrees with the definition, and is symmetric."""
        trials, otherTrials = (data.draw(st.integers(1, 60)) for _ in range(2))
        hits, otherHits = (data.draw(st.integers(0, most)) for most in (trials, otherTrials))
        found = fisherExact(hits, trials, otherHits, otherTrials)
        wanted = float(fisher(hits, trials, otherHits, otherTrials))
        self.assertAlmostEqual(found, wanted, places=9)
        self.assertAlmostEqual(fisherExact(otherHits, otherTrials, hits, trials), wanted, places=9)

    def test_nothing(self) -> None:
        """Without trials, or if all or none are hits, the p-value is 1."""
        for shares in ((0, 0, 1, 2), (1, 2, 0, 0), (0, 5, 0, 7), (5, 5, 7, 7)):
            self.assertEqual(fisherExact(*shares), 1)

    def test_wide(self) -> None:
        """Large samples use the normal distribution; the result is always a probability."""
        shares = (1_600_000, 3_600_000, 1_602_000, 3_600_000)
        exact = fisherExact(*shares)
        self.patch(statistics, "NORMAL_DEVIATION", 100.0)
        self.assertAlmostEqual(fisherExact(*shares), exact, places=4)
        most = (1 << 62) - 1
        for shares in ((5, most, 9, most), (most // 2, most, most // 3, most), (most, most, 0, 1)):
            self.assertTrue(0 <= fisherExact(*shares) <= 1)


class Run:
    """
    A simulated run.

    :param drift: deviation of the level of the times from second to second.
    :param burst: probability of a loss after a loss; otherwise it is 1 in 500.
    """

    def __init__(self, random: Random, drift: float = 0.0, burst: float = 0.0) -> None:
        self._random = random
        self._drift = drift
        self._burst = burst

    def saved(self, seconds: int = 30, each: int = 40) -> StoredResult:
        sentAt, took, times = array("q"), array("q"), LatencyHistogram()
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
        return storedResult(
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
        """How many of twenty pairs of equal runs differ significantly."""
        found = 0
        for _ in range(20):
            differences = compare(run.saved(), run.saved()).differences
            found += any(
                difference.verdict in (ComparisonVerdict.MORE, ComparisonVerdict.LESS)
                for difference in differences
            )
        return found

    def test_independent(self) -> None:
        """The design effect of independent exchanges is close to 1."""
        run = Run(self.random)
        found = [run.saved() for _ in range(20)]
        self.assertLess(sum(map(timesDesignEffect, found)) / 20, 1.5)
        self.assertLess(sum(map(lossDesignEffect, found)) / 20, 1.5)

    def test_drifting(self) -> None:
        """Drift has a large design effect, so that equal runs do not differ significantly."""
        run = Run(self.random, drift=0.4)
        result = run.saved()
        self.assertGreater(timesDesignEffect(result), 5)
        self.assertLess(compare(result, result).effectiveSizes[0], result.received / 5)
        self.assertLessEqual(self.different(run), 1)

    def test_bursts(self) -> None:
        """Losses in bursts have a large design effect too."""
        run = Run(self.random, burst=0.9)
        self.assertGreater(lossDesignEffect(run.saved(60)), 3)
        self.assertLessEqual(self.different(run), 1)

    def test_rare(self) -> None:
        """Intervals of a single exchange suffice for an estimate."""
        calm = [Run(self.random).saved(200, 1) for _ in range(10)]
        self.assertLess(sum(map(timesDesignEffect, calm)) / 10, 1.5)

    def test_unknown(self) -> None:
        """With too few intervals, or without replies, the design effect is 1."""
        few = tuple(Interval(at, 5, 5, UNSET, 1, 1, 1, 1) for at in range(MIN_BATCHES - 1))
        for intervals in ((), few):
            result = storedResult(1, 2, intervals=intervals)
            self.assertEqual((timesDesignEffect(result), lossDesignEffect(result)), (1, 1))
        gone = storedResult(received=0, intervals=tuple(Interval(at, 5, 0) for at in range(9)))
        self.assertEqual((timesDesignEffect(gone), lossDesignEffect(gone)), (1, 1))

    def test_foreign(self) -> None:
        """Intervals that contradict the histogram, as in a damaged file, do no harm."""
        odd = tuple(Interval(at, 1, 1 << 61, UNSET, 0, 9**20, 0, 0) for at in range(9))
        for result in (storedResult(1, intervals=odd), storedResult(intervals=odd)):
            self.assertGreaterEqual(min(timesDesignEffect(result), lossDesignEffect(result)), 1)
            compare(result, result)
