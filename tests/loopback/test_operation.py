"""Operation of a running server: signals, certificates, status, systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from unittest import SkipTest
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.listeners.sockets import pickPort
from tests.certificates import authority, issued
from tests.loopback.program import (
    PATIENCE,
    ROOT,
    TWISTD,
    Program,
    connected,
    datagramSocket,
    halfCloseEcho,
    readToEnd,
)

MEGABYTE = 1 << 20


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; raise ``AssertionError`` after a timeout."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("the condition did not become true")
        time.sleep(0.01)


def statusPage(port: int, page: str) -> tuple[int, str]:
    """Return the status listener's response."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{page}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


class DrainTests(SynchronousTestCase):
    def test_dataDuringADrain(self) -> None:
        """A client that sends 4 MB during a drain gets every byte, then a FIN."""
        data = os.urandom(4 * MEGABYTE)
        with Program("-p", "0") as program, connected(program.address("echo", "tcp")) as client:
            client.sendall(data[:100_000])
            received = [client.recv(1 << 16)]

            def send() -> None:
                program.process.send_signal(signal.SIGTERM)
                for at in range(100_000, len(data), 100_000):
                    client.sendall(data[at : at + 100_000])
                    time.sleep(0.01)

            sending = Thread(target=send)
            sending.start()
            received.append(readToEnd(client))
            sending.join()
            self.assertTrue(b"".join(received) == data)
            client.close()
            self.assertEqual(program.stop(), -signal.SIGTERM)
        self.assertIn("drained", "".join(program.log))

    def test_secondSignal(self) -> None:
        """A second signal ends a drain of ten minutes early; the first one is the exit status."""
        with Program("-p", "0", "--drain", "600") as program:
            with connected(program.address("echo", "tcp")) as client:
                client.sendall(b"x")
                client.recv(1)
                program.process.send_signal(signal.SIGTERM)
                self.assertEqual(client.recv(1), b"")
                before = time.monotonic()
                self.assertEqual(program.stop(signal.SIGINT), -signal.SIGTERM)
            self.assertLess(time.monotonic() - before, 300)
        self.assertNotIn("Traceback", "".join(program.log))

    def test_drainOption(self) -> None:
        """A client that continues to send is served until the --drain timeout, then reset."""
        with Program("-p", "0", "--drain", "1") as program:
            with connected(program.address("echo", "tcp")) as client:
                client.sendall(b"x")
                client.recv(1)
                program.process.send_signal(signal.SIGTERM)
                before = time.monotonic()
                with self.assertRaises(OSError):
                    while True:
                        client.sendall(b"x")
                        if not client.recv(1):
                            raise OSError
            self.assertGreater(time.monotonic() - before, 0.9)


class LameDuckTests(SynchronousTestCase):
    def test_phases(self) -> None:
        """
        After SIGTERM new clients are served while the server is not ready; a second signal begins
        the drain. Then the last figures can be read, until a third signal.
        """
        options = ("-p", "0", "--status", "0", "--lame-duck", "10m", "--status-linger", "10m")
        serve = (sys.executable, "-m", "echoproto", "serve", *options)
        for command, status in (
            ((), -signal.SIGTERM),
            (serve, 0),
            ((*serve, "--workers", "2"), 0),
        ):
            with Program(*options, listeners=5, command=command, folder=ROOT) as program:
                self.readPhases(program)
                self.assertEqual(program.stop(), status)
            self.assertNotIn("Traceback", "".join(program.log))

    def readPhases(self, program: Program) -> None:
        """Stop the server, and end its first phase."""
        port = program.port("status")
        until(lambda: statusPage(port, "readyz") == (200, "ready\n"))
        program.process.send_signal(signal.SIGTERM)
        until(lambda: statusPage(port, "readyz") == (503, "stopping\n"))
        self.assertEqual(halfCloseEcho(program.address("echo", "tcp"), b"hello"), b"hello")
        program.process.send_signal(signal.SIGTERM)
        until(lambda: "closed: 1 connections; ended: 1 finished" in "".join(program.log))
        self.assertEqual(statusPage(port, "readyz"), (503, "draining\n"))
        figures = statusPage(port, "metrics")[1]
        self.assertIn('ended_total{ending="finished",listener="tcp 0.0.0.0', figures)


