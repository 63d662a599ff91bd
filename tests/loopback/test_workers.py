from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from errno import ECONNREFUSED
from threading import Event, Thread
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import (
    PATIENCE,
    Program,
    connected,
    datagramSocket,
    environment,
    readToEnd,
)

SERVE = [sys.executable, "-m", "echoproto", "serve"]

SIZE = 4_000_000

#: The number of sequential clients after a worker has died.
NEW_CLIENTS = 100

#: Enough that the kernel does not assign all of them to one of two workers.
CONNECTIONS = 20


def serving(*arguments: str, listeners: int = 1) -> Program:
    """Run ``echoproto serve`` with these options."""
    return Program(command=[*SERVE, *arguments], listeners=listeners)


def waitFor(condition: Any) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not become true")
        Event().wait(0.02)


def workersOf(program: Program) -> list[int]:
    """Return the worker processes."""
    children = f"/proc/{program.process.pid}/task/{program.process.pid}/children"
    try:
        with open(children) as listed:
            return [int(pid) for pid in listed.read().split()]
    except FileNotFoundError:
        return []


def page(program: Program, path: str) -> str:
    """Return the status listener's response."""
    port = program.port("status")
    with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=PATIENCE) as answer:
        return str(answer.read(), "utf-8")


def metric(program: Program, name: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page(program, "metrics"), re.MULTILINE)
    return sum(map(float, found))


def isReady(program: Program) -> bool:
    """Whether all workers are ready."""
    try:
        return page(program, "readyz") == "ready\n"
    except OSError:
        return False


def echoOneByte(address: Any) -> None:
    """Connect, and assert that a byte is echoed."""
    with connected(address) as client:
        client.sendall(b"x")
        if client.recv(1) != b"x":
            raise AssertionError("no echo")


