"""``twistd echoproto`` as a subprocess, and blocking client sockets."""

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

#: Seconds after which a program or socket counts as hung: generous, to bound hangs, not speed.
PATIENCE = 180.0

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]

_LISTENING = re.compile(r"(echo|greeting|udp-plus|status) is listening on (\w+) ([^\s\"]+)")


def environment() -> dict[str, str]:
    """The environment of this process, with this checkout first on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Program:
    """
    A running server. As a context manager it is stopped at the end, and killed if that fails.

    :param arguments: the options of ``twistd echoproto``.
    :param listeners: the number of listening lines to wait for.
    :param twistd: the options of ``twistd`` itself.
    :param command: a command to run instead.
    :param folder: the current folder of the program; a temporary folder by default.
    :param descriptors: its limit of open files; that of this process by default.
    :param passing: descriptors that it inherits.
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
        # A program left running by a failed test would block the end of the test run.
        atexit.register(self.process.kill)
        while len(self._listening()) < listeners:
            line = cast(Any, self.process.stdout).readline()
            if not line:
                raise AssertionError("".join(self.log))
            self.log.append(line)
        # Keep reading, because a full pipe would block the server.
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
        """Send a signal and wait for the end; return the exit status, negative for a signal."""
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
        """Return the address of a service for a local client, with loopback for wildcards."""
        for found in self._listening():
            host, _, port = found[3].rpartition(":")
            host = host.strip("[]")
            if (found[1], found[2]) == (service, carrier) and (":" in host) == (
                family == socket.AF_INET6
            ):
                return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)
        raise LookupError(f"no {service} on {carrier}")

    def port(self, service: str = "echo") -> int:
        """Return the port of a service on TCP, on any family."""
        try:
            return self.address(service, "tcp")[1]
        except LookupError:
            return self.address(service, "tcp", socket.AF_INET6)[1]

    def residentBytes(self) -> int:
        """The process's resident memory, in bytes (proc(5))."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """The number of open file descriptors of the process (proc(5))."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _listening(self) -> list[re.Match[str]]:
        return [found for line in self.log if (found := _LISTENING.search(line))]

    def _readOn(self) -> None:
        self.log.extend(cast(Any, self.process.stdout))


def connected(address: Any) -> socket.socket:
    """Connect a blocking TCP or UNIX socket with a timeout of :data:`PATIENCE` seconds."""
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE)
        made.connect(address)
        return made
    return socket.create_connection(address, PATIENCE)


def datagramSocket(family: int = socket.AF_INET) -> socket.socket:
    """Make a blocking UDP socket with a timeout of :data:`PATIENCE` seconds."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(PATIENCE)
    return made


def readToEnd(connection: socket.socket) -> bytes:
    """Read until the FIN; raise ``ConnectionResetError`` for a reset."""
    pieces = []
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def halfCloseEcho(address: Any, data: bytes) -> bytes:
    """Send ``data`` and a FIN while reading; return all data until the server's FIN."""
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
