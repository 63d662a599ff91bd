"""
The servers that are compared: what each is called, and how it is started.

Every one is written as its users would write it, and sets TCP_NODELAY. Ours is the program as it is shipped, with admission,
counters and deadlines on; its limits are set so high that they count and never refuse.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.building import CERTIFICATE, FLOOR, GO, HERE

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
    :ivar name: for people.
    :ivar command: starts it; it prints its port on the first line, ours in the log.
    :ivar needs: why it cannot be had here; empty where it can.
    """

    name: str
    command: Sequence[str]
    needs: str = ""


def _twistd() -> str:
    return str(Path(sys.executable).with_name("twistd"))


def ours(*options: str, reactor: str = "direct", name: str = OURS) -> Competitor:
    """Our program with these options."""
    limits = ("--max-per-source", "0", "--datagram-rate", "1000000000")
    command = (_twistd(), f"--reactor={reactor}", "-n", "--pidfile=", "echoproto")
    return Competitor(name, (*command, *limits, *options))


def _asyncio(name: str, loop: str, *arguments: str) -> Competitor:
    needs = "" if loop == "asyncio" or find_spec("uvloop") else "pip install uvloop"
    return Competitor(
        name, (sys.executable, str(SERVERS / "on_asyncio.py"), loop, *arguments), needs
    )


def _twisted(*arguments: str) -> Competitor:
    return Competitor(STOCK, (sys.executable, str(SERVERS / "on_twisted.py"), *arguments))


def streams() -> list[Competitor]:
    """Who echoes on TCP; ours first."""
    gevent = "" if find_spec("gevent") else "pip install gevent"
    node = "" if which("node") else "no node"
    go = "" if GO.exists() else "no go"
    place = ("--port", "tcp:0:interface=127.0.0.1")
    return [
        ours(*place),
        _asyncio(UVLOOP, "uvloop", "protocol"),
        Competitor(GOLANG, ("env", "GOMAXPROCS=1", str(GO)), go),
        Competitor(C, (str(FLOOR), "tcp")),
        _twisted("tcp"),
        ours(*place, reactor="epoll", name=EPOLL),
        _asyncio("asyncio Protocol", "asyncio", "protocol"),
        _asyncio("asyncio streams", "asyncio", "streams"),
        Competitor("gevent", (sys.executable, str(SERVERS / "on_gevent.py")), gevent),
        Competitor("Node", ("node", str(SERVERS / "on_node.js")), node),
    ]


def secured() -> list[Competitor]:
    """Who echoes on TLS."""
    pem = str(CERTIFICATE)
    return [
        ours("--port", "tcp:0:interface=127.0.0.1", "--tls-cert", pem, "--tls-key", pem),
        _asyncio(UVLOOP, "uvloop", "tls", pem),
        _twisted("tls", pem),
    ]


def datagrams(wild: bool) -> list[Competitor]:
    """
    Who echoes on UDP.

    :param wild: on every address, where ours answers from the one that was asked; else on one.
    """
    if wild:
        return [ours("--port", "udp:0"), _asyncio(UVLOOP, "uvloop", "wild")]
    return [
        ours("--port", "udp:0:interface=127.0.0.1"),
        _asyncio(UVLOOP, "uvloop", "udp"),
        _twisted("udp"),
        Competitor(C, (str(FLOOR), "udp")),
    ]
