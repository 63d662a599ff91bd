from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.compare import compare
from echoproto.report.export import (
    comparisonDocument,
    comparisonRows,
    reportDocument,
    resultRows,
)
from echoproto.report.schema import jsonSchema
from echoproto.units import SECOND
from tests.report.sampleresults import MS, storedResult, storedVerification


def validate(document: dict[str, Any]) -> None:
    Draft202012Validator(jsonSchema(document["command"])).validate(json.loads(json.dumps(document)))


class ReportTests(SynchronousTestCase):
    def test_schema(self) -> None:
        """The document of a report is valid."""
        results = [
            storedResult(1, 2),
            storedResult(),
            storedVerification(),
            storedResult(sent=0, received=0, width=0),
        ]
        written = reportDocument(results)
        validate(written)
        first, *_, last = written["results"]
        self.assertEqual((first["lost"], first["loss_ratio"], first["unit"]), (1, 0.1, "exchanges"))
        self.assertEqual((first["times"]["max_ns"], first["interval_ns"]), (2 * MS, SECOND))
        self.assertEqual((last["loss_ratio"], last["interval_ns"]), (0, None))
        self.assertEqual(
            [written["results"][2][name] for name in ("unit", "times")], ["bytes", None]
        )

    def test_rows(self) -> None:
        """All rows have the same columns; those that do not apply are empty."""
        rows = resultRows(
            [storedResult(1, 3, files=("a", "b")), storedVerification(), storedResult()]
        )
        self.assertEqual(len({tuple(row) for row in rows}), 1)
        first, bytes_, none = rows
        self.assertEqual((first["files"], first["count"], first["min_ns"]), ("a b", 2, MS))
        self.assertEqual((first["corrupt"], first["wrong"]), (0, None))
        (row,) = resultRows(
            [storedResult(limits=("busy",), reasons={"gone": 2}, remarks=("unlike",))]
        )
        self.assertEqual((row["started"], row["notes"]), ("", "busy; 2 times: gone; unlike"))
        self.assertEqual((bytes_["wrong"], bytes_["unit"], bytes_["p50_ns"]), (0, "bytes", None))
        self.assertEqual((none["measured"], none["count"], none["max_ns"]), ("rtt", None, None))


class ComparisonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.comparisons = [
            compare(storedResult(*[1] * 100), storedResult(*[2] * 100, sent=9)),
            compare(storedResult(), storedResult(0)),
        ]

    def test_schema(self) -> None:
        """The document of a comparison is valid."""
        written = comparisonDocument(self.comparisons)
        validate(written)
        first, second = written["comparisons"]
        self.assertEqual(
            [difference["verdict"] for difference in first["differences"]],
            ["more", "more", "unknown", "unknown", "same"],
        )
        self.assertEqual(first["a"]["target"], "udp://lab1:7")
        self.assertEqual(second["differences"][0]["ratio"], None)
        sizes = [storedResult(1, options={"size_bytes": size}) for size in (64, 100)]
        (unlike,) = comparisonDocument([compare(sizes[0], sizes[1])])["comparisons"]
        self.assertEqual(unlike["different_options"], ["size_bytes"])
        self.assertEqual(unlike["b"]["configuration"], {"size_bytes": 100})

    def test_rows(self) -> None:
        """A row for each figure, all with the same columns: times, or loss ratios."""
        rows = comparisonRows(self.comparisons)
        self.assertEqual((len(rows), len({tuple(row) for row in rows})), (10, 1))
        median, loss = rows[0], rows[4]
        self.assertEqual((median["name"], median["a_low_ns"], median["p_value"]), ("p50", MS, None))
        self.assertEqual((loss["a_ratio"], loss["b_ratio"], loss["a_ns"]), (0.1, 0, None))
