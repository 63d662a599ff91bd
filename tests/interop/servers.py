"""
The servers that are graded: what each is called, and how it is started, on TCP and UDP of one port
and on every address.

Each is started as its users would start it, save that limits of how often it may be asked are
lifted: those are no faults.
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

#: The port of echo, which is the only one that inetd can have: it knows its own services by their
#: names.
_ECHO = 7

#: Where a network of its own is made, and the address in it (RFC 5737) that is asked from.
_ALONE = 'ip link set lo up && ip address add {} dev lo && exec "$@"'
_ADDRESS = "192.0.2.1"

_PYTHON = sys.executable

#: Whether a server answers.
_ASK = """import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as connection:
    connection.sendall(b"?")
    sys.exit(connection.recv(1) != b"?")
"""

#: Seconds that a battery may take: the checks have limits of their own.
_LONGEST = 600


class Missing(Exception):
    """A server cannot be had here; the message says why."""


@dataclass(frozen=True)
class Server:
    """
    :ivar name: for people.
    :ivar commands: how it is started, of its port and of a folder that it may write to.
    :ivar version: of it.
    :ivar faults: what the battery must find, as ``tcp half-close``.
    :ivar root: whether it needs to be started by root.
    :ivar alone: whether it is started in a network of its own: port 7 is free there, and there is
        an address that is not of loopback, from which alone some servers answer datagrams.
    :ivar loses: whether it loses bytes at a half-close, if only now and then.
    """

    name: str
    commands: Callable[[int, Path], Sequence[Sequence[str]]]
    version: Callable[[], str]
    faults: Sequence[str] = ()
    root: bool = False
    alone: bool = False
    loses: bool = False


def _ours() -> str:
    return echoproto.__version__


def _stock() -> str:
    return twisted.__version__


def _packaged(name: str) -> Callable[[], str]:
    """The version of a package of Debian's; empty elsewhere."""

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


#: Datagrams are cut, and answered from another address than was asked.
_CUT = ("udp datagram-sizes", "udp reply-address")

OURS = (Server("twistd echoproto", _twistd, _ours), Server("echoproto serve", _serve, _ours))

#: With what they are known for and must be found to have; what hangs on chance, as the loss at a
#: quick half-close, is not among it.
THEIRS = (
    Server(
        "stock Twisted",
        _wireEcho,
        _stock,
        (*_CUT, "tcp late-reader", "tcp never-reads", "udp echo-ports"),
        loses=True,
    ),
    Server("inetd", _inetd, _packaged("openbsd-inetd"), _CUT, root=True, alone=True),
    Server("xinetd", _xinetd, _packaged("xinetd"), _CUT, root=True),
    Server("socat", _socat, _packaged("socat"), (*_CUT, "udp empty-datagram")),
    Server("ncat", _ncat, _packaged("ncat"), (*_CUT, "udp empty-datagram"), loses=True),
)

SERVERS = (*OURS, *THEIRS)


def freePort() -> int:
    """
    One that is free on TCP and on UDP, below those that the kernel gives to clients (ip(7)), who
    would take it before a server does.
    """
    for port in sample(range(20_000, 32_000), 100):
        if _isFree(port, socket.SOCK_STREAM) and _isFree(port, socket.SOCK_DGRAM):
            return port
    raise AssertionError("no port is free")


def _isFree(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as tried:
        # What is left of connections does not stop a server.
        if kind is socket.SOCK_STREAM:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Running:
    """
    A server that runs.

    :ivar port: where it listens.
    :ivar network: what stands before a command that asks it.
    :ivar client: the address from which it answers datagrams.
    """

    port: int
    network: Sequence[str] = ()
    client: str = "127.0.0.1"


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """
    Start a server, and kill it and its children at the end.

    :raise Missing: it cannot be had here.
    """
    if server.root and os.geteuid():
        raise Missing(f"{server.name} needs root")
    port = _ECHO if server.alone else freePort()
    with TemporaryDirectory() as folder:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in server.commands(port, Path(folder)):
                processes.append(_started(command, folder, server.alone))
            started = Running(port)
            if server.alone:
                enter = ("nsenter", f"--net=/proc/{processes[0].pid}/ns/net")
                started = Running(port, enter, _ADDRESS)
            _awaitAnswer(server, started)
            yield started
        finally:
            for each in processes:
                _kill(each)


def _started(command: Sequence[str], folder: str, alone: bool) -> subprocess.Popen[bytes]:
    apart = ["unshare", "--net", "sh", "-c", _ALONE.format(_ADDRESS), "sh"] if alone else []
    for needed in (command[0], *(("unshare", "nsenter", "ip") if alone else ())):
        if shutil.which(needed) is None:
            raise Missing(f"{needed} is not installed")
    return subprocess.Popen(
        [*apart, *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """
    A server that forks for each client may leave children that do not end with it; they are of its
    group.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _awaitAnswer(server: Server, started: Running) -> None:
    ask = [*started.network, _PYTHON, "-c", _ASK, str(started.port)]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not subprocess.run(ask, stderr=subprocess.DEVNULL, check=False).returncode:
            return
        time.sleep(0.05)
    raise AssertionError(f"{server.name} did not start")


def graded(server: Server, *words: str) -> tuple[int, str]:
    """
    Grade a server, from this machine.

    :param words: options of ``echoproto conformance``.
    :return: the exit status, and what was printed.
    :raise Missing: it cannot be had here.
    """
    with running(server) as started:
        command = [*started.network, _PYTHON, "-m", "echoproto", "conformance", "--carrier", "all"]
        ended = subprocess.run(
            [*command, "-I", started.client, *words, f"127.0.0.1:{started.port}"],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    return ended.returncode, ended.stdout


def failures(found: Mapping[str, Any]) -> list[str]:
    """What failed (``ConformanceDocument``), as ``tcp half-close``."""
    return [
        f"{each['carrier']} {each['name']}"
        for each in found["checks"]
        if each["verdict"] == "failed"
    ]
