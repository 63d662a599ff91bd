from __future__ import annotations

from dataclasses import replace

from msgspec import convert

from echoproto.measure.assertions import COUNTS, DIRECTIONS, SHARES, TIMES
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.echoplus import EchoPlusPayload, EchoPlusStatistics, LossDirections
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.report.documents.ping import (
    PingDocument,
    TargetValues,
    pingDocument,
    pingFigures,
)
from tests.report.sampleresults import MS, sampleOrigin
from tests.report.validity import DocumentTestCase


class PingDocumentTests(DocumentTestCase):
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
        written = pingDocument([self.result(), empty], sampleOrigin(), "00ff00ff")
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

    def test_udpPlus(self) -> None:
        """A ping of UDPEchoPlus has the losses by direction, and the times of the server."""
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        sent = record.send(0)
        record.send(1)
        record.receive(sent[:4] + bytes([0] * 7 + [1] + [0] * 3 + [1] + [0] * 4) + sent[20:], MS)
        result = replace(self.result(), record=record)
        written = pingDocument([result], sampleOrigin(), "00ff00ff")
        self.validate(written)
        found = written["targets"][0]["udp_plus"]
        self.assertEqual(
            [found[name] for name in ("lost_up", "lost_down", "lost_unknown", "echoed")],
            [0, 0, 1, 0],
        )
        self.assertEqual(found["server_time"]["count"], 1)
        figures = pingFigures(record)
        names = ("loss-up", "loss-down", "lost-up", "lost-down", "lost-unknown")
        self.assertEqual([figures[name] for name in names], [0, 0, 0, 0, 1])
        (stored,) = convert(written, PingDocument).results("a.json")
        self.assertEqual(stored.directions, LossDirections(0, 0, 1, 0))
        self.assertEqual({*stored.otherTimes}, {"server_time", "network_time"})

    def test_onlyEchoed(self) -> None:
        """Without a reply of a UDPEchoPlus server no direction of a loss is known."""
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        record.receive(record.send(0), MS)
        written = pingDocument([replace(self.result(), record=record)], None, "00ff00ff")
        (stored,) = convert(written, PingDocument).results("a.json")
        self.assertIsNone(stored.directions)
        self.assertNotIn("loss-up", pingFigures(record))

    def test_impossible(self) -> None:
        """Replies with impossible times of the server still show the direction of losses."""
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        sent = record.send(0)
        record.receive(sent[:4] + bytes(8) + b"\0\xff\0\0" + bytes(4) + sent[20:], MS)
        written = pingDocument([replace(self.result(), record=record)], None, "00ff00ff")
        self.assertEqual(written["targets"][0]["udp_plus"]["impossible"], 1)
        (stored,) = convert(written, PingDocument).results("a.json")
        self.assertEqual(stored.directions, LossDirections(0, 0, 0, 0))
        self.assertIn("loss-up", pingFigures(record))

    def test_unsent(self) -> None:
        """Replies that the server could not send are in the document and in its stored result."""
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        record.send(0)
        sent = record.send(0)
        record.receive(sent[:4] + bytes(8) + b"\0\0\0\1" * 2 + sent[20:], MS)
        written = pingDocument([replace(self.result(), record=record)], None, "00ff00ff")
        self.assertEqual(written["targets"][0]["udp_plus"]["lost_unsent"], 1)
        (stored,) = convert(written, PingDocument).results("a.json")
        self.assertEqual(stored.directions, LossDirections(0, 0, 0, 1))
        self.assertEqual(pingFigures(record)["lost-unsent"], 1)

    def test_intervals(self) -> None:
        """The document has the intervals of the run, without times if there was no reply."""
        self.record.receive(self.sent[1], 3 * MS)
        self.record.send(1000 * MS)
        written = pingDocument([self.result()], None, "")["targets"][0]
        self.assertEqual(written["interval_ns"], 1000 * MS)
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        self.assertEqual(
            [tuple(interval[name] for name in names) for interval in written["intervals"]],
            [(0, 3, 1, *[2 * MS] * 4), (1000 * MS, 1, 0, *[None] * 4)],
        )

    def test_histogram(self) -> None:
        """The percentiles can be restored from the histogram of a document."""
        for payload in self.sent:
            self.record.receive(payload, 10 * MS)
        state = pingDocument([self.result()], None, "")["targets"][0]["rtt"]
        self.assertEqual(
            LatencyHistogram.restored(state).percentile(50), self.record.times.percentile(50)
        )

    def test_stored(self) -> None:
        """Each target is a stored result; the summary of a target has its own start."""
        origin = sampleOrigin()
        document = pingDocument([self.result()], origin, "00ff00ff")
        (found,) = convert(document, PingDocument).results("a.json")
        self.assertEqual((found.files, found.command, found.sent), (("a.json",), "ping", 3))
        self.assertEqual((found.started, found.origins), (origin.began, (origin,)))
        summary = convert({**document["targets"][0], "started": "earlier"}, TargetValues)
        self.assertEqual(summary.result("a.json").started, "earlier")

    def test_pingFigures(self) -> None:
        """Every name of an assertion on a ping has a figure; times need a reply."""
        self.assertEqual(set(pingFigures(self.record)), {*COUNTS, *SHARES} - {"rate", *DIRECTIONS})
        self.record.receive(self.sent[0], MS)
        self.assertEqual(
            set(pingFigures(self.record)), {*TIMES, *COUNTS, *SHARES} - {"rate", *DIRECTIONS}
        )
