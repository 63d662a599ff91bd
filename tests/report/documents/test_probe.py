from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.report.documents.probe import probeValues
from tests.report.sampleresults import MS


class ProbeValuesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
        self.sent = [self.record.send(probe * MS) for probe in range(3)]

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
