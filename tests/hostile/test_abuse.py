"""Attacks with connections: too many, too slow, and with bytes that mean nothing."""

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

import pytest
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

#: What is left of them for clients, where there is one listener.
PLACES = DESCRIPTORS - RESERVED_DESCRIPTORS - 1

#: Seconds for which the crowd stays.
STAY = 5.0


@contextmanager
def crowd(address: Address) -> Generator[list[socket.socket]]:
    """As many clients as attack, each from an address of its own, which have sent one byte."""
    with ExitStack() as opened:
        clients = []
        for number in range(1, CLIENTS + 1):
            made = socket.create_connection(address, PATIENCE, (f"127.0.1.{number}", 0))
            clients.append(opened.enter_context(made))
            # A refused one may be closed already.
            with suppress(ConnectionError):
                made.sendall(b"x")
        yield clients


def answer(client: socket.socket) -> bytes:
    """The byte that came back; empty where the server has closed."""
    try:
        return client.recv(1)
    except ConnectionError:
        return b""


def isServed(address: Address) -> bool:
    """Whether one more client gets its byte back."""
    with connected(address) as client, suppress(ConnectionError):
        client.sendall(b"x")
        return client.recv(1) == b"x"
    return False


@pytest.mark.timeout(60)
def test_fewDescriptors(figures: Figures) -> None:
    """
    With fewer descriptors than clients, those who find a place are served and the others closed at
    once; the log stays quiet, and when the crowd has left the next client is served.
    """
    with Program("-p", STREAMS, listeners=1, descriptors=DESCRIPTORS) as program:
        address = program.address("echo", "tcp")
        begun, lines = time.monotonic(), len(program.log)
        with crowd(address) as clients:
            answers = [answer(client) for client in clients]
            answeredIn = time.monotonic() - begun
            inUse = program.descriptors()
            time.sleep(STAY)
            written, stayed = len(program.log) - lines, time.monotonic() - begun
            assert program.process.poll() is None
        left = time.monotonic()
        eventually(lambda: isServed(address), PATIENCE, "a place")
        recovery = time.monotonic() - left
        program.stop()
    log = "".join(program.log)
    assert answers == [b"x"] * PLACES + [b""] * (CLIENTS - PLACES)
    assert inUse < DESCRIPTORS
    assert written <= stayed
    assert "Traceback" not in log
    # Those besides came while the places were still being given back.
    assert sum(map(int, re.findall(r"(\d+) too many connections", log))) >= CLIENTS - PLACES
    figures.add(
        "64 descriptors, 120 clients",
        f"{PLACES} served and {CLIENTS - PLACES} closed in "
        f"{answeredIn * 1000:.0f} ms, {inUse} descriptors, "
        f"{written} log lines in {stayed:.1f} s, the next client served "
        f"{recovery * 1000:.0f} ms after",
    )


@pytest.mark.timeout(60)
def test_fewDescriptorsAndWaiting(figures: Figures) -> None:
    """Where a full server lets clients wait, all are served: those that wait as places get free."""
    options = ("-p", STREAMS, "--when-full", "wait")
    with Program(*options, listeners=1, descriptors=DESCRIPTORS) as program:
        address = program.address("echo", "tcp")
        lines = len(program.log)
        with crowd(address) as waiting:
            time.sleep(1.0)
            # Nobody leaves, so nobody more is served.
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
        f"with --when-full wait: {first} served at once, the other {served - first} in "
        f"{seconds * 1000:.0f} ms as "
        "those left, 0 refused",
    )


# 500 slow senders and 500 never-readers

SLOW, NEVER = 500, 500

STALL = 3.0

#: Seconds from the deadline to the second sweep after it, and some for a busy machine.
SLACK = 2 * CHECK_INTERVAL + 1.5

#: Seconds between two looks at a client that never reads.
LOOK = NEVER / 2 / SLOW

#: Seconds without a byte taken for any of them after which all are taken to be blocked.
BLOCKED = 2 * LOOK

#: Seconds after which an attack ends, though not all were cut.
ATTACK = 40.0

ROUNDS = 2

#: Round trips of one percentile.
WINDOW = 1000

#: Windows before an attack, and after.
QUIET = 8

#: Seconds between two slow senders, so that each of them sends once a second.
TICK = 1.0 / SLOW


