from __future__ import annotations

from echoproto.measure.latency import LatencyHistogram
from echoproto.report.compare import compare
from echoproto.report.documents.comparison import comparisonDocument, comparisonRows
from tests.report.sampleresults import MS, storedResult
from tests.report.validity import DocumentTestCase


class ComparisonTests(DocumentTestCase):
    def setUp(self) -> None:
        self.comparisons = [
            compare(storedResult(*[1] * 100), storedResult(*[2] * 100, sent=9)),
            compare(storedResult(), storedResult(0)),
        ]

    def test_schema(self) -> None:
        """The document of a comparison is valid."""
        written = comparisonDocument(self.comparisons)
        self.validate(written)
        first, second = written["comparisons"]
        self.assertEqual(
            [difference["verdict"] for difference in first["differences"]],
            ["more", "more", "unknown", "unknown", "unknown", "same"],
        )
        self.assertEqual(first["a"]["target"], "udp://lab1:7")
        self.assertEqual(second["differences"][0]["ratio"], None)
        sizes = [storedResult(1, options={"size_bytes": size}) for size in (64, 100)]
        (unlike,) = comparisonDocument([compare(sizes[0], sizes[1])])["comparisons"]
        self.assertEqual(unlike["different_options"], ["size_bytes"])
        self.assertEqual(unlike["warnings"], ["different options: size_bytes (64, 100)"])
        self.assertIn("95% sure", unlike["certainty"][0])
        self.assertEqual(unlike["b"]["configuration"], {"size_bytes": 100})

    def test_noTimes(self) -> None:
        """A side without any reply has no percentiles."""
        none = storedResult(received=0, times=LatencyHistogram())
        written = comparisonDocument([compare(storedResult(1), none)])
        self.validate(written)
        median = written["comparisons"][0]["differences"][0]
        self.assertIn("a_low_ns", median)
        self.assertFalse({"b_ns", "b_low_ns", "b_high_ns"} & set(median))

    def test_rows(self) -> None:
        """A row for each figure, all with the same columns: times, or loss ratios."""
        rows = comparisonRows(self.comparisons)
        self.assertEqual((len(rows), len({tuple(row) for row in rows})), (12, 1))
        median, loss = rows[0], rows[5]
        self.assertEqual((median["name"], median["a_low_ns"], median["p_value"]), ("p50", MS, None))
        self.assertEqual((loss["a_ratio"], loss["b_ratio"], loss["a_ns"]), (0.1, 0, None))
