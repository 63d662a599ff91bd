"""
Faults of Kubernetes manifests that no schema finds.

Examples are names and selectors that refer to nothing, times that do not add up, and options that
the server refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from echoproto.cli.load import LoadOptions, loadCommand
from echoproto.cli.monitor import MonitorOptions, monitorCommand
from echoproto.cli.serve import ServeOptions
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.text.units import parseSeconds

#: A manifest, or a part of it.
Manifest: TypeAlias = dict[str, Any]  # Any: YAML

#: Seconds that workers may take longer than the drain (docs/operation.md).
WORKER_GRACE = 5

#: What the restricted Pod Security Standard asks for, and a read-only root.
POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def manifestFaults(manifests: list[Manifest]) -> list[str]:
    """
    What is wrong with the manifests of a server.

    :param manifests: a Deployment or DaemonSet, and the objects around it.
    """
    [workload] = [found for found in manifests if found["kind"] in ("Deployment", "DaemonSet")]
    pod = workload["spec"]["template"]
    [container] = pod["spec"]["containers"]
    options = ServeOptions()
    options.parseOptions(container["args"][1:])
    return [
        *_selectorFaults(manifests, pod),
        *_portFaults(container, options.settings),
        *_referenceFaults(manifests, container),
        *_timeFaults(pod["spec"], container, options.settings),
        *_scrapeFaults(manifests, options.settings),
        *_securityFaults(pod["spec"], container),
    ]


def loadFaults(job: Manifest) -> list[str]:
    """What is wrong with the Job of a load."""
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    return [*_shareFaults(job["spec"], container), *_securityFaults(pod, container)]


def monitorFaults(manifests: list[Manifest]) -> list[str]:
    """
    What is wrong with the manifests of a monitor.

    :param manifests: a DaemonSet, a ConfigMap with the targets, and the objects around them.
    """
    of = {manifest["kind"]: manifest for manifest in manifests}
    pod = of["DaemonSet"]["spec"]["template"]
    [container] = pod["spec"]["containers"]
    others = [manifest for manifest in manifests if manifest["kind"] != "ConfigMap"]
    return [
        *_selectorFaults(others, pod),
        *_referenceFaults(others, container),
        *_targetFaults(of["ConfigMap"], pod["spec"], container),
        *_securityFaults(pod["spec"], container),
    ]


def _targetFaults(config: Manifest, pod: Manifest, container: Manifest) -> Iterator[str]:
    """A file or a listener that is not there; an unknown option raises an error."""
    options = MonitorOptions(
        **monitorCommand.make_context("monitor", [*container["args"][1:]]).params
    )
    [volume], [mount] = pod["volumes"], container["volumeMounts"]
    files = [f"{mount['mountPath']}/{name}" for name in config["data"]]
    if volume["name"] != mount["name"] or volume["configMap"]["name"] != config["metadata"]["name"]:
        yield f"the files are in {volume}, mounted is {mount['name']}"
    if options.file not in files:
        yield f"the monitor reads {options.file}, and the files are {files}"
    [port] = container["ports"]
    status = options.status.written
    if status != f"tcp:{port['containerPort']}":
        yield f"the status listener is {status}, and the port is {port['containerPort']}"


def _shareFaults(job: Manifest, container: Manifest) -> Iterator[str]:
    """Shares that are not those of the pods; an option that is unknown raises an error."""
    variables = {"JOB_COMPLETION_INDEX": "0"}
    variables.update((variable["name"], "+1m") for variable in container["env"])
    words = [
        re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), word)
        for word in container["args"]
    ]
    options = LoadOptions(**loadCommand.make_context("load", words[1:]).params)
    pods = job["completions"], job["parallelism"]
    if job["completionMode"] != "Indexed" or options.share is None or {*pods} != {options.share[1]}:
        yield f"{pods} pods have the shares {options.share}"


def _selectorFaults(manifests: list[Manifest], pod: Manifest) -> Iterator[str]:
    """Selectors that do not select the pod, or select every pod."""
    selectors = [("topology spread", spread["labelSelector"]) for spread in _spreads(pod)]
    for manifest in manifests:
        name = "podSelector" if manifest["kind"] == "NetworkPolicy" else "selector"
        selectors.append((manifest["kind"], manifest["spec"][name]))
    for kind, selector in selectors:
        wanted = selector.get("matchLabels", {}) if kind != "Service" else selector
        labels = pod["metadata"]["labels"]
        if not wanted or not wanted.items() <= labels.items():
            yield f"{kind} selects {wanted or 'every pod'}, and the pods have {labels}"


def _spreads(pod: Manifest) -> list[Manifest]:
    spreads: list[Manifest] = pod["spec"].get("topologySpreadConstraints", [])
    return spreads


def _portFaults(container: Manifest, settings: Settings) -> Iterator[str]:
    """Ports that the server does not listen on, or that no one else can reach."""
    listeners = [listener for group in settings.groups for listener in group]
    served = {(_number(listener), listener.carrier.upper()) for listener in listeners}
    named = {(port["containerPort"], port["protocol"]) for port in container["ports"]}
    if served != named:
        yield f"the server listens on {sorted(served)}, and the ports are {sorted(named)}"
    names = [port["name"] for port in container["ports"]]
    if len(set(names)) < len(names):
        yield f"port names are not unique: {names}"
    for listener in listeners:
        if "interface=127." in listener.description:
            yield f"{listener.displayName} cannot be reached from outside of the pod"


def _number(listener: Listener) -> int:
    """The port of a TCP or UDP listener."""
    return int(listener.description.split(":")[1])


def _referenceFaults(manifests: list[Manifest], container: Manifest) -> Iterator[str]:
    """Names of ports, with their protocols, that the container does not have."""
    names = {(port["name"], port["protocol"]) for port in container["ports"]}
    used = [
        (probe, (container[probe]["httpGet"]["port"], "TCP"))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    ]
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest["spec"]
        if kind == "Service":
            used += [(kind, (port["targetPort"], port["protocol"])) for port in spec["ports"]]
        elif kind == "NetworkPolicy":
            ports = [port for rule in spec["ingress"] for port in rule["ports"]]
            used += [(kind, (port["port"], port["protocol"])) for port in ports]
        elif kind == "PodMonitor":
            used += [(kind, (port["port"], "TCP")) for port in spec["podMetricsEndpoints"]]
    for user, port in used:
        if port not in names:
            yield f"{user} uses port {port}, and the container has {sorted(names)}"


def _timeFaults(pod: Manifest, container: Manifest, settings: Settings) -> Iterator[str]:
    """Times that do not add up."""
    stop = settings.lameDuck + settings.drain + settings.statusLinger + WORKER_GRACE
    grace = pod["terminationGracePeriodSeconds"]
    if grace < stop:
        yield f"a stop takes up to {stop} s, and terminationGracePeriodSeconds is {grace}"
    ready, live = container["readinessProbe"], container["livenessProbe"]
    notice = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    if settings.lameDuck < notice:
        yield f"it takes {notice} s to see /readyz fail, and --lame-duck is {settings.lameDuck} s"
    if ready["httpGet"]["path"] != "/readyz":
        yield "the readiness probe does not ask /readyz"
    if live["httpGet"]["path"] != "/healthz":
        yield "the liveness probe must ask /healthz: /readyz fails while the server drains"


def _scrapeFaults(manifests: list[Manifest], settings: Settings) -> Iterator[str]:
    """A last scrape that finds the status listener closed."""
    for manifest in manifests:
        if manifest["kind"] == "PodMonitor":
            for endpoint in manifest["spec"]["podMetricsEndpoints"]:
                if parseSeconds(endpoint["interval"]) > settings.statusLinger:
                    yield f"scraped every {endpoint['interval']}, longer than --status-linger"


def _securityFaults(pod: Manifest, container: Manifest) -> Iterator[str]:
    """Rights that the server does not need."""
    if pod["securityContext"] != POD_SECURITY:
        yield f"the pod is not restricted: {pod['securityContext']}"
    if container["securityContext"] != CONTAINER_SECURITY:
        yield f"the container is not restricted: {container['securityContext']}"
    if pod["automountServiceAccountToken"] is not False:
        yield "the pod has a token of the API server"
