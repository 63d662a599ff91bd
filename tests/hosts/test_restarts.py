"""
Three servers behind a balancer are restarted one after another, while clients use them: over TCP
behind HAProxy with the configuration in ``deploy/``, over UDP behind nftables with rules such as
kube-proxy has.
"""

from __future__ import annotations

import csv
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess, run
from tempfile import TemporaryDirectory
from time import monotonic
from unittest import SkipTest

import pytest

from tests.deploy.programs import program
from tests.deploy.test_balancers import serverOptions
from tests.hostile.figures import Figures
from tests.hosts.namespaces import Host, switched
from tests.loopback.program import PATIENCE, ROOT, Program
from tests.loopback.test_operation import until

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(5 * PATIENCE)]

#: Long-lived connections, and flows of datagrams.
CONNECTIONS = 6

#: How often the servers of datagrams are restarted.
ROUNDS = 3

#: Seconds of the lame duck: a balancer has to leave a server in this time.
LAME_DUCK = 2.0

#: The balancer's check of a server, between the checks of deploy/haproxy/haproxy.cfg.
CHECKS = ("inter 1s", "inter 200ms")


class Servers:
    """
    The servers behind a balancer.

    :param hosts: their hosts.
    :param options: the options of each, besides the lame duck.
    :param leave: waits until the balancer has left a host that begins to stop.
    :param join: waits until the balancer sends clients to a host that serves again.
    :ivar logs: the log of each server that was stopped.
    :ivar slowest: the longest time in seconds from SIGTERM until a balancer had left the server.
    """

    def __init__(
        self,
        hosts: list[Host],
        options: list[str],
        leave: Callable[[Host], None],
        join: Callable[[Host], None],
    ) -> None:
        self._options = [*options, "--lame-duck", f"{LAME_DUCK:g}s"]
        self._leave, self._join = leave, join
        self._programs = {host: host.serve(*self._options) for host in hosts}
        self.logs: list[list[str]] = []
        self.slowest = 0.0

    def restartAll(self) -> None:
        """Restart one after another, as a rolling update does."""
        for host in self._programs:
            begin = monotonic()
            self._programs[host].process.terminate()
            self._leave(host)
            self.slowest = max(self.slowest, monotonic() - begin)
            self._stop(self._programs[host])
            self._programs[host] = host.serve(*self._options)
            until(partial(isReady, host))
            self._join(host)

    def stopAll(self) -> None:
        """
        Stop all of them.

        :raise SkipTest: the balancer did not leave a server during its lame duck, as this machine
            was busy, so that nothing can be expected of it.
        """
        for server in self._programs.values():
            server.process.terminate()
        for server in self._programs.values():
            self._stop(server)
        if self.slowest >= LAME_DUCK:
            raise SkipTest(
                f"the balancer needed {self.slowest:.1f} s to leave a server whose lame duck "
                f"is {LAME_DUCK:g} s"
            )

    def _stop(self, server: Program) -> None:
        assert server.process.wait(PATIENCE) == 0
        server.stop()
        self.logs.append(server.log)


def isReady(host: Host) -> bool:
    """Whether the server of a host is ready, as kubelet would see it."""
    try:
        return host.fetch(f"http://{host.address}:9100/readyz")[0] == 200
    except OSError:
        return False


def udpCounters(host: Host) -> Counter[str]:
    """The counters of UDP of a host (RFC 4113, and Linux's RcvbufErrors)."""
    names, values = re.findall(r"^Udp: (.*)$", host.run("cat", "/proc/net/snmp"), re.MULTILINE)
    return Counter(dict(zip(names.split(), map(int, values.split()), strict=True)))


class HAProxy:
    """
    HAProxy with the configuration in ``deploy/``.

    :param hosts: the hosts of the servers.
    :param folder: for its files.
    :ivar configuration: its configuration.
    """

    def __init__(self, hosts: list[Host], folder: Path) -> None:
        text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text().replace(*CHECKS)
        self._control = folder / "control"
        # Its lame duck is that of the test.
        *self.options, _, _ = serverOptions(text)
        self.configuration = folder / "haproxy.cfg"
        self._names = {host: f"host{host.address.split('.')[-1]}" for host in hosts}
        servers = [f"    server {name} {host.address}:12345" for host, name in self._names.items()]
        text = re.sub(r"^    server .*\n", "", text, flags=re.MULTILINE) + "\n".join(servers)
        self.configuration.write_text(f"global\n    stats socket {self._control}\n\n{text}\n")

    def isUp(self, host: Host) -> bool:
        """Whether a server is sent new clients."""
        return self._row(host)["status"].startswith("UP")

    def connections(self, host: Host) -> int:
        """The number of open connections to a server."""
        return int(self._row(host)["scur"])

    def _row(self, host: Host) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(str(self._control))
            control.sendall(b"show stat\n")
            lines = control.makefile().read().removeprefix("# ").splitlines()
        [row] = [row for row in csv.DictReader(lines) if row["svname"] == self._names[host]]
        return row


