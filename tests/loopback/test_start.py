"""The start of ``twistd echoproto``, and its errors."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING
from tests.certificates import serverPEM
from tests.loopback.program import (
    PATIENCE,
    TWISTD,
    Program,
    connected,
    environment,
    halfCloseEcho,
    readToEnd,
)


def refused(
    *arguments: str, twistd: Sequence[str] = ("-n",), before: Sequence[str] = ()
) -> tuple[int, str, str]:
    """
    Return the exit status, the output or log, and the standard error of a start that must fail.
    There must be no traceback, and no file other than the log of a daemon.

    :param before: the beginning of a command that runs another command.
    """
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(
            [*before, *TWISTD, *twistd, "--pidfile=twistd.pid", "echoproto", *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        left = {path.name: path for path in Path(folder).iterdir()}
        log = left.pop("twistd.log").read_text() if "twistd.log" in left else ""
    assert "Traceback" not in finished.stdout + finished.stderr + log, finished.stdout
    assert not left, left
    return finished.returncode, finished.stdout + log, finished.stderr


class BusyPortTests(SynchronousTestCase):
    def hold(self, kind: socket.SocketKind) -> int:
        """Bind a local port and return its number."""
        held = socket.socket(socket.AF_INET, kind)
        self.addCleanup(held.close)
        held.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        port: int = held.getsockname()[1]
        return port

    def test_foreground(self) -> None:
        """A port in use is one line and status 1, and other listeners are closed."""
        port = str(self.hold(socket.SOCK_STREAM))
        arguments = ("-p", "unix:echo.sock", "-g", port, "--interface", "127.0.0.1")
        status, log, error = refused(*arguments)
        self.assertEqual(status, 1)
        self.assertNotIn("cannot listen", log)
        self.assertEqual(
            error,
            f"greeting cannot listen on tcp 127.0.0.1:{port}: Address already in use; "
            "stop the program that listens there, or use another address\n",
        )

    def test_daemon(self) -> None:
        """A daemon reports a port in use in one whole line on the terminal, and logs it."""
        description = f"udp:{self.hold(socket.SOCK_DGRAM)}:interface=127.0.0.1"
        status, log, error = refused("-p", description, twistd=())
        self.assertEqual(status, 1)
        self.assertIn(f"cannot listen on {description}: Address", error)
        for output in (log, error):
            self.assertIn("; stop the program that listens there, or use another address\n", output)


class RefusedTests(SynchronousTestCase):
    def test_otherMachine(self) -> None:
        """An address of another machine is reported as such."""
        status, _, error = refused("-p", "0", "--interface", "192.0.2.1")
        self.assertEqual(status, 1)
        self.assertIn("echo cannot listen on tcp 192.0.2.1:0: Cannot assign", error)
        self.assertIn("this machine does not have that address", error)

    def test_noSuchPort(self) -> None:
        """A port above 65535 in an endpoint description is reported as invalid."""
        status, _, error = refused("-p", "tcp:99999")
        self.assertEqual(status, 1)
        self.assertIn("echo cannot listen on tcp:99999: bind(): port must be 0-65535", error)

    def test_wrongDescription(self) -> None:
        """An invalid description is a usage error of one line."""
        status, output, error = refused("-p", "tcp:abc")
        self.assertEqual((status, output, len(error.splitlines())), (1, "", 1))
        self.assertIn("--port: invalid listener 'tcp:abc'", error)

    def test_noPermission(self) -> None:
        """A low port without permission is one line with the remedy."""
        without = [] if os.geteuid() else ["setpriv", "--bounding-set=-net_bind_service"]
        if without and shutil.which(without[0]) is None:
            raise SkipTest("root may listen anywhere, and setpriv is not installed")
        status, _, error = refused("-p", "7", before=without)
        self.assertEqual(status, 1)
        self.assertEqual(
            error,
            "echo cannot listen on tcp 0.0.0.0:7: Permission denied; "
            "ports below 1024 need root, who may become another user by --uid, or the "
            "capability CAP_NET_BIND_SERVICE\n",
        )


class LowPortTests(SynchronousTestCase):
    def test_uid(self) -> None:
        """A low port is opened before twistd drops root."""
        if os.geteuid() != 0:
            raise SkipTest("needs root")
        arguments = ("-p", "tcp:862:interface=127.0.0.1", "-p", "udp:862:interface=127.0.0.1")
        with Program(*arguments, listeners=2, twistd=("--uid", "nobody")) as program:
            self.assertEqual(halfCloseEcho(("127.0.0.1", 862), b"low"), b"low")
            status = Path(f"/proc/{program.process.pid}/status").read_text()
            self.assertNotIn("Uid:\t0\t", status)


class ImportTests(SynchronousTestCase):
    def test_imports(self) -> None:
        """
        A server that listens has imported all that it needs: from then on it may be another user,
        who may not read its modules.
        """
        with tempfile.TemporaryDirectory() as folder:
            pem = Path(folder, "server.pem")
            pem.write_bytes(serverPEM())
            options = (
                *("-p", f"ssl:0:privateKey={pem}:interface=127.0.0.1"),
                *("--status", "tcp:0:interface=127.0.0.1"),
            )
            serve = (sys.executable, "-X", "importtime", "-m", "echoproto", "serve", *options)
            with Program(command=serve, listeners=2) as program:
                with connected(program.address("status", "tcp")) as client:
                    client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    self.assertIn(b"200 OK", readToEnd(client))
                program.process.send_signal(signal.SIGHUP)
                deadline = time.monotonic() + PATIENCE
                while "certificates read again" not in "".join(program.log):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
        *_, last = [index for index, line in enumerate(program.log) if "listening on" in line]
        self.assertEqual([line for line in program.log[last:] if "import time" in line], [])


class DescriptionTests(SynchronousTestCase):
    def test_tcp6TakesIPv6Only(self) -> None:
        """tcp6: serves only IPv6, whatever the default of the machine is."""
        with Program("-p", "tcp6:0", listeners=1) as program:
            host, port = program.address("echo", "tcp", socket.AF_INET6)
            self.assertEqual(halfCloseEcho((host, port), b"six"), b"six")
            with self.assertRaises(ConnectionRefusedError):
                connected(("127.0.0.1", port))

    def test_tls(self) -> None:
        """tls: and ssl: serve both services."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "server.pem").write_bytes(serverPEM())
            description = f"tls:{folder}:0:interface=127.0.0.1"
            ssl_ = f"ssl:0:privateKey={folder}/server.pem:interface=127.0.0.1"
            with Program("-p", description, "-g", ssl_, listeners=2) as program:
                context = ssl.create_default_context(
                    cadata=serverPEM().decode().partition("-----END PRIVATE KEY-----\n")[2]
                )
                address = program.address("echo", "tls")
                with context.wrap_socket(connected(address), server_hostname="localhost") as client:
                    client.sendall(b"x" * 10_000)
                    received = b""
                    while len(received) < 10_000:
                        received += client.recv(10_000)
                    self.assertEqual(received, b"x" * 10_000)
                address = program.address("greeting", "tls")
                with context.wrap_socket(connected(address), server_hostname="localhost") as client:
                    client.sendall(CLIENT_GREETING)
                    self.assertEqual(readToEnd(client), SERVER_GREETING)
                program.stop()
            self.assertNotIn("Traceback", "".join(program.log))

    def test_systemd(self) -> None:
        """systemd: serves a socket passed by systemd (sd_listen_fds(3))."""
        with socket.create_server(("127.0.0.1", 0)) as passed:
            program = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update("
                "LISTEN_FDS='1', LISTEN_FDNAMES='x', LISTEN_PID=str(os.getpid())); "
                "from twisted.scripts.twistd import run; "
                "sys.argv[:] = ['twistd', '-n', '--pidfile=', 'echoproto', '-p', "
                "'systemd:domain=INET:index=0']; run()"
            )
            os.set_inheritable(passed.fileno(), True)
            running = subprocess.Popen(
                [sys.executable, "-c", program, str(passed.fileno())],
                env=environment(),
                pass_fds=[passed.fileno()],
                stdout=subprocess.DEVNULL,
            )
            try:
                self.assertEqual(halfCloseEcho(passed.getsockname(), b"passed"), b"passed")
            finally:
                running.terminate()
                running.wait(PATIENCE)

    def test_version(self) -> None:
        """--version prints the version of echoproto."""
        output = subprocess.check_output(
            [*TWISTD, "echoproto", "--version"], env=environment(), text=True
        )
        self.assertIn(f"echoproto {echoproto.__version__} ", output)
