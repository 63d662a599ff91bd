"""
What our own client costs: ``echoproto load`` beside clients that do less, all of which ask the floor (``servers/floor.c``).

The clients are in ``clients/``. A bare one on uvloop compares no byte and takes no time; ours does both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from benchmarks.building import FLOOR, HERE, PINGPONG
from benchmarks.competitors import OURS, UVLOOP, C, Competitor
from benchmarks.rows import Promise, Round, Row
from benchmarks.running import asked, running

_FLOOR = Competitor("the floor", (str(FLOOR), "tcp"))

_LOAD = (sys.executable, "-m", "echoproto", "load", "-o", "json")


def _ours(port: int, connections: int, size: int, seconds: float) -> dict[str, float]:
    options = ("--connections", connections, "-s", size, "-z", seconds)
    found = asked(*_LOAD, *options, f"127.0.0.1:{port}", seconds=seconds)
    return {
        "echoes": found["received"],
        "cpu_ns": found["busy_ratio"] * found["duration_ns"],
        "median_ns": found["service"]["p50_ns"],
    }


def _onUvloop(kind: str) -> Callable[..., dict[str, float]]:
    def ask(port: int, connections: int, size: int, seconds: float) -> dict[str, float]:
        program = str(HERE / "clients/on_uvloop.py")
        words = (sys.executable, program, kind, port, connections, size, seconds)
        return asked(*words, seconds=seconds)

    return ask


def _pingPong(port: int, connections: int, size: int, seconds: float) -> dict[str, float]:
    return asked(str(PINGPONG), port, size, seconds, seconds=seconds)


#: A client's name, and what asks a port over so many connections with messages of a size for so many seconds.
Client = tuple[str, Callable[..., dict[str, float]]]


def _each(
    clients: Sequence[Client], connections: int, size: int, seconds: float
) -> list[tuple[str, dict[str, float]]]:
    """What each client tells; each asks a server of its own."""
    told = []
    for name, ask in clients:
        if name != UVLOOP or find_spec("uvloop"):
            with running(_FLOOR) as server:
                told.append((name, ask(server.port, connections, size, seconds)))
    return told


def _perExchange(seconds: float) -> Round:
    clients = [(OURS, _ours), (UVLOOP, _onUvloop("bare"))]
    told = _each(clients, 50, 1024, seconds)
    return {name: found["cpu_ns"] / max(found["echoes"], 1) / 1000 for name, found in told}


def _roundTrip(seconds: float) -> Round:
    clients = [(OURS, _ours), (UVLOOP, _onUvloop("timed")), (C, _pingPong)]
    return {name: found["median_ns"] / 1000 for name, found in _each(clients, 1, 64, seconds)}


def clientRows() -> list[Row]:
    """All rows, in the order of the page."""
    return [
        Row(
            "client, 1 KiB over 50 connections",
            "µs CPU/exchange",
            _perExchange,
            (Promise(UVLOOP, 1.3),),
        ),
        Row(
            "client, round trip of 64 B, median",
            "µs",
            _roundTrip,
            (Promise(UVLOOP, 1.1), Promise(C, 2.0)),
        ),
    ]