@dataclass
class Attacker:
    """
    Many clients that send slowly or never read; cheap, as it shares the machine with whom it
    attacks.
    """

    address: Address
    slow: list[socket.socket] = field(default_factory=list)
    never: list[socket.socket] = field(default_factory=list)
    seen: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    lastTaken: dict[int, float] = field(default_factory=dict)
    lastMoved: dict[int, float] = field(default_factory=dict)
    takenAt: float = 0.0
    cutAfter: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0
    echoed: int = 0

    def connect(self) -> None:
        self.epoll = select.epoll()
        self.slow = [self._connected() for _ in range(SLOW)]
        self.never = [self._connected() for _ in range(NEVER)]
        self.byNumber = {each.fileno(): each for each in self.never}

    def _connected(self) -> socket.socket:
        made = socket.socket()
        # As over Ethernet: with the 64 KiB of loopback each kernel would hold megabytes for every
        # one of them.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        made.connect(self.address)
        made.setblocking(False)
        return made

    def run(self) -> None:
        """
        Attack until every never-reader has been cut, and a second more; say when all are blocked.
        """
        for each in self.never:
            self.epoll.register(each, select.EPOLLOUT)
        self.begun = self.takenAt = time.monotonic()
        end = self.begun + ATTACK
        tick, blocked = 0, False
        while (now := time.monotonic()) < end:
            self._sendOne(self.slow[tick % SLOW])
            for number in (2 * tick % NEVER, (2 * tick + 1) % NEVER):
                self._look(self.never[number])
            tick += 1
            while (rest := self.begun + tick * TICK - time.monotonic()) > 0:
                for number, events in self.epoll.poll(rest, 32):
                    self._push(number, events)
            if not blocked and now - self.takenAt > BLOCKED:
                blocked = True
                print("blocked", flush=True)
            if len(self.cutAfter) == NEVER:
                end = min(end, now + 1.0)

    def _sendOne(self, client: socket.socket) -> None:
        with suppress(BlockingIOError):
            self.echoed += len(client.recv(100))
        self.sent += client.send(b"x")

    def _look(self, client: socket.socket) -> None:
        """
        Note whether our kernel has taken more for a client that never reads, and whether the
        server's has taken more of what it sent. Each is looked at every half second.
        """
        number = client.fileno()
        if number < 0:
            return
        now = time.monotonic()
        waiting, unsent = (ioctl(number, request, bytes(4)) for request in (FIONREAD, TIOCOUTQ))
        before = self.seen.get(number, (b"", b""))
        if waiting != before[0]:
            self.takenAt = self.lastTaken[number] = now
        if (waiting, unsent) != before:
            self.lastMoved[number] = now
        self.seen[number] = (waiting, unsent)

    def _push(self, number: int, events: int) -> None:
        """
        Send what goes; note when it was cut: since the last byte that our kernel took, and that
        moved either way.
        """
        client, now = self.byNumber[number], time.monotonic()
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self.cutAfter.append((now - self.lastTaken[number], now - self.lastMoved[number]))
            self.epoll.unregister(number)
            client.close()
            return
        with suppress(BlockingIOError, ConnectionError):
            client.send(b"x" * 65_536)
            self.lastMoved[number] = now


def attack(port: int) -> None:
    """
    Run in a process of its own: say when all are connected, then attack, then say what happened.
    """
    attacker = Attacker((HERE, port))
    attacker.connect()
    print("connected", flush=True)
    attacker.run()
    found = (attacker.cutAfter, attacker.sent, attacker.echoed)
    print(json.dumps(found), flush=True)


@dataclass
class Prober:
    """One client that measures round trips of 64 bytes, one after the other."""

    program: Program
    client: socket.socket

    def percentile99(self) -> tuple[float, float]:
        """
        Seconds, less what the server or we waited for a processor, which the attacker uses too; and
        with that.
        """
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
        """Some windows."""
        return [self.percentile99() for _ in range(QUIET)]

    def untilSaid(self, output: IO[str]) -> list[tuple[float, float]]:
        """Windows until there is something to be read."""
        found = []
        while not select.select([output], [], [], 0)[0]:
            found.append(self.percentile99())
        return found


@dataclass
class Attacked:
    """
    What was measured.

    :ivar quiet: 99th percentiles of windows without an attack; each as :meth:`Prober.percentile99`
        tells it.
    :ivar filling: while those that never read fill all the buffers there are.
    :ivar blocked: after that, until they are cut and a little longer.
    """

    quiet: list[tuple[float, float]] = field(default_factory=list)
    filling: list[tuple[float, float]] = field(default_factory=list)
    blocked: list[tuple[float, float]] = field(default_factory=list)
    cutAfter: list[tuple[float, float]] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)

    def round(self, program: Program) -> None:
        """Quiet, attacked, and quiet again."""
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
                self.filling += prober.untilSaid(attacker.stdout)
                assert attacker.stdout.readline() == "blocked\n"
                self.grown.append(program.residentBytes() - before)
                self.blocked += prober.untilSaid(attacker.stdout)
                cutAfter, sent, echoed = json.loads(attacker.stdout.readline())
            self.cutAfter += map(tuple, cutAfter)
            # The last byte of each may be on its way.
            assert sent - SLOW <= echoed <= sent
            self.quiet += prober.quiet()


