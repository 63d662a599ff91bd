from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.compare import compare
from echoproto.report.export import (
    comparisonDocument,
    comparisonRows,
    reportDocument,
    resultRows,
)
from echoproto.units import SECOND
from tests.report.sampleresults import MS, storedResult, storedVerification


def schemaOf(name: str) -> Any:
    return json.loads((files("echoproto.report") / "schema" / name).read_text())


def validator(name: str) -> Any:
    """Of a schema, which knows times from that of a measurement."""
    Draft202012Validator.check_schema(schemaOf(name))
    other = "measurement.schema.json"
    registry: Any = Registry().with_resource(other, Resource.from_contents(schemaOf(other)))
    return Draft202012Validator(schemaOf(name), registry=registry)


class ReportTests(SynchronousTestCase):
    def test_schema(self) -> None:
        """A report of anything is what its schema tells."""
        results = [
            storedResult(1, 2),
            storedResult(),
            storedVerification(),
            storedResult(sent=0, received=0, width=0),
        ]
        written = reportDocument(results)
        validator("report.schema.json").validate(json.loads(json.dumps(written)))
        first, *_, of = written["results"]
        self.assertEqual((first["lost"], first["loss_ratio"], first["unit"]), (1, 0.1, "exchanges"))
        self.assertEqual((first["times"]["max_ns"], first["interval_ns"]), (2 * MS, SECOND))
        self.assertEqual((of["loss_ratio"], of["interval_ns"]), (0, None))
        self.assertEqual(
            [written["results"][2][each] for each in ("unit", "times")], ["bytes", None]
        )

    def test_rows(self) -> None:
        """All rows have the same columns; what there is not is empty."""
        rows = resultRows(
            [storedResult(1, 3, files=("a", "b")), storedVerification(), storedResult()]
        )
        self.assertEqual(len({tuple(each) for each in rows}), 1)
        first, bytes_, none = rows
        self.assertEqual((first["files"], first["count"], first["min_ns"]), ("a b", 2, MS))
        self.assertEqual((first["corrupt"], first["wrong"]), (0, None))
        self.assertEqual((bytes_["wrong"], bytes_["unit"], bytes_["p50_ns"]), (0, "bytes", None))
        self.assertEqual((none["measured"], none["count"], none["max_ns"]), ("rtt", None, None))


class ComparisonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.comparisons = [
            compare(storedResult(*[1] * 100), storedResult(*[2] * 100, sent=9)),
            compare(storedResult(), storedResult(0)),
        ]

    def test_schema(self) -> None:
        """A comparison is what its schema tells."""
        written = comparisonDocument(self.comparisons)
        validator("comparison.schema.json").validate(json.loads(json.dumps(written)))
        first, second = written["comparisons"]
        self.assertEqual(
            [each["verdict"] for each in first["differences"]],
            ["more", "more", "unknown", "unknown", "same"],
        )
        self.assertEqual(first["a"]["target"], "udp://lab1:7")
        self.assertEqual(second["differences"][0]["ratio"], None)

    def test_rows(self) -> None:
        """A row for each figure, all with the same columns: times, or shares."""
        rows = comparisonRows(self.comparisons)
        self.assertEqual((len(rows), len({tuple(each) for each in rows})), (10, 1))
        median, loss = rows[0], rows[4]
        self.assertEqual((median["name"], median["a_low_ns"], median["chance"]), ("p50", MS, None))
        self.assertEqual((loss["a_ratio"], loss["b_ratio"], loss["a_ns"]), (0.1, 0, None))
