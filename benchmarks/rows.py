"""
The measurements of servers, and the promised ratios.

A row measures every competitor in turn, round after round, so that anything that slows the machine
down affects all of them. Promises are about ratios of figures of the same round.
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
    ours,
    tcpServers,
    tlsServers,
    udpServers,
)
from benchmarks.processes import Server, idleConnections, load, runServer

SIZES = {"64 B": 64, "1 KiB": 1024, "16 KiB": 16_384, "100 KiB": 102_400}

#: One round: the figure of each competitor, by name.
Round = dict[str, float]


@dataclass(frozen=True)
class Promise:
    """
    Our figure is at most ``bound`` times another's, or at least that if :attr:`isMinimum`.

    :ivar to: the other's name; empty for a bound on our figure itself.
    :ivar bound: the greatest or least ratio.
    :ivar isMinimum: whether more is better.
    """

    to: str
    bound: float
    isMinimum: bool = False


@dataclass(frozen=True)
class Row:
    """
    One measurement of several competitors.

    :ivar name: its title on the page.
    :ivar unit: the unit of its figures.
    :ivar measure: measures one round; its argument is the duration of a measurement in seconds.
    :ivar promises: the promised ratios.
    """

    name: str
    unit: str
    measure: Callable[[float], Round]
    promises: Sequence[Promise] = ()


def _measureEach(competitors: Sequence[Competitor], measure: Callable[[Server], float]) -> Round:
    figures = {}
    for competitor in competitors:
        if not competitor.missing:
            with runServer(competitor) as server:
                figures[competitor.name] = measure(server)
    return figures


def _selected(*names: str) -> list[Competitor]:
    """The servers on TCP with these names."""
    return [competitor for competitor in tcpServers() if competitor.name in names]


def _perEcho(mode: str, connections: int, size: int, seconds: float) -> Callable[[Server], float]:
    """Measures the server's processor time per echo, in microseconds."""

    def measure(server: Server) -> float:
        process = server.process.pid
        address = ("127.0.0.1", server.port) if mode == "udp" else (server.port,)
        figures = load(mode, *address, connections, size, seconds, process, seconds=seconds)
        return figures["cpu_ns"] / max(figures["echoes"], 1) / 1000

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
            return _measureEach(tcpServers(), _perEcho("echo", connections, size, seconds))

        return Row(
            f"TCP {text}, {connections:,} connections", "µs CPU/echo", measure, _STREAM_PROMISES
        )

    return [row(text, size) for text, size in SIZES.items()]


def _throughputRow(connections: int) -> Row:
    def measure(seconds: float) -> Round:
        def perSecond(server: Server) -> float:
            figures = load(
                "echo", server.port, connections, 1024, seconds, server.process.pid, seconds=seconds
            )
            return figures["echoes"] / figures["seconds"]

        return _measureEach(tcpServers(), perSecond)

    return Row(f"TCP throughput 1 KiB, {connections:,} connections", "echoes/s", measure)


def _tlsRow(text: str, bound: float) -> Row:
    def measure(seconds: float) -> Round:
        return _measureEach(tlsServers(), _perEcho("tls", 50, SIZES[text], seconds))

    return Row(f"TLS 1.3 {text}", "µs CPU/echo", measure, (Promise(UVLOOP, bound),))


def _datagramRow(text: str, size: int, wildcard: bool) -> Row:
    def measure(seconds: float) -> Round:
        return _measureEach(udpServers(wildcard), _perEcho("udp", 50, size, seconds))

    promises = (Promise(UVLOOP, 1.3),) if wildcard else (Promise(UVLOOP, 1.0), Promise(STOCK, 0.6))
    where = "every address" if wildcard else "one address"
    return Row(f"UDP {text}, {where}", "µs CPU/echo", measure, promises)


#: Bytes of a bulk transfer.
BULK_SIZE = 1 << 30


def _bulk(seconds: float) -> Round:
    def measure(server: Server) -> float:
        figures = load("bulk", server.port, BULK_SIZE, server.process.pid)
        return BULK_SIZE / figures["seconds"] / (1 << 30)

    return _measureEach(tcpServers(), measure)


#: Number of connections whose memory is measured.
IDLE_CONNECTIONS = 10_000


def _idle(seconds: float) -> Round:
    def measure(server: Server) -> float:
        # The first connection also allocates memory that is not per connection.
        with idleConnections(server, 1):
            before = server.resident()
        with idleConnections(server, IDLE_CONNECTIONS):
            return (server.resident() - before) / IDLE_CONNECTIONS

    return _measureEach(_selected(OURS, UVLOOP, STOCK), measure)


def _churn(seconds: float) -> Round:
    def measure(server: Server) -> float:
        figures = load("churn", server.port, 50, seconds, server.process.pid, seconds=seconds)
        return figures["echoes"] / figures["cpu_ns"] * 1e9

    return _measureEach(_selected(OURS, UVLOOP, STOCK, GOLANG, C), measure)


#: The name of the start of a bare process, to which ours is compared.
IMPORT = "import of the reactor"


def _start(seconds: float) -> Round:
    began = time.monotonic()
    with runServer(ours("--port", "tcp:0:interface=127.0.0.1")):
        started = time.monotonic() - began
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "from twisted.internet import reactor"], check=True)
    return {OURS: started * 1000, IMPORT: (time.monotonic() - began) * 1000}


def _roundTrip(statistic: str) -> Callable[[float], Round]:
    def measureAll(seconds: float) -> Round:
        def measure(server: Server) -> float:
            figures = load("echo", server.port, 1, 64, seconds, server.process.pid, seconds=seconds)
            return figures[statistic] / 1000

        return _measureEach(tcpServers()[:5], measure)

    return measureAll


#: Numbers of connections whose costs per echo are compared.
GROWTH_CONNECTIONS = (10, 10_000)


def _growth(seconds: float) -> Round:
    """The ratio of the costs of an echo with many connections and with few."""
    few, many = (
        _measureEach(_selected(OURS, UVLOOP, C), _perEcho("echo", connections, 64, seconds))
        for connections in GROWTH_CONNECTIONS
    )
    return {name: many[name] / few[name] for name in many}


def serverRows() -> list[Row]:
    """All rows for servers, in the order of the page."""
    return [
        *_streamRows(50),
        *_streamRows(1000),
        _throughputRow(50),
        _throughputRow(1000),
        Row("TCP bulk, one connection, 1 GiB", "GiB/s", _bulk, (Promise(C, 0.9, isMinimum=True),)),
        _tlsRow("1 KiB", 1.0),
        _tlsRow("100 KiB", 1.2),
        *[
            _datagramRow(text, size, wildcard)
            for wildcard in (False, True)
            for text, size in (("64 B", 64), ("1 KiB", 1024), ("8 KiB", 8192))
        ],
        Row("memory, 10,000 idle connections", "B each", _idle, (Promise("", 2048),)),
        Row(
            "accepted, echoed once, closed",
            "per s of CPU",
            _churn,
            (Promise(UVLOOP, 1.0, isMinimum=True),),
        ),
        Row("start to listening", "ms", _start, (Promise(IMPORT, 1.5),)),
        Row("round trip, median", "µs", _roundTrip("median_ns"), (Promise(UVLOOP, 1.1),)),
        Row("round trip, p99", "µs", _roundTrip("p99_ns"), (Promise(UVLOOP, 1.1),)),
        Row("growth, 10 to 10,000 connections", "times CPU/echo", _growth, (Promise("", 1.3),)),
    ]
