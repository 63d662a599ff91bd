"""
The configurations of load balancers in ``deploy/``, with two servers behind them.

The servers run with the options that the comment of the configuration names; everything is moved to
loopback addresses and free ports.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.deploy.programs import outputOf, program
from tests.loopback.program import (
    PATIENCE,
    ROOT,
    Program,
    connected,
    datagramSocket,
    halfCloseEcho,
    readToEnd,
)
from tests.loopback.test_operation import until

#: The network of the configurations, and the one of the tests.
NETWORKS = ("192.0.2.", "127.0.0.")

#: The ports of the configurations.
PORTS = ("12345", "9100", "9101")

#: More than the buffers hold.
DATA = os.urandom(1 << 20)


def freePorts(count: int) -> list[str]:
    """Ports that are free now, for TCP on every local address."""
    listeners = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [str(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def serverOptions(configuration: str) -> list[str]:
    """The options of the servers, in the comment of a configuration."""
    [found] = re.findall(r"# +echoproto serve (.*?)\n# where", configuration, re.DOTALL)
    return shlex.split(found.replace("\n#", " "))


def acceptedConnections(server: Program) -> str:
    """The number of connections that a server has accepted, as it is on its metrics page."""
    host, port = server.address("status", "tcp")
    with urlopen(f"http://{host}:{port}/metrics", timeout=PATIENCE) as page:
        text = page.read().decode()
    [found] = re.findall(r"^echoproto_connections_accepted_total{.*} (.*)", text, re.MULTILINE)
    return str(found)


class BalancerCase(SynchronousTestCase):
    """A balancer in front of two servers, ``a`` and ``b``."""

    def start(self, path: str, front: tuple[str, str], *command: str) -> None:
        """
        Start servers and balancer, and wait until it accepts connections.

        :param path: the configuration.
        :param front: the text of its own address, and its replacement.
        :param command: the command of the balancer, which the path of the changed file follows.
        """
        text = (ROOT / "deploy" / path).read_text().replace(*NETWORKS).replace(*front)
        ports = freePorts(len(PORTS))
        for old, new in zip(PORTS, ports, strict=True):
            text = text.replace(old, new)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.configuration = Path(folder.name, Path(path).name)
        self.configuration.write_text(text)
        options = serverOptions(text)
        self.lameDuck = "--lame-duck" in options
        if self.lameDuck:
            # As long as the test likes: the speed of this machine does not matter.
            options[options.index("--lame-duck") + 1] = "1h"
        self.servers = [self._startServer(options, address) for address in ("11", "12")]
        self.address = ("127.0.0.1", int(ports[0]))
        log = Path(folder.name, "log")
        with log.open("w") as file:
            process = subprocess.Popen(
                [*command, str(self.configuration)], stdout=file, stderr=file
            )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.terminate)
        until(lambda: self._accepts() or process.poll() is not None)
        self.assertIs(process.poll(), None, log.read_text())

    def _startServer(self, options: Sequence[str], host: str) -> Program:
        interface = rf"\1:interface={NETWORKS[1]}{host}"
        words = [re.sub(r"^((?:tcp|udp):\d+)", interface, word) for word in options]
        server = Program(
            command=[sys.executable, "-m", "echoproto", "serve", *words],
            listeners=sum(word in ("--port", "--status") for word in words),
        )
        # Its lame duck would last.
        self.addCleanup(server.stop, signal.SIGKILL)
        return server

    def _accepts(self) -> bool:
        try:
            socket.create_connection(self.address, 1).close()
        except OSError:
            return False
        return True

    def log(self) -> str:
        """The log of both servers."""
        return "".join(line for server in self.servers for line in server.log)

    def checkStreams(self) -> None:
        """No byte is lost at a half-close, both servers serve, and they know the client."""
        for _ in range(8):
            self.assertEqual(halfCloseEcho(self.address, DATA), DATA)
        with connected(self.address) as client:
            client.sendall(b"last")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(readToEnd(client), b"last")
            host, port = client.getsockname()
        until(lambda: f"from {host}:{port} finished" in self.log())
        until(lambda: all(" finished" in "".join(server.log) for server in self.servers))

    def checkDatagrams(self, size: int) -> None:
        """Datagrams are echoed."""
        with datagramSocket() as client:
            client.connect(self.address)
            for number in range(8):
                data = bytes([number]) * size
                client.send(data)
                self.assertEqual(client.recv(65536), data)

    def checkStop(self) -> None:
        """
        Every new client is served after a server has stopped; with health checks also meanwhile.
        Without them, one that comes at the moment in which the server closes its port may get
        nothing; never a part.
        """
        server = self.servers[0]
        server.process.send_signal(signal.SIGTERM)
        if self.lameDuck:
            until(lambda: self._isAvoided(server))
            # It ends the lame duck.
            server.process.send_signal(signal.SIGTERM)
        while server.process.poll() is None:
            if self.lameDuck:
                self.checkClient()
            else:
                self.assertIn(halfCloseEcho(self.address, b"new client"), (b"", b"new client"))
        self.assertEqual(server.process.wait(), 0)
        self.checkClient()
        self.assertNotIn("aborted", self.log())

    def checkClient(self) -> None:
        """A new client is served."""
        self.assertEqual(halfCloseEcho(self.address, b"new client"), b"new client")

    def _isAvoided(self, server: Program) -> bool:
        """Whether a server gets none of 20 clients."""
        before = acceptedConnections(server)
        for _ in range(20):
            self.checkClient()
        return acceptedConnections(server) == before


class BalancerTests(BalancerCase):
    def test_haproxy(self) -> None:
        """HAProxy accepts the configuration; nothing is lost, at a stop neither."""
        haproxy = program("haproxy")
        self.start("haproxy/haproxy.cfg", ("bind :", "bind 127.0.0.1:"), haproxy, "-db", "-f")
        outputOf(haproxy, "-c", "-dW", "-f", str(self.configuration))
        self.checkStreams()
        self.checkStop()

    def test_nginx(self) -> None:
        """The same for nginx, with datagrams."""
        # At its end nginx removes the file of its pid.
        settings = f"daemon off; pid {os.path.abspath(self.mktemp())}; error_log stderr;"
        options = ["-g", settings, "-c"]
        self.start("nginx/nginx.conf", ("listen ", "listen 127.0.0.1:"), program("nginx"), *options)
        self.checkStreams()
        self.checkDatagrams(8000)
        self.checkStop()

    def test_envoy(self) -> None:
        """The same for Envoy."""
        options = ["--use-dynamic-base-id", "--concurrency", "1", "-c"]
        self.start("envoy/envoy.yaml", ("0.0.0.0", "127.0.0.1"), program("envoy"), *options)
        self.checkStreams()
        self.checkDatagrams(8000)
        self.checkStop()
