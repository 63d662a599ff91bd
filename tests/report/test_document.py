from __future__ import annotations

import json
from collections import Counter
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import CheckVerdict
from echoproto.measure.assertions import COUNTS, SHARES, TIMES
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.document import (
    conformanceDocument,
    intervalValues,
    loadDocument,
    loadFigures,
    pingDocument,
    pingFigures,
    probeValues,
    verifyDocument,
)
from echoproto.report.schema import jsonSchema
from echoproto.units import SECOND
from tests.report.sampleresults import conformanceResult, histogramOf, loadResult

MS = 1_000_000


class DocumentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
        self.sent = [self.record.send(probe * MS) for probe in range(3)]

    def result(self) -> PingResult:
        return PingResult(
            "udp://lab1:7",
            PingPlan(count=3),
            self.record,
            MS,
            LatencyHistogram(),
            LatencyHistogram(),
        )

    def validate(self, document: dict[str, Any]) -> None:
        """The document is as its schema describes it, and survives JSON."""
        written = json.loads(json.dumps(document))
        self.assertEqual(written, document)
        Draft202012Validator(jsonSchema(document["command"])).validate(written)

    def test_ping(self) -> None:
        """The document of a ping, with and without replies, is valid."""
        self.record.receive(self.sent[0], MS)
        self.record.lose(1, "gone")
        empty = PingResult(
            "tcp://lab2:7",
            PingPlan(),
            PingStatistics(ProbePayload(b"test", 32), 1),
            0,
            LatencyHistogram(),
            LatencyHistogram(),
        )
        written = pingDocument([self.result(), empty], "2026-01-02T03:04:05+00:00", "00ff00ff")
        self.validate(written)
        self.assertEqual(
            written["targets"][0]["reasons"],
            {"gone": 1},
        )
        self.assertEqual(
            {
                name: written["targets"][0][name]
                for name in ("target", "sent", "received", "lost", "bursts")
            },
            {"target": "udp://lab1:7", "sent": 3, "received": 1, "lost": 2, "bursts": 1},
        )

    def test_intervals(self) -> None:
        """The document has the intervals of the run, without times if there was no reply."""
        self.record.receive(self.sent[1], 3 * MS)
        self.record.send(1000 * MS)
        written = pingDocument([self.result()], "", "")["targets"][0]
        self.assertEqual(written["interval_ns"], 1000 * MS)
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        self.assertEqual(
            [tuple(interval[name] for name in names) for interval in written["intervals"]],
            [(0, 3, 1, *[2 * MS] * 4), (1000 * MS, 1, 0, *[None] * 4)],
        )

    def test_verify(self) -> None:
        """The document of a verification, with faults and without, is valid."""
        fault = Fault(FaultKind.FOREIGN, 5, 1, b"\0", b"\xff")
        for counts, faults in ((Counter({FaultKind.FOREIGN: 1}), (fault,)), (Counter(), ())):
            result = VerifyResult("tcp://lab1:7", 5, 10, 9, MS, counts, faults, "")
            written = verifyDocument(result)
            self.validate(written)
        self.assertEqual((written["rate_bytes_per_second"], written["counts"]["cut"]), (9000, 0))

    def test_load(self) -> None:
        """The document of a load, with intervals and without, is valid."""
        for result in (
            loadResult(
                intervals=(Interval(0, 5, 4, 1, 2, 3, 4, wrong=1), Interval(SECOND, 5, 0, wrong=0))
            ),
            loadResult(duration=0, sent=0, service=LatencyHistogram(), errors=Counter(gone=2)),
        ):
            self.validate(loadDocument(result))
            self.validate(loadDocument(result, "2026-01-02T03:04:05+00:00", (64, 100)))
        self.assertEqual(loadDocument(loadResult())["rate_per_second"], 4.5)
        both = loadResult(plan=LoadPlan(rate=5.0, arrivals="poisson"), workers=[loadResult()] * 2)
        options = loadDocument(both, "", (64, 100))["configuration"]
        names = ("arrivals", "workers", "min_size_bytes", "max_size_bytes")
        self.assertEqual([options[name] for name in names], ["poisson", 2, 64, 100])

    def test_loadFigures(self) -> None:
        """Times are response times, or service times in a closed loop, if there are replies."""
        values = loadFigures(loadResult())
        self.assertEqual((values["max"], values["rate"], values["loss"]), (3 * MS, 4.5, 0.1))
        self.assertEqual(loadFigures(loadResult(response=histogramOf(7)))["max"], 7 * MS)
        self.assertEqual(set(values) - {*TIMES, *COUNTS, *SHARES}, set())
        empty = loadFigures(loadResult(sent=0, service=LatencyHistogram()))
        self.assertEqual((empty["loss"], "p50" in empty), (0, False))

    def test_histogram(self) -> None:
        """The percentiles can be restored from the histogram of a document."""
        for payload in self.sent:
            self.record.receive(payload, 10 * MS)
        state = pingDocument([self.result()], "", "")["targets"][0]["rtt"]
        self.assertEqual(
            LatencyHistogram.restored(state).percentile(50), self.record.times.percentile(50)
        )

    def test_conformance(self) -> None:
        """The document of the conformance suite is valid."""
        result = conformanceResult(
            ("tcp", "answers", CheckVerdict.PASSED, ""),
            ("udp", "sizes", CheckVerdict.FAILED, "cut"),
        )
        written = conformanceDocument(result)
        self.validate(written)
        self.assertEqual(written["counts"], {"passed": 1, "failed": 1, "skipped": 0})
        self.assertEqual(
            written["checks"][1],
            {
                "carrier": "udp",
                "name": "sizes",
                "requirement": "It is so.",
                "source": "RFC 862",
                "risky": False,
                "verdict": "failed",
                "reason": "cut",
                "duration_ns": 5 * MS,
            },
        )

    def test_pingFigures(self) -> None:
        """Every name of an assertion on a ping has a figure; times need a reply."""
        self.assertEqual(set(pingFigures(self.record)), {*COUNTS, *SHARES} - {"rate"})
        self.record.receive(self.sent[0], MS)
        self.assertEqual(set(pingFigures(self.record)), {*TIMES, *COUNTS, *SHARES} - {"rate"})

    def test_intervalValues(self) -> None:
        """The times of an interval are null without replies; a load has wrong replies."""
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        for values in ((SECOND, 9, 8, 1, 2, 3, 4), (SECOND, 9, 0, None, None, None, None)):
            line = intervalValues(Interval(*values))
            self.assertEqual(line, dict(zip(names, values, strict=True)))
        self.assertEqual(intervalValues(Interval(0, 1, 0, wrong=0))["wrong"], 0)

    def test_probes(self) -> None:
        """The line of a probe has its number, times and the reason of a loss or a difference."""
        seen = self.record.receive(self.sent[1], 4 * MS)
        self.assertEqual(
            probeValues("udp://lab1:7", 5, seen),
            {
                "target": "udp://lab1:7",
                "at_ns": 5,
                "kind": "reply",
                "seq": 2,
                "size_bytes": 32,
                "rtt_ns": 3 * MS,
                "detail": "",
            },
        )
        self.assertEqual(probeValues("", 0, self.record.lose(2, "gone"))["detail"], "gone")
        damaged = self.record.receive(self.sent[2][:30], 5 * MS)
        self.assertIn("30 bytes long", probeValues("", 0, damaged)["detail"])
        self.assertIsNone(probeValues("", 0, self.record.receive(b"?", 5))["seq"])
