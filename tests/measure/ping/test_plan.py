from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.clientlimits import DROPPED_REMEDY, heldUpLimit
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.text.units import SECOND


class PingPlanTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """By default a probe is sent each second, without end, and lost after two."""
        self.assertEqual(PingPlan(), PingPlan(None, SECOND, None, 2 * SECOND, False, False))


class PingResultTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """Drops, pauses and an interval that was not kept are limits of the client."""
        record = PingStatistics(ProbePayload(b"test", 32), SECOND)
        record.send(0)
        times = LatencyHistogram(), LatencyHistogram()
        self.assertEqual(PingResult("lab1", PingPlan(), record, SECOND, *times).limits, [])
        record.dropped = 2
        result = PingResult("lab1", PingPlan(), record, SECOND, *times, 3 * SECOND, SECOND)
        interval = "the interval was 2000.000 ms on average instead of 1000.000 ms, as "
        interval += "probes were late"
        self.assertEqual(
            result.limits,
            [
                f"2 replies dropped {DROPPED_REMEDY}",
                heldUpLimit(3 * SECOND),
                interval,
            ],
        )

    def test_record(self) -> None:
        """A result has the statistics of its probes."""
        record = PingStatistics(ProbePayload(b"test", 32), SECOND)
        record.send(0)
        result = PingResult(
            "lab1", PingPlan(), record, SECOND, LatencyHistogram(), LatencyHistogram()
        )
        self.assertEqual((result.record.sent, result.record.received), (1, 0))
