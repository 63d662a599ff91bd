"""
The tested servers and their commands.

Every server listens on TCP and UDP at one port of all addresses. It is started as its users start
it, but with rate limits lifted, which are not faults.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import sample
from tempfile import TemporaryDirectory
from typing import Any

import twisted

import echoproto
from tests.loopback.program import PATIENCE, ROOT, TWISTD, environment

_XINETD = """defaults
{{
 instances = UNLIMITED
 cps = 10000 1
}}
service echo
{{
 type = INTERNAL UNLISTED
 id = echo-stream
 socket_type = stream
 protocol = tcp
 port = {port}
 wait = no
 user = root
}}
service echo
{{
 type = INTERNAL UNLISTED
 id = echo-datagram
 socket_type = dgram
 protocol = udp
 port = {port}
 wait = yes
 user = root
}}
"""

_INETD = """echo stream tcp nowait root internal
echo dgram udp wait root internal
"""

#: The echo port. inetd cannot use another one: it knows its internal services by name.
_ECHO = 7

#: Commands that set up a network namespace, and the client address in it (RFC 5737).
_ISOLATE = 'ip link set lo up && ip address add {} dev lo && exec "$@"'
_ADDRESS = "192.0.2.1"

_PYTHON = sys.executable

#: A script that tests whether a server answers.
_CLIENT = """import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as connection:
    connection.sendall(b"?")
    sys.exit(connection.recv(1) != b"?")
