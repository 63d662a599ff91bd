"""
Runs a server on one processor, and the load generator or a client on another.

A server is killed when its ``with`` block ends, also after an error.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from benchmarks.build import LOAD, BenchmarkError
from benchmarks.competitors import ROOT, Competitor

#: Seconds until a server must listen.
START_TIMEOUT = 30.0

#: Seconds that a load generator or a client may run longer than its measurement.
MARGIN = 60.0

#: Seconds between two looks for the port of a server that starts.
POLL_INTERVAL = 0.001

_PORT = re.compile(rb"^(\d+)$|is listening on \w+ \S+:(\d+)$", re.MULTILINE)


def processors() -> tuple[int, int]:
    """
    The processor of servers, and that of load generators and clients.

    :raise BenchmarkError: there is only one.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchmarkError("two processors are needed: the load generator never sleeps")
    return usable[0], usable[-1]


@contextmanager
def _pinned(index: int) -> Iterator[None]:
    """Child processes that start in this block stay on that processor, with many descriptors."""
    usable = os.sched_getaffinity(0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {processors()[index]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


class Server:
    """
    A running server.

    :ivar port: the port that it listens on.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def resident(self) -> int:
        """Its resident memory in bytes (VmRSS, proc_pid_status(5))."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(match[1]) * 1024 if match else 0

    def load(self, mode: str, count: int, size: int, seconds: float) -> dict[str, float]:
        """
        Run the load generator, whose processes and connections end with the measurement.

        :param mode: see ``load.c``.
        :param count: number of connections, or of sources of datagrams.
        :param size: bytes of a message.
        :return: its figures; ``cpu_ns`` is the server's.
        """
        figures: dict[str, float] = runClient(self._command(mode, count, size, seconds), seconds)
        return figures

    @contextmanager
    def idleConnections(self, mode: str, count: int) -> Iterator[None]:
        """Hold connections that have had one echo; the mode is ``idle`` or ``idle-tls``."""
        command, pipe = self._command(mode, count, 1, 0), subprocess.PIPE
        with _pinned(1):
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        with process:
            assert process.stdin and process.stdout and process.stderr
            if not process.stdout.readline():
                error = (
                    process.stderr.read().decode().strip() or "connections are accepted too slowly"
                )
                raise BenchmarkError(error)
            yield
            process.stdin.close()

    def _command(self, mode: str, *numbers: float) -> list[str]:
        return [str(LOAD), mode, *map(str, (self.port, *numbers, self._process.pid))]


@contextmanager
def runServer(competitor: Competitor) -> Iterator[Server]:
    """
    Start a server, and kill it when the block ends.

    :raise BenchmarkError: it does not start.
    """
    with TemporaryFile() as output:
        with _pinned(0):
            process = subprocess.Popen(
                competitor.command, stdout=output, stderr=subprocess.STDOUT, cwd=competitor.folder
            )
        try:
            yield Server(process, _port(process, output))
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if match := _PORT.search(os.pread(output.fileno(), 100_000, 0)):
            return int(match[1] or match[2])
        time.sleep(POLL_INTERVAL)
    lines = os.pread(output.fileno(), 100_000, 0).splitlines() or [b"no output"]
    raise BenchmarkError(f"did not start: {lines[-1].decode(errors='replace')}")


def runClient(command: list[str], seconds: float) -> Any:
    """
    Run a client.

    :param seconds: the duration of the measurement.
    :return: the JSON document that it prints.
    """
    try:
        with _pinned(1):
            finished = subprocess.run(
                command, capture_output=True, timeout=seconds + MARGIN, check=False, cwd=ROOT
            )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"does not finish: {_withoutFolder(command)}") from None
    if finished.returncode:
        lines = finished.stderr.decode(errors="replace").splitlines() or ["no output"]
        raise BenchmarkError(f"{lines[-1]} ({_withoutFolder(command)})")
    return json.loads(finished.stdout)


def _withoutFolder(command: list[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:]])