class StatusTests(SynchronousTestCase):
    def test_readyThenDraining(self) -> None:
        """The status listener reports ready, then draining, and the metrics."""
        with Program("-p", "0", "--status", "0", "--drain", "10", listeners=5) as program:
            port = program.port("status")
            self.assertEqual(statusPage(port, "healthz"), (200, "ok\n"))
            self.assertEqual(statusPage(port, "readyz"), (200, "ready\n"))
            with connected(program.address("echo", "tcp")) as client:
                client.sendall(b"hello")
                client.recv(5)
                _, figures = statusPage(port, "metrics")
                place = "tcp 0.0.0.0:{}".format(program.address("echo", "tcp")[1])
                labels = f'{{listener="{place}",service="echo"}}'
                self.assertIn(f"echoproto_connections_open{labels} 1.0", figures)
                self.assertIn(f"echoproto_stream_received_bytes_total{labels} 5.0", figures)
                program.process.send_signal(signal.SIGTERM)
                until(lambda: statusPage(port, "readyz") == (503, "draining\n"))
                self.assertEqual(statusPage(port, "healthz"), (200, "ok\n"))
            self.assertEqual(program.stop(), -signal.SIGTERM)

    def test_bothFamilies(self) -> None:
        """Two status listeners with one port number serve both families."""
        port = pickPort(["127.0.0.1", "::1"])
        places = [f"tcp:{port}:interface=127.0.0.1", f"tcp6:{port}:interface=\\:\\:1"]
        options = [word for place in places for word in ("--status", place)]
        with Program("-p", "tcp:0", *options, listeners=3):
            for host in ("127.0.0.1", "[::1]"):
                with urlopen(f"http://{host}:{port}/readyz", timeout=PATIENCE) as answer:
                    self.assertEqual(answer.read(), b"ready\n")

    def test_proxyHeader(self) -> None:
        """A status listener with proxy= answers a health check that begins with a PROXY header."""
        with Program("-p", "tcp:0", "--status", "tcp:0:proxy=any", listeners=2) as program:
            for header in (b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"):
                with connected(program.address("status", "tcp")) as client:
                    client.sendall(header + b"GET /readyz HTTP/1.0\r\n\r\n")
                    self.assertTrue(readToEnd(client).endswith(b"\r\n\r\nready\n"))


class CertificatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.write("server.pem", issued("first", "localhost").pem)
        self.write("clients.pem", authority("authority").certificatePEM)
        self.write("client.pem", issued("client").pem)

    def write(self, name: str, pem: bytes) -> None:
        (self.folder / name).write_bytes(pem)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "clients.pem"))
        # Python 3.13 requires extensions that the test's authority lacks.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def secured(self, program: Program, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        plain = connected(program.address("echo", "tls"))
        return (context or self.context()).wrap_socket(plain, server_hostname="localhost")

    def shown(self, connection: ssl.SSLSocket) -> str:
        certificate: Any = connection.getpeercert()
        [[(_, name)]] = certificate["subject"]
        return str(name)

    def test_reload(self) -> None:
        """After SIGHUP new connections get the new certificate, and old ones continue."""
        arguments = ["--tls-cert", str(self.folder / "server.pem")]
        with Program("-p", "0", *arguments) as program, self.secured(program) as old:
            self.write("server.pem", issued("second", "localhost").pem)
            program.process.send_signal(signal.SIGHUP)
            until(lambda: "certificates read again" in "".join(program.log))
            with self.secured(program) as new:
                self.assertEqual((self.shown(old), self.shown(new)), ("first", "second"))
                for client in (old, new):
                    client.sendall(b"hello")
                    self.assertEqual(client.recv(5), b"hello")
            self.write("server.pem", b"rubbish")
            program.process.send_signal(signal.SIGHUP)
            until(lambda: "the current certificates stay in use" in "".join(program.log))
            with self.secured(program) as new:
                self.assertEqual(self.shown(new), "second")

    def test_mutual(self) -> None:
        """With --tls-client-ca only clients with a certificate of that authority are served."""
        arguments = ["--tls-cert", "server.pem", "--tls-client-ca", "clients.pem"]
        paths = [str(self.folder / word) if word.endswith("pem") else word for word in arguments]
        with Program("-p", "0", *paths) as program:
            context = self.context()
            context.load_cert_chain(str(self.folder / "client.pem"))
            with self.secured(program, context) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(5), b"hello")
            with self.assertRaises(OSError), self.secured(program) as client:
                client.sendall(b"hello")
                client.recv(5)
            program.stop()
        log = "".join(program.log)
        self.assertIn("refused 1 connection: 1 TLS handshake failed", log)
        self.assertNotIn("Traceback", log)

    def test_unfinishedHandshakes(self) -> None:
        """Clients that stop during a handshake do not delay others, and are aborted."""
        arguments = ["--tls-cert", str(self.folder / "server.pem"), "--handshake-timeout", "1"]
        with Program("-p", "0", *arguments) as program:
            silent = [connected(program.address("echo", "tls")) for _ in range(50)]
            for unfinished in silent:
                unfinished.sendall(b"\x16\x03\x01")
            with self.secured(program) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(5), b"hello")
            for unfinished in silent:
                with unfinished:
                    self.assertRaises(ConnectionResetError, unfinished.recv, 1)
            program.stop()
        self.assertIn("50 TLS handshake took too long", "".join(program.log))


