"""How a server or a client is measured; every server is warm before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.build import FLOOR, BenchmarkError
from benchmarks.competitors import C, Competitor
from benchmarks.processes import Server, runClient, runServer

#: Measures a competitor for a number of seconds.
Measure = Callable[[Competitor, float], float]

_KIB, _GIB = 1 << 10, 1 << 30


def _warmLoad(server: Server, mode: str, count: int, size: int, seconds: float) -> dict[str, float]:
    """The figures of a load, after two of the same kind whose connections were closed."""
    for _ in range(2):
        server.load(mode, count, size, 0)
    return server.load(mode, count, size, seconds)


def _cpu(server: Server, mode: str, count: int, size: int, seconds: float) -> float:
    """Microseconds of the server's processor time per echo."""
    figures = _warmLoad(server, mode, count, size, seconds)
    if not figures["echoes"]:
        raise BenchmarkError("no echo")
    return figures["cpu_ns"] / figures["echoes"] / 1000


def cpuPerEcho(mode: str, count: int, size: int) -> Measure:
    def measure(competitor: Competitor, seconds: float) -> float:
        with runServer(competitor) as server:
            return _cpu(server, mode, count, size, seconds)

    return measure


def roundTrip(statistic: str) -> Measure:
    """Microseconds of the round trip of 64 bytes on the only connection."""

    def measure(competitor: Competitor, seconds: float) -> float:
        with runServer(competitor) as server:
            return _warmLoad(server, "echo", 1, 64, seconds)[statistic] / 1000

    return measure


def bulk(competitor: Competitor, seconds: float) -> float:
    """Milliseconds of the server's processor time for a quarter of a GiB on one connection."""
    with runServer(competitor) as server:
        return _warmLoad(server, "bulk", 1, _GIB // 4, seconds)["cpu_ns"] / 1e6


def memory(mode: str, connections: int) -> Measure:
    """KiB of resident memory per connection."""

    def measure(competitor: Competitor, seconds: float) -> float:
        with runServer(competitor) as server:
            # The first connection also allocates memory that is not per connection.
            with server.idleConnections(mode, 1):
                before = server.resident()
            with server.idleConnections(mode, connections):
                return (server.resident() - before) / connections / _KIB

    return measure


def growth(competitor: Competitor, seconds: float) -> float:
    """The cost of an echo with 10,000 connections, as a multiple of that with 10."""
    with runServer(competitor) as server:
        few = _cpu(server, "echo", 10, 64, seconds)
        return _cpu(server, "echo", 10_000, 64, seconds) / few


def startTime(competitor: Competitor, seconds: float) -> float:
    """Milliseconds until the server listens, when its files have been read and compiled before."""
    took = 0.0
    for _ in range(2):
        began = time.monotonic()
        with runServer(competitor):
            took = (time.monotonic() - began) * 1000
    return took


def client(figure: Callable[[dict[str, Any]], float], connections: int, size: int) -> Measure:
    """Runs a client against the server in C; the figure is one of ``echoproto load -o json``."""

    def measure(client: Competitor, seconds: float) -> float:
        with runServer(Competitor(C, (str(FLOOR), "tcp"))) as server:
            words = {"port": server.port, "count": connections, "size": size, "seconds": seconds}
            command = [word.format(**words) for word in client.command]
            return figure(runClient(command, seconds))

    return measure


def cpuPerExchange(result: dict[str, Any]) -> float:
    cpu: float = result["busy_ratio"] * result["duration_ns"] / max(result["received"], 1) / 1000
    return cpu


def medianRoundTrip(result: dict[str, Any]) -> float:
    median: float = result["service"]["p50_ns"] / 1000
    return median
