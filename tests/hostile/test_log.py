"""Attacks on readers of the log."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from echoproto.protocols.greeting import CLIENT_GREETING, NOTED_BYTES, SERVER_GREETING
from echoproto.text.untrusted import escaped
from tests.hostile.figures import Figures
from tests.loopback.program import Program, connected, datagramSocket, readToEnd

#: A forged log line.
FORGED = (
    b"2026-01-01T00:00:00+0000 [echoproto.server.listeners.builder#info] "
    b"echo from 192.0.2.1 finished"
)

#: Greetings, longer than the server's, so that they are answered over UDP too.
GREETINGS = {
    "newlines": b"hello\n" + FORGED + b"\n" + FORGED,
    "carriage returns": b"hello\r" + FORGED + b"\r\n" + FORGED,
    "other line ends": "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029".encode() + FORGED,
    "terminal commands": b"\x1b[2J\x1b[1;1H\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07\x9b2J\x08\x08"
    + FORGED,
    "NULs": b"\x00" * 10 + FORGED + b"\x00",
    "control characters only": b"\x01" * NOTED_BYTES,
    "every byte": bytes(range(256)),
    "text that turns": "\u202e\u2066\u2067\u200f\u061c evil \u202c\u2069".encode() + FORGED,
    "text that hides": "\u200b\u200d\ufeff\u00ad\u3164\u2800".encode() + FORGED,
    "piled marks": ("e" + "\u0301" * 200).encode(),
    "no UTF-8": b"\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80" + FORGED,
    "braces": b"{listener} {said} {log_source} {0} {} {peer!r} {said.__class__} %s %(said)s %n"
    + FORGED,
    "quotes": b"\"'`$(reboot)`\\\\n\\x1b\\" + FORGED,
    "JSON": b'"}\n{"event": "ended", "text": "forged", "level": "info"}\n' + FORGED,
    "a tenth of a megabyte": b"0123456789\n" * 9_100,
}

#: Maximum size of a datagram.
LARGEST_DATAGRAM = 60_000


def greetOverTCP(address: Any, data: bytes) -> tuple[str, int]:
    """Send the data and read the greeting; return the client's address."""
    with connected(address) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert readToEnd(client) == SERVER_GREETING
        host, port = client.getsockname()[:2]
        return host, port


def greetOverUDP(address: Any, data: bytes) -> tuple[str, int]:
    """The same with a datagram."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with datagramSocket(family) as client:
        client.connect(address)
        client.send(data[:LARGEST_DATAGRAM])
        assert client.recv(100) == SERVER_GREETING
        host, port = client.getsockname()[:2]
        return host, port


def formatAddress(host: str, port: int) -> str:
    """An address in the format of the log."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def greetAll(program: Program) -> dict[str, list[str]]:
    """Send all greetings on both carriers and families; return their logged forms by client."""
    expected: dict[str, list[str]] = {}
    for data in GREETINGS.values():
        shown = escaped(data[:NOTED_BYTES])
        for family in (socket.AF_INET, socket.AF_INET6):
            for carrier, greet in (("tcp", greetOverTCP), ("udp", greetOverUDP)):
                client = greet(program.address("greeting", carrier, family), data)
                expected.setdefault(formatAddress(*client), []).append(shown)
    return expected


@contextmanager
def greeting(*twistd: str) -> Generator[Program]:
    """A greeting server, stopped at the end."""
    with Program("--no-echo", "-g", "0", twistd=twistd) as program:
        yield program
        program.stop()


def test_text(figures: Figures) -> None:
    """Any greeting is one printable log line with a numeric address and the usual prefix."""
    with greeting() as program:
        expected = greetAll(program)
    logged: dict[str, list[str]] = {}
    for line in program.log:
        line = line.removesuffix("\n")
        assert line.isprintable(), line
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000 \[", line), line
        found = re.search(r"greeting on \S+ \S+ from (\S+) said: (.*)", line)
        if found is not None:
            logged.setdefault(found[1], []).append(found[2])
    assert logged == expected
    assert "Traceback" not in "".join(program.log)
    assertNumeric(logged)
    count, longest = sum(map(len, logged.values())), max(map(len, program.log))
    figures.add(
        "log injection",
        f"{count} texts over TCP and UDP, up to {max(map(len, GREETINGS.values())):,} bytes: "
        f"{count} lines, the longest "
        f"{longest:,} characters; no DNS lookups",
    )


def assertNumeric(peers: Any) -> None:
    """Names are never looked up: an attacker controls the names in its zone."""
    for peer in peers:
        assert ip_address(peer.rpartition(":")[0].strip("[]")).is_loopback


def test_JSON(figures: Figures) -> None:
    """As JSON, any greeting is one object on one line of ASCII, with the usual fields."""
    with greeting("--logger=echoproto.server.monitoring.jsonlog.jsonLines") as program:
        expected = greetAll(program)
    logged: dict[str, list[str]] = {}
    fields = set()
    for line in program.log:
        assert line.isascii() and line[:-1].isprintable(), line
        event = json.loads(line)
        assert event["text"].isprintable(), line
        if event.get("event") == "greeted":
            logged.setdefault(event["peer"], []).append(event["said"])
            fields.add(frozenset(event))
    assert logged == expected
    assert len(fields) == 1
    assert "Traceback" not in "".join(program.log)
    assertNumeric(logged)
    figures.add(
        "log injection", f"as JSON: {sum(map(len, logged.values()))} lines with one object each"
    )


def test_flood(figures: Figures) -> None:
    """Thousands of greetings write a bounded number of lines, with totals for the rest."""
    count = 5000
    with greeting() as program:
        before = len(program.log)
        address = program.address("greeting", "udp")
        with datagramSocket() as client:
            client.connect(address)
            for number in range(count):
                client.send(CLIENT_GREETING + os.urandom(20))
                # Within the burst of the rate limit, wait for every reply.
                if number < 500:
                    assert client.recv(100) == SERVER_GREETING
        assert greetOverTCP(program.address("greeting", "tcp"), b"alive")
    lines = program.log[before:]
    log = "".join(lines)
    assert "Traceback" not in log
    single = len(re.findall(r"on udp \S+ from \S+ said: ", log))
    more = sum(map(int, re.findall(r"greeted (\d+) more clients?", log)))
    answered = sum(map(int, re.findall(r"(\d+) answered", log)))
    assert single + more == answered
    assert single <= 200
    figures.add(
        "log injection", f"{answered:,} greetings at once: {single} lines and a total of the others"
    )