_ACTIVATE = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable] + sys.argv[1:])
"""


class ActivationTests(SynchronousTestCase):
    def test_twistd(self) -> None:
        """``twistd`` serves the sockets that systemd passes, and ends by the signal."""
        command = [*TWISTD, "-n", "--pidfile=", "echoproto", "-p", "systemd:echo"]
        self.assertEqual(self.servedUntilStopped(command), -signal.SIGTERM)

    def test_unit(self) -> None:
        """The command of the unit serves them, and ends with status 0."""
        unit = (ROOT / "deploy" / "systemd" / "echoproto.service").read_text()
        [words] = re.findall(r"^ExecStart=/opt/echoproto/bin/echoproto (.*)$", unit, re.MULTILINE)
        self.assertNotIn("SuccessExitStatus", unit)
        command = [sys.executable, "-m", "echoproto", *words.split()]
        self.assertEqual(self.servedUntilStopped(command), 0)

    def servedUntilStopped(self, command: list[str]) -> int:
        """
        Start the command with a stream and a datagram socket, exchange data on both, stop it; it
        notifies systemd. Returns its exit status.
        """
        with (
            TemporaryDirectory() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
            socket.create_server(("127.0.0.1", 0)) as streams,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            notified.bind(f"{folder}/notify")
            notified.settimeout(PATIENCE)
            datagrams.bind(("127.0.0.1", 0))
            started = self.activated(command, streams, datagrams, f"{folder}/notify")
            with started as program:
                self.assertTrue(notified.recv(1000).startswith(b"READY=1\n"))
                self.assertEqual(halfCloseEcho(streams.getsockname(), b"hello"), b"hello")
                with datagramSocket() as client:
                    client.connect(datagrams.getsockname())
                    client.send(b"datagram")
                    self.assertEqual(client.recv(100), b"datagram")
                status = program.stop()
                self.assertEqual(notified.recv(1000), b"STOPPING=1")
            # Later connections wait for the next start, as systemd keeps the sockets open.
            connected(streams.getsockname()).close()
        return status

    def activated(
        self, program: list[str], streams: socket.socket, datagrams: socket.socket, notify: str
    ) -> Program:
        """Start a command with these sockets as descriptors 3 and 4, like systemd."""
        shell = (
            f"exec 3<&{streams.fileno()} 4<&{datagrams.fileno()}; "
            f'LISTEN_FDS=2 LISTEN_FDNAMES=echo:echo NOTIFY_SOCKET={notify} exec "$@"'
        )
        for sock in (streams, datagrams):
            os.set_inheritable(sock.fileno(), True)
        command = ["bash", "-c", shell, "-", sys.executable, "-c", _ACTIVATE, *program[1:]]
        return Program(command=command, listeners=2, passing=(streams.fileno(), datagrams.fileno()))


class JSONTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """With the JSON logger every log line is one object."""
        logger = "--logger=echoproto.server.monitoring.jsonlog.jsonLines"
        with Program("-p", "0", twistd=[logger]) as program:
            halfCloseEcho(program.address("echo", "tcp"), b"hello")
            program.stop()
        events = [json.loads(line) for line in program.log]
        # Clients of another program that had this port before may connect, too.
        ended = [event for event in events if event.get("event") == "ended"]
        self.assertIn(
            ("finished", 5), [(event["ending"], event["bytesReceived"]) for event in ended]
        )


_HAPROXY = """
global
    maxconn 2000
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen v1
    bind 127.0.0.1:{v1}
    server echo 127.0.0.1:{echo} send-proxy
