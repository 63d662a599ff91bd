"""Many clients at once, and many that leave without a word."""

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

import pytest

from tests.hostile.clients import (
    Exchange,
    PlainChannel,
    converse,
    endings,
    eventually,
    halfClose,
    serving,
)
from tests.hostile.figures import Figures
from tests.loopback.program import PATIENCE, Program, connected

TCP = ("-p", "tcp:0:interface=127.0.0.1:backlog=1024")

#: As many as this process may have too.
DESCRIPTORS = 20_000

CROWD = 1000

#: Of the sizes and contents of the crowd's messages.
SEED = 862

IDLE = 5000

BUSY = 50

#: Seconds that the busy ones are measured.
MEASURED = 4.0

#: Bytes that one idle connection may cost.
IDLE_COST = 3072

RESETS = 10_000

VANISHED = 1000

#: Timeouts short enough to wait for.
SHORT = (
    *("--max-connections", "3000", "--max-per-source", "3000"),
    *("--idle-timeout", "2", "--stall-timeout", "2", "--linger-timeout", "2"),
    *("--user-timeout", "5"),
)

#: asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER = 26

#: A filter that lets nothing through.
DROP_ALL = ((0x06, 0, 0, 0),)

#: One that lets through only segments without data: as long as their header, by its own length
#: field.
DROP_DATA = (
    (0x30, 0, 0, 12),  # A = the byte at 12
    (0x74, 0, 0, 4),  # A >>= 4
    (0x64, 0, 0, 2),  # A <<= 2
    (0x07, 0, 0, 0),  # X = A
    (0x80, 0, 0, 0),  # A = length of the segment
    (0x1D, 0, 1, 0),  # if A != X skip the next
    (0x06, 0, 0, 0xFFFFFFFF),  # take it
    (0x06, 0, 0, 0),  # drop it
)


@pytest.mark.timeout(120)
def test_crowd(figures: Figures) -> None:
    """
    Each of 1,000 connections, all open at once, gets back what it sent and nothing of another's.
    """
    chance = random.Random(SEED)
    pool = memoryview(chance.randbytes(4 << 20))
    sizes = [chance.randint(0, 1 << 20) for _ in range(CROWD)]
    with serving(*TCP, descriptors=DESCRIPTORS) as program:
        before = program.descriptors()
        address = program.address("echo", "tcp")
        crowd = [_exchange(address, pool, size, chance) for size in sizes]
        eventually(lambda: program.descriptors() == before + CROWD, PATIENCE, "all accepted")
        began = time.monotonic()
        converse(crowd)
        seconds = time.monotonic() - began
    bad = [each for each in crowd if not each.good]
    figures.add(
        "1,000 concurrent connections echo random 0 to 1 MB",
        f"{len(crowd)} open at once, {sum(sizes) / 1e6:.0f} MB each way in {seconds:.1f} s, "
        f"{len(bad)} mismatches",
    )
    assert bad == []
    assert endings(program.log) == {"finished": CROWD}


def _exchange(
    address: tuple[str, int], pool: memoryview, size: int, chance: random.Random
) -> Exchange:
    """Of a random part of ``pool``, so that no two are alike."""
    begin = chance.randrange(len(pool) - size)
    return Exchange(PlainChannel(address), pool[begin : begin + size])


@pytest.mark.timeout(90)
def test_idle(figures: Figures) -> None:
    """
    5,000 connections that have fallen silent cost little memory, and 50 others are served as
    before.
    """
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
            eventually(lambda: program.descriptors() == open_, PATIENCE, "the idle are gone")
    cost = (max(after, later) - before) / IDLE
    figures.add(
        "5,000 idle connections while 50 echo",
        f"{cost:.0f} B resident an idle connection; the 50: {_told(crowded)}; "
        f"before: {_told(quiet)}",
    )
    # Each is served, and none starves beside the others.
    assert min(map(len, crowded)) > max(map(len, crowded)) / 2
    assert cost < IDLE_COST


@contextmanager
def _open(address: tuple[str, int], number: int) -> Iterator[list[socket.socket]]:
    """Connections each of which has had one echo of 64 bytes."""
    with ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = stack.enter_context(connected(address))
            client.sendall(bytes(64))
            assert client.recv(64, socket.MSG_WAITALL) == bytes(64)
            clients.append(client)
        yield clients


def _roundTrips(clients: Sequence[socket.socket], seconds: float) -> list[list[float]]:
    """Let all echo 64 bytes back to back; returns the seconds that each echo took, by client."""
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
    """One echo after the other, until ``stop``; goes on when something can be read."""
    while (began := time.monotonic()) < stop:
        message = os.urandom(64)
        client.sendall(message)
        yield
        assert client.recv(64, socket.MSG_WAITALL) == message
        taken.append(time.monotonic() - began)


