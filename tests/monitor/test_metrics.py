from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.metrics import TARGETS_PER_PART, Reload, monitorMetrics
from echoproto.monitor.prober import Prober
from echoproto.monitor.queue import ProbeQueue
from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND
from tests.monitor.test_settings import settingsOf

#: The metrics of every target, without the prefix, in the figures of :func:`monitorPage`.
FIGURES = {
    "sent_total": 7,
    "received_total": 1,
    "lost_total": 2,
    "dropped_total": 4,
    "late_total": 10,
    "reordered_total": 11,
    "duplicate_total": 12,
    "corrupt_total": 13,
    "foreign_total": 14,
    "bursts_total": 1,
    "burst_probes": 2,
    "failed_lookups_total": 15,
    "rtt_seconds_count": 1,
    "rtt_seconds_sum": 0.5,
    "connect_seconds_count": 1,
    "interval_seconds": 1,
}


def proberOf(url: str, counters: TargetCounters) -> Prober:
    """A prober that does not run."""
    queue = ProbeQueue(Clock(), int, Histogram((1.0,)))
    return Prober(Clock(), settingsOf(url), counters, queue, int, b"test")


def monitorPage() -> str:
    """A page with every metric: of one target on a stream, and of one on UDP."""
    histogram, probers = Histogram((0.001, 1.0)), []
    for url in ("tcp://lab1:7", "udp://lab1:7"):
        counters = TargetCounters((0.1, 1.0))
        for took in (SECOND // 2, -1, -1):
            counters.settle(0, took)
        for number, kind in enumerate(("LATE", "REORDERED", "DUPLICATE", "CORRUPT", "FOREIGN")):
            counters.counts[OutcomeKind[kind]] = 10 + number
        counters.failedLookups, counters.dropped = 15, 4
        counters.connecting.add(0.2)
        probers.append(proberOf(url, counters))
    return b"".join(monitorMetrics(probers, histogram, histogram, Reload(True, 5.0))).decode()


class MetricsTests(SynchronousTestCase):
    def test_turns(self) -> None:
        """The lines of a target are made at one time, and those of many targets at several."""
        histogram = Histogram((1.0,))
        count = 2 * TARGETS_PER_PART + 1
        probers = [
            proberOf(f"udp://a:{number + 1}", TargetCounters((1.0,))) for number in range(count)
        ]
        lines = []
        for part in monitorMetrics(probers, histogram, histogram, Reload(True, 5.0)):
            lines += part.decode().splitlines()
            # Counted while the page is made.
            for prober in probers:
                prober.counters.settle(0, -1)
        values = {
            name: [float(line.split()[1]) for line in lines if line.startswith(f"{name}{{")]
            for name in ("echoproto_monitor_sent_total", "echoproto_monitor_lost_total")
        }
        turns = [0.0] * TARGETS_PER_PART + [1.0] * TARGETS_PER_PART + [2.0]
        self.assertEqual([*values.values()], [turns, turns])

    def test_values(self) -> None:
        """Every figure of a target has its metric; only streams have times to connect."""
        found = {
            (sample.name, sample.labels.get("target"), sample.labels.get("le")): sample.value
            for family in text_string_to_metric_families(monitorPage())
            for sample in family.samples
        }
        for name, value in FIGURES.items():
            metric = f"echoproto_monitor_{name}"
            self.assertEqual(found[metric, "tcp://lab1:7", None], value, name)
            if not name.startswith("connect"):
                self.assertEqual(found[metric, "udp://lab1:7", None], value, name)
        self.assertNotIn(("echoproto_monitor_connect_seconds_count", "udp://lab1:7", None), found)
        self.assertEqual(found["echoproto_monitor_rtt_seconds_bucket", "tcp://lab1:7", "1.0"], 1)
        self.assertEqual(found["echoproto_monitor_targets", None, None], 2)