listen v2
    bind 127.0.0.1:{v2}
    server echo 127.0.0.1:{echo} send-proxy-v2 check inter 100ms
listen secured
    bind 127.0.0.1:{secured}
    server echo 127.0.0.1:{tls} send-proxy-v2 ssl verify none
"""


class HAProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        if shutil.which("haproxy") is None:
            raise SkipTest("haproxy is not installed")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, program: Program) -> dict[str, int]:
        """Start HAProxy in front of the listeners of ``program``; return its ports by name."""
        with (
            socket.create_server(("127.0.0.1", 0)) as a,
            socket.create_server(("127.0.0.1", 0)) as b,
            socket.create_server(("127.0.0.1", 0)) as c,
        ):
            names = ("v1", "v2", "secured")
            ports = {
                n: listener.getsockname()[1] for n, listener in zip(names, (a, b, c), strict=True)
            }
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(
            _HAPROXY.format(
                echo=program.address("echo", "tcp")[1],
                tls=program.address("echo", "tls")[1],
                **ports,
            )
        )
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.terminate)
        until(lambda: all(self.answers(port) for port in ports.values()))
        return ports

    def answers(self, port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def test_behindHAProxy(self) -> None:
        """
        Behind HAProxy no data is lost at a half-close, the log has the client's address, and health
        checks are unused connections, logged as a total.
        """
        pem = self.folder / "server.pem"
        pem.write_bytes(issued("server", "localhost").pem)
        listeners = [
            *("-p", "tcp:0:interface=127.0.0.1:proxy=any"),
            *("-p", f"tcp:0:interface=127.0.0.1:proxy=v2:tlsCert={pem}"),
        ]
        with Program(*listeners, listeners=2) as program:
            ports = self.start(program)
            data = os.urandom(MEGABYTE)
            peers = []
            for port in ports.values():
                with connected(("127.0.0.1", port)) as client:
                    peers.append("{}:{}".format(*client.getsockname()))
                    client.sendall(b"hello")
                    self.assertEqual(client.recv(5), b"hello")
                for _ in range(20):
                    self.assertTrue(halfCloseEcho(("127.0.0.1", port), data) == data)
            until(lambda: " unused" in "".join(program.log))
            program.stop()
        log = "".join(program.log)
        for peer in peers:
            self.assertIn(f"from {peer} finished", log)
        self.assertNotIn("lost", log)
        self.assertNotIn("Traceback", log)
        self.assertNotIn("PROXY header", log)
