from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import CheckVerdict
from echoproto.measure.assertions import COUNTS, SHARES, TIMES
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.document import (
    conformanceDocument,
    loadDocument,
    loadFigures,
    pingDocument,
    pingFigures,
    probeValues,
    verifyDocument,
)
from echoproto.units import SECOND
from tests.report.sampleresults import conformanceResult, histogramOf, loadResult

MS = 1_000_000


class DocumentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
        self.sent = [self.record.send(each * MS) for each in range(3)]

    def result(self) -> PingResult:
        return PingResult(
            "udp://lab1:7",
            PingPlan(count=3),
            self.record,
            MS,
            LatencyHistogram(),
            LatencyHistogram(),
        )

    def test_schema(self) -> None:
        """What is written, with and without replies, is what the schema tells, and the schema is one."""
        schema = json.loads(
            (files("echoproto.report") / "schema" / "measurement.schema.json").read_text()
        )
        Draft202012Validator.check_schema(schema)
        self.record.receive(self.sent[0], MS)
        empty = PingResult(
            "tcp://lab2:7",
            PingPlan(),
            PingStatistics(ProbePayload(b"test", 32), 1),
            0,
            LatencyHistogram(),
            LatencyHistogram(),
        )
        written = pingDocument([self.result(), empty], "2026-01-02T03:04:05+00:00", "00ff00ff")
        Draft202012Validator(schema).validate(json.loads(json.dumps(written)))
        self.assertEqual(
            {
                each: written["targets"][0][each]
                for each in ("target", "sent", "received", "lost", "bursts")
            },
            {"target": "udp://lab1:7", "sent": 3, "received": 1, "lost": 2, "bursts": 1},
        )

    def test_intervals(self) -> None:
        """The run is told second by second, without times where nothing came back."""
        self.record.receive(self.sent[1], 3 * MS)
        self.record.send(1000 * MS)
        written = pingDocument([self.result()], "", "")["targets"][0]
        self.assertEqual(written["interval_ns"], 1000 * MS)
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        self.assertEqual(
            [tuple(each[name] for name in names) for each in written["intervals"]],
            [(0, 3, 1, *[2 * MS] * 4), (1000 * MS, 1, 0, *[None] * 4)],
        )

    def test_verification(self) -> None:
        """A verification, with faults and without, is what its schema tells."""
        schema = json.loads(
            (files("echoproto.report") / "schema" / "verification.schema.json").read_text()
        )
        Draft202012Validator.check_schema(schema)
        fault = Fault(FaultKind.FOREIGN, 5, 1, b"\0", b"\xff")
        for counts, faults in ((Counter({FaultKind.FOREIGN: 1}), (fault,)), (Counter(), ())):
            result = VerifyResult("tcp://lab1:7", 5, 10, 9, MS, counts, faults, "")
            written = verifyDocument(result)
            Draft202012Validator(schema).validate(json.loads(json.dumps(written)))
        self.assertEqual((written["rate_bytes_per_second"], written["counts"]["cut"]), (9000, 0))

    def test_load(self) -> None:
        """A load is what its schema tells, which knows spreads from that of a measurement."""
        folder = files("echoproto.report") / "schema"
        schemas = {
            name: json.loads((folder / name).read_text())
            for name in ("load.schema.json", "measurement.schema.json")
        }
        registry: Any = Registry().with_resources(
            (name, Resource.from_contents(schema)) for name, schema in schemas.items()
        )
        validator = Draft202012Validator(schemas["load.schema.json"], registry=registry)
        validator.check_schema(schemas["load.schema.json"])
        for result in (
            loadResult(
                intervals=(Interval(0, 5, 4, 1, 2, 3, 4, wrong=1), Interval(SECOND, 5, 0, wrong=0))
            ),
            loadResult(duration=0, sent=0, service=LatencyHistogram(), errors=Counter(gone=2)),
        ):
            validator.validate(json.loads(json.dumps(loadDocument(result))))
        self.assertEqual(loadDocument(loadResult())["rate_per_second"], 4.5)

    def test_loadAssertable(self) -> None:
        """Times are response times where there are any, else service times; none where nothing came."""
        values = loadFigures(loadResult())
        self.assertEqual((values["max"], values["rate"], values["loss"]), (3 * MS, 4.5, 0.1))
        self.assertEqual(loadFigures(loadResult(response=histogramOf(7)))["max"], 7 * MS)
        self.assertEqual(set(values) - {*TIMES, *COUNTS, *SHARES}, set())
        empty = loadFigures(loadResult(sent=0, service=LatencyHistogram()))
        self.assertEqual((empty["loss"], "p50" in empty), (0, False))

    def test_restored(self) -> None:
        """The histogram that is written gives back all percentiles."""
        for each in self.sent:
            self.record.receive(each, 10 * MS)
        state = pingDocument([self.result()], "", "")["targets"][0]["rtt"]
        self.assertEqual(
            LatencyHistogram.restored(state).percentile(50), self.record.times.percentile(50)
        )

    def test_suite(self) -> None:
        """A suite's result is what its schema tells."""
        schema = json.loads(
            (files("echoproto.report") / "schema" / "suite.schema.json").read_text()
        )
        Draft202012Validator.check_schema(schema)
        result = conformanceResult(
            ("tcp", "answers", CheckVerdict.PASSED, ""),
            ("udp", "sizes", CheckVerdict.FAILED, "cut"),
        )
        written = conformanceDocument(result)
        Draft202012Validator(schema).validate(json.loads(json.dumps(written)))
        self.assertEqual(written["counts"], {"passed": 1, "failed": 1, "skipped": 0})
        self.assertEqual(
            written["checks"][1],
            {
                "carrier": "udp",
                "name": "sizes",
                "asks": "It is so.",
                "source": "RFC 862",
                "risky": False,
                "verdict": "failed",
                "reason": "cut",
                "duration_ns": 5 * MS,
            },
        )

    def test_assertable(self) -> None:
        """Everything that assertions know has a value, the times once there is a reply."""
        self.assertEqual(set(pingFigures(self.record)), {*COUNTS, *SHARES} - {"rate"})
        self.record.receive(self.sent[0], MS)
        self.assertEqual(set(pingFigures(self.record)), {*TIMES, *COUNTS, *SHARES} - {"rate"})

    def test_probes(self) -> None:
        """A probe's values are those of its line."""
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