@pytest.fixture
def network() -> Iterator[tuple[Host, Host, list[Host]]]:
    """A client, a balancer with the address that the configurations have, and three servers."""
    with switched(2, 1, 11, 12, 13) as [client, balancer, *hosts]:
        yield client, balancer, hosts


def ended(logs: list[list[str]]) -> Counter[str]:
    """The close reasons of all connections, with their numbers, as the totals in the logs."""
    text = "".join(line for log in logs for line in log)
    totals = re.findall(r"\d+ connections; ended: (.*?); refused", text)
    assert len(totals) == len(logs)
    return sum(
        (
            Counter({reason: int(count)})
            for count, reason in re.findall(r"(\d+) (\w+)", "\n".join(totals))
        ),
        Counter(),
    )


def test_haproxy(network: tuple[Host, Host, list[Host]], figures: Figures) -> None:
    """
    With a lame duck of 2 s no new connection is lost. A long one loses an exchange at most with
    each server that restarts, and the aborted connections in the log are those that clients lost.
    """
    client, balancer, hosts = network
    haproxy = program("haproxy")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        balance = HAProxy(hosts, folder)
        servers = Servers(
            hosts,
            [*balance.options, "--drain", "1s"],
            lambda host: until(lambda: not balance.isUp(host)),
            lambda host: until(lambda: balance.isUp(host)),
        )
        stack.enter_context(balancer.running(haproxy, "-db", "-f", str(balance.configuration)))
        until(lambda: Path(folder, "control").exists())
        until(lambda: all(map(balance.isUp, hosts)))
        target = f"tcp://{balancer.address}"
        load = client.measure("load", "--connections", str(CONNECTIONS), "-z", "1h", target)
        until(lambda: sum(map(balance.connections, hosts)) >= CONNECTIONS)
        ping = client.measure("ping", "--reconnect", "-i", "20ms", target)
        servers.restartAll()
        new, long = ping.interrupt()["targets"][0], load.interrupt()
        servers.stopAll()
    reasons = ended(servers.logs)
    cut = sum(long["connection_errors"].values())
    figures.add(
        "3 hosts behind HAProxy, each restarted",
        f"{new['received']} of {new['sent']} new connections served; long ones: {long['lost']} of "
        f"{long['sent']} exchanges lost, on {cut} lost connections; log: {reasons['aborted']} "
        f"aborted, {reasons['drained']} drained; HAProxy left a server in {servers.slowest:.1f} s "
        f"at most, its lame duck was {LAME_DUCK:g} s",
    )
    # The last probe may be under way when ping is interrupted; any other loss has a reason.
    assert (new["lost"] <= 1, new["reasons"]) == (True, {})
    assert (long["wrong"], long["duplicates"]) == (0, 0)
    assert reasons["aborted"] + reasons["drained"] == cut
    assert 0 < cut <= len(hosts) * CONNECTIONS
    assert long["lost"] <= cut


