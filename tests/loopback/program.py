"""``twistd echoproto`` as a subprocess, and blocking sockets to ask it with."""

from __future__ import annotations

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, cast

from typing_extensions import Self

ROOT = Path(__file__).resolve().parent.parent.parent

#: Seconds after which a program or socket counts as hung. Generous: it bounds hangs, never speed.
PATIENCE = 180.0

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]

_LISTENING = re.compile(r"(echo|greeting|status) is listening on (\w+) ([^\s\"]+)")


def environment() -> dict[str, str]:
    """Ours, with this checkout first on the path of a subprocess."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Program:
    """
    A running server. As a context manager it is stopped at the end, and killed if it will not stop.

    :param arguments: the options of ``twistd echoproto``.
    :param listeners: how many listening lines to wait for.
    :param twistd: the options of ``twistd`` itself.
    :param command: what to run instead of all these.
    :param folder: where to run it; a temporary folder unless told otherwise.
    :param descriptors: how many it may have open; as many as we unless told otherwise.
    :param passing: descriptors of ours that it inherits.
    :ivar log: the lines logged so far.
    """

    def __init__(
        self,
        *arguments: str,
        listeners: int = 4,
        twistd: Sequence[str] = (),
        command: Sequence[str] = (),
        folder: Path | None = None,
        descriptors: int | None = None,
        passing: Sequence[int] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.log: list[str] = []
        limit = [] if descriptors is None else ["prlimit", f"--nofile={descriptors}:{descriptors}"]
        self.process = subprocess.Popen(
            command or [*limit, *TWISTD, "-n", "--pidfile=", *twistd, "echoproto", *arguments],
            cwd=folder or self._folder.name,
            env=environment() if folder is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=passing,
            text=True,
        )
        # What a failed test leaves running would keep the test run from its end.
        atexit.register(self.process.kill)
        while len(self._listening()) < listeners:
            line = cast(Any, self.process.stdout).readline()
            if not line:
                raise AssertionError("".join(self.log))
            self.log.append(line)
        # Read on, or a full pipe would stop the server.
        self._reader = Thread(target=self._readOn, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status, negative for a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join()
            cast(Any, self.process.stdout).close()
            self._folder.cleanup()
        return status

    def address(self, service: str, carrier: str, family: int = socket.AF_INET) -> tuple[str, int]:
        """Where a service listens, for a client on this machine: wildcards are made loopback."""
        for found in self._listening():
            host, _, port = found[3].rpartition(":")
            host = host.strip("[]")
            if (found[1], found[2]) == (service, carrier) and (":" in host) == (
                family == socket.AF_INET6
            ):
                return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)
        raise LookupError(f"no {service} on {carrier}")

    def port(self, service: str = "echo") -> int:
        """The port of a service on TCP, on any family."""
        try:
            return self.address(service, "tcp")[1]
        except LookupError:
            return self.address(service, "tcp", socket.AF_INET6)[1]

    def residentBytes(self) -> int:
        """The process's resident memory, in bytes (proc(5))."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many file descriptors the process has open (proc(5))."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _listening(self) -> list[re.Match[str]]:
        return [found for line in self.log if (found := _LISTENING.search(line))]

    def _readOn(self) -> None:
        self.log.extend(cast(Any, self.process.stdout))


def connected(address: Any) -> socket.socket:
    """A blocking TCP or UNIX socket, connected, that gives up after :data:`PATIENCE` seconds."""
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE)
        made.connect(address)
        return made
    return socket.create_connection(address, PATIENCE)


def datagramSocket(family: int = socket.AF_INET) -> socket.socket:
    """A blocking UDP socket that gives up after :data:`PATIENCE` seconds."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE)
    return made


def readToEnd(connection: socket.socket) -> bytes:
    """Every byte until the other side's FIN; ``ConnectionResetError`` where there is a reset."""
    pieces = []
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def halfCloseEcho(address: Any, data: bytes) -> bytes:
    """
    Send ``data`` and then our FIN while reading; returns all that comes until the server's FIN.
    """
    with connected(address) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = Thread(target=send)
        sending.start()
        try:
            return readToEnd(connection)
        finally:
            sending.join()
