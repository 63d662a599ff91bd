"""The manifests in ``deploy/kubernetes``."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import yaml
from click import UsageError as CommandUsageError
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from echoproto import __version__
from echoproto.monitor.settings import loadSettings
from tests.deploy.manifests import Manifest, loadFaults, manifestFaults, monitorFaults
from tests.deploy.programs import outputOf, program
from tests.loopback.program import ROOT

MANIFESTS = ROOT / "deploy" / "kubernetes"

#: The Kubernetes releases whose schemas the manifests must match.
RELEASES = ("1.25", "1.31", "1.37")

#: Those that the Job of a load needs: the failure of a pod must not end the others.
LOAD_RELEASES = ("1.29", "1.31", "1.37")

#: The kinds of every kustomization.
KINDS = {
    "base": ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"],
    "monitored": ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"],
    "daemonset": ["DaemonSet", "NetworkPolicy", "Service"],
}


def plainManifests() -> dict[str, Manifest]:
    """The manifests of the Deployment and what belongs to it, by kind, as they are in the files."""
    files = [*(MANIFESTS / "base").iterdir(), MANIFESTS / "monitored" / "podmonitor.yaml"]
    found = [yaml.safe_load(path.read_text()) for path in files if path.stem != "kustomization"]
    return {manifest["kind"]: manifest for manifest in found}


def podOf(manifests: dict[str, Manifest]) -> Manifest:
    """The pod of the Deployment."""
    spec: Manifest = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def built(name: str) -> str:
    """The YAML of a kustomization."""
    return outputOf(program("kubectl"), "kustomize", str(MANIFESTS / name))


class FilesTests(SynchronousTestCase):
    def test_noFault(self) -> None:
        """Names, selectors, options and times of the manifests fit together."""
        manifests = plainManifests()
        self.assertEqual(sorted(manifests), KINDS["monitored"])
        self.assertEqual(manifestFaults([*manifests.values()]), [])

    def test_version(self) -> None:
        """The image has the version of this package."""
        for name in ("base", "load", "monitor"):
            text = (MANIFESTS / name / "kustomization.yaml").read_text()
            self.assertEqual(
                yaml.safe_load(text)["images"], [{"name": "echoproto", "newTag": __version__}]
            )

    def test_kustomizations(self) -> None:
        """Every kustomization has its kinds, and no fault."""
        for name, kinds in KINDS.items():
            manifests = [*yaml.safe_load_all(built(name))]
            self.assertEqual(sorted(manifest["kind"] for manifest in manifests), kinds)
            self.assertEqual(manifestFaults(manifests), [], name)

    def test_schema(self) -> None:
        """The manifests match the schemas of old and new releases, without unknown fields."""
        validate = program("kubernetes-validate")
        with TemporaryDirectory() as folder:
            files = [Path(folder) / f"{name}.yaml" for name in KINDS]
            for path in files:
                path.write_text(built(path.stem))
            load, monitor = (Path(folder) / f"{name}.yaml" for name in ("load", "monitor"))
            for path in (load, monitor):
                path.write_text(built(path.stem))
            checked = [(release, [*files, monitor]) for release in RELEASES]
            checked += [(release, [load]) for release in LOAD_RELEASES]
            for release, paths in checked:
                options = ("--strict", "--no-warn", "-k", release)
                outputOf(validate, *options, *map(str, paths))


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.job = yaml.safe_load((MANIFESTS / "load" / "job.yaml").read_text())
        [self.container] = self.job["spec"]["template"]["spec"]["containers"]

    def test_noFault(self) -> None:
        """Every pod of the Job has one share of the load, and options that the command knows."""
        self.assertEqual(loadFaults(self.job), [])

    def test_shares(self) -> None:
        """More pods than shares, or fewer at a time, are a fault."""
        for name in ("completions", "parallelism"):
            self.setUp()
            self.job["spec"][name] = 3
            [fault] = loadFaults(self.job)
            self.assertIn("pods have the shares (0, 4)", fault)

    def test_variable(self) -> None:
        """A variable that the container does not have, and an unknown option, are errors."""
        for word in ("--start-at=$(BEGIN_AT)", "--starts-at=+1s"):
            self.setUp()
            self.container["args"][1] = word
            with self.assertRaises(CommandUsageError):
                loadFaults(self.job)


#: A part of the answers of an API server with two nodes.
NODES: dict[str, Manifest] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "nodes", "namespaced": False, "kind": "Node", "verbs": ["get", "list"]}
        ],
    },
    "/api/v1/nodes": {
        "kind": "NodeList",
        "apiVersion": "v1",
        "items": [
            {
                "kind": "Node",
                "apiVersion": "v1",
                "metadata": {"name": f"node{number}"},
                "status": {
                    "addresses": [
                        {"type": "Hostname", "address": f"node{number}"},
                        {"type": "InternalIP", "address": f"192.0.2.1{number}"},
                    ]
                },
            }
            for number in (1, 2)
        ],
    },
}


class NodesServer(BaseHTTPRequestHandler):
    """Answers as an API server does."""

    def do_GET(self) -> None:
        found = NODES.get(self.path.partition("?")[0])
        body = json.dumps(found).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class MonitorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.manifests = [*yaml.safe_load_all(built("monitor"))]
        self.of = {manifest["kind"]: manifest for manifest in self.manifests}
        self.pod = self.of["DaemonSet"]["spec"]["template"]["spec"]

    def finds(self, expected: str) -> None:
        [fault] = monitorFaults(self.manifests)
        self.assertIn(expected, fault)

    def test_noFault(self) -> None:
        """Its manifests fit together."""
        kinds = ["ConfigMap", "DaemonSet", "NetworkPolicy", "PodMonitor"]
        self.assertEqual(sorted(self.of), kinds)
        self.assertEqual(monitorFaults(self.manifests), [])

    def test_targets(self) -> None:
        """The template makes a file of all nodes, which is that of the example."""
        folder = MANIFESTS / "monitor"
        with (
            HTTPServer(("127.0.0.1", 0), NodesServer) as server,
            TemporaryDirectory() as temporary,
        ):
            thread = Thread(target=server.serve_forever)
            thread.start()
            try:
                text = outputOf(
                    *("env", f"HOME={temporary}", program("kubectl"), "get", "nodes"),
                    *("--server", f"http://127.0.0.1:{server.server_port}"),
                    *("-o", f"go-template-file={folder / 'targets.gotemplate'}"),
                )
            finally:
                server.shutdown()
                thread.join()
            made = Path(temporary) / "targets.toml"
            made.write_text(text)
            targets = loadSettings(str(made))
        self.assertEqual(targets, loadSettings(str(folder / "targets.toml")))
        ports = {port["port"] for port in self.of["NetworkPolicy"]["spec"]["egress"][0]["ports"]}
        self.assertEqual({target.target.port for target in targets}, ports)

    def test_file(self) -> None:
        """A file that is not mounted, or a volume with another."""
        [container] = self.pod["containers"]
        container["args"][-1] = "/etc/targets.toml"
        self.finds("the monitor reads /etc/targets.toml")
        self.setUp()
        self.pod["volumes"][0]["configMap"]["name"] = "targets"
        self.finds("the files are in")

    def test_port(self) -> None:
        """A status listener that scrapes cannot reach."""
        [container] = self.pod["containers"]
        container["args"][1] = "--status=9110"
        self.finds("the status listener is tcp:9110:interface=127.0.0.1")


class PlantedFaultTests(SynchronousTestCase):
    """Every fault that a schema cannot find is found."""

    def finds(self, expected: str, plant: Callable[[dict[str, Manifest]], None]) -> None:
        manifests = plainManifests()
        plant(manifests)
        faults = manifestFaults([*manifests.values()])
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(expected, faults[0])

    def test_probePort(self) -> None:
        """A probe of a port that has no such name."""

        def plant(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["containers"][0]["livenessProbe"]["httpGet"]["port"] = "http"

        self.finds("livenessProbe uses port ('http', 'TCP')", plant)

    def test_targetPort(self) -> None:
        """A Service that sends UDP to the TCP port."""

        def plant(manifests: dict[str, Manifest]) -> None:
            manifests["Service"]["spec"]["ports"][1]["targetPort"] = "echo"

        self.finds("Service uses port ('echo', 'UDP')", plant)

    def test_policyPort(self) -> None:
        """A NetworkPolicy and a PodMonitor that name a port of nothing."""
        for kind, rule in (("NetworkPolicy", "ingress"), ("PodMonitor", "podMetricsEndpoints")):

            def plant(manifests: dict[str, Manifest], kind: str = kind, rule: str = rule) -> None:
                [*_, last] = manifests[kind]["spec"][rule]
                (last["ports"][0] if "ports" in last else last)["port"] = "metrics"

            self.finds(f"{kind} uses port ('metrics', 'TCP')", plant)

    def test_containerPort(self) -> None:
        """A container port on which the server does not listen."""

        def plant(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["containers"][0]["ports"][0]["containerPort"] = 123456

        self.finds("the ports are [(9100, 'TCP'), (12345, 'UDP'), (123456, 'TCP')]", plant)

    def test_portNames(self) -> None:
        """Two ports with one name."""

        def plant(manifests: dict[str, Manifest]) -> None:
            ports = podOf(manifests)["containers"][0]["ports"]
            ports.append({**ports[0]})

        self.finds("not unique", plant)

    def test_loopback(self) -> None:
        """A status listener that only the pod can reach."""

        def plant(manifests: dict[str, Manifest]) -> None:
            args = podOf(manifests)["containers"][0]["args"]
            args[args.index("--status=tcp:9100")] = "--status=9100"

        self.finds("cannot be reached", plant)

    def test_selector(self) -> None:
        """A selector that selects nothing, and one that selects everything."""
        for selector in ({"matchLabels": {"app": "echo"}}, {}):
            for kind, name in (
                ("PodDisruptionBudget", "selector"),
                ("NetworkPolicy", "podSelector"),
            ):

                def plant(
                    manifests: dict[str, Manifest],
                    kind: str = kind,
                    name: str = name,
                    selector: Manifest = selector,
                ) -> None:
                    manifests[kind]["spec"][name] = selector

                self.finds(f"{kind} selects", plant)

    def test_graceTime(self) -> None:
        """A grace time that ends before the drain."""

        def plant(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["terminationGracePeriodSeconds"] = 30

        self.finds("a stop takes up to 35.0 s", plant)

    def test_lameDuck(self) -> None:
        """A lame duck that is over before the readiness probe has failed."""

        def plant(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["containers"][0]["readinessProbe"]["periodSeconds"] = 10

        self.finds("it takes 22 s to see /readyz fail", plant)

    def test_probePath(self) -> None:
        """Probes that ask the wrong page."""
        for probe, expected in (("readinessProbe", "not ask"), ("livenessProbe", "must ask")):

            def plant(manifests: dict[str, Manifest], probe: str = probe) -> None:
                podOf(manifests)["containers"][0][probe]["httpGet"]["path"] = "/metrics"

            self.finds(expected, plant)

    def test_lastScrape(self) -> None:
        """Scrapes so rare that the last figures are lost."""

        def plant(manifests: dict[str, Manifest]) -> None:
            manifests["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["interval"] = "30s"

        self.finds("longer than --status-linger", plant)

    def test_security(self) -> None:
        """Rights of the pod and of the container."""

        def token(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["automountServiceAccountToken"] = True

        def root(manifests: dict[str, Manifest]) -> None:
            podOf(manifests)["securityContext"]["runAsNonRoot"] = False

        def writable(manifests: dict[str, Manifest]) -> None:
            context = podOf(manifests)["containers"][0]["securityContext"]
            context["readOnlyRootFilesystem"] = False

        self.finds("the pod has a token", token)
        self.finds("the pod is not restricted", root)
        self.finds("the container is not restricted", writable)

    def test_option(self) -> None:
        """An option that the server does not know."""
        manifests = plainManifests()
        podOf(manifests)["containers"][0]["args"].append("--lameduck=1s")
        with self.assertRaises(UsageError):
            manifestFaults([*manifests.values()])