class Load:
    """Connections that echo in threads until they are reset or stopped."""

    def __init__(self, address: Any, connections: int) -> None:
        self.resets = 0
        self.done = 0
        self._stop = Event()
        self._threads = [
            Thread(target=self._echo, args=(connected(address),)) for _ in range(connections)
        ]
        for thread in self._threads:
            thread.start()

    def _echo(self, client: socket.socket) -> None:
        with client:
            while not self._stop.is_set():
                try:
                    client.sendall(b"x" * 1000)
                    left = 1000
                    while left:
                        got = len(client.recv(left))
                        if not got:
                            raise ConnectionResetError
                        left -= got
                except ConnectionError:
                    self.resets += 1
                    return
                self.done += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class ServeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """``echoproto serve`` drains when stopped by a signal, and exits with status 0."""
        for options in ([], ["--workers", "2"]):
            for number in (signal.SIGTERM, signal.SIGINT):
                program = serving("--port", "tcp:0:interface=127.0.0.1", *options)
                with connected(program.address("echo", "tcp")) as client:
                    client.sendall(b"hello")
                    self.assertEqual(client.recv(5), b"hello")
                self.assertEqual(program.stop(number), 0)

    def test_cannotStart(self) -> None:
        """An address in use gives status 1 and one line, with and without workers."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            where = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            for workers in ("1", "2"):
                ended = subprocess.run(
                    [*SERVE, "--port", where, "--workers", workers],
                    env=environment(),
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                self.assertEqual(ended.returncode, 1)
                self.assertRegex(
                    ended.stderr, "^echo cannot listen on .*: Address already in use; .*\n$"
                )


class WorkersTests(SynchronousTestCase):
    def test_carriers(self) -> None:
        """Streams, datagrams and UNIX sockets are served and counted by workers too."""
        with serving(
            *("--port", "0", "--interface", "127.0.0.1", "--port", "unix:echo.sock"),
            *("--workers", "2", "--status", "0"),
            listeners=4,
        ) as program:
            waitFor(lambda: isReady(program))
            unixPath = f"{program._folder.name}/echo.sock"
            for address in (program.address("echo", "tcp"), unixPath):
                with connected(address) as client:
                    client.sendall(b"hello")
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(readToEnd(client), b"hello")
            with datagramSocket() as client:
                for _ in range(10):
                    client.sendto(b"hello", program.address("echo", "udp"))
                    self.assertEqual(client.recvfrom(10)[0], b"hello")
            waitFor(lambda: metric(program, "echoproto_datagrams_answered_total") == 10)
            waitFor(lambda: metric(program, "echoproto_stream_received_bytes_total") == 10)
            self.assertEqual(metric(program, "echoproto_workers"), 2)
            self.assertEqual(program.stop(), 0)
            self.assertFalse(os.path.exists(unixPath))

    def test_kill(self) -> None:
        """A killed worker loses only its own connections, and its restart is counted."""
        with serving(
            *("--port", "tcp:0:interface=127.0.0.1", "--workers", "2", "--status", "0"), listeners=2
        ) as program:
            waitFor(lambda: isReady(program))
            address = program.address("echo", "tcp")
            load = Load(address, CONNECTIONS)
            try:
                waitFor(lambda: metric(program, "echoproto_connections_open") == CONNECTIONS)
                before = workersOf(program)
                os.kill(before[0], signal.SIGKILL)
                for _ in range(NEW_CLIENTS):
                    echoOneByte(address)
                waitFor(lambda: isReady(program))
            finally:
                load.stop()
            waitFor(lambda: metric(program, "echoproto_connections_open") == 0)
            ended = page(program, "metrics")
            lost = re.findall(r'ended_total{ending="lost".*} (\S+)', ended)
            self.assertEqual(sum(map(float, lost)), load.resets)
            self.assertLess(load.resets, CONNECTIONS)
            self.assertEqual(metric(program, "echoproto_worker_restarts_total"), 1)
            self.assertEqual(len(set(workersOf(program)) - set(before)), 1)
            self.assertEqual(program.stop(), 0)

    def test_drain(self) -> None:
        """When stopped under load, four workers echo all data, and exit with status 0."""
        program = serving(
            "--port", "tcp:0:interface=127.0.0.1", "--workers", "4", "--status", "0", listeners=2
        )
        waitFor(lambda: isReady(program))
        clients = [connected(program.address("echo", "tcp")) for _ in range(8)]
        got: dict[int, int] = {}
        begun = [Event() for _ in clients]

        def exchange(index: int, client: socket.socket) -> None:
            def send() -> None:
                client.sendall(bytes(SIZE))

            sending = Thread(target=send)
            sending.start()
            while piece := client.recv(1 << 16):
                got[index] = got.get(index, 0) + len(piece)
                begun[index].set()
            sending.join()

        threads = [Thread(target=exchange, args=arguments) for arguments in enumerate(clients)]
        for thread in threads:
            thread.start()
        for event in begun:
            event.wait(PATIENCE)
        status = program.stop()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        self.assertEqual((status, list(got.values())), (0, [SIZE] * 8))

    def test_killedAtStop(self) -> None:
        """Clients in the queues of workers that are killed just before a stop are served."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/s"
            ports = ("--port", "tcp:0:interface=127.0.0.1", "--port", f"unix:{path}")
            with (
                serving(*ports, "--workers", "2", "--status", "0", listeners=3) as program,
                contextlib.ExitStack() as opened,
            ):
                waitFor(lambda: isReady(program))
                workers = workersOf(program)[:2]
                for pid in workers:
                    os.kill(pid, signal.SIGSTOP)
                clients = [
                    opened.enter_context(connected(program.address("echo", "tcp")))
                    for _ in range(NEW_CLIENTS)
                ]
                clients.append(opened.enter_context(socket.socket(socket.AF_UNIX)))
                clients[-1].settimeout(PATIENCE)
                clients[-1].connect(path)
                for client in clients:
                    client.sendall(b"hello")
                    client.shutdown(socket.SHUT_WR)
                for pid in workers:
                    os.kill(pid, signal.SIGKILL)
                program.process.send_signal(signal.SIGTERM)
                for client in clients:
                    self.assertEqual(readToEnd(client), b"hello")
                self.assertEqual(program.stop(), 0)

    def test_connectingAtStop(self) -> None:
        """
        Clients that connect during a stop are served or refused; the few that the kernel connects
        between the last acceptance and the close of a socket are reset.
        """
        with serving(
            *("--port", "tcp:0:interface=127.0.0.1", "--workers", "2", "--status", "0"), listeners=2
        ) as program:
            waitFor(lambda: isReady(program))
            address = program.address("echo", "tcp")
            clients: list[socket.socket] = []
            isRefused = Event()

            def connect() -> None:
                while not isRefused.is_set():
                    try:
                        clients.append(connected(address))
                        clients[-1].sendall(b"x")
                    except ConnectionRefusedError:
                        isRefused.set()
                    except ConnectionError:
                        # Reset before or after it was connected: found below, or a client less.
                        pass

            thread = Thread(target=connect)
            thread.start()
            waitFor(lambda: len(clients) > NEW_CLIENTS)
            program.process.send_signal(signal.SIGTERM)
            thread.join(PATIENCE)
            resets = sum(_isReset(client) for client in clients)
            self.assertLess(resets, len(clients) / 20)
            self.assertEqual(program.stop(), 0)

    def test_supervisorKilled(self) -> None:
        """Workers stop when their supervisor is killed."""
        with serving(
            *("--port", "tcp:0:interface=127.0.0.1", "--workers", "2", "--status", "0"), listeners=2
        ) as program:
            waitFor(lambda: isReady(program))
            workers = workersOf(program)
            program.process.kill()
            waitFor(lambda: not any(_runs(pid) for pid in workers))

    def test_refusedInDrain(self) -> None:
        """
        While workers drain, new clients are refused, and the address can be used again, after a
        signal and after the end of the supervisor.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with (
                serving(
                    *("--port", "tcp:0:interface=127.0.0.1", "--workers", "2", "--drain", "1h"),
                ) as program,
                connected(program.address("echo", "tcp")) as client,
            ):
                # Its echo is not read, so the drain does not end.
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        client.send(bytes(SIZE))
                program.process.send_signal(number)
                waitFor(lambda program=program: _isRefused(program.address("echo", "tcp")))
                socket.create_server(program.address("echo", "tcp")).close()

    def test_cannotStart(self) -> None:
        """If workers repeatedly end before they serve, the program exits with status 1."""
        program = serving("--port", "tcp:0:interface=127.0.0.1", "--workers", "2")
        while program.process.poll() is None:
            for pid in workersOf(program):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.assertEqual(program.stop(), 1)
        self.assertIn("workers cannot start: 3 in a row", "".join(program.log))


def _isReset(client: socket.socket) -> bool:
    with client:
        try:
            return client.recv(1) != b"x"
        except ConnectionResetError:
            return True


def _isRefused(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == ECONNREFUSED


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
