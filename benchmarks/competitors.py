"""
The compared servers: their names and the commands that start them.

Each is written as its users would write it, and sets TCP_NODELAY. Ours is the program as shipped,
with admission, counters and timeouts; its limits are so high that it counts but never refuses.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.build import CERTIFICATE, FLOOR, GO, HERE, BenchmarkError

OURS = "echoproto"
EPOLL = "echoproto, stock epoll"
STOCK = "stock Twisted"
UVLOOP = "uvloop"
RLOOP = "rloop"
AIOFASTNET = "aiofastnet on uvloop"
ASYNCIO = "asyncio Protocol"
STREAMS = "asyncio streams"
GEVENT = "gevent"
NODE = "Node"
GOLANG = "Go"
C = "C"
SPLICE = "C with splice"
LOOP = "bare loop in Python"
SPLICING_LOOP = "bare loop in Python, with splice"

ROOT = HERE.parent

_PEM = str(CERTIFICATE)

#: The options of our server by mode.
_LISTENERS = {
    "tcp": ("--port", "tcp:0:interface=127.0.0.1"),
    "tls": ("--port", "tcp:0:interface=127.0.0.1", "--tls-cert", _PEM, "--tls-key", _PEM),
    "udp": ("--port", "udp:0:interface=127.0.0.1"),
    "wildcard": ("--port", "udp:0"),
}

_UNLIMITED = ("--max-per-source", "0", "--datagram-rate", "1000000000")


@dataclass(frozen=True)
class Competitor:
    """
    A server or a client.

    :ivar name: its name on the page.
    :ivar command: starts it; the first line of a server is its port, ours logs it.
    :ivar missing: what must be installed or passed to run it; empty if nothing.
    :ivar folder: where it is started.
    """

    name: str
    command: Sequence[str]
    missing: str = ""
    folder: Path = ROOT


@dataclass(frozen=True)
class Checkout:
    """A checkout of this project; the fields are those of :class:`Competitor`."""

    name: str
    folder: Path = ROOT
    missing: str = ""


def baseAt(path: Path | None) -> Checkout:
    """
    The checkout to which this one is compared, named by its commit.

    :param path: its folder; None for no comparison.
    :raise BenchmarkError: it is not a checkout of this project.
    """
    if path is None:
        return Checkout("echoproto, other checkout", missing="use --base PATH")
    if not (path / "echoproto/__main__.py").exists():
        raise BenchmarkError(f"--base: no checkout of echoproto: {path}")
    git = ("git", "-C", str(path), "describe", "--always", "--dirty")
    described = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return Checkout(f"echoproto {described or path.name}", path.resolve())


def ours(mode: str, checkout: Checkout | None = None, *options: str) -> Competitor:
    """Our server, on ``tcp``, ``tls``, ``udp`` or ``wildcard`` (UDP on every address)."""
    checkout = checkout or Checkout(OURS)
    command = (sys.executable, "-m", "echoproto", "serve", *_UNLIMITED, *_LISTENERS[mode])
    missing = checkout.missing or _missing(mode)
    return Competitor(checkout.name, (*command, *options), missing, checkout.folder)


def servers(mode: str, *names: str) -> list[Competitor]:
    """The servers with these names; see :func:`ours` for the modes."""
    return [_server(mode, name) for name in names]


def _server(mode: str, name: str) -> Competitor:
    if name == OURS:
        return ours(mode)
    if name == EPOLL:
        return ours(mode, Checkout(EPOLL), "--reactor", "epoll")
    python, asyncio = sys.executable, str(HERE / "servers/on_asyncio.py")
    loop = str(HERE / "servers/on_epoll.py")
    pem = [_PEM] if mode == "tls" else []
    commands: dict[str, tuple[list[str], list[str]]] = {
        STOCK: ([python, str(HERE / "servers/on_twisted.py"), mode, *pem], []),
        UVLOOP: ([python, asyncio, "uvloop", mode, *pem], ["uvloop"]),
        RLOOP: ([python, asyncio, "rloop", mode, *pem], ["rloop"]),
        AIOFASTNET: ([python, asyncio, "aiofastnet", mode, *pem], ["uvloop", "aiofastnet"]),
        ASYNCIO: ([python, asyncio, "asyncio", mode, *pem], []),
        STREAMS: ([python, asyncio, "asyncio", "streams"], []),
        GEVENT: ([python, str(HERE / "servers/on_gevent.py")], ["gevent"]),
        NODE: (["node", str(HERE / "servers/on_node.js")], []),
        GOLANG: ([str(GO)], []),
        C: ([str(FLOOR), mode], []),
        SPLICE: ([str(FLOOR), "splice"], []),
        LOOP: ([python, loop, mode, *pem], []),
        SPLICING_LOOP: ([python, loop, "splice"], []),
    }
    command, packages = commands[name]
    return Competitor(name, command, _missing(mode, *packages) or _missingProgram(command[0]))


def _missing(mode: str, *packages: str) -> str:
    """The command that installs what is missing; empty if nothing is."""
    absent = [package for package in packages if find_spec(package) is None]
    if absent:
        return f"pip install {' '.join(absent)}"
    if mode == "tls" and not CERTIFICATE.exists():
        return "the headers of OpenSSL (Debian: libssl-dev) or the openssl command are missing"
    return ""


def _missingProgram(program: str) -> str:
    return "" if which(program) else f"{Path(program).name.replace('on_', '')} is not installed"
