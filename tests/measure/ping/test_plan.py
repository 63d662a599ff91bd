from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.units import SECOND


class PingPlanTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """By default a probe is sent each second, without end, and lost after two."""
        self.assertEqual(PingPlan(), PingPlan(None, SECOND, None, 2 * SECOND, False, False))


class PingResultTests(SynchronousTestCase):
    def test_record(self) -> None:
        """A result has the statistics of its probes."""
        record = PingStatistics(ProbePayload(b"test", 32), SECOND)
        record.send(0)
        result = PingResult(
            "lab1", PingPlan(), record, SECOND, LatencyHistogram(), LatencyHistogram()
        )
        self.assertEqual((result.record.sent, result.record.received), (1, 0))
