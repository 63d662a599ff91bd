"""Attacks with connections: too many, too slow, and with garbage."""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from statistics import median, quantiles
from termios import FIONREAD, TIOCOUTQ
from typing import IO

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from echoproto.protocols.connections import CHECK_INTERVAL
from echoproto.server.config.settings import RESERVED_DESCRIPTORS
from tests.certificates import serverPEM
from tests.hostile.clients import eventually, proxyHeader1, proxyHeader2
from tests.hostile.figures import Figures
from tests.hostile.test_floods import waitedSeconds
from tests.loopback.program import PATIENCE, ROOT, Program, connected, environment

Address = tuple[str, int]

HERE = "127.0.0.1"

STREAMS = f"tcp:0:interface={HERE}"


# 64 descriptors, 120 clients

DESCRIPTORS, CLIENTS = 64, 120

#: Remaining descriptors for clients; a listener has two.
PLACES = DESCRIPTORS - RESERVED_DESCRIPTORS - 2

#: Seconds for which the clients stay connected.
STAY = 5.0


@contextmanager
def connectedClients(address: Address) -> Generator[list[socket.socket]]:
    """Connect the clients, from different addresses; each has sent one byte."""
    with ExitStack() as opened:
        clients = []
        for number in range(1, CLIENTS + 1):
            made = socket.create_connection(address, PATIENCE, (f"127.0.1.{number}", 0))
            clients.append(opened.enter_context(made))
            # A refused connection may be closed already.
            with suppress(ConnectionError):
                made.sendall(b"x")
        yield clients


def answer(client: socket.socket) -> bytes:
    """Return the echoed byte, or empty bytes if the server has closed."""
    try:
        return client.recv(1)
    except ConnectionError:
        return b""


def isServed(address: Address) -> bool:
    """Whether another client gets its byte back."""
    with connected(address) as client, suppress(ConnectionError):
        client.sendall(b"x")
        return client.recv(1) == b"x"
    return False


def test_fewDescriptors(figures: Figures) -> None:
    """With too few descriptors some clients are closed at once, and later ones are served."""
    with Program("-p", STREAMS, listeners=1, descriptors=DESCRIPTORS) as program:
        address = program.address("echo", "tcp")
        begun, lines = time.monotonic(), len(program.log)
        with connectedClients(address) as clients:
            answers = [answer(client) for client in clients]
            answeredIn = time.monotonic() - begun
            inUse = program.descriptors()
            time.sleep(STAY)
            written, stayed = len(program.log) - lines, time.monotonic() - begun
            assert program.process.poll() is None
        left = time.monotonic()
        eventually(lambda: isServed(address), PATIENCE, "serving the next client")
        recovery = time.monotonic() - left
        program.stop()
    log = "".join(program.log)
    assert answers == [b"x"] * PLACES + [b""] * (CLIENTS - PLACES)
    assert inUse < DESCRIPTORS
    assert written <= stayed
    assert "Traceback" not in log
    # More refusals are possible while places become free.
    assert sum(map(int, re.findall(r"(\d+) too many connections", log))) >= CLIENTS - PLACES
    figures.add(
        "64 descriptors, 120 clients",
        f"{PLACES} served and {CLIENTS - PLACES} closed in "
        f"{answeredIn * 1000:.0f} ms, {inUse} descriptors, "
        f"{written} log lines in {stayed:.1f} s, next client served "
        f"{recovery * 1000:.0f} ms after they left",
    )


def test_fewDescriptorsAndWaiting(figures: Figures) -> None:
    """With ``--when-full wait``, waiting clients are served as places become free."""
    options = ("-p", STREAMS, "--when-full", "wait")
    with Program(*options, listeners=1, descriptors=DESCRIPTORS) as program:
        address = program.address("echo", "tcp")
        lines = len(program.log)
        with connectedClients(address) as waiting:
            time.sleep(1.0)
            # No client leaves, so no further client is served.
            first = len(select.select(waiting, [], [], 0)[0])
            inUse, written = program.descriptors(), len(program.log) - lines
            begun = time.monotonic()
            served = 0
            while waiting:
                ready, _, _ = select.select(waiting, [], [], PATIENCE)
                assert ready, f"{len(waiting)} are not served"
                for client in ready:
                    served += answer(client) == b"x"
                    client.close()
                    waiting.remove(client)
            seconds = time.monotonic() - begun
        assert isServed(address)
        program.stop()
    assert (first, served) == (PLACES, CLIENTS)
    assert inUse < DESCRIPTORS
    assert written <= 1
    assert "Traceback" not in "".join(program.log)
    figures.add(
        "64 descriptors, 120 clients",
        f"with --when-full wait: {first} served at once, the other {served - first} "
        f"within {seconds * 1000:.0f} ms as places became free, 0 refused",
    )


