"""Prometheus scrapes a server with workers on another host, while one of them is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest

from tests.deploy.programs import program
from tests.hostile.figures import Figures
from tests.hosts.namespaces import Host, switched
from tests.loopback.program import PATIENCE
from tests.loopback.test_load import children
from tests.loopback.test_operation import until

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(5 * PATIENCE)]

#: The load, of 80 s: a killed worker loses the counts of its last second, which are 0.3 %.
MESSAGES, RATE, SIZE = 48_000, 600, 64

WORKERS = 4

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: echoproto
    static_configs: [{{targets: ["{address}:9100"]}}]
"""

RECEIVED, SENT = (f"echoproto_stream_{way}_bytes_total" for way in ("received", "sent"))

#: Samples of a series: pairs of a time in seconds and a value.
Samples = list[tuple[float, float]]


class Prometheus:
    """The query interface of a Prometheus on a host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._url = f"http://{host.address}:9090"

    def isReady(self) -> bool:
        """Whether it answers queries."""
        try:
            return self._host.fetch(f"{self._url}/-/ready")[0] == 200
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of a query, now."""
        status, body = self._host.fetch(f"{self._url}/api/v1/query?query={quote(expression)}")
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return found

    def value(self, expression: str) -> float:
        """The value of a query with one result; 0 before there is any."""
        results = self.query(expression)
        return float(results[0]["value"][1]) if results else 0.0

    def samples(self, selector: str) -> list[Samples]:
        """All samples of all series, as they were scraped."""
        return [
            [(time, float(value)) for time, value in series["values"]]
            for series in self.query(f"{selector}[1h]")
        ]


def test_killedWorker(figures: Figures) -> None:
    """
    The sums of a server whose worker was killed are right within 1 %, and so are the rates over the
    time of the load. The restart is counted, and no counter ever decreases.
    """
    prometheus = program("prometheus")
    listeners = ("--port", "tcp:12345", "--status", "tcp:9100")
    with (
        TemporaryDirectory() as folder,
        switched(1, 2, 3) as [client, server, monitor],
        server.serve("--workers", str(WORKERS), *listeners) as served,
    ):
        configuration = Path(folder, "prometheus.yml")
        configuration.write_text(CONFIGURATION.format(address=server.address))
        options = (f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data")
        listen = f"--web.listen-address={monitor.address}:9090"
        with monitor.running(prometheus, *options, listen):
            data = Prometheus(monitor)
            until(data.isReady)
            until(lambda: data.value("echoproto_workers") == WORKERS)
            load = client.measure(
                *("load", "--connections", "24", "--rate", str(RATE), "-s", str(SIZE)),
                *("-c", str(MESSAGES), f"tcp://{server.address}"),
            )
            until(lambda: data.value(f"sum({RECEIVED})") > MESSAGES * SIZE / 4)
            os.kill(children(served.process.pid)[0], signal.SIGKILL)
            until(lambda: data.value("echoproto_worker_restarts_total") == 1)
            until(lambda: data.value("echoproto_workers") == WORKERS)
            rate = data.value(f"sum(rate({RECEIVED}[15s]))")
            found = load.result()
            # The sums are up to a second old.
            until(lambda: data.value(f"sum(changes({RECEIVED}[6s]) == bool 0)") == 1)
            counted = {way: data.value(f"sum({way})") for way in (RECEIVED, SENT)}
            counters = data.samples('{__name__=~"echoproto_.*_(total|count|sum|bucket)"}')
            restarts = data.value("echoproto_worker_restarts_total")
    seconds = found["duration_ns"] / 1e9
    figures.add(
        "a worker killed under load, with Prometheus",
        f"{counted[RECEIVED]:.0f} of {found['sent_bytes']} bytes counted, "
        f"{counted[RECEIVED] / seconds:.0f} B/s of {found['sent_bytes'] / seconds:.0f} B/s, "
        f"{rate:.0f} B/s by rate() over 15 s with the death; {restarts:.0f} restart; "
        f"none of {len(counters)} counters decreased",
    )
    assert counted[RECEIVED] == pytest.approx(found["sent_bytes"], rel=0.01)
    assert counted[SENT] == pytest.approx(found["received_bytes"], rel=0.01)
    assert restarts == 1
    assert counters
    for series in counters:
        values = [value for _, value in series]
        assert values == sorted(values)
