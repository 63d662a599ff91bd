"""The table of signals in ``docs/operation.md``, with real processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from select import PIPE_BUF
from tempfile import TemporaryDirectory
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import PATIENCE, TWISTD, connected, environment

SERVE = [sys.executable, "-m", "echoproto", "serve"]

#: The forms of the server, and the status with which SIGTERM ends each.
FORMS = (
    (SERVE, 0),
    ([*SERVE, "--workers", "2"], 0),
    ([*TWISTD, "-n", "--pidfile=", "echoproto"], -signal.SIGTERM),
)

HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class SignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "echo")

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """A server in a process group of its own, from a parent with signals blocked."""
        blocked = {*HARMLESS, signal.SIGTERM, signal.SIGCHLD}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            server = subprocess.Popen(
                [*command, "--port", f"unix:{self.path}"],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.addCleanup(server.wait, PATIENCE)
        self.addCleanup(server.kill)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        return server

    def awaitListening(self, server: subprocess.Popen[str]) -> None:
        assert server.stdout is not None
        for line in server.stdout:
            if "is listening" in line:
                return
        self.fail("it did not start")

    def echo(self, client: socket.socket) -> None:
        client.sendall(b"x")
        self.assertEqual(client.recv(1), b"x")

    def test_unreadLog(self) -> None:
        """A log that is a full pipe stops neither the service nor SIGTERM."""
        for command, status in FORMS:
            server = self.start(command)
            self.awaitListening(server)
            assert server.stdout is not None
            # One page, less than the lines of a hundred connections.
            fcntl.fcntl(server.stdout, fcntl.F_SETPIPE_SZ, PIPE_BUF)
            for _ in range(100):
                with connected(str(self.path)) as client:
                    self.echo(client)
            server.terminate()
            self.assertEqual(server.wait(PATIENCE), status)

    def test_allPhases(self) -> None:
        """
        A signal to all processes of the server does no harm while workers start, while it serves
        and while it drains; SIGTERM drains it in order and leaves no file.
        """
        for command, status in FORMS:
            server = self.start(command)
            self.awaitListening(server)
            for number in HARMLESS:
                os.killpg(server.pid, number)
            with connected(str(self.path)) as client:
                self.echo(client)
                for number in HARMLESS:
                    os.killpg(server.pid, number)
                self.echo(client)
                os.killpg(server.pid, signal.SIGTERM)
                for number in HARMLESS:
                    os.killpg(server.pid, number)
            output, _ = server.communicate(timeout=PATIENCE)
            self.assertEqual(server.returncode, status, output)
            self.assertNotIn("Traceback", output)
            self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_ignoredByTheParent(self) -> None:
        """
        A server that a shell has started in the background, with SIGINT and SIGQUIT ignored, drains
        at SIGINT.
        """
        for command, status in FORMS:
            shell = ["sh", "-c", 'trap "" INT QUIT CHLD; exec "$@"', "sh", *command]
            server = self.start(shell)
            self.awaitListening(server)
            server.send_signal(signal.SIGINT)
            output, _ = server.communicate(timeout=PATIENCE)
            expected = -signal.SIGINT if status else 0
            self.assertEqual(server.returncode, expected, output)
            self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_quit(self) -> None:
        """SIGQUIT ends the server at once; its workers drain, and leave no process."""
        for command, _ in FORMS:
            server = self.start(command)
            self.awaitListening(server)
            with connected(str(self.path)) as client:
                self.echo(client)
                os.killpg(server.pid, signal.SIGQUIT)
                self.assertEqual(server.wait(PATIENCE), -signal.SIGQUIT)
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(client.recv(1), b"")
            # The end of the output is that of the last process.
            self.assertNotIn("Traceback", server.communicate(timeout=PATIENCE)[0])
            self.path.unlink()
            Path(f"{self.path}.lock").unlink(missing_ok=True)

    def test_stopWhileWorkersStart(self) -> None:
        """SIGTERM to all processes while the workers start is a clean stop."""
        server = self.start([*SERVE, "--workers", "2"])
        self.awaitListening(server)
        os.killpg(server.pid, signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE)
        self.assertEqual((server.returncode, "Traceback" in output), (0, False), output)
        self.assertEqual(list(self.path.parent.iterdir()), [])


class TerminalTests(SynchronousTestCase):
    """A server in the foreground of a terminal."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "echo")

    def start(self, command: list[str]) -> tuple[int, int]:
        """A server that listens; returns its process and the terminal."""
        process, terminal = pty.fork()
        if process == 0:
            arguments = [*command, "--port", f"unix:{self.path}", "--log-format", "json"]
            os.execve(sys.executable, arguments, environment())
        self.addCleanup(self.end, process)
        output = b""
        while b"is listening" not in output:
            output += os.read(terminal, 1000)
        return process, terminal

    def end(self, process: int) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)

    def test_closed(self) -> None:
        """When its terminal is closed, the server goes on, and stops in order at SIGTERM."""
        for command in (SERVE, [*SERVE, "--workers", "2"]):
            process, terminal = self.start(command)
            with connected(str(self.path)) as client:
                client.sendall(b"x")
                self.assertEqual(client.recv(1), b"x")
                os.close(terminal)
                with connected(str(self.path)) as other:
                    other.sendall(b"y")
                    self.assertEqual(other.recv(1), b"y")
                client.sendall(b"z")
                self.assertEqual(client.recv(1), b"z")
                os.kill(process, signal.SIGTERM)
                self.assertEqual(client.recv(1), b"")
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), 0)
            self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_keys(self) -> None:
        """Ctrl-C drains; SIGQUIT, of Ctrl and the backslash, ends the server at once."""
        for command in (SERVE, [*SERVE, "--workers", "2"]):
            for key, status in ((b"\x03", 0), (b"\x1c", -signal.SIGQUIT)):
                process, terminal = self.start(command)
                os.write(terminal, key)
                with contextlib.suppress(OSError):
                    while os.read(terminal, 1000):
                        pass
                os.close(terminal)
                self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), status)