# 500 slow senders and 500 never-readers

SLOW, NEVER = 500, 500

STALL = 3.0

#: Seconds from the timeout to the second check after it, and some for a busy machine.
SLACK = 2 * CHECK_INTERVAL + 1.5

#: Seconds between two checks of a never-reader.
LOOK = NEVER / 2 / SLOW

#: Seconds without progress of any never-reader after which all count as blocked.
BLOCKED = 2 * LOOK

#: Time limit of an attack in seconds, even if some clients were not aborted.
ATTACK = 40.0

ROUNDS = 2

#: Round trips of one percentile.
WINDOW = 1000

#: Windows before an attack, and after it.
QUIET = 8

#: Seconds between two slow senders, so that every one of them sends once per second.
TICK = 1.0 / SLOW


@dataclass
class Attacker:
    """Many clients that send slowly or never read, with little CPU time of their own."""

    address: Address
    slow: list[socket.socket] = field(default_factory=list)
    never: list[socket.socket] = field(default_factory=list)
    seen: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    lastReceived: dict[int, float] = field(default_factory=dict)
    lastMoved: dict[int, float] = field(default_factory=dict)
    receivedAt: float = 0.0
    abortedAfter: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0
    echoed: int = 0

    def connect(self) -> None:
        self.epoll = select.epoll()
        self.slow = [self._connected() for _ in range(SLOW)]
        self.never = [self._connected() for _ in range(NEVER)]
        self.byNumber = {client.fileno(): client for client in self.never}

    def _connected(self) -> socket.socket:
        made = socket.socket()
        # As over Ethernet: with the 64 KiB segments of loopback, the kernels would buffer megabytes
        # for every connection.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        made.connect(self.address)
        made.setblocking(False)
        return made

    def run(self) -> None:
        """Attack until one second after all never-readers are aborted; print when blocked."""
        for client in self.never:
            self.epoll.register(client, select.EPOLLOUT)
        self.begun = self.receivedAt = time.monotonic()
        end = self.begun + ATTACK
        tick, blocked = 0, False
        while (now := time.monotonic()) < end:
            self._sendOne(self.slow[tick % SLOW])
            for number in (2 * tick % NEVER, (2 * tick + 1) % NEVER):
                self._checkProgress(self.never[number])
            tick += 1
            while (rest := self.begun + tick * TICK - time.monotonic()) > 0:
                for number, events in self.epoll.poll(rest, 32):
                    self._sendMore(number, events)
            if not blocked and now - self.receivedAt > BLOCKED:
                blocked = True
                print("blocked", flush=True)
            if len(self.abortedAfter) == NEVER:
                end = min(end, now + 1.0)

    def _sendOne(self, client: socket.socket) -> None:
        with suppress(BlockingIOError):
            self.echoed += len(client.recv(100))
        self.sent += client.send(b"x")

    def _checkProgress(self, client: socket.socket) -> None:
        """Record progress of a never-reader, in its receive queue and in the server's."""
        number = client.fileno()
        if number < 0:
            return
        now = time.monotonic()
        waiting, unsent = (ioctl(number, request, bytes(4)) for request in (FIONREAD, TIOCOUTQ))
        before = self.seen.get(number, (b"", b""))
        if waiting != before[0]:
            self.receivedAt = self.lastReceived[number] = now
        if (waiting, unsent) != before:
            self.lastMoved[number] = now
        self.seen[number] = (waiting, unsent)

    def _sendMore(self, number: int, events: int) -> None:
        """Send data; for an aborted client, record the times since its last progress."""
        client, now = self.byNumber[number], time.monotonic()
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self.abortedAfter.append(
                (now - self.lastReceived[number], now - self.lastMoved[number])
            )
            self.epoll.unregister(number)
            client.close()
            return
        with suppress(BlockingIOError, ConnectionError):
            client.send(b"x" * 65_536)
            self.lastMoved[number] = now