def stalledInLog(log: Iterable[str]) -> int:
    """How many the log names stalled, one by one and in sums."""
    count = 0
    for line in log:
        found = re.search(r"ended \d+ more connections?: .*?(\d+) stalled", line)
        count += int(found[1]) if found is not None else " stalled after " in line
    return count


@pytest.mark.timeout(120)
def test_slowAndNeverReading(figures: Figures) -> None:
    """
    A thousand clients that send slowly or never read cost another client less than as much again;
    those that take nothing are cut at the deadline, and only those.
    """
    options = ("-p", STREAMS, "--max-per-source", "0", "--stall-timeout", f"{STALL:g}s")
    measured = Attacked()
    with Program(*options, listeners=1) as program:
        for _ in range(ROUNDS):
            measured.round(program)
        program.stop()
    assert "Traceback" not in "".join(program.log)
    assert len(measured.cutAfter) == stalledInLog(program.log) == ROUNDS * NEVER
    # What our kernel has taken to send, the server's may not have; and the server reads a little
    # after ours takes no more.
    earliest = min(taken for taken, _ in measured.cutAfter)
    latest = max(moved for _, moved in measured.cutAfter)
    assert earliest >= STALL - LOOK
    assert latest <= STALL + SLACK
    (quiet, wholeQuiet), (blocked, wholeBlocked), (filling, _) = (
        map(median, zip(*each, strict=True))
        for each in (measured.quiet, measured.blocked, measured.filling)
    )
    figures.add(
        "500 slow senders and 500 never-readers",
        f"p99 of 64 B round trips {blocked * 1e6:.0f} µs under attack and {quiet * 1e6:.0f} µs "
        f"without, "
        f"{blocked / quiet:.2f} times "
        f"({wholeBlocked / wholeQuiet:.2f} with waiting for a processor; "
        f"medians of "
        f"{len(measured.blocked)} and {len(measured.quiet)} windows of {WINDOW:,}; "
        f"{filling * 1e6:.0f} µs while the 500 "
        f"fill the buffers); all {ROUNDS * NEVER:,} never-readers cut as stalled, "
        f"at the earliest {earliest:.1f} s after "
        f"the last byte taken, at the latest {latest:.1f} s after one moved either way, "
        f"deadline {STALL:g} s; "
        f"memory +{max(measured.grown) / 1e6:.0f} MB",
    )
    assert blocked < 2 * quiet


# Garbage at PROXY and TLS listeners

#: Seconds for a header and for a handshake.
HEADER = HANDSHAKE = 1.0

#: Seconds until everyone must be closed: both deadlines one after the other.
CLOSED = HEADER + HANDSHAKE + 4 * CHECK_INTERVAL + 1.0

SOURCE, DESTINATION = ("192.0.2.1", 50_000), ("192.0.2.2", 12_345)
SOURCE6, DESTINATION6 = ("2001:db8::1", 50_000), ("2001:db8::2", 12_345)

LINE, BLOCK = proxyHeader1(SOURCE, DESTINATION), proxyHeader2(SOURCE, DESTINATION)
LINE6, BLOCK6 = proxyHeader1(SOURCE6, DESTINATION6), proxyHeader2(SOURCE6, DESTINATION6)
SIGNATURE = BLOCK[:12]


def clientHello() -> bytes:
    """What a TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def oldHello(minor: int) -> bytes:
    """
    A hello of SSL 3.0 (0) or TLS 1.0 (1): no extensions, two ciphers of the time (RFC 6101, RFC
    2246).
    """
    version = bytes((3, minor))
    body = version + bytes(32) + b"\x00" + b"\x00\x04\x00\x2f\x00\x0a" + b"\x01\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16" + version + len(handshake).to_bytes(2, "big") + handshake


HELLO = clientHello()

#: Nothing that any of the listeners takes.
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
    "a block of UDP": SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12),
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

#: What is good at one listener and garbage at others.
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
    A listener that expects something first.

    :ivar header: what a good client sends in plain before anything else.
    :ivar tls: whether a handshake comes then.
    :ivar garbage: what is none.
    """

    arguments: str
    header: bytes
    tls: bool
    garbage: dict[str, bytes]


def targets(certificate: Path) -> list[Target]:
    """One of each kind."""
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
    """The same behind a good header, where a handshake should come."""
    return {f"{name} behind a header": BLOCK + data for name, data in garbage.items()}