"""

#: Time limit of all checks together, in seconds; the checks have their own limits.
_TIME_LIMIT = 600


class Missing(Exception):
    """A server is not available here; the message has the reason."""


@dataclass(frozen=True)
class Server:
    """
    A server to be tested.

    :ivar name: its name on the page.
    :ivar commands: its commands for a port and a temporary folder.
    :ivar version: returns its version.
    :ivar faults: the faults that must be found, such as ``tcp half-close``.
    :ivar root: whether it must be started by root.
    :ivar isolated: whether it runs in its own network namespace, where port 7 is free and clients
        have an address outside of loopback: some servers answer datagrams only from there.
    :ivar losesData: whether it sometimes loses data at a half-close.
    """

    name: str
    commands: Callable[[int, Path], Sequence[Sequence[str]]]
    version: Callable[[], str]
    faults: Sequence[str] = ()
    root: bool = False
    isolated: bool = False
    losesData: bool = False


def _echoprotoVersion() -> str:
    return echoproto.__version__


def _twistedVersion() -> str:
    return twisted.__version__


def _packageVersion(name: str) -> Callable[[], str]:
    """The version of a Debian package, or empty on other systems."""

    def version() -> str:
        command = ["dpkg-query", "--showformat=${Version}", "--show", name]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return found.stdout.strip()

    return version


def _twistd(port: int, folder: Path) -> Sequence[Sequence[str]]:
    return [[*TWISTD, "-n", "--pidfile=", "echoproto", "-p", str(port)]]


def _serve(port: int, folder: Path) -> Sequence[Sequence[str]]:
    return [[_PYTHON, "-m", "echoproto", "serve", "-p", str(port)]]


def _wireEcho(port: int, folder: Path) -> Sequence[Sequence[str]]:
    return [[_PYTHON, "-m", "tests.interop.stock", str(port)]]


def _inetd(port: int, folder: Path) -> Sequence[Sequence[str]]:
    config = folder / "inetd.conf"
    config.write_text(_INETD)
    return [["inetd", "-i", "-R", "1000000", str(config)]]


def _xinetd(port: int, folder: Path) -> Sequence[Sequence[str]]:
    config = folder / "xinetd.conf"
    config.write_text(_XINETD.format(port=port))
    return [["xinetd", "-dontfork", "-f", str(config)]]


def _socat(port: int, folder: Path) -> Sequence[Sequence[str]]:
    place = f"{port},fork,reuseaddr"
    return [
        ["socat", f"TCP4-LISTEN:{place},backlog=128", "EXEC:cat"],
        ["socat", f"UDP4-RECVFROM:{place}", "EXEC:cat"],
    ]


def _ncat(port: int, folder: Path) -> Sequence[Sequence[str]]:
    listen = ["ncat", "-4", "-l", "-k", "-e", "/bin/cat"]
    return [[*listen, "-m", "1000", str(port)], [*listen, "-u", str(port)]]


#: Truncates datagrams, and replies from another address than the requested one.
_COMMON_FAULTS = ("udp datagram-sizes", "udp reply-address")

ECHOPROTO = (
    Server("twistd echoproto", _twistd, _echoprotoVersion),
    Server("echoproto serve", _serve, _echoprotoVersion),
)

#: With the faults that must be found. Faults that depend on timing, such as lost data at an early
#: half-close, are not listed.
OTHERS = (
    Server(
        "stock Twisted",
        _wireEcho,
        _twistedVersion,
        (*_COMMON_FAULTS, "tcp late-reader", "tcp never-reads", "udp echo-ports"),
        losesData=True,
    ),
    Server(
        "inetd", _inetd, _packageVersion("openbsd-inetd"), _COMMON_FAULTS, root=True, isolated=True
    ),
    Server("xinetd", _xinetd, _packageVersion("xinetd"), _COMMON_FAULTS, root=True),
    Server("socat", _socat, _packageVersion("socat"), (*_COMMON_FAULTS, "udp empty-datagram")),
    Server(
        "ncat",
        _ncat,
        _packageVersion("ncat"),
        (*_COMMON_FAULTS, "udp empty-datagram"),
        losesData=True,
    ),
)

SERVERS = (*ECHOPROTO, *OTHERS)


def freePort() -> int:
    """Find a port free on TCP and UDP, below the ephemeral ports (ip(7)) of clients."""
    for port in sample(range(20_000, 32_000), 100):
        if _isFree(port, socket.SOCK_STREAM) and _isFree(port, socket.SOCK_DGRAM):
            return port
    raise AssertionError("no port is free")


def _isFree(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        # Closed connections in TIME_WAIT must not matter.
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Running:
    """
    A running server.

    :ivar port: its port.
    :ivar network: the prefix of commands that connect to it.
    :ivar client: the client address whose datagrams it answers.
    """

    port: int
    network: Sequence[str] = ()
    client: str = "127.0.0.1"


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """
    Start a server, and kill it and its children at the end.

    :raise Missing: if it is not available here.
    """
    if server.root and os.geteuid():
        raise Missing(f"{server.name} needs root")
    port = _ECHO if server.isolated else freePort()
    with TemporaryDirectory() as folder:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in server.commands(port, Path(folder)):
                processes.append(_start(command, folder, server.isolated))
            started = Running(port)
            if server.isolated:
                enter = ("nsenter", f"--net=/proc/{processes[0].pid}/ns/net")
                started = Running(port, enter, _ADDRESS)
            _awaitAnswer(server, started)
            yield started
        finally:
            for process in processes:
                _kill(process)


def _start(command: Sequence[str], folder: str, isolated: bool) -> subprocess.Popen[bytes]:
    prefix = ["unshare", "--net", "sh", "-c", _ISOLATE.format(_ADDRESS), "sh"] if isolated else []
    for needed in (command[0], *(("unshare", "nsenter", "ip") if isolated else ())):
        if shutil.which(needed) is None:
            raise Missing(f"{needed} is not installed")
    return subprocess.Popen(
        [*prefix, *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group: children of a forking server can outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _awaitAnswer(server: Server, started: Running) -> None:
    command = [*started.network, _PYTHON, "-c", _CLIENT, str(started.port)]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            return
        time.sleep(0.05)
    raise AssertionError(f"{server.name} did not start")


def graded(server: Server, *arguments: str) -> tuple[int, str]:
    """
    Test a server on this machine.

    :param arguments: options of ``echoproto conformance``.
    :return: the exit status and the output.
    :raise Missing: if it is not available here.
    """
    with running(server) as started:
        command = [*started.network, _PYTHON, "-m", "echoproto", "conformance", "--carrier", "all"]
        ended = subprocess.run(
            [*command, "-I", started.client, *arguments, f"127.0.0.1:{started.port}"],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
    return ended.returncode, ended.stdout


def failures(found: Mapping[str, Any]) -> list[str]:
    """The failed checks of a ``ConformanceDocument``, such as ``tcp half-close``."""
    return [
        f"{check['carrier']} {check['name']}"
        for check in found["checks"]
        if check["verdict"] == "failed"
    ]
