"""Many concurrent clients, and many that disconnect or vanish."""

from __future__ import annotations

import ctypes
import os
import random
import selectors
import socket
import statistics
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fcntl import ioctl
from termios import TIOCOUTQ

from tests.hostile.clients import (
    Exchange,
    PlainChannel,
    closeReasons,
    eventually,
    halfClose,
    runExchanges,
    serving,
)
from tests.hostile.figures import Figures
from tests.loopback.program import PATIENCE, Program, connected

TCP = ("-p", "tcp:0:interface=127.0.0.1:backlog=1024")

#: The limit of this process too.
DESCRIPTORS = 20_000

CROWD = 1000

#: Seed of the sizes and contents of messages.
SEED = 862

IDLE = 5000

BUSY = 50

#: Seconds for which the active clients are measured.
MEASURED = 4.0

#: Maximum memory of an idle connection, in bytes.
IDLE_COST = 3072

RESETS = 10_000

VANISHED = 1000

#: Timeouts short enough for a test.
SHORT = (
    *("--max-connections", "3000", "--max-per-source", "3000"),
    *("--idle-timeout", "2", "--stall-timeout", "2", "--linger-timeout", "2"),
    *("--user-timeout", "5"),
)

#: From asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER = 26

#: A filter that drops all segments.
DROP_ALL = ((0x06, 0, 0, 0),)

#: A filter that accepts only segments without data: their length is that of their header.
DROP_DATA = (
    (0x30, 0, 0, 12),  # A = the byte at 12
    (0x74, 0, 0, 4),  # A >>= 4
    (0x64, 0, 0, 2),  # A <<= 2
    (0x07, 0, 0, 0),  # X = A
    (0x80, 0, 0, 0),  # A = length of the segment
    (0x1D, 0, 1, 0),  # skip one instruction if A != X
    (0x06, 0, 0, 0xFFFFFFFF),  # accept
    (0x06, 0, 0, 0),  # drop
)


def test_concurrentClients(figures: Figures) -> None:
    """1,000 concurrent connections get their own data back, and no other."""
    chance = random.Random(SEED)
    pool = memoryview(chance.randbytes(4 << 20))
    sizes = [chance.randint(0, 1 << 20) for _ in range(CROWD)]
    with serving(*TCP, descriptors=DESCRIPTORS) as program:
        before = program.descriptors()
        address = program.address("echo", "tcp")
        crowd = [_randomExchange(address, pool, size, chance) for size in sizes]
        eventually(
            lambda: program.descriptors() == before + CROWD, PATIENCE, "accepting all clients"
        )
        began = time.monotonic()
        runExchanges(crowd)
        seconds = time.monotonic() - began
    incomplete = [exchange for exchange in crowd if not exchange.complete]
    figures.add(
        "1,000 concurrent connections echo random 0 to 1 MB",
        f"{len(crowd)} open at once, {sum(sizes) / 1e6:.0f} MB each way in {seconds:.1f} s, "
        f"{len(incomplete)} mismatches",
    )
    assert incomplete == []
    assert closeReasons(program.log) == {"finished": CROWD}


def _randomExchange(
    address: tuple[str, int], pool: memoryview, size: int, chance: random.Random
) -> Exchange:
    """An exchange of a random part of ``pool``, so that all differ."""
    begin = chance.randrange(len(pool) - size)
    return Exchange(PlainChannel(address), pool[begin : begin + size])


def test_idle(figures: Figures) -> None:
    """5,000 idle connections use little memory, and 50 active ones are served as before."""
    with serving(*TCP, "--max-per-source", "0", descriptors=DESCRIPTORS) as program:
        address = program.address("echo", "tcp")
        with _open(address, BUSY) as busy:
            quiet = _roundTrips(busy, MEASURED)
            before, open_ = program.residentBytes(), program.descriptors()
            with _open(address, IDLE):
                after = program.residentBytes()
                assert program.descriptors() == open_ + IDLE
                crowded = _roundTrips(busy, MEASURED)
                later = program.residentBytes()
            eventually(lambda: program.descriptors() == open_, PATIENCE, "closing idle clients")
    cost = (max(after, later) - before) / IDLE
    figures.add(
        "5,000 idle connections while 50 echo",
        f"{cost:.0f} B of memory per idle connection; the 50: {_summary(crowded)}; "
        f"without idle connections: {_summary(quiet)}",
    )
    # All are served, and none starves.
    assert min(map(len, crowded)) > max(map(len, crowded)) / 2
    assert cost < IDLE_COST


@contextmanager
def _open(address: tuple[str, int], number: int) -> Iterator[list[socket.socket]]:
    """Open connections; each has had one echo of 64 bytes."""
    with ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = stack.enter_context(connected(address))
            client.sendall(bytes(64))
            assert client.recv(64, socket.MSG_WAITALL) == bytes(64)
            clients.append(client)
        yield clients


def _roundTrips(clients: Sequence[socket.socket], seconds: float) -> list[list[float]]:
    """Let all clients echo 64 bytes back to back; return the seconds of their echoes by client."""
    stop = time.monotonic() + seconds
    taken: list[list[float]] = [[] for _ in clients]
    with selectors.DefaultSelector() as selector:
        for number, client in enumerate(clients):
            selector.register(client, selectors.EVENT_READ, _echoes(client, stop, taken[number]))
            next(selector.get_key(client).data)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, f"no echo for {PATIENCE:g} s"
            for key, _ in ready:
                if next(key.data, "over") == "over":
                    selector.unregister(key.fileobj)
    return taken


