from __future__ import annotations

from msgspec import ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.assertions import COUNTS, SHARES, TIMES
from echoproto.measure.ping.echoplus import LossDirections
from echoproto.report.documents.report import (
    ReportDocument,
    ResultValues,
    reportDocument,
    resultFigures,
    resultRows,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import (
    MS,
    histogramOf,
    sampleOrigin,
    storedResult,
    storedVerification,
)
from tests.report.validity import DocumentTestCase


class ReportDocumentTests(DocumentTestCase):
    def test_schema(self) -> None:
        """The document of a report is valid."""
        results = [
            storedResult(1, 2),
            storedResult(),
            storedVerification(),
            storedResult(sent=0, received=0, width=0, intervals=()),
        ]
        written = reportDocument(results)
        self.validate(written)
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

    def test_stored(self) -> None:
        """The stored results are those of the document."""
        document = reportDocument([storedResult(1, 2, rate=7.0), storedVerification()])
        ping, verify = convert(document, ReportDocument).results("a.json")
        self.assertEqual((ping.files, ping.rate, ping.times.count), (("a.json",), 7.0, 2))
        self.assertEqual((verify.command, verify.times.count), ("verify", 0))

    def test_origins(self) -> None:
        """Origins, labels and further times survive."""
        stored = storedResult(
            1, origins=(sampleOrigin(site="roof"),), otherTimes={"service": histogramOf(4)}
        )
        document = reportDocument([stored])
        self.validate(document)
        (found,) = convert(document, ReportDocument).results("a.json")
        self.assertEqual(found.origins, stored.origins)
        self.assertEqual(found.otherTimes["service"].state(), histogramOf(4).state())

    def test_resultFigures(self) -> None:
        """The figures for assertions are those of the command; wrong replies are corrupt."""
        figures = resultFigures(storedResult(1, 3))
        self.assertEqual((figures["max"], figures["rate"], figures["loss"]), (3 * MS, 4.5, 0.1))
        self.assertEqual(set(figures) - {*TIMES, *COUNTS, *SHARES}, set())
        self.assertEqual(resultFigures(storedVerification(counts={"wrong": 3}))["corrupt"], 3)


class ResultValuesTests(SynchronousTestCase):
    def test_directions(self) -> None:
        """Losses by direction are figures of a stored result if replies have shown them."""
        result = storedResult(1, counts={"lost_up": 1, "lost_down": 0})
        figures = resultFigures(result)
        names = ("loss-up", "loss-down", "lost-up", "lost-down", "lost-unknown")
        self.assertEqual([figures[name] for name in names], [0.1, 0, 1, 0, 0])
        self.assertNotIn("loss-up", resultFigures(storedResult(1)))
        written = reportDocument([result])
        (read,) = convert(written, ReportDocument).results("report.json")
        self.assertEqual(read.directions, LossDirections(1, 0, 0, 0))
        self.assertEqual(
            [row["lost_up"] for row in resultRows([result, storedResult()])], [1, None]
        )

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
