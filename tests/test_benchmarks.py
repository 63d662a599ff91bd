"""The verdicts, the table and the page of :mod:`benchmarks`; nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.build import BenchmarkError
from benchmarks.competitors import AIOFASTNET, OURS, UVLOOP, C, Checkout, Competitor, baseAt
from benchmarks.measurement import (
    KEPT,
    MISSED,
    UNCLEAR,
    Promise,
    PromiseResult,
    Row,
    RowResult,
    measureRow,
    medianRange,
)
from benchmarks.report import asJSON, asPage, asText, fromJSON
from benchmarks.rows import allRows


def row(*competitors: Competitor, promise: Promise | None = None, headline: bool = False) -> Row:
    """A row whose figures are never measured."""

    def measure(competitor: Competitor, seconds: float) -> float:
        raise AssertionError("measured")

    promises = [promise] if promise else []
    return Row("TCP 1 KiB", "µs", measure, competitors, promises, headline=headline)


def verdict(bound: float, *ratios: float) -> str:
    """The verdict on the ratios of some rounds."""
    return PromiseResult(Promise(UVLOOP, bound), medianRange(ratios), len(ratios)).verdict


class VerdictTests(SynchronousTestCase):
    def test_kept(self) -> None:
        """A promise is kept if every round is within the bound."""
        self.assertEqual(verdict(1.0, 0.9, 0.8, 1.0, 0.95, 0.85), KEPT)

    def test_missed(self) -> None:
        """A promise is missed if every round exceeds the bound."""
        self.assertEqual(verdict(1.0, 1.1, 1.2, 1.01, 1.3, 1.1), MISSED)

    def test_unclear(self) -> None:
        """Rounds on both sides of the bound give no verdict, wherever their median is."""
        self.assertEqual(verdict(1.0, 0.5, 0.5, 0.5, 0.5, 1.01), UNCLEAR)

    def test_few_rounds(self) -> None:
        """Fewer than five rounds give no verdict."""
        self.assertIn("fewer than 5 rounds", verdict(1.0, 0.5, 0.5, 0.5, 0.5))


class RoundsTests(SynchronousTestCase):
    def measured(self, competitors: Sequence[Competitor], failing: str = "") -> RowResult:
        """The result of three rounds; :attr:`order` has the names as they were measured."""
        self.order: list[str] = []

        def measure(competitor: Competitor, seconds: float) -> float:
            self.order.append(competitor.name)
            if competitor.name == failing and len(self.order) > len(competitors):
                raise BenchmarkError("did not start: no memory")
            return len(self.order)

        return measureRow(Row("TCP", "µs", measure, competitors), 3, 1.0)

    def test_alternating(self) -> None:
        """Every other round has the reverse order, and figures are those of the round."""
        result = self.measured([Competitor(OURS, ()), Competitor(UVLOOP, ())])
        self.assertEqual(self.order, [OURS, UVLOOP, UVLOOP, OURS, OURS, UVLOOP])
        self.assertEqual(result.rounds[1], {UVLOOP: 3, OURS: 4})

    def test_missing(self) -> None:
        """A competitor that is not installed is not started, but named."""
        result = self.measured([Competitor(OURS, ()), Competitor("rloop", (), "pip install rloop")])
        self.assertEqual(self.order, [OURS] * 3)
        self.assertEqual(result.missing, {"rloop": "pip install rloop"})
        self.assertIn("not measured: pip install rloop", asText(result))

    def test_failing(self) -> None:
        """A competitor that fails in any round is omitted, and its error is reported."""
        result = self.measured([Competitor(OURS, ()), Competitor(UVLOOP, ())], failing=UVLOOP)
        self.assertEqual(list(result.figures()), [OURS])
        self.assertEqual(result.missing, {UVLOOP: "did not start: no memory"})

    def test_quick(self) -> None:
        """A quick run omits the other competitors."""
        others = [Competitor("Go", ())]
        measured = Row("TCP", "µs", lambda *_: 1.0, [Competitor(OURS, ())], others=others)
        self.assertEqual(list(measureRow(measured, 1, 1.0, quick=True).figures()), [OURS])
        self.assertEqual(list(measureRow(measured, 1, 1.0).figures()), [OURS, "Go"])


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rows = allRows(Checkout("base"))

    def test_headlines(self) -> None:
        """Six rows lead the page, and each promises something."""
        headlines = [row for row in self.rows if row.headline]
        self.assertEqual(len(headlines), 6)
        self.assertTrue(all(row.promises for row in headlines))

    def test_promised_to_competitors(self) -> None:
        """A quick run measures all that its promises compare; names are unique."""
        for row in self.rows:
            names = {competitor.name for competitor in (*row.competitors, *row.others)}
            compared = {promise.to for promise in row.promises} - {""}
            self.assertLessEqual({OURS, *compared}, names, row.name)
            self.assertEqual(len(names), len(row.competitors) + len(row.others), row.name)
            if row.headline:
                self.assertLessEqual(compared, {other.name for other in row.competitors})
        self.assertEqual(len({row.name for row in self.rows}), len(self.rows))

    def test_base(self) -> None:
        """Rows about another checkout name the option that selects it."""
        missing = {
            other.missing
            for row in allRows(baseAt(None))
            for other in row.competitors
            if other.name == baseAt(None).name
        }
        self.assertEqual(missing, {"use --base PATH"})

    def test_invalid_base(self) -> None:
        """A folder that has no checkout is refused."""
        self.assertRaises(BenchmarkError, baseAt, Path("/proc"))


class PageTests(SynchronousTestCase):
    def page(self, promise: Promise, ours: float) -> str:
        """The page of five equal rounds, in which uvloop has 2.0 and C is missing."""
        servers = [Competitor(OURS, ()), Competitor(UVLOOP, ()), Competitor(C, ())]
        rounds = [{OURS: ours, UVLOOP: 2.0}] * 5
        result = RowResult(row(*servers, promise=promise, headline=True), rounds, {C: "no cc"})
        self.result, self.json = result, asJSON([result], "python -m benchmarks")
        return asPage([result], "python -m benchmarks")

    def test_missed(self) -> None:
        """A missed promise has its reason beside it."""
        page = self.page(Promise(UVLOOP, 1.05, "a Python call more"), 3.0)
        line = (
            "| TCP 1 KiB | 3.00 µs | uvloop 2.00 | 1.50 (1.50 to 1.50) | at most 1.05"
            " | **missed**: a Python call more |"
        )
        self.assertIn(line, page)
        verdict = self.json["rows"][0]["promises"][0]["verdict"]
        self.assertEqual(verdict, "missed: a Python call more")

    def test_kept(self) -> None:
        """A kept promise has no reason beside it."""
        page = self.page(Promise(UVLOOP, 1.05, "a Python call more"), 2.0)
        self.assertIn("| at most 1.05 | kept |", page)

    def test_absolute(self) -> None:
        """A bound on our own figure has its unit."""
        self.assertIn("| 1.50 µs | | | at most 1.7 µs | kept |", self.page(Promise("", 1.7), 1.5))

    def test_stored(self) -> None:
        """Stored results are read again, of the rows that still exist."""
        self.page(Promise(UVLOOP, 1.05), 2.0)
        self.assertEqual(fromJSON(self.json, [self.result.row]), [self.result])
        self.assertEqual(fromJSON(self.json, allRows(Checkout("base"))), [])

    def test_not_measured(self) -> None:
        """Competitors that were not measured are listed with the reason and the rows."""
        page = self.page(Promise(AIOFASTNET, 1.0), 2.0)
        self.assertIn("- C (no cc): TCP 1 KiB", page)
        self.assertNotIn("at most 1 |", page)
