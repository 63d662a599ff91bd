from __future__ import annotations

from fractions import Fraction
from math import comb

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.report import chance
from echoproto.measure.report.chance import binomialQuantile, sameShare


def exactQuantile(trials: int, share: Fraction, level: Fraction) -> int:
    """By its definition, in fractions."""
    total, number = Fraction(0), -1
    while total < level:
        number += 1
        total += comb(trials, number) * share**number * (1 - share) ** (trials - number)
    return number


def fisher(hits: int, trials: int, otherHits: int, otherTrials: int) -> Fraction:
    """Twice the smaller tail, by its definition, in fractions."""
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
    @settings(deadline=None)
    def test_exact(self, trials: int, share: Fraction, level: Fraction) -> None:
        """It is what the definition has."""
        found = binomialQuantile(trials, float(share), float(level))
        self.assertEqual(found, exactQuantile(trials, share, level))

    def test_wide(self) -> None:
        """Of very many it is taken from the normal distribution, which differs by next to nothing where both can be had."""
        for share in (0.5, 0.9, 0.999):
            trials = round(0.9 * chance.WIDE**2 / (share * (1 - share)))
            exact = binomialQuantile(trials, share, 0.995)
            self.patch(chance, "WIDE", 1.0)
            self.assertLessEqual(abs(binomialQuantile(trials, share, 0.995) - exact), 3)
            self.patch(chance, "WIDE", 1000.0)
        # As many as a file may tell of.
        self.assertGreater(binomialQuantile((1 << 62) - 1, 0.5, 0.995), 1 << 61)


class ShareTests(SynchronousTestCase):
    @given(st.data())
    @settings(deadline=None)
    def test_exact(self, data: st.DataObject) -> None:
        """It is what the definition has, and says of two shares the same as of them the other way round."""
        trials, otherTrials = (data.draw(st.integers(1, 60)) for _ in range(2))
        hits, otherHits = (data.draw(st.integers(0, each)) for each in (trials, otherTrials))
        found = sameShare(hits, trials, otherHits, otherTrials)
        wanted = float(fisher(hits, trials, otherHits, otherTrials))
        self.assertAlmostEqual(found, wanted, places=9)
        self.assertAlmostEqual(sameShare(otherHits, otherTrials, hits, trials), wanted, places=9)

    def test_nothing(self) -> None:
        """Where nothing was tried, nothing counted or everything did, no difference can be told."""
        for shares in ((0, 0, 1, 2), (1, 2, 0, 0), (0, 5, 0, 7), (5, 5, 7, 7)):
            self.assertEqual(sameShare(*shares), 1)

    def test_wide(self) -> None:
        """Of very many it is taken from the normal distribution; however many there are, a probability comes of it."""
        shares = (1_600_000, 3_600_000, 1_602_000, 3_600_000)
        exact = sameShare(*shares)
        self.patch(chance, "WIDE", 100.0)
        self.assertAlmostEqual(sameShare(*shares), exact, places=4)
        most = (1 << 62) - 1
        for shares in ((5, most, 9, most), (most // 2, most, most // 3, most), (most, most, 0, 1)):
            self.assertTrue(0 <= sameShare(*shares) <= 1)
