from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.decoder import restored
from echoproto.report.document import loadDocument, pingDocument, verifyDocument
from echoproto.report.export import comparisonDocument, reportDocument
from echoproto.report.result import StoredResult
from echoproto.report.validation import InvalidDocument, JSONObject
from echoproto.units import SECOND
from tests.report.sampleresults import MS, histogramOf, loadResult, storedResult, storedVerification


def pinged(unit: int = MS) -> dict[str, Any]:
    """
    The document of three probes in two seconds, of which two were answered, one of them twice, after 3 and 1 of a unit.

    :param unit: nanoseconds; the shorter times are, the sooner their histogram is read.
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
    return pingDocument([result, result], "2026-01-02T03:04:05+00:00", "00ff00ff")


def read(document: Any) -> list[StoredResult]:
    return list(restored(JSONObject(json.loads(json.dumps(document))), "a.json"))


class RestoredTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """Each target of a ping is a result, with its seconds."""
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
            found.intervals, (Interval(0, 2, 1, *times), Interval(SECOND, 1, 1, *[MS] * 4))
        )

    def test_older(self) -> None:
        """A document without seconds is read as well."""
        document = pinged()
        for each in document["targets"]:
            del each["intervals"], each["interval_ns"]
        self.assertEqual([(each.width, each.intervals) for each in read(document)], [(0, ())] * 2)

    def test_load(self) -> None:
        """The times of a load are response times if its loop was open, else service times."""
        (closed,) = read(loadDocument(loadResult(wrong=1)))
        self.assertEqual((closed.measured, closed.times.maximum), ("service", 3 * MS))
        self.assertEqual((closed.command, closed.rate, closed.counts), ("load", 4.5, {"wrong": 1}))
        document = loadDocument(loadResult(plan=LoadPlan(rate=5.0), response=histogramOf(7)))
        (found,) = read(document)
        self.assertEqual((found.measured, found.times.maximum), ("response", 7 * MS))
        second = {"at_ns": 0, "sent": 1, "received": 0}
        (found,) = read({**document, "interval_ns": SECOND, "intervals": [second]})
        self.assertEqual(found.intervals, (Interval(0, 1, 0),))

    def test_verify(self) -> None:
        """A verification has bytes, and no times; what was cut is lost, and not wrong."""
        counts = Counter({FaultKind.FLIPPED: 2, FaultKind.DROPPED: 1, FaultKind.CUT: 1})
        result = VerifyResult("tcp://lab1:7", 5, 10, 8, SECOND, counts, (), "")
        (found,) = read(verifyDocument(result))
        self.assertEqual((found.sent, found.received, found.rate), (10, 8, 8.0))
        self.assertEqual((found.counts, found.measured, found.inBytes), ({"wrong": 3}, "", True))

    def test_report(self) -> None:
        """What a report has written is read again as it was."""
        results = [
            storedResult(1, 2, files=("x", "y")),
            storedVerification(),
            storedResult(width=0, intervals=()),
        ]
        found = read(reportDocument(results))
        alike = [replace(each, files=("a.json",)) for each in results]
        self.assertEqual(reportDocument(found), reportDocument(alike))

    def test_still(self) -> None:
        """What took no time has no rate."""
        (found,) = read(loadDocument(loadResult(duration=0)))
        self.assertEqual(found.rate, 0)

    def refused(self, document: dict[str, Any], says: str, **values: Any) -> None:
        with self.assertRaisesRegex(InvalidDocument, says):
            read({**document, **values})

    def test_foreign(self) -> None:
        """What is no measurement, a newer one or has no results is refused, with a remedy."""
        for values, says, remedy in (
            ({"format": "other"}, "no measurement of echoproto", "measure again"),
            ({"format": None}, "no measurement of echoproto", "measure again"),
            ({"version": 2}, "of version 2, and we read up to 1", "pip install -U echoproto"),
            ({"version": "1"}, "version is no whole number", "measure again"),
            ({"command": "later"}, "'later', which has no results", "give what was measured"),
        ):
            with self.assertRaisesRegex(InvalidDocument, says) as caught:
                read({**pinged(), **values})
            self.assertIn(remedy, caught.exception.remedy)
        self.assertRaisesRegex(InvalidDocument, "'compare'", read, comparisonDocument([]))

    def test_unfit(self) -> None:
        """What has not the values that it should is refused."""
        self.refused(pinged(), "targets is no list", targets={})
        self.refused(loadDocument(loadResult()), "received is no whole", received="many")
        self.refused(loadDocument(loadResult()), "have no width", interval_ns=0, intervals=[{}])
        document = reportDocument([storedResult()])
        for name, value in (("measured", "response"), ("command", "greet")):
            wrong = {**document["results"][0], name: value}
            self.refused(document, "nothing measures", results=[wrong])