@dataclass
class Garbage:
    """
    Sends garbage to one server and sees to it that every connection is closed.

    :ivar sent: connections so far.
    :ivar longest: seconds until the last of them was closed.
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
        """Send, then nothing more."""
        self.send(address, name, [data])

    def bytewise(self, address: Address, name: str, data: bytes) -> None:
        """Send the beginning byte by byte, then the rest."""
        pieces = [data[n : n + 1] for n in range(min(len(data), 200))]
        self.send(address, name, [*pieces, data[200:]])

    def finish(self, address: Address, name: str, data: bytes) -> None:
        """Send, then our FIN."""
        with suppress(OSError):
            self.send(address, name, [data]).shutdown(socket.SHUT_WR)

    def reset(self, address: Address, name: str, data: bytes) -> None:
        """Send, then reset."""
        made = self.send(address, name, [data])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.close()
        self._open.pop()

    def awaitClosed(self) -> None:
        """Wait until the server has closed every one."""
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
                    made = next(each for each, _ in self._open if each is key.fileobj)
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


def good(address: Address, target: Target) -> None:
    """A client that does as it should is served."""
    with connected(address) as plain:
        plain.sendall(target.header)
        client = withoutTrust().wrap_socket(plain) if target.tls else plain
        with client:
            client.sendall(b"alive")
            assert client.recv(5) == b"alive"


def withoutTrust() -> ssl.SSLContext:
    """For a client that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def besieged(folder: Path) -> Generator[tuple[Program, list[tuple[Target, Address]]]]:
    """A server with one listener of each kind, whose log has no traceback at the end."""
    certificate = folder / "server.pem"
    certificate.write_bytes(serverPEM())
    kinds = targets(certificate)
    options = [word for each in kinds for word in ("-p", f"{STREAMS}:{each.arguments}")]
    deadlines = ("--header-timeout", f"{HEADER:g}s", "--handshake-timeout", f"{HANDSHAKE:g}s")
    with Program(*options, *deadlines, "--max-per-source", "0", listeners=len(kinds)) as program:
        lines = [line for line in program.log if " is listening on " in line]
        ports = [int(line.rpartition(":")[2]) for line in lines]
        placed = [(each, (HERE, port)) for each, port in zip(kinds, ports, strict=True)]
        for target, address in placed:
            good(address, target)
        yield program, placed
        for target, address in placed:
            good(address, target)
        program.stop()
    log = "".join(program.log)
    assert "Traceback" not in log
    assert "Unhandled" not in log


@pytest.mark.timeout(120)
def test_garbage(figures: Figures, tmp_path: Path) -> None:
    """
    Everything that is no header and no handshake is refused, and closed within the deadlines; a
    good client is served.
    """
    attacker = Garbage()
    ways = (attacker.silence, attacker.bytewise, attacker.finish, attacker.reset)
    with besieged(tmp_path) as (program, placed):
        lines = len(program.log)
        for target, address in placed:
            garbage = target.garbage
            if target.tls and target.header:
                garbage = {**garbage, **behindHeader({**GARBAGE, **LINES, **BLOCKS})}
            for name, data in garbage.items():
                for way in ways:
                    way(address, f"{name}, {way.__name__}", data)
            attacker.awaitClosed()
    refused = re.findall(r"refused (\d+) connections?", "".join(program.log))
    assert sum(map(int, refused)) == attacker.sent
    figures.add(
        "garbage at PROXY and TLS listeners",
        f"corpus: {attacker.sent:,} connections, all refused and closed within "
        f"{attacker.longest:.1f} s (deadlines {HEADER:g} s), "
        f"{len(program.log) - lines} log lines until the end",
    )


def cut(message: bytes) -> st.SearchStrategy[bytes]:
    """The beginning of a good message, never all of it."""
    return st.integers(0, len(message) - 1).map(lambda size: message[:size])


def bent(message: bytes) -> st.SearchStrategy[bytes]:
    """A good message with another byte in one place, which may leave it good."""
    return st.tuples(st.integers(0, len(message) - 1), st.integers(0, 255)).map(
        lambda where: message[: where[0]] + bytes((where[1],)) + message[where[0] + 1 :]
    )


MESSAGES = (LINE, LINE6, BLOCK, BLOCK6, HELLO, BLOCK + HELLO)

BLOBS = st.lists(
    st.one_of(st.binary(max_size=300), *map(cut, MESSAGES), *map(bent, MESSAGES)),
    min_size=1,
    max_size=20,
)


@pytest.mark.timeout(120)
def test_randomGarbage(figures: Figures, tmp_path: Path) -> None:
    """
    Random bytes, and good messages cut or bent, end with the client's FIN at the latest, whatever
    they are.
    """
    attacker = Garbage()
    with besieged(tmp_path) as (program, placed):
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
            for _, address in placed:
                for blob in blobs:
                    attacker.finish(address, repr(blob), blob)
            attacker.awaitClosed()

        sendAll()
    figures.add(
        "garbage at PROXY and TLS listeners",
        f"hypothesis: {attacker.sent:,} connections, closed within "
        f"{attacker.longest:.1f} s of our FIN, "
        f"{len(program.log) - lines} log lines until the end",
    )


if __name__ == "__main__":
    attack(int(sys.argv[2]))
