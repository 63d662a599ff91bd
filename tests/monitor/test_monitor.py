from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from echoproto.errors import StartupError
from echoproto.monitor.monitor import Monitor
from echoproto.monitor.settings import TargetSettings
from echoproto.status.state import IState
from echoproto.text.units import SECOND
from tests.monitor.fakes import ProberTestCase
from tests.monitor.test_settings import settingsOf


class MonitorTests(ProberTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.settings: Sequence[TargetSettings] = [settingsOf("udp://a:1"), settingsOf("udp://b:1")]
        self.fault: Exception | None = None
        self.monitor = Monitor(
            self.clock, self.load, self.settings, self.now, lambda: 1000 + self.clock.seconds()
        )

    def load(self) -> Sequence[TargetSettings]:
        if self.fault:
            raise self.fault
        return self.settings

    def begin(self) -> None:
        self.monitor.startService()
        self.addCleanup(self.monitor.stopService)
        self.advance(0.05)

    def value(self, name: str, target: str = "") -> float:
        """The value of a metric, of a target if it has several."""
        making = self.monitor.metrics()
        self.clock.advance(0)
        page = self.successResultOf(making).decode()
        [found] = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"echoproto_monitor_{name}"
            and sample.labels.get("target", "") == target
        ]
        return float(found)

    def test_state(self) -> None:
        """It is ready while it probes."""
        verifyObject(IState, self.monitor)
        self.assertEqual((self.monitor.ready(), self.monitor.notReadyReason()), (False, "starting"))
        self.monitor.startService()
        self.assertTrue(self.monitor.ready())
        self.monitor.stopService()
        self.assertEqual((self.monitor.ready(), self.monitor.notReadyReason()), (False, "stopping"))

    def test_logFigures(self) -> None:
        """The figures of all targets are logged in one line."""
        self.begin()
        self.clock.advance(10)
        with capturedLogs() as logged:
            self.monitor.logFigures()
        [line] = map(formatEvent, logged)
        self.assertRegex(
            str(line), r"^targets: 2; probes: \d+; lost: \d+; targets that do not answer: \d$"
        )

    def test_counted(self) -> None:
        """All targets are probed, at different times, and counted at each scrape."""
        self.begin()
        self.advance(10.5)
        for target in ("udp://a:1", "udp://b:1"):
            sent = self.value("sent_total", target)
            self.assertIn(sent, (7, 8))
            self.assertEqual(self.value("received_total", target), sent)
            self.assertEqual(self.value("rtt_seconds_count", target), sent)
        first, second = (prober._recent.times[0] for prober in self.monitor.probers())
        self.assertGreater(abs(first - second), SECOND // 3)

    def test_reload(self) -> None:
        """Targets that stay keep their counters and connections; others begin or end."""
        self.begin()
        self.advance(10.5)
        before, _ = self.monitor.probers()
        channel = self.target.channels[1]
        self.settings = [settingsOf("udp://a:1"), settingsOf("udp://c:1")]
        self.monitor.reload()
        stays, new = self.monitor.probers()
        self.assertIs(stays, before)
        self.assertTrue(channel.closed)
        self.assertEqual((new.counters.sent, self.value("targets")), (0, 2))
        self.assertEqual(self.value("last_reload_successful"), 1)
        self.assertAlmostEqual(self.value("last_reload_success_timestamp_seconds"), 1010.5, 0)

    def test_changed(self) -> None:
        """A target with other settings keeps its counters, and its histograms if it can."""
        self.begin()
        self.advance(10.5)
        sent = self.value("sent_total", "udp://a:1")
        self.settings = [settingsOf("udp://a:1", interval=SECOND // 5), settingsOf("udp://b:1")]
        self.monitor.reload()
        self.assertEqual(self.value("sent_total", "udp://a:1"), sent)
        self.assertEqual(self.value("rtt_seconds_count", "udp://a:1"), sent)
        self.assertEqual(self.value("interval_seconds", "udp://a:1"), 0.2)
        self.settings = [settingsOf("udp://a:1", buckets=(5.0,)), settingsOf("udp://b:1")]
        self.monitor.reload()
        self.assertEqual(self.value("sent_total", "udp://a:1"), sent)
        self.assertEqual(self.value("rtt_seconds_count", "udp://a:1"), 0)

    def test_invalid(self) -> None:
        """An invalid file is logged, shown by a metric, and changes nothing."""
        self.begin()
        before = list(self.monitor.probers())
        for fault, reason in (
            (StartupError("targets.toml: no target"), "targets.toml: no target"),
            (MemoryError("a\nb"), r"MemoryError('a\\nb')"),
        ):
            self.fault = fault
            with capturedLogs() as logged:
                self.monitor.reload()
            self.assertEqual(
                [formatEvent(event) for event in logged], [f"{reason}; the old targets stay"]
            )
            self.assertEqual(list(self.monitor.probers()), before)
            self.assertEqual(self.value("last_reload_successful"), 0)
            self.assertEqual(self.value("last_reload_success_timestamp_seconds"), 1000)
        self.fault = None
        self.monitor.reload()
        self.assertEqual(self.value("last_reload_successful"), 1)