def attack(port: int) -> None:
    """Attack from a separate process; print when all clients are connected, and the results."""
    attacker = Attacker((HERE, port))
    attacker.connect()
    print("connected", flush=True)
    attacker.run()
    found = (attacker.abortedAfter, attacker.sent, attacker.echoed)
    print(json.dumps(found), flush=True)


@dataclass
class Prober:
    """A client that measures sequential round trips of 64 bytes."""

    program: Program
    client: socket.socket

    def percentile99(self) -> tuple[float, float]:
        """Return the p99 in seconds, without and with run-queue wait."""
        trips = [self._trip() for _ in range(WINDOW)]
        less, whole = (quantiles(times, n=100)[98] for times in zip(*trips, strict=True))
        return less, whole

    def _trip(self) -> tuple[float, float]:
        waited, begun = waitedSeconds(self.program), time.perf_counter()
        self.client.sendall(b"x" * 64)
        left = 64
        while left:
            left -= len(self.client.recv(left))
        took = time.perf_counter() - begun
        return took - (waitedSeconds(self.program) - waited), took

    def quiet(self) -> list[tuple[float, float]]:
        """Measure several windows."""
        return [self.percentile99() for _ in range(QUIET)]

    def untilOutput(self, output: IO[str]) -> list[tuple[float, float]]:
        """Measure windows until there is output to read."""
        found = []
        while not select.select([output], [], [], 0)[0]:
            found.append(self.percentile99())
        return found


@dataclass
class AttackMeasurement:
    """
    The measurements.

    :ivar quiet: 99th percentiles of windows without an attack, from :meth:`Prober.percentile99`.
    :ivar filling: the same while the never-readers fill the buffers.
    :ivar blocked: the same from then until shortly after they were aborted.
    """

    quiet: list[tuple[float, float]] = field(default_factory=list)
    filling: list[tuple[float, float]] = field(default_factory=list)
    blocked: list[tuple[float, float]] = field(default_factory=list)
    abortedAfter: list[tuple[float, float]] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)

    def round(self, program: Program) -> None:
        """Measure without an attack, during one, and without it again."""
        address = program.address("echo", "tcp")
        with connected(address) as client:
            prober = Prober(program, client)
            self.quiet += prober.quiet()
            before = program.residentBytes()
            command = [sys.executable, "-m", __name__, "attack", str(address[1])]
            with subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
            ) as attacker:
                assert attacker.stdout is not None
                assert attacker.stdout.readline() == "connected\n"
                self.filling += prober.untilOutput(attacker.stdout)
                assert attacker.stdout.readline() == "blocked\n"
                self.grown.append(program.residentBytes() - before)
                self.blocked += prober.untilOutput(attacker.stdout)
                abortedAfter, sent, echoed = json.loads(attacker.stdout.readline())
            self.abortedAfter += map(tuple, abortedAfter)
            # The last byte of every client may be in transit.
            assert sent - SLOW <= echoed <= sent
            self.quiet += prober.quiet()


def countStalled(log: Iterable[str]) -> int:
    """Count the stalled connections in the log, in single lines and in totals."""
    count = 0
    for line in log:
        found = re.search(r"ended \d+ more connections?: .*?(\d+) stalled", line)
        count += int(found[1]) if found is not None else " stalled after " in line
    return count


