"""One load from three hosts to a server on another: their merged results are the whole load."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import MAX_START_LATENESS_NS
from echoproto.text.units import SECOND
from tests.hostile.figures import Figures
from tests.hosts.namespaces import Host, switched
from tests.loopback.program import PATIENCE

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(3 * PATIENCE)]

#: The whole load, of 10 s.
CONNECTIONS, MESSAGES, RATE, SIZE = 10, 5000, 500, 64

#: Seconds that the clients have to start and to connect: a busy machine needs over ten.
PREPARATION = 20


def servedBytes(host: Host) -> float:
    """The bytes that a server has received, on its metrics page."""
    _, page = host.fetch(f"http://{host.address}:9100/metrics")
    counted = re.findall(r"^echoproto_stream_received_bytes_total.* (\S+)$", page, re.MULTILINE)
    return sum(map(float, counted))


def lateness(parts: list[dict[str, Any]], at: int) -> list[int]:
    """
    By how many nanoseconds loads began late, without those that report that they did.

    :param at: when they were to begin, by the monotonic clock.
    """
    found = []
    for part in parts:
        late = part["origin"]["began_ns"] - at
        if any(limit.startswith("it began ") for limit in part["client_limits"]):
            assert late > MAX_START_LATENESS_NS
        else:
            found.append(late)
    return found


def test_share(tmp_path: Path, figures: Figures) -> None:
    """
    The shares add up to the whole load, and to the bytes that the server counts. The merged
    histogram has the sum of each bin, and each second the sum of the shares' seconds. Loads begin
    within 50 ms of their time and of each other; one that a busy machine ran later reports it.
    """
    listeners = ("--port", "tcp:12345", "--status", "tcp:9100")
    with switched(1, 2, 3, 11) as [*clients, server], server.serve(*listeners):
        start = time.time() + PREPARATION
        startNs = round((start - time.time()) * SECOND) + time.monotonic_ns()
        words = (
            *("load", "--connections", str(CONNECTIONS), "-c", str(MESSAGES), "-s", str(SIZE)),
            *("--rate", str(RATE), "--start-at", f"@{start}"),
        )
        loads = [
            client.measure(*words, "--share", f"{index}/3", f"tcp://{server.address}")
            for index, client in enumerate(clients)
        ]
        parts = [load.result() for load in loads]
        served = servedBytes(server)
        files = [tmp_path / f"{index}.json" for index in range(3)]
        for path, part in zip(files, parts, strict=True):
            path.write_text(json.dumps(part))
        report = clients[0].run(
            *(sys.executable, "-m", "echoproto", "report", "--merge", "-o", "json"),
            *map(str, files),
        )
    [whole] = json.loads(report)["results"]
    assert sum(part["connected"] for part in parts) == CONNECTIONS
    assert [part["lost"] for part in parts] == [0, 0, 0]
    assert (whole["sent"], whole["received"], served) == (MESSAGES, MESSAGES, MESSAGES * SIZE)
    times = LatencyHistogram()
    for part in parts:
        times.merge(LatencyHistogram.restored(part["response"]))
    assert whole["times"]["histogram"] == times.state()["histogram"]
    began = [datetime.fromisoformat(part["origin"]["began"]).timestamp() for part in parts]
    # On a busy machine a load may begin seconds after the others.
    late = [round(begin - min(began)) for begin in began]
    rows = [
        [0] * after + [second["received"] for second in part["intervals"]]
        for after, part in zip(late, parts, strict=True)
    ]
    received = [second["received"] for second in whole["intervals"]]
    assert whole["interval_ns"] == SECOND
    assert received == [sum(row) for row in zip_longest(*rows, fillvalue=0)]
    assert sum(received) == MESSAGES
    punctual = lateness(parts, startNs)
    if not punctual:
        pytest.skip("this machine was too busy to begin any load in time")
    latest = max(map(abs, punctual))
    figures.add(
        "one load from three hosts",
        f"{whole['sent']} exchanges, {served:.0f} bytes at the server, all {len(received)} seconds "
        f"and all bins the sums; {len(punctual)} of 3 begun within {latest / 1e6:.1f} ms of the "
        "time, the others reported later",
    )
    assert latest <= MAX_START_LATENESS_NS
    assert max(punctual) - min(punctual) <= MAX_START_LATENESS_NS