class KubeProxy:
    """
    Rules of nftables that spread the flows of a UDP port, as kube-proxy makes them.

    :param client: the host of the clients.
    :param balancer: the host that has them.
    :param hosts: the hosts of the servers.
    :raise SkipTest: a program is missing.
    """

    def __init__(self, client: Host, balancer: Host, hosts: list[Host]) -> None:
        self._nft, self._conntrack = program("nft"), program("conntrack")
        self._client = client
        self._balancer = balancer
        self._hosts = list(hosts)
        balancer.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self._run(
            "table ip balancer {\n"
            "chain incoming { type nat hook prerouting priority dstnat; }\n"
            "chain outgoing { type nat hook postrouting priority srcnat; masquerade; }\n"
            "counter late { }\n"
            "chain local { type filter hook input priority filter;"
            " udp sport 12345 counter name late; }\n"
            "}"
        )
        for host in hosts:
            self._run(
                "table ip server {\n"
                "counter arrived { }\n"
                "chain local { type filter hook input priority filter;"
                " udp dport 12345 counter name arrived; }\n"
                "}",
                host,
            )
        self._write()

    def leave(self, host: Host) -> None:
        """Send nothing to a host that stops, not even a flow that has begun."""
        until(lambda: not isReady(host))
        self._hosts.remove(host)
        self._write()
        # While flows begin and end, a pass over the kernel's table may miss some.
        until(lambda: self._forgotten(host) == 0)
        until(lambda: self._waiting(host) <= 0)

    def _waiting(self, host: Host) -> int:
        """The number of datagrams that have arrived at a host and that its server has not read."""
        arrived, counters = self.arrived(host), udpCounters(host)
        return arrived - sum(counters[name] for name in ("InDatagrams", "NoPorts", "RcvbufErrors"))

    def join(self, host: Host) -> None:
        """Send new flows to a host."""
        self._hosts.append(host)
        self._write()

    def _forgotten(self, host: Host) -> int:
        """Forget the flows to and from a host; return their number, or -1 if there may be more."""
        numbers = [self._deleted(f"--{side}-src", host.address) for side in ("reply", "orig")]
        return -1 if -1 in numbers else sum(numbers)

    def _deleted(self, *flows: str) -> int:
        # Its status is not 0 if there are none.
        printed = self._start(self._conntrack, "-D", "-p", "udp", *flows).stdout
        if "such conntrack doesn't exist" in printed:
            # A flow expired before it was deleted, which ends the pass.
            return -1
        found = re.search(r": (\d+) flow entries have been deleted", printed)
        assert found, printed
        return int(found[1])

    def _write(self) -> None:
        numbered = ", ".join(f"{place} : {host.address}" for place, host in enumerate(self._hosts))
        choice = f"numgen random mod {len(self._hosts)} map {{ {numbered} }}"
        # Both commands take effect at the same time.
        self._run(
            "flush chain ip balancer incoming\n"
            f"add rule ip balancer incoming udp dport 12345 dnat to {choice}\n"
            # A reply under way when its flow was forgotten begins one, on the same port.
            f"add rule ip balancer incoming udp sport 12345 dnat to {self._client.address}"
        )

    def late(self) -> int:
        """The number of replies that arrived when the balancer had already left their flow."""
        return self._packets(self._balancer, "balancer", "late")

    def arrived(self, host: Host) -> int:
        """The number of datagrams that have arrived at a host."""
        return self._packets(host, "server", "arrived")

    def _packets(self, host: Host, table: str, counter: str) -> int:
        listed = host.run(self._nft, "list", "counter", "ip", table, counter)
        [packets] = re.findall(r"packets (\d+)", listed)
        return int(packets)

    def _run(self, rules: str, host: Host | None = None) -> None:
        finished = self._start(self._nft, "-f", "-", rules=rules, host=host)
        assert finished.returncode == 0, finished.stdout

    def _start(
        self, *words: str, rules: str = "", host: Host | None = None
    ) -> CompletedProcess[str]:
        command = (host or self._balancer).command(*words)
        return run(command, input=rules, stdout=PIPE, stderr=STDOUT, text=True, check=False)


def test_nftables(network: tuple[Host, Host, list[Host]], figures: Figures) -> None:
    """
    While servers restart, no flow stays at a stopped one. Of 15,000 datagrams in old and new flows
    at most two are lost otherwise than by a full queue.
    """
    client, balancer, hosts = network
    proxy = KubeProxy(client, balancer, hosts)
    options = ["--datagram-rate", "0", "--port", "udp:12345", "--status", "tcp:9100"]
    servers = Servers(hosts, options, proxy.leave, proxy.join)
    target = f"udp://{balancer.address}"
    flows = ["--connections", str(CONNECTIONS), "--rate", "1000"]
    load = client.measure("load", *flows, "-z", "1h", target)
    ping = client.measure("ping", "--reconnect", "-i", "10ms", target)
    for _ in range(ROUNDS):
        servers.restartAll()
    new, old = ping.interrupt()["targets"][0], load.interrupt()
    servers.stopAll()
    counters = sum(map(udpCounters, hosts), Counter())
    late, stopped, full = proxy.late(), counters["NoPorts"], counters["RcvbufErrors"]
    arrived = sum(map(proxy.arrived, hosts))
    unanswered = arrived - stopped - full - counters["OutDatagrams"]
    sent, lost = (new[key] + old[key] for key in ("sent", "lost"))
    figures.add(
        "3 hosts behind nftables (UDP), restarted three times",
        f"{unanswered} of {arrived} that arrived not answered; clients: {lost} of {sent} lost: "
        f"{late} replies in flows that the balancer had left, {stopped} sent to a stopped host, "
        f"{full} dropped by full queues; "
        f"in new flows {new['lost']} of {new['sent']}; a server was left in "
        f"{servers.slowest:.1f} s at most, its lame duck was {LAME_DUCK:g} s",
    )
    assert (old["wrong"], old["duplicates"], new["corrupt"], new["foreign"]) == (0, 0, 0, 0)
    allowed = 2 * max(1, sent / 15_000)
    assert stopped <= allowed
    assert abs(unanswered) <= allowed
    # A busy machine may read too late.
    assert lost - full <= allowed
