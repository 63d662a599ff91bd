"""The alert rules and the dashboard in ``deploy/prometheus``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from unittest import SkipTest

import yaml
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from echoproto.monitor.settings import loadSettings
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.observer import DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.metrics import WorkerCounts, exposition
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS
from tests.deploy.programs import outputOf, program
from tests.loopback.program import ROOT
from tests.monitor.test_metrics import monitorPage

FILES = ROOT / "deploy" / "prometheus"

#: Labels that Prometheus adds to every series.
TARGET_LABELS = {"job", "instance"}

#: Packages of npm in this environment.
MODULES = Path(sys.prefix) / "node_modules"

_SELECTOR = re.compile(r"\b((?:echoproto_\w+)|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_GROUPING = re.compile(r"\bby \(([^)]*)\)")


def metricsPage() -> str:
    """A page with every metric: of streams, datagrams, greetings and workers."""
    counts = ListenerCounters()
    counts.refused = Counter({reason.value: 1 for reason in Refusal})
    totals = DatagramTotals(refused={"port 7": 1}, errors={"ENOBUFS": 1})
    listeners = [
        MonitoredListener("greeting", "tcp [::]:7", counts),
        MonitoredListener("echo", "udp [::]:7", ListenerCounters(), datagrams=lambda: totals),
    ]
    return exposition(listeners, False, Histogram(BOUNDS), workers=WorkerCounts(2, 0)).decode()


def seriesLabels() -> dict[str, dict[str, set[str]]]:
    """The labels of every series on the pages of server and monitor, with the values of each."""
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    families = [*text_string_to_metric_families(metricsPage())]
    for family in (*families, *text_string_to_metric_families(monitorPage())):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def alertExpressions() -> list[str]:
    """The expressions of the alerts."""
    [group] = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


def panelExpressions() -> list[str]:
    """The expressions of the dashboards, with values for Grafana's variables."""
    dashboards = [json.loads(path.read_text()) for path in sorted(FILES.glob("*.json"))]
    found = [
        target["expr"]
        for dashboard in dashboards
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
    return [text.replace("$__rate_interval", "1m").replace("$instance", ".+") for text in found]


def unknownNames(expression: str) -> Iterator[str]:
    """Metrics, labels and values in an expression that the server does not have."""
    known = seriesLabels()
    grouped = {
        label.strip() for found in _GROUPING.findall(expression) for label in found.split(",")
    }
    for name, matchers in _SELECTOR.findall(expression):
        if name not in known:
            yield name
            continue
        labels = known[name]
        for label, operator, value in _MATCHER.findall(matchers):
            if label in TARGET_LABELS:
                continue
            if label not in labels:
                yield f"{name} has no label {label}"
            elif (
                not (values := set(value.split("|") if "~" in operator else [value]))
                <= labels[label]
            ):
                yield f"{name} has no {label} {sorted(values - labels[label])}"
        for label in sorted(grouped - TARGET_LABELS - labels.keys()):
            yield f"{name} has no label {label}"


class NamesTests(SynchronousTestCase):
    def test_known(self) -> None:
        """Alerts and dashboard use only metrics, labels and values that the server has."""
        for expression in (*alertExpressions(), *panelExpressions()):
            self.assertEqual([*unknownNames(expression)], [], expression)

    def test_all(self) -> None:
        """The dashboards show every metric except the version, the greetings and sums of times."""
        shown = " ".join(panelExpressions())
        names = {name for name in seriesLabels() if not re.search("_(count|sum)$|_info$", name)}
        missing = {name for name in names if not re.search(rf"\b{name}\b", shown)}
        self.assertEqual(missing, {"echoproto_greetings_total"})

    def test_unknown(self) -> None:
        """A name that the server does not have is found."""
        for expression, expected in (
            ("rate(echoproto_lost_total[1m])", "echoproto_lost_total"),
            ('echoproto_draining{service="echo"}', "echoproto_draining has no label service"),
            (
                'echoproto_connections_ended_total{ending=~"lost|reset"}',
                "echoproto_connections_ended_total has no ending ['reset']",
            ),
            ("sum by (reason) (echoproto_workers)", "echoproto_workers has no label reason"),
        ):
            self.assertEqual([*unknownNames(expression)], [expected])


class PromtoolTests(SynchronousTestCase):
    def test_rules(self) -> None:
        """The configuration is accepted, and every alert fires on its condition, and only then."""
        promtool = program("promtool")
        outputOf(promtool, "check", "config", str(FILES / "prometheus.yml"))
        outputOf(promtool, "test", "rules", str(FILES / "alerts-test.yml"))
        tests = yaml.safe_load((FILES / "alerts-test.yml").read_text())["tests"]
        fired = {
            case["alertname"]
            for test in tests
            for case in test["alert_rule_test"]
            if case.get("exp_alerts")
        }
        [group] = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
        self.assertEqual(fired, {rule["alert"] for rule in group["rules"]})

    def test_dashboard(self) -> None:
        """The expressions of the dashboard are valid."""
        rules = [
            {"record": f"panel:{number}", "expr": expression}
            for number, expression in enumerate(panelExpressions())
        ]
        with NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            outputOf(program("promtool"), "check", "rules", file.name)

    def test_metrics(self) -> None:
        """The metrics page follows the conventions of Prometheus."""
        command = [program("promtool"), "check", "metrics"]
        for page in (metricsPage(), monitorPage()):
            checked = subprocess.run(
                command, input=page, capture_output=True, text=True, check=False
            )
            self.assertEqual((checked.stdout + checked.stderr, checked.returncode), ("", 0))


class GrafanaTests(SynchronousTestCase):
    def check(self, dashboard: str) -> subprocess.CompletedProcess[str]:
        """Check a dashboard with Grafana's type of it (``npm --prefix .venv``, see .ci/run)."""
        types = MODULES / "@grafana" / "schema" / "dist" / "types" / "raw" / "dashboard" / "x"
        tsc = MODULES / ".bin" / "tsc"
        if not (types.exists() and tsc.exists()):
            raise SkipTest("no @grafana/schema and typescript here")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        source = Path(folder.name, "dashboard.ts")
        source.write_text(
            f'import type {{Dashboard}} from "{types}/types.gen.js";\n'
            f"export const dashboard: Dashboard = {dashboard};\n"
        )
        options = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext")
        command = [str(tsc), *options, "--target", "es2022", source.name]
        return subprocess.run(command, cwd=folder.name, capture_output=True, text=True, check=False)

    def test_schema(self) -> None:
        """The dashboards have the fields and types of Grafana's schema, and no others."""
        for path in sorted(FILES.glob("*.json")):
            checked = self.check(path.read_text())
            self.assertEqual((checked.returncode, checked.stdout), (0, ""), path.name)

    def test_fault(self) -> None:
        """An unknown field and a wrong type are found."""
        text = (FILES / "dashboard.json").read_text()
        for fault in (text.replace('"gridPos"', '"place"', 1), text.replace("39", '"39"', 1)):
            self.assertIn("error TS2", self.check(fault).stdout)


class MonitorTests(SynchronousTestCase):
    def test_targets(self) -> None:
        """The targets of the compose file are valid, and probe its server."""
        targets = loadSettings(str(ROOT / "deploy" / "monitor" / "targets.toml"))
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        self.assertEqual({target.target.host for target in targets} - services.keys(), set())
        command = services["monitor"]["command"]
        self.assertIn("/etc/echoproto/targets.toml", command)
        self.assertIn("tcp:9110", command)
