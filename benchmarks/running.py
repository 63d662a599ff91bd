"""
A server that runs on a processor of its own, and the load that runs on another.

Nothing outlives it: a server is killed when its ``with`` block ends, however it ends.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from benchmarks.building import LOAD
from benchmarks.competitors import Competitor

#: Seconds that a server has for its start, and that a load may take longer than it should.
PATIENCE = 30.0

_PORT = re.compile(rb"^(\d+)$|is listening on \w+ \S+:(\d+)$", re.MULTILINE)


class Trouble(Exception):
    """A server or the load did not do what it should; one line."""


def processors() -> tuple[int, int]:
    """Those of the server and of the load."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[-1]


class Server:
    """
    A running server.

    :ivar process: its process.
    :ivar port: where it listens.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def resident(self) -> int:
        """Bytes of memory that it has (VmRSS, proc_pid_status(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0


@contextmanager
def running(competitor: Competitor) -> Iterator[Server]:
    """Start a server, and kill it at the end."""
    with TemporaryFile() as output:
        process = subprocess.Popen(
            _pinned(0, competitor.command), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Server(process, _port(competitor, process, output))
        finally:
            process.kill()
            process.wait()


def _pinned(which: int, command: Any) -> list[str]:
    return ["taskset", "--cpu-list", str(processors()[which]), *command]


def _port(competitor: Competitor, process: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        said = os.pread(output.fileno(), 100_000, 0)
        if found := _PORT.search(said):
            return int(found[1] or found[2])
        time.sleep(0.005)
    said = os.pread(output.fileno(), 100_000, 0)
    last = (said.splitlines() or [b"it said nothing"])[-1].decode(errors="replace")
    raise Trouble(f"{competitor.name} did not start: {last}")


def load(*words: object, seconds: float = PATIENCE) -> dict[str, float]:
    """
    Run the load generator.

    :param words: see ``main`` of ``load.c``.
    :param seconds: how long it should take.
    :return: what it measured.
    """
    measured: dict[str, float] = asked(str(LOAD), *words, seconds=seconds)
    return measured


def asked(*command: object, seconds: float = PATIENCE) -> Any:
    """
    Run a client.

    :param command: with its words.
    :param seconds: how long it should take.
    :return: what it says at its end.
    """
    try:
        ended = subprocess.run(
            _pinned(1, map(str, command)),
            capture_output=True,
            timeout=seconds + PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"{command} did not end") from None
    if ended.returncode:
        raise Trouble(f"{command}: {ended.stderr.decode().strip()}")
    return json.loads(ended.stdout)


@contextmanager
def holding(server: Server, connections: int) -> Iterator[None]:
    """Hold so many idle connections, each of which has had an echo."""
    command = _pinned(1, [str(LOAD), "idle", str(server.port), str(connections)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        if not process.stdout.readline():
            raise Trouble(f"{connections} connections could not be opened")
        yield
        process.stdin.close()
