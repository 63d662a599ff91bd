from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
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

#: Clients that connect one after the other after a worker has died.
NEW_CLIENTS = 100

#: As many that the kernel does not give all of them to one of two workers.
CONNECTIONS = 20


def serving(*arguments: str, listeners: int = 1) -> Program:
    """``echoproto serve`` with these options."""
    return Program(command=[*SERVE, *arguments], listeners=listeners)


def waitFor(condition: Any) -> None:
    """Return when it is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to that")
        Event().wait(0.02)


def workersOf(program: Program) -> list[int]:
    """The processes that serve."""
    children = f"/proc/{program.process.pid}/task/{program.process.pid}/children"
    try:
        with open(children) as listed:
            return [int(each) for each in listed.read().split()]
    except FileNotFoundError:
        return []


def page(program: Program, path: str) -> str:
    """What the status listener answers."""
    port = program.port("status")
    with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=PATIENCE) as answer:
        return str(answer.read(), "utf-8")


def metric(program: Program, name: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page(program, "metrics"), re.MULTILINE)
    return sum(map(float, found))


def isReady(program: Program) -> bool:
    """Whether all workers serve."""
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
    """Connections that echo on and on in threads, until each is cut or told to stop."""

    def __init__(self, address: Any, connections: int) -> None:
        self.cut = 0
        self.done = 0
        self._stop = Event()
        self._threads = [
            Thread(target=self._echo, args=(connected(address),)) for _ in range(connections)
        ]
        for each in self._threads:
            each.start()

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
                    self.cut += 1
                    return
                self.done += 1

    def stop(self) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()


class ServeTests(SynchronousTestCase):
    def test_status(self) -> None:
        """``echoproto serve`` stopped by a signal has drained, and its exit status is 0."""
        for options in ([], ["--workers", "2"]):
            for number in (signal.SIGTERM, signal.SIGINT):
                program = serving("--port", "tcp:0:interface=127.0.0.1", *options)
                with connected(program.address("echo", "tcp")) as client:
                    client.sendall(b"hello")
                    self.assertEqual(client.recv(5), b"hello")
                self.assertEqual(program.stop(number), 0)

    def test_cannotStart(self) -> None:
        """A place that is taken ends it with status 1 and one line, with workers and without."""
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
        """
        Streams, datagrams and UNIX sockets are served by workers as by one process, and counted.
        """
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
            with datagramSocket() as asking:
                for _ in range(10):
                    asking.sendto(b"hello", program.address("echo", "udp"))
                    self.assertEqual(asking.recvfrom(10)[0], b"hello")
            waitFor(lambda: metric(program, "echoproto_datagrams_answered_total") == 10)
            waitFor(lambda: metric(program, "echoproto_stream_received_bytes_total") == 10)
            self.assertEqual(metric(program, "echoproto_workers"), 2)
            self.assertEqual(program.stop(), 0)
            self.assertFalse(os.path.exists(unixPath))

    def test_kill(self) -> None:
        """
        A worker that is killed under load costs its own connections and no others; new clients are
        served meanwhile, and the restart is counted.
        """
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
            self.assertEqual(sum(map(float, lost)), load.cut)
            self.assertLess(load.cut, CONNECTIONS)
            self.assertEqual(metric(program, "echoproto_worker_restarts_total"), 1)
            self.assertEqual(len(set(workersOf(program)) - set(before)), 1)
            self.assertEqual(program.stop(), 0)

    def test_drain(self) -> None:
        """
        Stopped under load, four workers give back every byte of 4 MB to each client that has sent
        them; exit status 0.
        """
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

        threads = [Thread(target=exchange, args=each) for each in enumerate(clients)]
        for each in threads:
            each.start()
        for event in begun:
            event.wait(PATIENCE)
        status = program.stop()
        for each in threads:
            each.join()
        for client in clients:
            client.close()
        self.assertEqual((status, list(got.values())), (0, [SIZE] * 8))

    def test_supervisorKilled(self) -> None:
        """Workers whose supervisor is killed stop."""
        with serving(
            *("--port", "tcp:0:interface=127.0.0.1", "--workers", "2", "--status", "0"), listeners=2
        ) as program:
            waitFor(lambda: isReady(program))
            workers = workersOf(program)
            program.process.kill()
            waitFor(lambda: not any(_runs(each) for each in workers))

    def test_cannotStart(self) -> None:
        """
        Where one worker after another ends before it serves, the program ends with status 1 and
        says so.
        """
        program = serving("--port", "tcp:0:interface=127.0.0.1", "--workers", "2")
        while program.process.poll() is None:
            for each in workersOf(program):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        self.assertEqual(program.stop(), 1)
        self.assertIn("workers cannot start: 3 in a row", "".join(program.log))


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
