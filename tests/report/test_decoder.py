from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.decoder import (
    REMEDY,
    InvalidDocument,
    decodeResults,
    decodeTarget,
    decodeValues,
)
from echoproto.report.documents.comparison import comparisonDocument
from echoproto.report.documents.document import Versions
from echoproto.report.documents.load import loadDocument
from echoproto.report.documents.ping import pingDocument
from echoproto.report.documents.report import reportDocument
from echoproto.report.documents.verify import verifyDocument
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND
from tests.report.sampleresults import (
    MS,
    histogramOf,
    loadResult,
    sampleOrigin,
    storedResult,
    storedVerification,
)


def pinged(unit: int = MS) -> dict[str, Any]:
    """
    The document of three probes in two seconds; two were answered, one of them twice, after 3 units
    and 1 unit.

    :param unit: nanoseconds; histograms of shorter times are decoded faster.
    """
    record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
    first = record.send(0)
    record.send(unit)
    record.receive(first, 3 * unit)
    record.receive(first, 4 * unit)
    record.receive(record.send(SECOND), SECOND + unit)
    result = PingResult(
        "udp://lab1:7", PingPlan(), record, 2 * SECOND, LatencyHistogram(), LatencyHistogram()
    )
    return pingDocument([result, result], sampleOrigin(), "00ff00ff")


def read(document: Any) -> list[StoredResult]:
    return decodeResults(json.dumps(document), "a.json")


class ResultTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """Each target of a ping is a result, with its intervals."""
        results = read(pinged())
        self.assertEqual(len(results), 2)
        found = results[0]
        self.assertEqual((found.files, found.command), (("a.json",), "ping"))
        self.assertEqual((found.target, found.sent, found.received), ("udp://lab1:7", 3, 2))
        self.assertEqual((found.duration, found.rate, found.lost), (2 * SECOND, 1.0, 1))
        self.assertEqual((found.counts["duplicates"], found.counts["corrupt"]), (1, 0))
        self.assertEqual((found.measured, found.times.maximum), ("rtt", 3 * MS))
        self.assertEqual(found.width, SECOND)
        times = (3 * MS,) * 4
        self.assertEqual(
            found.intervals,
            (Interval(0, 2, 1, UNSET, *times), Interval(SECOND, 1, 1, UNSET, *[MS] * 4)),
        )

    def test_noIntervals(self) -> None:
        """A document without intervals is valid."""
        document = pinged()
        for target in document["targets"]:
            del target["intervals"], target["interval_ns"]
        found = [(result.width, result.intervals) for result in read(document)]
        self.assertEqual(found, [(0, ())] * 2)

    def test_summary(self) -> None:
        """The summary of a target in NDJSON is decoded like the target of a document."""
        target = pinged()["targets"][0]
        found, (expected, _) = decodeTarget(json.dumps(target), "a.json"), read(pinged())
        self.assertEqual((found.sent, found.intervals), (expected.sent, expected.intervals))
        target["rtt"]["histogram"] = "*"
        with self.assertRaisesRegex(InvalidDocument, "^rtt.histogram: invalid histogram$"):
            decodeTarget(json.dumps(target), "a.json")

    def test_load(self) -> None:
        """A load has response times in an open loop, and service times in a closed one."""
        (closed,) = read(loadDocument(loadResult(wrong=1)))
        self.assertEqual((closed.measured, closed.times.maximum), ("service", 3 * MS))
        self.assertEqual(
            (closed.command, closed.rate, closed.counts), ("load", 4.5, {"wrong": 1, "dropped": 0})
        )
        document = loadDocument(loadResult(plan=LoadPlan(rate=5.0), response=histogramOf(7)))
        (found,) = read(document)
        self.assertEqual((found.measured, found.times.maximum), ("response", 7 * MS))
        second = {"at_ns": 0, "sent": 1, "received": 0}
        (found,) = read({**document, "interval_ns": SECOND, "intervals": [second]})
        self.assertEqual(found.intervals, (Interval(0, 1, 0),))

    def test_verify(self) -> None:
        """A verification has bytes and no times; bytes that were cut off are lost, not wrong."""
        counts = Counter({FaultKind.FLIPPED: 2, FaultKind.DROPPED: 1, FaultKind.CUT: 1})
        result = VerifyResult("tcp://lab1:7", 5, 10, 8, SECOND, counts, (), "")
        (found,) = read(verifyDocument(result))
        self.assertEqual((found.sent, found.received, found.rate), (10, 8, 8.0))
        self.assertEqual((found.counts, found.measured, found.inBytes), ({"wrong": 3}, "", True))

    def test_report(self) -> None:
        """The document of a report is decoded to the same results, with their merged files."""
        results = [
            storedResult(1, 2, parts=("x", "y")),
            storedVerification(),
            storedResult(width=0, intervals=()),
        ]
        found = read(reportDocument(results))
        alike = [replace(result, files=("a.json",)) for result in results]
        self.assertEqual(reportDocument(found), reportDocument(alike))
        self.assertEqual((found[0].files, found[0].parts), (("a.json",), ("x", "y")))

    def test_noDuration(self) -> None:
        """The rate of a run without a duration is 0."""
        (found,) = read(loadDocument(loadResult(duration=0)))
        self.assertEqual(found.rate, 0)

    def refused(self, document: dict[str, Any], message: str, **values: Any) -> None:
        with self.assertRaises(InvalidDocument) as caught:
            read({**document, **values})
        self.assertEqual(str(caught.exception), message)
        self.assertEqual(caught.exception.remedy, REMEDY)

    def test_foreign(self) -> None:
        """Another format, a newer version or another command is refused, with a remedy."""
        for values, message, remedy in (
            ({"format": "other"}, "not an echoproto measurement", "measure again"),
            ({"format": None}, "not an echoproto measurement", "measure again"),
            ({"version": 2}, "format version 2 is newer than 1", "use a newer echoproto"),
            ({"version": "1"}, "version: ", "measure again"),
            ({"command": "later"}, "command 'later' has no results", "pass the output"),
            ({"command": "x\n" * 100}, r"command .* has no results", "pass the output"),
            ({"command": 5}, "command '' has no results", "pass the output"),
        ):
            with self.assertRaisesRegex(InvalidDocument, message) as caught:
                read({**pinged(), **values})
            self.assertIn(remedy, caught.exception.remedy)
            self.assertLess(len(str(caught.exception)), 250)
        self.assertRaisesRegex(InvalidDocument, "'compare'", read, comparisonDocument([]))

    def test_invalid(self) -> None:
        """An invalid value is reported with its field and the cause."""
        load, report = loadDocument(loadResult()), reportDocument([storedResult()])
        self.refused(pinged(), "targets: expected array, got object", targets={})
        self.refused(load, "received: expected int, got str", received="many")
        self.refused(load, "service.count: expected int >= 0", service={"count": -1})
        second = {"at_ns": 0, "sent": 1, "received": 0}
        width = "missing width of the intervals"
        self.refused(load, width, interval_ns=None, intervals=[second])
        wrong = {**report["results"][0], "measured": "response"}
        message = "results[0]: times of ping cannot be 'response'"
        self.refused(report, message, results=[wrong])
        wrong = {**report["results"][0], "counts": {"other": 1}}
        message = "results[0].counts: invalid enum value 'other'"
        self.refused(report, message, results=[wrong])
        histogram = {**load["service"], "histogram": "*"}
        self.refused(load, "service.histogram: invalid histogram", service=histogram)

    def test_description(self) -> None:
        """A result has its start, its options, and the notes of the client, all escaped."""
        origin = sampleOrigin(site="roof")
        started = origin.began
        result = loadResult(plan=LoadPlan(rate=5.0), errors=Counter(gone=2), late=histogramOf(9))
        (found,) = read(loadDocument(result, origin))
        self.assertEqual((found.started, found.reasons), (started, {"gone": 2}))
        options = found.options
        self.assertEqual((options["arrivals"], options["min_size_bytes"]), ("fixed", 64))
        self.assertEqual(len(found.limits), 1)
        (again,) = read(reportDocument([replace(found, remarks=("unlike",))]))
        for name in ("started", "origins", "options", "limits", "reasons"):
            self.assertEqual(getattr(again, name), getattr(found, name))
        self.assertEqual(again.remarks, ("unlike",))
        self.assertEqual(found.origins, (origin,))
        (ping, _) = read(pinged())
        self.assertEqual((ping.started, ping.options["size_bytes"]), (started, 32))

    def test_text(self) -> None:
        """A name in a file is escaped, so that it does not affect a terminal."""
        document = loadDocument(loadResult(target="\x1b[2J\nüber"))
        self.assertEqual(read(document)[0].target, "\\x1b[2J\\nüber")
        document = loadDocument(
            loadResult(errors=Counter({"\x1b[2J": 1})), sampleOrigin("\n", site="\x1b")
        )
        (found,) = read(document)
        self.assertEqual(found.reasons, {"\\x1b[2J": 1})
        self.assertEqual(found.origins, (sampleOrigin("\\n", site="\\x1b"),))
        document["origin"]["options"] = {"size": [1, "\n"]}
        self.assertEqual(read(document)[0].origins[0].options, {"size": [1, "\\n"]})


class ValuesTests(SynchronousTestCase):
    def refused(self, text: str, message: str) -> None:
        with self.assertRaisesRegex(InvalidDocument, message):
            decodeValues(text, Versions)

    def test_malformed(self) -> None:
        """Text that is not JSON, truncated or too deeply nested is refused."""
        self.refused("5 sent", "^not valid JSON, or truncated|^not an echoproto measurement")
        self.refused("{", "^not valid JSON, or truncated ")
        self.refused('{"x":' + "[" * 100_000, "too deeply nested")
        self.refused("\ud800", "^not valid JSON, or truncated ")

    def test_long(self) -> None:
        """A message does not repeat a long value, and is one line."""
        with self.assertRaises(InvalidDocument) as caught:
            decodeValues(json.dumps("x\n" * 1_000_000), FaultKind)
        self.assertLess(len(str(caught.exception)), 1000)
        self.assertNotIn("\n", str(caught.exception))
