"""
The table: what is measured, of which servers and clients, and what is promised.

A promise that is missed has its reason here, beside its bound; the page shows it.
"""

from __future__ import annotations

import sys

from benchmarks.build import HERE, PINGPONG
from benchmarks.competitors import (
    AIOFASTNET,
    ASYNCIO,
    EPOLL,
    GEVENT,
    GOLANG,
    LOOP,
    NODE,
    OURS,
    RLOOP,
    SPLICE,
    SPLICING_LOOP,
    STOCK,
    STREAMS,
    UVLOOP,
    C,
    Checkout,
    Competitor,
    ours,
    servers,
)
from benchmarks.measurement import Promise, Row
from benchmarks.measures import (
    bulk,
    client,
    cpuPerEcho,
    cpuPerExchange,
    growth,
    medianRoundTrip,
    memory,
    roundTrip,
    startTime,
)

_SIZES = {"64 B": 64, "1 KiB": 1024, "8 KiB": 8192, "16 KiB": 16_384, "100 KiB": 102_400}

#: Competitors that only the two rows of the picture have.
_CROWD = (GOLANG, STOCK, EPOLL, AIOFASTNET, ASYNCIO, STREAMS, GEVENT, NODE)

_CPU = "µs CPU"


def _clients(kind: str) -> list[Competitor]:
    """Ours, and the one on uvloop that is ``bare`` or ``timed``."""
    options = ("-o", "json", "--connections", "{count}", "-s", "{size}", "-z", "{seconds}")
    load = (sys.executable, "-m", "echoproto", "load", *options, "127.0.0.1:{port}")
    program = (sys.executable, str(HERE / "clients/on_uvloop.py"))
    arguments = (kind, "{port}", "{count}", "{size}", "{seconds}")
    missing = servers("tcp", UVLOOP)[0].missing
    return [Competitor(OURS, load), Competitor(UVLOOP, (*program, *arguments), missing)]


def _streamRows() -> list[Row]:
    def row(connections: int, text: str) -> Row:
        first = text == "1 KiB" and connections == 50
        return Row(
            f"TCP {text}, {connections:,} connections",
            f"{_CPU}/echo",
            cpuPerEcho("echo", connections, _SIZES[text]),
            servers("tcp", OURS, UVLOOP, RLOOP),
            (Promise(UVLOOP, 1.05, reason=_BYTECODE),),
            servers("tcp", LOOP, C, *(_CROWD if first else ())),
            headline=first,
        )

    rows = [row(count, text) for count in (50, 1000) for text in ("64 B", "1 KiB", "16 KiB")]
    large = Row(
        "TCP 100 KiB, 50 connections",
        f"{_CPU}/echo",
        cpuPerEcho("echo", 50, _SIZES["100 KiB"]),
        servers("tcp", OURS, UVLOOP, C),
        (Promise(UVLOOP, 0.6, reason=_SPLICES), Promise(C, 0.9)),
        servers("tcp", SPLICING_LOOP, SPLICE, RLOOP, *_CROWD),
        headline=True,
    )
    return [*rows[:3], large, *rows[3:]]


def _datagramRows(base: Checkout) -> list[Row]:
    def row(mode: str, where: str, bound: float, text: str) -> Row:
        first = mode == "udp" and text == "1 KiB"
        return Row(
            f"UDP {text}, 20 sources, {where}",
            f"{_CPU}/echo",
            cpuPerEcho("udp", 20, _SIZES[text]),
            servers(mode, OURS, UVLOOP, RLOOP),
            (Promise(UVLOOP, bound, reason=_COPIES if text == "8 KiB" else ""),),
            servers(mode, C, *((STOCK, ASYNCIO) if first else ())) if mode == "udp" else (),
            headline=first,
        )

    return [
        *[row("udp", "one address", 0.8, text) for text in ("64 B", "1 KiB", "8 KiB")],
        *[row("wildcard", "every address", 0.85, text) for text in ("64 B", "1 KiB", "8 KiB")],
        Row(
            "UDP 64 B, one datagram at a time",
            f"{_CPU}/echo",
            cpuPerEcho("udp", 1, 64),
            [ours("udp"), ours("udp", base)],
            (Promise(base.name, 1.05),),
            servers("udp", UVLOOP, RLOOP, C),
        ),
    ]


_COPIES = (
    "the kernel copies the data twice; a loop in C that does nothing else was at 0.74 beside it"
)

_CALLS = (
    "accepting and closing a connection passes some 140 calls of Python, most of them in "
    "Twisted's transports and in admission, counters and log; a server in C was at half of uvloop"
)