def test_slowSendersAndNeverReaders(figures: Figures) -> None:
    """The p99 of a client less than doubles under attack, and never-readers are aborted."""
    options = ("-p", STREAMS, "--max-per-source", "0", "--stall-timeout", f"{STALL:g}s")
    measured = AttackMeasurement()
    with Program(*options, listeners=1) as program:
        for _ in range(ROUNDS):
            measured.round(program)
        program.stop()
    assert "Traceback" not in "".join(program.log)
    assert len(measured.abortedAfter) == countStalled(program.log) == ROUNDS * NEVER
    # Data in the client's send queue may not have reached the server, and the server reads for a
    # moment after the client's receive queue is full.
    earliest = min(taken for taken, _ in measured.abortedAfter)
    latest = max(moved for _, moved in measured.abortedAfter)
    assert earliest >= STALL - LOOK
    assert latest <= STALL + SLACK
    (quiet, wholeQuiet), (blocked, wholeBlocked), (filling, _) = (
        map(median, zip(*windows, strict=True))
        for windows in (measured.quiet, measured.blocked, measured.filling)
    )
    figures.add(
        "500 slow senders and 500 never-readers",
        f"p99 of 64 B round trips {blocked * 1e6:.0f} µs under attack and {quiet * 1e6:.0f} µs "
        f"without, "
        f"ratio {blocked / quiet:.2f} ({wholeBlocked / wholeQuiet:.2f} with run-queue wait; "
        f"medians of {len(measured.blocked)} and {len(measured.quiet)} windows of {WINDOW:,}; "
        f"{filling * 1e6:.0f} µs while the "
        f"buffers fill); all {ROUNDS * NEVER:,} never-readers aborted as stalled, "
        f"at least {earliest:.1f} s after the last received byte and "
        f"at most {latest:.1f} s after the last byte in either direction, timeout {STALL:g} s; "
        f"memory +{max(measured.grown) / 1e6:.0f} MB",
    )
    assert blocked < 2 * quiet


# Garbage at PROXY and TLS listeners

#: Timeouts of a header and of a handshake, in seconds.
HEADER = HANDSHAKE = 1.0

#: Seconds after which all connections must be closed: both timeouts in sequence.
CLOSED = HEADER + HANDSHAKE + 4 * CHECK_INTERVAL + 1.0

SOURCE, DESTINATION = ("192.0.2.1", 50_000), ("192.0.2.2", 12_345)
SOURCE6, DESTINATION6 = ("2001:db8::1", 50_000), ("2001:db8::2", 12_345)

LINE, BLOCK = proxyHeader1(SOURCE, DESTINATION), proxyHeader2(SOURCE, DESTINATION)
LINE6, BLOCK6 = proxyHeader1(SOURCE6, DESTINATION6), proxyHeader2(SOURCE6, DESTINATION6)
SIGNATURE = BLOCK[:12]