def _told(taken: Sequence[Sequence[float]]) -> str:
    every = sorted(seconds for each in taken for seconds in each)
    p99 = every[len(every) * 99 // 100]
    rate = len(every) / MEASURED
    return (
        f"median {statistics.median(every) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, "
        f"longest {every[-1] * 1e3:.0f} ms, {rate:,.0f} echoes/s"
    )


@pytest.mark.timeout(120)
def test_gone(figures: Figures) -> None:
    """
    Clients that reset or vanish leave nothing behind: the second time costs what the first did.
    """
    with serving(*TCP, *SHORT) as program:
        address = program.address("echo", "tcp")
        open_ = program.descriptors()
        assert halfClose(PlainChannel(address), b"before").good
        sizes = [program.residentBytes()]
        for _ in range(2):
            _resetAll(address)
            _vanishAll(program, open_)
            assert halfClose(PlainChannel(address), b"after").good
            eventually(lambda: program.descriptors() == open_, PATIENCE, "descriptors as before")
            sizes.append(program.residentBytes())
    ended = endings(program.log)
    told = " to ".join(f"{size / 1e6:.2f}" for size in sizes)
    figures.add(
        "10,000 connect-and-reset, 1,000 connect-and-vanish",
        f"twice: resident {told} MB, descriptors {open_} before and after; "
        f"endings: {', '.join(f'{n} {name}' for name, n in sorted(ended.items()))}",
    )
    assert sizes[2] - sizes[1] < 1_000_000
    honest = 3 + 2 * RESETS // 100
    assert (ended["finished"], ended["lost"]) == (honest, 2 * RESETS)
    assert (ended["idle"], ended["stalled"]) == (VANISHED, VANISHED)
    assert ended.total() == honest + 2 * RESETS + 2 * VANISHED


def _resetAll(address: tuple[str, int]) -> None:
    """
    An honest client after every 100: it waits for its turn, so that the server is never behind by
    more.
    """
    for number in range(1, RESETS + 1):
        with connected(address) as client:
            client.sendall(b"x" * 10_000)
            _resetAtClose(client)
        if number % 100 == 0:
            assert halfClose(PlainChannel(address), b"meanwhile").good


@pytest.mark.timeout(60)
def test_kernelLetsGo(figures: Figures) -> None:
    """Before a connection has stalled the kernel cuts one whose client acknowledges nothing."""
    number = 100
    with serving(*TCP, "--user-timeout", "1") as program:
        address, left = program.address("echo", "tcp"), program.descriptors()
        with _open(address, number) as owed:
            began = time.monotonic()
            _vanishOwed(owed)
            eventually(lambda: program.descriptors() == left, 30, "let go of the vanished")
            seconds = time.monotonic() - began
            for client in owed:
                _resetAtClose(client)
        assert halfClose(PlainChannel(address), b"after").good
    figures.add(
        "10,000 connect-and-reset, 1,000 connect-and-vanish",
        f"{number} vanished with an echo under way, --user-timeout 1: gone after {seconds:.1f} s",
    )
    assert endings(program.log) == {"finished": 1, "lost": number}


def _vanishAll(program: Program, left: int) -> None:
    """
    Half of them vanish silent, half with an echo under way; wait until the server has let go of
    all.
    """
    address = program.address("echo", "tcp")
    half = VANISHED // 2
    with _open(address, half) as silent, _open(address, half) as owed:
        for client in silent:
            _filter(client, DROP_ALL)
        _vanishOwed(owed)
        eventually(lambda: program.descriptors() == left, 30, "let go of the vanished")
        for client in silent + owed:
            _resetAtClose(client)


def _vanishOwed(clients: Sequence[socket.socket]) -> None:
    """Vanish with an echo under way."""
    for client in clients:
        _filter(client, DROP_DATA)
        client.sendall(b"x" * 10_000)
    for client in clients:
        # Until the server has what we sent, or our kernel would go on sending it.
        eventually(lambda: _unsent(client) == 0, PATIENCE, "acknowledged")  # noqa: B023
        _filter(client, DROP_ALL)


def _resetAtClose(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _unsent(client: socket.socket) -> int:
    return int(struct.unpack("i", ioctl(client, TIOCOUTQ, bytes(4)))[0])


def _filter(client: socket.socket, instructions: Sequence[tuple[int, int, int, int]]) -> None:
    """
    Let our kernel drop what comes for ``client`` before TCP sees it: nothing is acknowledged, nor
    reset.

    :param instructions: of BPF, as ``struct sock_filter`` (socket(7), SO_ATTACH_FILTER).
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in instructions))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(program))
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