def _echoes(client: socket.socket, stop: float, taken: list[float]) -> Iterator[None]:
    """Echo until ``stop``; to be resumed when the client is readable."""
    while (began := time.monotonic()) < stop:
        message = os.urandom(64)
        client.sendall(message)
        yield
        assert client.recv(64, socket.MSG_WAITALL) == message
        taken.append(time.monotonic() - began)


def _summary(taken: Sequence[Sequence[float]]) -> str:
    every = sorted(seconds for times in taken for seconds in times)
    p99 = every[len(every) * 99 // 100]
    rate = len(every) / MEASURED
    return (
        f"median {statistics.median(every) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, "
        f"longest {every[-1] * 1e3:.0f} ms, {rate:,.0f} echoes/s"
    )


def test_resetsAndVanished(figures: Figures) -> None:
    """Clients that reset or vanish leak no memory or descriptors: a second run needs no more."""
    with serving(*TCP, *SHORT) as program:
        address = program.address("echo", "tcp")
        open_ = program.descriptors()
        assert halfClose(PlainChannel(address), b"before").complete
        sizes = [program.residentBytes()]
        for _ in range(2):
            _resetAll(address)
            _vanishAll(program, open_)
            assert halfClose(PlainChannel(address), b"after").complete
            eventually(lambda: program.descriptors() == open_, PATIENCE, "descriptors as before")
            sizes.append(program.residentBytes())
    ended = closeReasons(program.log)
    before, first, second = (f"{size / 1e6:.2f} MB" for size in sizes)
    figures.add(
        "10,000 connect-and-reset, 1,000 connect-and-vanish",
        f"memory {before} before, {first} after the first and {second} after the second run, "
        f"descriptors {open_} before and after; "
        f"close reasons: {', '.join(f'{n} {name}' for name, n in sorted(ended.items()))}",
    )
    assert sizes[2] - sizes[1] < 1_000_000
    finished = 3 + 2 * RESETS // 100
    # A reset destroys data that was not read yet: then the connection is unused.
    assert (ended["finished"], ended["lost"] + ended["unused"]) == (finished, 2 * RESETS)
    assert (ended["idle"], ended["stalled"]) == (VANISHED, VANISHED)
    assert ended.total() == finished + 2 * RESETS + 2 * VANISHED


def _resetAll(address: tuple[str, int]) -> None:
    """After every 100 resets serve a normal client, so that the server does not lag behind."""
    for number in range(1, RESETS + 1):
        with connected(address) as client:
            client.sendall(b"x" * 10_000)
            _resetAtClose(client)
        if number % 100 == 0:
            assert halfClose(PlainChannel(address), b"meanwhile").complete


def test_userTimeout(figures: Figures) -> None:
    """The kernel closes connections of clients that acknowledge nothing, before they stall."""
    number = 100
    with serving(*TCP, "--user-timeout", "1") as program:
        address, left = program.address("echo", "tcp"), program.descriptors()
        with _open(address, number) as pending:
            began = time.monotonic()
            _vanishPending(pending)
            eventually(lambda: program.descriptors() == left, 30, "closing vanished clients")
            seconds = time.monotonic() - began
            for client in pending:
                _resetAtClose(client)
        assert halfClose(PlainChannel(address), b"after").complete
    figures.add(
        "10,000 connect-and-reset, 1,000 connect-and-vanish",
        f"{number} vanished with a pending echo, --user-timeout 1: closed after {seconds:.1f} s",
    )
    assert closeReasons(program.log) == {"finished": 1, "lost": number}


def _vanishAll(program: Program, left: int) -> None:
    """Let half of the clients vanish idle and half with a pending echo; await their end."""
    address = program.address("echo", "tcp")
    half = VANISHED // 2
    with _open(address, half) as silent, _open(address, half) as pending:
        for client in silent:
            _filter(client, DROP_ALL)
        _vanishPending(pending)
        eventually(lambda: program.descriptors() == left, 30, "closing vanished clients")
        for client in silent + pending:
            _resetAtClose(client)


def _vanishPending(clients: Sequence[socket.socket]) -> None:
    """Let clients vanish with a pending echo."""
    for client in clients:
        _filter(client, DROP_DATA)
        client.sendall(b"x" * 10_000)
    for client in clients:
        # The server must acknowledge the data, or the client's kernel would retransmit it.
        eventually(lambda: _unsent(client) == 0, PATIENCE, "acknowledged")  # noqa: B023
        _filter(client, DROP_ALL)


def _resetAtClose(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _unsent(client: socket.socket) -> int:
    return int(struct.unpack("i", ioctl(client, TIOCOUTQ, bytes(4)))[0])


def _filter(client: socket.socket, instructions: Sequence[tuple[int, int, int, int]]) -> None:
    """
    Drop packets for ``client`` before TCP sees them, so that nothing is acknowledged or reset.

    :param instructions: BPF instructions, as ``struct sock_filter`` (socket(7), SO_ATTACH_FILTER).
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in instructions))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(program))
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