def clientHello() -> bytes:
    """The first data of a TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def oldHello(minor: int) -> bytes:
    """A hello of SSL 3.0 (0) or TLS 1.0 (1): no extensions, two ciphers (RFC 6101, RFC 2246)."""
    version = bytes((3, minor))
    body = version + bytes(32) + b"\x00" + b"\x00\x04\x00\x2f\x00\x0a" + b"\x01\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16" + version + len(handshake).to_bytes(2, "big") + handshake


HELLO = clientHello()

#: Invalid at all listeners.
GARBAGE = {
    "nothing": b"",
    "half a line": LINE[:20],
    "a line without its LF": LINE[:-1],
    "a line that never ends": b"PROXY TCP4 " + b"1" * 5000,
    "a line of an unknown family": b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
    "a line with a wrong port": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "a line with a NUL": b"PROXY TCP4 192.0.2.1\x00 192.0.2.2 1 2\r\n",
    "an unknown line that never ends": b"PROXY UNKNOWN " + b"x" * 5000,
    "half a block": BLOCK[:14],
    "a block without its last byte": BLOCK[:-1],
    "a block of 64 KiB": SIGNATURE + b"\x21\x11\xff\xff" + bytes(0xFFFF),
    "a block of version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "a block of no transport": SIGNATURE + b"\x21\x13\x00\x0c" + bytes(12),
    "a block too short for its family": SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a megabyte of zeros": bytes(1_000_000),
    "half a hello": HELLO[: len(HELLO) // 2],
    "a record's head alone": HELLO[:5],
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(0xFFFF),
    "SSL 2.0": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37),
    "SSL 3.0": oldHello(0),
    "TLS 1.0": oldHello(1),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "application data": b"\x17\x03\x03\x00\x10" + bytes(16),
}

#: Valid at one listener and invalid at others.
TLS_HELLO = {"hello": HELLO}
LINES = {"line": LINE + HELLO[:40], "line of IPv6": LINE6, "line unknown": b"PROXY UNKNOWN\r\n"}
BLOCKS = {
    "block": BLOCK + b"GET /",
    "block of IPv6": BLOCK6,
    "local": SIGNATURE + b"\x20\x00\x00\x00",
}


@dataclass(frozen=True)
class Target:
    """
    A listener that expects a header or a handshake.

    :ivar header: the data that a valid client sends first, in plain text.
    :ivar tls: whether a handshake follows.
    :ivar garbage: invalid data.
    """

    arguments: str
    header: bytes
    tls: bool
    garbage: dict[str, bytes]


def targets(certificate: Path) -> list[Target]:
    """One listener of every kind."""
    tls = f"tlsCert={certificate}"
    both = {**GARBAGE, **TLS_HELLO}
    return [
        Target("proxy=v1", LINE, False, {**both, **BLOCKS}),
        Target("proxy=v2", BLOCK, False, {**both, **LINES}),
        Target("proxy=any", BLOCK6, False, both),
        Target(tls, b"", True, {**GARBAGE, **LINES, **BLOCKS}),
        Target(f"{tls}:proxy=any", LINE6, True, {**both, **LINES, **BLOCKS}),
    ]


def behindHeader(garbage: dict[str, bytes]) -> dict[str, bytes]:
    """Put the garbage after a valid header, instead of a handshake."""
    return {f"{name} behind a header": BLOCK + data for name, data in garbage.items()}


@dataclass
class Garbage:
    """
    Sends garbage to a server and checks that every connection is closed.

    :ivar sent: the number of connections.
    :ivar longest: seconds until the last one was closed.
    """

    sent: int = 0
    longest: float = 0.0
    _open: list[tuple[socket.socket, str]] = field(default_factory=list)

    def send(self, address: Address, name: str, pieces: Sequence[bytes]) -> socket.socket:
        """Connect and send; the server may close meanwhile."""
        made = connected(address)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent += 1
        self._open.append((made, f"{name} at {address}"))
        with suppress(ConnectionError):
            for piece in pieces:
                made.sendall(piece)
        return made

    def silence(self, address: Address, name: str, data: bytes) -> None:
        """Send, then stay silent."""
        self.send(address, name, [data])

    def bytewise(self, address: Address, name: str, data: bytes) -> None:
        """Send the beginning byte by byte, then the rest."""
        pieces = [data[n : n + 1] for n in range(min(len(data), 200))]
        self.send(address, name, [*pieces, data[200:]])

    def finish(self, address: Address, name: str, data: bytes) -> None:
        """Send, then half-close."""
        with suppress(OSError):
            self.send(address, name, [data]).shutdown(socket.SHUT_WR)

    def reset(self, address: Address, name: str, data: bytes) -> None:
        """Send, then reset."""
        made = self.send(address, name, [data])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.close()
        self._open.pop()

    def awaitClosed(self) -> None:
        """Wait until the server has closed all connections."""
        begun = time.monotonic()
        with DefaultSelector() as selector:
            for made, name in self._open:
                made.setblocking(False)
                selector.register(made, EVENT_READ, name)
            while selector.get_map():
                left = begun + CLOSED - time.monotonic()
                ready = selector.select(max(left, 0.0))
                assert ready, f"not closed: {sorted({k.data for k in selector.get_map().values()})}"
                for key, _ in ready:
                    made = next(opened for opened, _ in self._open if opened is key.fileobj)
                    if self._isClosed(made):
                        selector.unregister(made)
                        made.close()
        self._open.clear()
        self.longest = max(self.longest, time.monotonic() - begun)

    def _isClosed(self, made: socket.socket) -> bool:
        try:
            return made.recv(65_536) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


def assertServed(address: Address, target: Target) -> None:
    """Assert that a valid client is served."""
    with connected(address) as plain:
        plain.sendall(target.header)
        client = untrustingContext().wrap_socket(plain) if target.tls else plain
        with client:
            client.sendall(b"alive")
            assert client.recv(5) == b"alive"


def untrustingContext() -> ssl.SSLContext:
    """A context that accepts any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def attackedServer(folder: Path) -> Generator[tuple[Program, list[tuple[Target, Address]]]]:
    """Run a server with one listener of every kind, and check its log for tracebacks."""
    certificate = folder / "server.pem"
    certificate.write_bytes(serverPEM())
    kinds = targets(certificate)
    options = [word for kind in kinds for word in ("-p", f"{STREAMS}:{kind.arguments}")]
    timeouts = ("--header-timeout", f"{HEADER:g}s", "--handshake-timeout", f"{HANDSHAKE:g}s")
    with Program(*options, *timeouts, "--max-per-source", "0", listeners=len(kinds)) as program:
        lines = [line for line in program.log if " is listening on " in line]
        ports = [int(line.rpartition(":")[2]) for line in lines]
        listeners = [(kind, (HERE, port)) for kind, port in zip(kinds, ports, strict=True)]
        for target, address in listeners:
            assertServed(address, target)
        yield program, listeners
        for target, address in listeners:
            assertServed(address, target)
        program.stop()
    log = "".join(program.log)
    assert "Traceback" not in log
    assert "Unhandled" not in log


