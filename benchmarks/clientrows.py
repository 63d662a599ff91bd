"""
Rows for our client: ``echoproto load`` beside clients that do less.

All send to the C server (``servers/floor.c``). The other clients are in ``clients/``; the bare one
on uvloop compares no byte and measures no time, ours does both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from benchmarks.build import FLOOR, HERE, PINGPONG
from benchmarks.competitors import OURS, UVLOOP, C, Competitor
from benchmarks.processes import runClient, runServer
from benchmarks.rows import Promise, Round, Row

_FLOOR = Competitor("the C server", (str(FLOOR), "tcp"))

_LOAD = (sys.executable, "-m", "echoproto", "load", "-o", "json")

Figures = dict[str, float]

#: The name of a client, and a function that runs it against a port, with a number of connections, a
#: message size and a duration in seconds.
Client = tuple[str, Callable[[int, int, int, float], Figures]]


def _ours(port: int, connections: int, size: int, seconds: float) -> Figures:
    options = ("--connections", connections, "-s", size, "-z", seconds)
    result = runClient(*_LOAD, *options, f"127.0.0.1:{port}", seconds=seconds)
    return {
        "echoes": result["received"],
        "cpu_ns": result["busy_ratio"] * result["duration_ns"],
        "median_ns": result["service"]["p50_ns"],
    }


def _onUvloop(kind: str) -> Callable[[int, int, int, float], Figures]:
    def run(port: int, connections: int, size: int, seconds: float) -> Figures:
        program = str(HERE / "clients/on_uvloop.py")
        arguments = (sys.executable, program, kind, port, connections, size, seconds)
        figures: Figures = runClient(*arguments, seconds=seconds)
        return figures

    return run


def _pingPong(port: int, connections: int, size: int, seconds: float) -> Figures:
    figures: Figures = runClient(str(PINGPONG), port, size, seconds, seconds=seconds)
    return figures


def _runEach(
    clients: Sequence[Client], connections: int, size: int, seconds: float
) -> dict[str, Figures]:
    """The figures of each client; each has a server of its own."""
    figures = {}
    for name, run in clients:
        if name != UVLOOP or find_spec("uvloop"):
            with runServer(_FLOOR) as server:
                figures[name] = run(server.port, connections, size, seconds)
    return figures


def _perExchange(seconds: float) -> Round:
    clients = [(OURS, _ours), (UVLOOP, _onUvloop("bare"))]
    measured = _runEach(clients, 50, 1024, seconds)
    return {
        name: figures["cpu_ns"] / max(figures["echoes"], 1) / 1000
        for name, figures in measured.items()
    }


def _roundTrip(seconds: float) -> Round:
    clients = [(OURS, _ours), (UVLOOP, _onUvloop("timed")), (C, _pingPong)]
    measured = _runEach(clients, 1, 64, seconds)
    return {name: figures["median_ns"] / 1000 for name, figures in measured.items()}


def clientRows() -> list[Row]:
    """All rows for our client, in the order of the page."""
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