_VERIFIES = (
    "it compares every byte and records every round trip; a client on uvloop that only records "
    "the round trips was at 1.12 beside it"
)

_IMPORTS = (
    "a third of the start is what Twisted imports of asyncio, attrs and pyOpenSSL, which is "
    "installed here"
)

_INTERPRETER = "the others are compiled; a bare loop in Python on the same module is measured below"

_SPLICES = "a bare loop in Python that only splices is measured below"

_BYTECODE = "the others are compiled; a bare loop in Python is measured below"


def _tlsRow(text: str, base: Checkout) -> Row:
    return Row(
        f"TLS 1.3 {text}, 50 connections",
        f"{_CPU}/echo",
        cpuPerEcho("tls", 50, _SIZES[text]),
        servers("tls", OURS, UVLOOP, AIOFASTNET),
        (Promise(UVLOOP, 0.75, reason=_INTERPRETER), Promise(AIOFASTNET, 1.0, reason=_INTERPRETER)),
        [*servers("tls", LOOP), ours("tls", base), *servers("tls", STOCK)],
        headline=text == "1 KiB",
    )


def _memoryRows(base: Checkout) -> list[Row]:
    return [
        Row(
            "memory per idle connection, of 10,000",
            "KiB",
            memory("idle", 10_000),
            servers("tcp", OURS, UVLOOP),
            (Promise("", 1.7),),
            servers("tcp", RLOOP, STOCK),
            headline=True,
        ),
        Row(
            "memory per idle TLS connection, of 500",
            "KiB",
            memory("idle-tls", 500),
            [ours("tls"), ours("tls", base)],
            (
                Promise(
                    base.name,
                    0.5,
                    reason="OpenSSL itself needs most: a bare loop on the same module has 0.96",
                ),
            ),
            servers("tls", UVLOOP, AIOFASTNET),
        ),
    ]


def _tripRow(name: str, statistic: str, *promises: Promise) -> Row:
    return Row(
        f"TCP round trip of 64 B, one connection, {name}",
        "µs",
        roundTrip(statistic),
        servers("tcp", OURS, UVLOOP, RLOOP),
        promises,
        servers("tcp", C),
    )


def _scaleRows() -> list[Row]:
    peers, floor = servers("tcp", OURS, UVLOOP, RLOOP), servers("tcp", C)
    return [
        Row(
            "TCP growth, 10 to 10,000 connections",
            "times CPU/echo",
            growth,
            peers,
            (Promise(UVLOOP, 1.0),),
            floor,
        ),
        Row(
            "TCP bulk, 256 MiB on one connection",
            "ms CPU",
            bulk,
            peers,
            (Promise(C, 1.1),),
            floor,
        ),
    ]


def _connectionRows(base: Checkout) -> list[Row]:
    return [
        Row(
            "TCP accept, echo once, close",
            f"{_CPU}/connection",
            cpuPerEcho("churn", 50, 64),
            servers("tcp", OURS, UVLOOP, RLOOP),
            (Promise(UVLOOP, 1.3, reason=_CALLS),),
            [ours("tcp", base), *servers("tcp", STOCK, GOLANG, C)],
        ),
        _tripRow("median", "median_ns", Promise(UVLOOP, 1.05)),
        _tripRow("p99", "p99_ns"),
        *_scaleRows(),
        Row(
            "start to listening",
            "ms",
            startTime,
            [ours("tcp"), ours("tcp", base)],
            (Promise(base.name, 0.7, reason=_IMPORTS),),
        ),
    ]


def _clientRows() -> list[Row]:
    return [
        Row(
            "client, 1 KiB over 50 connections",
            f"{_CPU}/exchange",
            client(cpuPerExchange, 50, 1024),
            _clients("bare"),
            (Promise(UVLOOP, 1.2, reason=_VERIFIES),),
            headline=True,
        ),
        Row(
            "client, round trip of 64 B, median",
            "µs",
            client(medianRoundTrip, 1, 64),
            [*_clients("timed"), Competitor(C, (str(PINGPONG), "{port}", "{size}", "{seconds}"))],
            (Promise(UVLOOP, 1.1), Promise(C, 2.0)),
        ),
    ]


def allRows(base: Checkout) -> list[Row]:
    """
    All rows, in the order of the page.

    :param base: the checkout of promises about this one; see ``--base``.
    """
    return [
        *_streamRows(),
        *_datagramRows(base),
        *[_tlsRow(text, base) for text in ("1 KiB", "16 KiB", "100 KiB")],
        *_memoryRows(base),
        *_connectionRows(base),
        *_clientRows(),
    ]
