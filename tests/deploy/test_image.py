"""The image that the Containerfile describes, built and run as in ``compose.yaml``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
import yaml

from echoproto import __version__
from tests.deploy.engine import Engine
from tests.loopback.program import ROOT
from tests.loopback.test_operation import until

pytestmark = pytest.mark.engine

#: Bytes that the image may have besides its base.
MAX_BYTES = 120_000_000

#: The program of a health check that leaves an orphan, which then ends.
ORPHAN = "import os, time; os.fork() or time.sleep(0.2)"


def service() -> dict[str, Any]:  # Any: YAML
    """The server in ``compose.yaml``."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    server: dict[str, Any] = compose["services"]["echoproto"]
    return server


def restrictions() -> list[str]:
    """The restrictions in ``compose.yaml`` as options of ``docker run``."""
    server = service()
    assert server["read_only"] is True
    return [
        "--read-only",
        *(f"--cap-drop={name}" for name in server["cap_drop"]),
        *(f"--security-opt={option}" for option in server["security_opt"]),
    ]


@pytest.fixture
def container(docker: Engine) -> Iterator[str]:
    """A healthy server."""
    interval = ["--health-interval=1s", "--network=none"]
    name = docker.output("run", "-d", *interval, *restrictions(), "echoproto")
    try:
        state = ("inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", name)
        until(lambda: docker.output(*state) != "running starting")
        assert docker.output(*state) == "running healthy", docker.output("logs", name)
        yield name
    finally:
        docker.output("rm", "-f", name)


def test_image(docker: Engine) -> None:
    """The image adds little to its base, runs as a number without rights, and has no pip."""
    sizes = [
        int(docker.output("inspect", "-f", "{{.Size}}", name)) for name in ("echoproto", "base")
    ]
    assert sizes[0] - sizes[1] < MAX_BYTES
    [image] = json.loads(docker.output("inspect", "echoproto"))
    assert image["Config"]["User"] == "65532:65532"
    assert image["Config"]["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert __version__ in docker.output("run", "--rm", "--network=none", "echoproto", "--version")
    for module in ("pip", "setuptools"):
        python = ("run", "--rm", "--network=none", "--entrypoint=python", "echoproto", "-c")
        assert docker.run(*python, f"import {module}").returncode == 1


@pytest.mark.parametrize("carrier", ["tcp", "udp"])
def test_serves(docker: Engine, container: str, carrier: str) -> None:
    """The server answers over TCP and UDP, with a read-only root and without capabilities."""
    ping = f"echoproto ping -c 3 -i 10ms {carrier}://127.0.0.1:12345"
    assert "3 received" in docker.output("exec", container, *shlex.split(ping))


def test_ready(docker: Engine, container: str) -> None:
    """The health check of the image reports readiness too."""
    assert docker.output("exec", container, "echoproto", "health", "--ready") == "ready"


def test_orphans(docker: Engine, container: str) -> None:
    """Orphans of health checks are reaped by the server: no zombie remains."""
    docker.output("exec", container, "python", "-c", ORPHAN)
    # A title, and the server.
    until(lambda: len(docker.output("top", container, "-o", "pid").splitlines()) == 2)


def metrics(docker: Engine, container: str) -> str:
    """The metrics of the server."""
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9100/metrics').read())"
    return docker.output("exec", container, "python", "-c", fetch)


def test_stop(docker: Engine, container: str) -> None:
    """Under load, a stop ends with status 0 within its grace time, and the log has the totals."""
    load = "echoproto load --connections 2 --duration 10m 127.0.0.1:12345"
    docker.output("exec", "-d", container, *shlex.split(load))
    until(lambda: '"tcp 0.0.0.0:12345",service="echo"} 2.0' in metrics(docker, container))
    grace = int(service()["stop_grace_period"].removesuffix("s"))
    start = monotonic()
    docker.output("stop", f"--time={grace}", container)
    took = monotonic() - start
    assert docker.output("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
    # It was not killed: that ends with status 137. The drain waited for connections in use.
    assert took >= 4.5
    assert "2 aborted" in docker.output("logs", container)
