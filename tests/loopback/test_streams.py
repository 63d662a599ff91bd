"""The behaviour of the kernel and ``twistd`` with streams."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING
from echoproto.protocols.lifecycle import LINGER_SILENCE
from tests.loopback.program import PATIENCE, Program, connected, halfCloseEcho, readToEnd

MEGABYTE = 1 << 20


class RunningTestCase(SynchronousTestCase):
    """A test case with a server of both services."""

    def setUp(self) -> None:
        self.program = Program("--port", "0", "--greet", "0", listeners=8)
        self.addCleanup(self.program.stop)
        self.echo = self.program.address("echo", "tcp")
        self.greeting = self.program.address("greeting", "tcp")


class HalfCloseTests(RunningTestCase):
    def test_noDataLost(self) -> None:
        """Data of any size, sent with a half-close while reading, is always echoed completely."""
        for size in (0, 1, 1000, 40_019, 65_536, 2 * MEGABYTE):
            data = os.urandom(size)
            lost = [n for n in range(100) if halfCloseEcho(self.echo, data) != data]
            self.assertEqual(lost, [], f"of {size} bytes")

    def test_large(self) -> None:
        """The same with 64 MiB."""
        data = os.urandom(64 * MEGABYTE)
        for _ in range(3):
            self.assertTrue(halfCloseEcho(self.echo, data) == data)

    def test_IPv6(self) -> None:
        """The same over IPv6."""
        data = os.urandom(40_019)
        address = self.program.address("echo", "tcp", socket.AF_INET6)
        self.assertEqual(halfCloseEcho(address, data), data)


class UrgentDataTests(SynchronousTestCase):
    def test_everyCarrier(self) -> None:
        """Urgent data comes back at its place in the stream, over TCP and over a UNIX socket."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/echo"
            with Program("-p", "tcp:0", "-p", f"unix:{path}", listeners=2) as program:
                for address in (program.address("echo", "tcp"), path):
                    with connected(address) as client:
                        client.sendall(b"abc")
                        client.send(b"D", socket.MSG_OOB)
                        client.sendall(b"efg")
                        client.shutdown(socket.SHUT_WR)
                        self.assertEqual(readToEnd(client), b"abcDefg")

    def test_inHeader(self) -> None:
        """A byte of a PROXY header may be urgent data, over TCP and over a UNIX socket."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/echo"
            descriptions = ("-p", "tcp:0:proxy=v1", "-p", f"unix:{path}:proxy=v1")
            with Program(*descriptions, listeners=2) as program:
                for address in (program.address("echo", "tcp"), path):
                    with connected(address) as client:
                        client.send(b"P", socket.MSG_OOB)
                        client.sendall(b"ROXY UNKNOWN\r\nabc")
                        client.shutdown(socket.SHUT_WR)
                        self.assertEqual(readToEnd(client), b"abc")


class HostileTests(RunningTestCase):
    def test_neverReads(self) -> None:
        """A client that never reads is read from up to 8 MB, and uses less than 1 MB of memory."""
        with connected(self.echo) as warmUp:
            warmUp.sendall(b"x")
            warmUp.recv(1)
        before = self.program.residentBytes()
        with connected(self.echo) as client:
            client.settimeout(1.0)
            sent = 0
            with self.assertRaises(socket.timeout):
                while sent < 64 * MEGABYTE:
                    sent += client.send(b"x" * 65_536)
            grown = self.program.residentBytes() - before
        self.assertLess(sent, 8_000_000)
        self.assertLess(grown, 1_000_000)

    def test_resets(self) -> None:
        """After 150 connections reset with pending data, the next client is served."""
        for _ in range(150):
            with connected(self.echo) as client:
                client.sendall(b"x" * 10_000)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.assertEqual(halfCloseEcho(self.echo, b"next"), b"next")


class LongGreetingTests(SynchronousTestCase):
    def test_slowClient(self) -> None:
        """A client silent for longer than the linger timeout still gets a whole long greeting."""
        text = "x" * 65_000
        with Program("--no-echo", "-g", "0", "--greeting", text) as program:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(PATIENCE)
            with client:
                client.connect(program.address("greeting", "tcp"))
                client.sendall(CLIENT_GREETING)
                # Nothing is read during this time, because the silence is the test.
                with self.assertRaises(subprocess.TimeoutExpired):
                    program.process.wait(LINGER_SILENCE + 2)
                client.sendall(b"x")
                self.assertEqual(readToEnd(client).decode(), text)


class GreetingTests(RunningTestCase):
    def test_tutorialClient(self) -> None:
        """A client as in a beginner's tutorial works: connect, sendall, recv(1024), close."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect(self.greeting)
            client.sendall(b"Hello, server! This is the client.")
            self.assertEqual(client.recv(1024), b"Hello, client! This is the server.")

    def test_tutorialClientIPv6(self) -> None:
        """The same over IPv6."""
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
            client.connect(self.program.address("greeting", "tcp", socket.AF_INET6))
            client.sendall(b"Hello, server! This is the client.")
            self.assertEqual(client.recv(1024), b"Hello, client! This is the server.")

    def test_keepsSending(self) -> None:
        """A client that keeps sending after its greeting gets the reply and a FIN, not a reset."""
        for _ in range(100):
            with connected(self.greeting) as client:
                client.sendall(CLIENT_GREETING)
                for _ in range(20):
                    client.sendall(b"more data" * 100)
                self.assertEqual(readToEnd(client), SERVER_GREETING)
                client.sendall(b"one more" * 1000)


class LogTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """A greeting and the end of a connection are one line each, with received data escaped."""
        with Program("--no-echo", "--greet", "0", "--greeting", "Grüß dich") as program:
            with connected(program.address("greeting", "tcp")) as client:
                client.sendall(b"hi\n2026 forged line\x1b[2J\xff")
                self.assertEqual(readToEnd(client).decode(), "Grüß dich")
                peer = "{}:{}".format(*client.getsockname())
            program.stop()
        log = "".join(program.log)
        where = "greeting on tcp 0.0.0.0:{}".format(program.port("greeting"))
        self.assertIn(f"{where} from {peer} said: hi\\n2026 forged line\\x1b[2J\\xff\n", log)
        self.assertRegex(
            log, rf"{where} from {peer} finished after 0\.\d+ s, 24 bytes in, 11 bytes out"
        )
        self.assertNotIn("Traceback", log)


class UNIXTests(SynchronousTestCase):
    def test_echoAndGreeting(self) -> None:
        """Both services run on UNIX sockets, whose files are removed at the end."""
        with tempfile.TemporaryDirectory() as folder:
            echo, greeting = f"{folder}/echo", f"{folder}/greeting"
            arguments = ["-p", f"unix:{echo}", "-g", f"unix:{greeting}"]
            with Program(*arguments, listeners=2) as program:
                data = os.urandom(2 * MEGABYTE)
                self.assertTrue(halfCloseEcho(echo, data) == data)
                with connected(greeting) as client:
                    client.sendall(CLIENT_GREETING)
                    self.assertEqual(readToEnd(client), SERVER_GREETING)
                program.stop()
            self.assertEqual(list(Path(folder).iterdir()), [])
            self.assertIn(f"echo is listening on unix {echo}\n", "".join(program.log))
            self.assertNotIn("Traceback", "".join(program.log))


class StopTests(SynchronousTestCase):
    def test_bySignal(self) -> None:
        """SIGTERM and SIGINT stop the server normally, and it ends by that signal."""
        # A background process ignores SIGINT, and so would the program that it starts.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_DFL))
        for number in (signal.SIGTERM, signal.SIGINT):
            with Program("-p", "0") as program:
                self.assertEqual(program.stop(number), -number)
            self.assertIn("Server Shut Down.", program.log[-1])

    def test_openConnectionsFinish(self) -> None:
        """Data sent before a SIGTERM, and shortly after it, is still echoed."""
        with Program("-p", "0") as program:
            with connected(program.address("echo", "tcp")) as client:
                client.sendall(b"before")
                self.assertEqual(client.recv(6), b"before")
                program.process.send_signal(signal.SIGTERM)
                client.sendall(b"x" * 100_000)
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(readToEnd(client), b"x" * 100_000)
            self.assertEqual(program.stop(), -signal.SIGTERM)

    def test_connectionsThatWait(self) -> None:
        """Connections in the listen backlog when the server is stopped are still served."""
        with Program("-p", "0") as program:
            address = program.address("echo", "tcp")
            program.process.send_signal(signal.SIGSTOP)
            clients = [connected(address) for _ in range(300)]
            for client in clients:
                client.sendall(b"waiting")
                client.shutdown(socket.SHUT_WR)
            program.process.send_signal(signal.SIGTERM)
            program.process.send_signal(signal.SIGCONT)
            echoed = []
            for client in clients:
                with client:
                    echoed.append(readToEnd(client))
            self.assertEqual(echoed, [b"waiting"] * 300)

    def test_socketFileGone(self) -> None:
        """A UNIX socket file that was removed is one log line, and does not end the drain."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/echo"
            with Program("-p", f"unix:{path}", "-p", "0", listeners=5) as program:
                with connected(program.address("echo", "tcp")) as client:
                    client.sendall(b"x")
                    client.recv(1)
                    os.unlink(path)
                    program.process.send_signal(signal.SIGTERM)
                    client.sendall(b"still here")
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(readToEnd(client), b"still here")
                program.stop()
        log = "".join(program.log)
        self.assertIn(f"{path} was removed or replaced while the server listened", log)
        self.assertNotIn("Traceback", log)

    def test_silentClientGetsFIN(self) -> None:
        """A silent client gets a FIN, not a reset, and the server ends when the client closes."""
        with Program("-p", "0") as program:
            with connected(program.address("echo", "tcp")) as client:
                client.sendall(b"x")
                client.recv(1)
                program.process.send_signal(signal.SIGTERM)
                self.assertEqual(client.recv(1), b"")
            self.assertEqual(program.stop(), -signal.SIGTERM)
        self.assertIn("drained", "".join(program.log))