def test_garbage(figures: Figures, tmp_path: Path) -> None:
    """Garbage is refused and closed within the timeouts, while valid clients are served."""
    attacker = Garbage()
    methods = (attacker.silence, attacker.bytewise, attacker.finish, attacker.reset)
    with attackedServer(tmp_path) as (program, listeners):
        lines = len(program.log)
        for target, address in listeners:
            garbage = target.garbage
            if target.tls and target.header:
                garbage = {**garbage, **behindHeader({**GARBAGE, **LINES, **BLOCKS})}
            for name, data in garbage.items():
                for method in methods:
                    method(address, f"{name}, {method.__name__}", data)
            attacker.awaitClosed()
    refused = re.findall(r"refused (\d+) connections?", "".join(program.log))
    assert sum(map(int, refused)) == attacker.sent
    figures.add(
        "garbage at PROXY and TLS listeners",
        f"corpus: {attacker.sent:,} connections, all refused and closed within "
        f"{attacker.longest:.1f} s (timeouts {HEADER:g} s), "
        f"{len(program.log) - lines} log lines",
    )


def truncated(message: bytes) -> st.SearchStrategy[bytes]:
    """A proper prefix of a valid message."""
    return st.integers(0, len(message) - 1).map(lambda size: message[:size])


def mutated(message: bytes) -> st.SearchStrategy[bytes]:
    """A valid message with one byte replaced, which may leave it valid."""
    return st.tuples(st.integers(0, len(message) - 1), st.integers(0, 255)).map(
        lambda where: message[: where[0]] + bytes((where[1],)) + message[where[0] + 1 :]
    )


MESSAGES = (LINE, LINE6, BLOCK, BLOCK6, HELLO, BLOCK + HELLO)

BLOBS = st.lists(
    st.one_of(st.binary(max_size=300), *map(truncated, MESSAGES), *map(mutated, MESSAGES)),
    min_size=1,
    max_size=20,
)


def test_randomGarbage(figures: Figures, tmp_path: Path) -> None:
    """Connections with random, truncated or mutated data are closed at the client's FIN."""
    attacker = Garbage()
    with attackedServer(tmp_path) as (program, listeners):
        lines = len(program.log)

        @settings(
            max_examples=60,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(BLOBS)
        def sendAll(blobs: list[bytes]) -> None:
            for _, address in listeners:
                for blob in blobs:
                    attacker.finish(address, repr(blob), blob)
            attacker.awaitClosed()

        sendAll()
    figures.add(
        "garbage at PROXY and TLS listeners",
        f"hypothesis: {attacker.sent:,} connections, closed within "
        f"{attacker.longest:.1f} s of the client's FIN, "
        f"{len(program.log) - lines} log lines",
    )


if __name__ == "__main__":
    attack(int(sys.argv[2]))
