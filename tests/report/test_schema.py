from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

from jsonschema import Draft202012Validator
from msgspec import ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.document import intervalStructs
from echoproto.report.schema import (
    DOCUMENTS,
    MAX_INTEGER,
    IntervalValues,
    ResultValues,
    TimesValues,
    jsonSchema,
    printSchema,
)
from tests.report.sampleresults import histogramOf


class TimesValuesTests(SynchronousTestCase):
    def refused(self, message: str, **values: object) -> None:
        state = {**histogramOf(1, 2, 3).state(), **values}
        with self.assertRaisesRegex(ValidationError, message):
            convert(state, TimesValues)

    def test_figures(self) -> None:
        """Figures that contradict each other are invalid."""
        self.refused("contradict", min_ns=4_000_000)
        self.refused("contradict", sum_ns="1")
        self.refused("contradict", sum_ns="9000001")
        self.refused("contradict", squares_ns2="1")
        self.refused("contradict", squares_ns2="9" * 20)

    def test_digits(self) -> None:
        """Sums are decimal digits, at most 60."""
        for digits in ("-1", "1.0", "", "٣", "9" * 61):
            self.refused(r"\$.sum_ns", sum_ns=digits)

    def test_counts(self) -> None:
        """A count is an integer from 0 to the limit of histograms; a boolean is not one."""
        invalid: list[object] = [-1, MAX_INTEGER + 1, 1.5, True, "1", None, []]
        for count in invalid:
            self.refused(r"\$.count", count=count)


class IntervalValuesTests(SynchronousTestCase):
    def test_times(self) -> None:
        """An interval with replies has times."""
        convert({"at_ns": 0, "sent": 1, "received": 0}, IntervalValues)
        with self.assertRaisesRegex(ValidationError, "replies without times"):
            convert({"at_ns": 0, "sent": 1, "received": 1}, IntervalValues)
        self.assertEqual(intervalStructs([]), [])


class ResultValuesTests(SynchronousTestCase):
    def test_measured(self) -> None:
        """The kind of the times fits the command, and there are times of a kind."""
        values = {
            "files": [],
            "command": "ping",
            "target": "",
            "unit": "exchanges",
            "sent": 0,
            "received": 0,
            "lost": 0,
            "loss_ratio": 0,
            "counts": {},
            "duration_ns": 0,
            "rate_per_second": 0,
            "measured": "rtt",
            "times": histogramOf().state(),
            "interval_ns": None,
            "intervals": [],
        }
        convert(values, ResultValues)
        for wrong in ({"measured": "response"}, {"times": None}, {"command": "verify"}):
            with self.assertRaisesRegex(ValidationError, "cannot be"):
                convert({**values, **wrong}, ResultValues)


class SchemaTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """The schema of each document is valid, and has an identifier of its own."""
        schemas = [jsonSchema(command) for command in DOCUMENTS]
        for schema in schemas:
            Draft202012Validator.check_schema(schema)
        self.assertEqual(len({schema["$id"] for schema in schemas}), len(DOCUMENTS))

    def test_printed(self) -> None:
        """The schema of a command is printed."""
        output = io.StringIO()
        with redirect_stdout(output):
            printSchema(["ping"])
        self.assertEqual(json.loads(output.getvalue()), jsonSchema("ping"))

    def test_usage(self) -> None:
        """Without a known command, the commands are listed."""
        for arguments in ([], ["later"], ["ping", "load"]):
            with self.assertRaisesRegex(SystemExit, "usage: .*ping|load"):
                printSchema(arguments)