class FirstProcessTests(SynchronousTestCase):
    """A server that is process 1, as in a container."""

    unshare = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

    def test_orphans(self) -> None:
        """An orphan that ends leaves no zombie; SIGTERM drains."""
        if os.geteuid() != 0 or subprocess.call([*self.unshare, "true"]) != 0:
            raise SkipTest("needs root, and a PID namespace")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # The shell becomes the server; the sleep, whose parent ends, becomes its child.
        script = '(sleep 2 & echo started) ; exec "$@"'
        for workers in ("1", "2"):
            options = ["--port", f"unix:{folder.name}/echo", "--workers", workers]
            command = [*self.unshare, "sh", "-c", script, "sh", *SERVE, *options]
            with subprocess.Popen(
                command, env=environment(), stdout=subprocess.PIPE, text=True
            ) as outside:
                self.addCleanup(outside.kill)
                assert outside.stdout is not None
                for line in outside.stdout:
                    if "is listening" in line:
                        break
                [server] = self.children(outside.pid)
                names = self.commands(server)
                while "sleep" in names:
                    time.sleep(0.05)
                    names = self.commands(server)
                self.assertNotIn("sleep", names)
                os.kill(server, signal.SIGTERM)
                outside.stdout.read()
                self.assertEqual(outside.wait(PATIENCE), 0)

    def children(self, process: int) -> list[int]:
        """The children of a process, proc_pid_task_children(5)."""
        path = Path(f"/proc/{process}/task/{process}/children")
        return [int(number) for number in path.read_text().split()]

    def commands(self, process: int) -> list[str]:
        """The commands of its children, also of zombies."""
        return [Path(f"/proc/{child}/comm").read_text().strip() for child in self.children(process)]
