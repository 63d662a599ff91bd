"""
The compared servers: their names and the commands that start them.

Each is written as its users would write it, and sets TCP_NODELAY. Ours is the program as shipped,
with admission, counters and timeouts; its limits are so high that it counts but never refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.build import CERTIFICATE, FLOOR, GO, HERE

OURS = "echoproto"
EPOLL = "echoproto, stock epoll"
STOCK = "stock Twisted"
UVLOOP = "uvloop"
C = "C"
GOLANG = "Go"

SERVERS = HERE / "servers"


@dataclass(frozen=True)
class Competitor:
    """
    A server.

    :ivar name: its name on the page.
    :ivar command: starts it; its first line is its port, ours logs it.
    :ivar missing: what must be installed to run it; empty if nothing.
    """

    name: str
    command: Sequence[str]
    missing: str = ""


def _twistd() -> str:
    return str(Path(sys.executable).with_name("twistd"))


def ours(*options: str, reactor: str = "direct", name: str = OURS) -> Competitor:
    """Our server with these options."""
    limits = ("--max-per-source", "0", "--datagram-rate", "1000000000")
    command = (_twistd(), f"--reactor={reactor}", "-n", "--pidfile=", "echoproto")
    return Competitor(name, (*command, *limits, *options))


def _asyncio(name: str, loop: str, *arguments: str) -> Competitor:
    missing = "" if loop == "asyncio" or find_spec("uvloop") else "pip install uvloop"
    return Competitor(
        name, (sys.executable, str(SERVERS / "on_asyncio.py"), loop, *arguments), missing
    )


def _twisted(*arguments: str) -> Competitor:
    return Competitor(STOCK, (sys.executable, str(SERVERS / "on_twisted.py"), *arguments))


def tcpServers() -> list[Competitor]:
    """The servers on TCP; ours first."""
    gevent = "" if find_spec("gevent") else "pip install gevent"
    node = "" if which("node") else "Node"
    go = "" if GO.exists() else "Go"
    listener = ("--port", "tcp:0:interface=127.0.0.1")
    return [
        ours(*listener),
        _asyncio(UVLOOP, "uvloop", "protocol"),
        Competitor(GOLANG, ("env", "GOMAXPROCS=1", str(GO)), go),
        Competitor(C, (str(FLOOR), "tcp")),
        _twisted("tcp"),
        ours(*listener, reactor="epoll", name=EPOLL),
        _asyncio("asyncio Protocol", "asyncio", "protocol"),
        _asyncio("asyncio streams", "asyncio", "streams"),
        Competitor("gevent", (sys.executable, str(SERVERS / "on_gevent.py")), gevent),
        Competitor("Node", ("node", str(SERVERS / "on_node.js")), node),
    ]


def tlsServers() -> list[Competitor]:
    """The servers on TLS; ours first."""
    pem = str(CERTIFICATE)
    return [
        ours("--port", "tcp:0:interface=127.0.0.1", "--tls-cert", pem, "--tls-key", pem),
        _asyncio(UVLOOP, "uvloop", "tls", pem),
        _twisted("tls", pem),
    ]


def udpServers(wildcard: bool) -> list[Competitor]:
    """
    The servers on UDP; ours first.

    :param wildcard: whether they listen on every address, where ours answers from the address that
        a datagram was sent to; otherwise they listen on one.
    """
    if wildcard:
        return [ours("--port", "udp:0"), _asyncio(UVLOOP, "uvloop", "wildcard")]
    return [
        ours("--port", "udp:0:interface=127.0.0.1"),
        _asyncio(UVLOOP, "uvloop", "udp"),
        _twisted("udp"),
        Competitor(C, (str(FLOOR), "udp")),
    ]
