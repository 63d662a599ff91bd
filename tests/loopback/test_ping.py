"""``echoproto ping`` as a program, against servers on real sockets."""

from __future__ import annotations

import json
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import serverPEM
from tests.loopback.command import PATIENT, runCommand, startCommand
from tests.loopback.program import PATIENCE, Program, environment

#: A run of two seconds, with a line for each probe.
STOPPED = ["ping", "-i", "100ms", "-c", "20", "-o", "ndjson"]


def at(server: socket.socket) -> str:
    """A listening socket as a target."""
    host, port = server.getsockname()
    return f"{host}:{port}"


class PingTests(SynchronousTestCase):
    def measured(self, *words: str, warning: str = "") -> dict[str, Any]:
        """Return the values of the only target; all probes must be answered."""
        ended = runCommand("ping", "-o", "json", "-c", "5", "-i", "2ms", *PATIENT, *words)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertRegex(ended.stderr, f"^{warning}$")
        (target,) = json.loads(ended.stdout)["targets"]
        self.assertEqual((target["sent"], target["received"], target["rtt"]["count"]), (5, 5, 5))
        return dict(target)

    def test_carriers(self) -> None:
        """The server is probed over TCP, UDP, TLS and a UNIX socket, on IPv4 and IPv6."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        pem = folder / "server.pem"
        pem.write_bytes(serverPEM())
        path = Path(self.mktemp()).resolve()
        with Program("-p", "0", "-p", f"unix:{path}", listeners=5) as program:
            port = program.port()
            for target in (f"127.0.0.1:{port}", f"[::1]:{port}"):
                self.assertEqual(self.measured(target)["connect"]["count"], 1)
                self.assertEqual(self.measured("--reconnect", target)["connect"]["count"], 5)
                self.measured("-s", "1000000", target)
            self.measured("-4", f"udp://localhost:{port}")
            self.measured(
                "-s", "0", f"udp://[::1]:{port}", warning="echoproto ping: an empty payload .*\n"
            )
            # One at a time: the receive buffer of a server that is held up has room for three.
            self.measured("-A", "-i", "60s", "-s", "65507", f"udp://127.0.0.1:{port}")
            self.measured(f"unix://{path}")
            self.measured("--endpoint", f"tcp:127.0.0.1:{port}")
        with Program(
            "-p",
            "tcp:0:interface=127.0.0.1",
            "--tls-cert",
            str(pem),
            "--tls-key",
            str(pem),
            listeners=1,
        ) as program:
            _, port = program.address("echo", "tls")
            self.assertEqual(
                self.measured("--insecure", f"tls://127.0.0.1:{port}")["handshake"]["count"], 1
            )
            self.measured("--ca", str(pem), "-4", f"tls://localhost:{port}")
            ended = runCommand("ping", "-c", "1", *PATIENT, "-4", f"tls://localhost:{port}")
            self.assertEqual(ended.returncode, 2)
            self.assertRegex(ended.stderr, r"^[^\n]*--ca FILE trusts[^\n]*\n$")
            other = f"tls://127.0.0.1:{port}"
            ended = runCommand("ping", "-c", "1", *PATIENT, "--ca", str(pem), other)
            # Older Twisted versions report the end of the handshake before the wrong name.
            self.assertIn(ended.returncode, (1, 2))
            self.assertRegex(ended.stdout + ended.stderr, "is not valid for|VerificationError")

    def test_refused(self) -> None:
        """A closed port is a lost probe, and status 1, on TCP and UDP."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        for carrier in ("tcp", "udp"):
            ended = runCommand("ping", "-c", "1", f"{carrier}://127.0.0.1:{port}")
            self.assertEqual((ended.returncode, ended.stderr), (1, ""))
            self.assertIn("lost: refused", ended.stdout)

    def test_socketOptions(self) -> None:
        """The packets of a UDP probe have the chosen type of service, TTL and interface."""
        for family, host, level, options in (
            (socket.AF_INET, "127.0.0.1", socket.IPPROTO_IP, (socket.IP_RECVTOS, 12)),
            (
                socket.AF_INET6,
                "[::1]",
                socket.IPPROTO_IPV6,
                (socket.IPV6_RECVTCLASS, socket.IPV6_RECVHOPLIMIT),
            ),
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as server:
                server.bind((host.strip("[]"), 0))
                server.settimeout(PATIENCE)
                for option in options:
                    server.setsockopt(level, option, 1)
                target = f"udp://{host}:{server.getsockname()[1]}"
                words = ("--interface", "lo", "--tos", "ef", "--ttl", "9", "--dont-fragment")
                with startCommand("ping", "-c", "1", *PATIENT, *words, target) as running:
                    data, found, _, address = server.recvmsg(100, 100)
                    server.sendto(data, address)
                    running.communicate(timeout=PATIENCE)
                self.assertEqual(running.returncode, 0)
                self.assertEqual(sorted(value[0] for *_, value in found), [9, 184])

    def test_dontFragment(self) -> None:
        """A datagram that must be fragmented is lost, and the reason has the MTU."""
        if shutil.which("unshare") is None or shutil.which("ip") is None:
            raise SkipTest("needs unshare and ip")
        script = f"ip link set lo up mtu 1500 && exec {sys.executable} -m echoproto ping -c 1"
        for host, size in (("127.0.0.1", 1473), ("[::1]", 1453)):
            words = f"--dont-fragment -s {size} 'udp://{host}:7007'"
            ended = subprocess.run(
                ["unshare", "--net", "sh", "-c", f"{script} {words}"],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if "unshare failed" in ended.stderr:
                raise SkipTest("a network namespace needs root")
            self.assertIn(
                f"lost: not sent: {size} bytes do not fit into a packet; "
                "the MTU of the path is 1500\n",
                ended.stdout,
            )

    def test_twice(self) -> None:
        """A server that sends every reply twice, or adds bytes, has sent wrong bytes: status 3."""
        for words in ((), ("--reconnect",), ("-q",)):
            for count, suffix in ((2, b""), (1, b"!")):
                with (
                    socket.create_server(("127.0.0.1", 0)) as server,
                    startCommand("ping", "-c", "1", *words, at(server)) as running,
                ):
                    server.settimeout(PATIENCE)
                    accepted, _ = server.accept()
                    with accepted:
                        accepted.settimeout(PATIENCE)
                        accepted.sendall(accepted.recv(100) * count + suffix)
                        output, errors = running.communicate(timeout=PATIENCE)
                self.assertEqual((running.returncode, errors), (3, ""))
                self.assertIn("1 sent, 1 received, +1 foreign, 0 lost", output)
                self.assertIn("wrong bytes: more data than was sent, 1 time\n", output)

    def test_noSuchHost(self) -> None:
        """An unknown host is one line, and status 2."""
        ended = runCommand("ping", "nonsense.invalid")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("no such host", ended.stderr)
        self.assertEqual(len(ended.stderr.splitlines()), 1)

    def test_interrupted(self) -> None:
        """Ctrl-\\ prints the figures so far, and Ctrl-C ends with the summary."""
        with (
            Program("-p", "0") as program,
            startCommand("ping", "-i", "10ms", f"127.0.0.1:{program.port()}") as running,
        ):
            assert running.stdout is not None and running.stderr is not None
            for _ in range(5):
                running.stdout.readline()
            running.send_signal(signal.SIGQUIT)
            self.assertIn("0.00 % lost", running.stderr.readline())
            running.send_signal(signal.SIGINT)
            rest, errors = running.communicate(timeout=PATIENCE)
        self.assertEqual((running.returncode, errors), (0, ""))
        self.assertIn("echo statistics", rest)

    def test_stopped(self) -> None:
        """A client that is stopped for three seconds loses no datagram, and its times are right."""
        with (
            Program("-p", "0") as program,
            startCommand(*STOPPED, f"udp://127.0.0.1:{program.port()}") as running,
        ):
            assert running.stdout is not None
            for _ in range(8):
                running.stdout.readline()
            running.send_signal(signal.SIGSTOP)
            select.select([], [], [], 3)
            running.send_signal(signal.SIGCONT)
            rest, _ = running.communicate(timeout=PATIENCE)
        *probes, summary = map(json.loads, rest.splitlines())
        self.assertEqual((running.returncode, summary["received"]), (0, 20))
        self.assertIn("this process was held up", summary["client_limits"][0])
        self.assertLess(max(probe["rtt_ns"] for probe in probes), 1_000_000_000)

    def test_closedPipe(self) -> None:
        """A closed pipe, as with ``head``, ends the run without a traceback."""
        with (
            Program("-p", "0") as program,
            startCommand("ping", "-i", "1ms", f"127.0.0.1:{program.port()}") as running,
        ):
            assert running.stdout is not None and running.stderr is not None
            running.stdout.readline()
            running.stdout.close()
            self.assertEqual(running.stderr.read(), "")
            self.assertEqual(running.wait(PATIENCE), 0)
