"""
Runs a server on one processor, and the load generator or a client on another.

A server is killed when its ``with`` block ends, also after an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from benchmarks.build import LOAD
from benchmarks.competitors import Competitor

#: Seconds until a server must listen.
START_TIMEOUT = 30.0

#: Seconds that a load generator or a client may run longer than its measurement.
MARGIN = 30.0

_PORT = re.compile(rb"^(\d+)$|is listening on \w+ \S+:(\d+)$", re.MULTILINE)


class BenchmarkError(Exception):
    """A server, the load generator or a client failed; the message is one line."""


def processors() -> tuple[int, int]:
    """The processor of servers, and that of load generators and clients."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Server:
    """
    A running server.

    :ivar process: its process.
    :ivar port: the port that it listens on.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def resident(self) -> int:
        """Its resident memory in bytes (VmRSS, proc_pid_status(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(match[1]) * 1024 if match else 0


@contextmanager
def runServer(competitor: Competitor) -> Iterator[Server]:
    """Start a server, and kill it when the block ends."""
    with TemporaryFile() as output:
        process = subprocess.Popen(
            _pinned(0, competitor.command), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Server(process, _port(competitor, process, output))
        finally:
            process.kill()
            process.wait()


def _pinned(index: int, command: Iterable[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(processors()[index]), *command]


def _port(competitor: Competitor, process: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if match := _PORT.search(os.pread(output.fileno(), 100_000, 0)):
            return int(match[1] or match[2])
        time.sleep(0.005)
    lines = os.pread(output.fileno(), 100_000, 0).splitlines() or [b"no output"]
    last = lines[-1].decode(errors="replace")
    raise BenchmarkError(f"{competitor.name} did not start: {last}")


def load(*arguments: object, seconds: float = MARGIN) -> dict[str, float]:
    """
    Run the load generator.

    :param arguments: see ``main`` of ``load.c``.
    :param seconds: the duration of the measurement.
    :return: its figures.
    """
    figures: dict[str, float] = runClient(str(LOAD), *arguments, seconds=seconds)
    return figures


def runClient(*command: object, seconds: float = MARGIN) -> Any:
    """
    Run a client.

    :param command: the program and its arguments.
    :param seconds: the duration of the measurement.
    :return: the JSON document that it prints.
    """
    try:
        finished = subprocess.run(
            _pinned(1, map(str, command)),
            capture_output=True,
            timeout=seconds + MARGIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{command} did not finish") from None
    if finished.returncode:
        raise BenchmarkError(f"{command}: {finished.stderr.decode().strip()}")
    return json.loads(finished.stdout)


@contextmanager
def idleConnections(server: Server, connections: int) -> Iterator[None]:
    """Hold idle connections; each has had one echo."""
    command = _pinned(1, [str(LOAD), "idle", str(server.port), str(connections)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        if not process.stdout.readline():
            raise BenchmarkError(f"{connections} connections could not be opened")
        yield
        process.stdin.close()
