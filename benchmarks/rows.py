"""
What is measured, and what is promised of it.

A row measures every competitor in turn, round after round, so that whatever slows the machine slows all of them. Its
promises are about ratios: those of one round are paired.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.competitors import (
    GOLANG,
    OURS,
    STOCK,
    UVLOOP,
    C,
    Competitor,
    datagrams,
    ours,
    secured,
    streams,
)
from benchmarks.running import Server, holding, load, running

SIZES = {"64 B": 64, "1 KiB": 1024, "16 KiB": 16_384, "100 KiB": 102_400}

#: Of one figure each competitor's, by name: one round.
Round = dict[str, float]


@dataclass(frozen=True)
class Promise:
    """
    That ours is at most ``bound`` times another's, or at least where :attr:`least`.

    :ivar to: the other's name; empty for a bound on the figure itself.
    :ivar least: whether more is better.
    """

    to: str
    bound: float
    least: bool = False


@dataclass(frozen=True)
class Row:
    """
    :ivar name: of the row.
    :ivar unit: of its figures.
    :ivar measure: measures one round.
    :ivar promises: what must hold.
    """

    name: str
    unit: str
    measure: Callable[[float], Round]
    promises: Sequence[Promise] = ()


def _each(competitors: Sequence[Competitor], measure: Callable[[Server], float]) -> Round:
    measured = {}
    for each in competitors:
        if not each.needs:
            with running(each) as server:
                measured[each.name] = measure(server)
    return measured


def _perEcho(mode: str, connections: int, size: int, seconds: float) -> Callable[[Server], float]:
    """Microseconds of the server's processor time for each echo."""

    def measure(server: Server) -> float:
        process = server.process.pid
        words = ("127.0.0.1", server.port) if mode == "udp" else (server.port,)
        found = load(mode, *words, connections, size, seconds, process, seconds=seconds)
        return found["cpu_ns"] / max(found["echoes"], 1) / 1000

    return measure


_STREAM_PROMISES = (
    Promise(UVLOOP, 1.0),
    Promise(GOLANG, 1.0),
    Promise(C, 1.35),
    Promise(STOCK, 0.35),
)


def _streamRows(connections: int) -> list[Row]:
    def row(text: str, size: int) -> Row:
        def measure(seconds: float) -> Round:
            return _each(streams(), _perEcho("echo", connections, size, seconds))

        return Row(
            f"TCP {text}, {connections:,} connections", "µs CPU/echo", measure, _STREAM_PROMISES
        )

    return [row(*each) for each in SIZES.items()]


def _throughputRow(connections: int) -> Row:
    def measure(seconds: float) -> Round:
        def perSecond(server: Server) -> float:
            found = load(
                "echo", server.port, connections, 1024, seconds, server.process.pid, seconds=seconds
            )
            return found["echoes"] / found["seconds"]

        return _each(streams(), perSecond)

    return Row(f"TCP throughput 1 KiB, {connections:,} connections", "echoes/s", measure)


def _tlsRow(text: str, bound: float) -> Row:
    def measure(seconds: float) -> Round:
        return _each(secured(), _perEcho("tls", 50, SIZES[text], seconds))

    return Row(f"TLS 1.3 {text}", "µs CPU/echo", measure, (Promise(UVLOOP, bound),))


def _datagramRow(text: str, size: int, wild: bool) -> Row:
    def measure(seconds: float) -> Round:
        return _each(datagrams(wild), _perEcho("udp", 50, size, seconds))

    promises = (Promise(UVLOOP, 1.3),) if wild else (Promise(UVLOOP, 1.0), Promise(STOCK, 0.6))
    where = "every address" if wild else "one address"
    return Row(f"UDP {text}, {where}", "µs CPU/echo", measure, promises)


BULK = 1 << 30


def _bulk(seconds: float) -> Round:
    def measure(server: Server) -> float:
        return BULK / load("bulk", server.port, BULK, server.process.pid)["seconds"] / (1 << 30)

    return _each(streams(), measure)


IDLE = 10_000


def _idle(seconds: float) -> Round:
    def measure(server: Server) -> float:
        # What a first connection brings along stays, and is no connection's.
        with holding(server, 1):
            before = server.resident()
        with holding(server, IDLE):
            return (server.resident() - before) / IDLE

    return _each([each for each in streams() if each.name in (OURS, UVLOOP, STOCK)], measure)


def _churn(seconds: float) -> Round:
    def measure(server: Server) -> float:
        found = load("churn", server.port, 50, seconds, server.process.pid, seconds=seconds)
        return found["echoes"] / found["cpu_ns"] * 1e9

    return _each(
        [each for each in streams() if each.name in (OURS, UVLOOP, STOCK, GOLANG, C)], measure
    )


def _start(seconds: float) -> Round:
    began = time.monotonic()
    with running(ours("--port", "tcp:0:interface=127.0.0.1")):
        started = time.monotonic() - began
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "from twisted.internet import reactor"], check=True)
    return {OURS: started * 1000, IMPORT: (time.monotonic() - began) * 1000}


IMPORT = "import of the reactor"


def _roundTrip(which: str) -> Callable[[float], Round]:
    def measured(seconds: float) -> Round:
        def measure(server: Server) -> float:
            found = load("echo", server.port, 1, 64, seconds, server.process.pid, seconds=seconds)
            return found[which] / 1000

        return _each(streams()[:5], measure)

    return measured


GROWTH = (10, 10_000)


def _growth(seconds: float) -> Round:
    """How many times an echo costs with the most connections what it costs with the fewest."""
    fewest, most = (
        _each(_bare(), _perEcho("echo", connections, 64, seconds)) for connections in GROWTH
    )
    return {name: most[name] / fewest[name] for name in most}


def _bare() -> list[Competitor]:
    """The few that some rows are about."""
    return [each for each in streams() if each.name in (OURS, UVLOOP, C)]


def rows() -> list[Row]:
    """All rows, in the order of the page."""
    return [
        *_streamRows(50),
        *_streamRows(1000),
        _throughputRow(50),
        _throughputRow(1000),
        Row("TCP bulk, one connection, 1 GiB", "GiB/s", _bulk, (Promise(C, 0.9, least=True),)),
        _tlsRow("1 KiB", 1.0),
        _tlsRow("100 KiB", 1.2),
        *[
            _datagramRow(text, size, wild)
            for wild in (False, True)
            for text, size in (("64 B", 64), ("1 KiB", 1024), ("8 KiB", 8192))
        ],
        Row("memory, 10,000 idle connections", "B each", _idle, (Promise("", 2048),)),
        Row(
            "accepted, echoed once, closed",
            "per s of CPU",
            _churn,
            (Promise(UVLOOP, 1.0, least=True),),
        ),
        Row("start to listening", "ms", _start, (Promise(IMPORT, 1.5),)),
        Row("round trip, median", "µs", _roundTrip("median_ns"), (Promise(UVLOOP, 1.1),)),
        Row("round trip, p99", "µs", _roundTrip("p99_ns"), (Promise(UVLOOP, 1.1),)),
        Row("growth, 10 to 10,000 connections", "times CPU/echo", _growth, (Promise("", 1.3),)),
    ]
