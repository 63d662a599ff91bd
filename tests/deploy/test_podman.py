"""The image and the Deployment of Kubernetes, built and run by podman."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.engine import Engine, Podman, requirePrograms
from tests.deploy.test_kubernetes import MANIFESTS
from tests.hosts.namespaces import Host
from tests.loopback.test_operation import until

pytestmark = pytest.mark.engine

#: The container of the Deployment's first pod, as podman names it.
CONTAINER = "echoproto-pod-0-echoproto"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Podman, which has built the image."""
    requirePrograms("podman", "runc", "catatonit")
    engine = Podman(tmp_path_factory.mktemp("podman"))
    # Otherwise the health check is not part of the image.
    engine.build("echoproto", "--isolation", "chroot", "--format", "docker")
    yield engine
    engine.output("system", "reset", "--force")


def test_playKube(podman: Engine, tmp_path: Path) -> None:
    """
    ``podman play kube`` runs a pod of the Deployment as it is. It serves TCP and UDP at its port,
    becomes ready, and ends with status 0 within its grace time.
    """
    deployment = yaml.safe_load((MANIFESTS / "base" / "deployment.yaml").read_text())
    # All pods would have the same ports of this host.
    deployment["spec"]["replicas"] = 1
    manifest = tmp_path / "deployment.yaml"
    manifest.write_text(yaml.safe_dump(deployment))
    with Host() as host:
        podman.output("play", "kube", str(manifest), host=host)
        try:
            checkPod(podman, host, deployment["spec"]["template"]["spec"])
        finally:
            podman.output("play", "kube", "--down", str(manifest), host=host)


def checkPod(podman: Engine, host: Host, pod: dict[str, int]) -> None:
    """A pod serves at this host's port, with the restrictions of the manifest, and stops."""
    until(lambda: isReady(host))
    for carrier in ("tcp", "udp"):
        ping = host.measure("ping", "-c", "3", "-i", "10ms", f"{carrier}://127.0.0.1:12345")
        assert ping.result()["targets"][0]["received"] == 3
    inspected = ("inspect", "-f", "{{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}}", CONTAINER)
    assert podman.output(*inspected) == "true []"
    grace = pod["terminationGracePeriodSeconds"]
    podman.output("stop", f"--time={grace}", CONTAINER, host=host)
    # It was not killed: that ends with status 137.
    assert podman.output("inspect", "-f", "{{.State.ExitCode}}", CONTAINER) == "0"


def isReady(host: Host) -> bool:
    """Whether the published status port answers that the server is ready."""
    try:
        return host.fetch("http://127.0.0.1:9100/readyz")[0] == 200
    except OSError:
        return False
