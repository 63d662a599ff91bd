"""``compose.yaml``, run by docker-compose: a server, its monitor, and Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.baseimage import writeProgram
from tests.deploy.engine import Docker, Engine, requirePrograms
from tests.deploy.programs import outputOf, program
from tests.hosts.namespaces import Host
from tests.loopback.program import ROOT
from tests.loopback.test_operation import until

pytestmark = pytest.mark.engine

COMPOSE = ROOT / "compose.yaml"

#: The page of the monitor.
MONITOR = "http://127.0.0.1:9110"

#: What the command of Prometheus' own image adds to its name.
PROMETHEUS = (
    'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]'
)


@pytest.fixture(scope="module")
def host(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The host on which the services of ``compose.yaml`` run."""
    requirePrograms("docker-compose", "iptables", "prometheus")
    folder = tmp_path_factory.mktemp("compose")
    image = folder / "image.tar"
    docker.output("save", "-o", str(image), "echoproto")
    engine = Docker(folder)
    with Host() as host, engine.running(host):
        engine.output("load", "-i", str(image))
        image.unlink()
        importPrometheus(engine, folder / "prometheus.tar")
        daemon = ["env", f"DOCKER_HOST={engine.address}"]
        compose = [*daemon, "docker-compose", "-f", str(COMPOSE), "-p", "echoproto"]
        outputOf(*compose, "up", "-d", "--no-build")
        try:
            # The servers listen, and the names are known.
            until(lambda: states(host) == ["up", "up", "up"])
            yield host
        finally:
            outputOf(*compose, "down")


def importPrometheus(engine: Engine, archive: Path) -> None:
    """Make the image of Prometheus that ``compose.yaml`` names, of the program of this machine."""
    path = program("prometheus")
    writeProgram(archive, path)
    name = yaml.safe_load(COMPOSE.read_text())["services"]["prometheus"]["image"]
    engine.importArchive(archive, name, "USER 65534", f'ENTRYPOINT ["{path}"]', PROMETHEUS)


def answer(host: Host, url: str) -> Any:
    """A document of JSON; ``None`` while there is no answer."""
    try:
        return json.loads(host.fetch(url)[1])
    except OSError:
        return None


def states(host: Host) -> list[str]:
    """The states of the targets of the monitor."""
    document = answer(host, f"{MONITOR}/targets.json") or {"targets": []}
    return [target["state"] for target in document["targets"]]


@pytest.mark.parametrize("carrier", ["tcp", "udp"])
def test_serves(host: Host, carrier: str) -> None:
    """The server answers at the published port."""
    ping = host.measure("ping", "-c", "3", "-i", "10ms", f"{carrier}://127.0.0.1:12345")
    assert ping.result()["targets"][0]["received"] == 3


def test_monitor(host: Host) -> None:
    """The monitor finds the server by its name, and has a page."""
    assert states(host) == ["up", "up", "up"]
    assert "<html" in host.fetch(MONITOR)[1]


def test_prometheus(host: Host) -> None:
    """Prometheus scrapes both, and has the alert rules."""
    url = "http://127.0.0.1:9090/api/v1"

    def scraped() -> dict[str, str]:
        found = answer(host, f"{url}/query?query=up") or {"data": {"result": []}}
        return {row["metric"]["job"]: row["value"][1] for row in found["data"]["result"]}

    until(lambda: scraped() == {"echoproto": "1", "echoproto-monitor": "1"})
    [group] = answer(host, f"{url}/rules")["data"]["groups"]
    rules = ROOT / "deploy" / "prometheus" / "alerts.yml"
    [written] = yaml.safe_load(rules.read_text())["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in written["rules"]]
