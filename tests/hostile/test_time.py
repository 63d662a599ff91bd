"""Attacks that take long: a day by the clock of a test, and a soak by that on the wall."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock

from echoproto.addresses import AddressFilter
from echoproto.protocols.admission import ConnectionAdmission, Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING, GreetingFactory
from echoproto.protocols.stream import StreamFactory
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from tests.certificates import serverPEM
from tests.hostile.figures import Figures
from tests.loopback.program import (
    PATIENCE,
    Program,
    connected,
    datagramSocket,
    halfCloseEcho,
    readToEnd,
)

DAY = 86_400

#: Seconds at the end of the day in which nobody comes any more: the longest deadline and those
#: after it.
EVENING = 2_000

#: Connections at once, in all and for each source, and how fast a source may make them.
MAXIMUM, PER_SOURCE, RATE, BURST = 40, 8, 0.02, 10.0

SOURCES = 30

#: What a client may be refused for.
LIMITS = (Refusal.DENIED, Refusal.FULL, Refusal.SOURCE_FULL, Refusal.RATE)

#: Chance that a client comes in a given second, and that a crowd does, and how many are in it.
ARRIVAL, CROWD, CROWD_SIZE = 0.06, 0.001, 60


@dataclass
class Visitor:
    """
    A client of the day; what it does is a generator that yields the seconds until it does more.
    """

    pair: StreamPair
    client: RecordingProtocol
    random: Random
    clock: Clock
    wakesAt: float = 0.0
    sent: bytes = b""

    def send(self, data: bytes) -> None:
        self.sent += data
        self.client.link.write(data)

    def sendSome(self, most: int) -> None:
        self.send(self.random.randbytes(self.random.randint(1, most)))

    def finish(self) -> None:
        self.client.link.loseWriteConnection()


Script = Generator[float, None, None]


def echoed(visitor: Visitor) -> None:
    """All that was sent came back, and then the server's FIN."""
    assert visitor.client.received == visitor.sent
    assert "readLost" in visitor.client.events


def talks(visitor: Visitor) -> Script:
    """Sends now and then, finishes, and has all of it back."""
    for _ in range(visitor.random.randint(0, 20)):
        visitor.sendSome(3000)
        yield visitor.random.randint(1, 30)
        assert visitor.client.received == visitor.sent
    visitor.finish()
    yield 1
    echoed(visitor)


def sendsAll(visitor: Visitor) -> Script:
    """Sends up to 300 kB and its FIN at once, and has all of it back."""
    visitor.sendSome(300_000)
    visitor.finish()
    yield 1
    echoed(visitor)


def saysNothing(visitor: Visitor) -> Script:
    """Is silent, and closes at the server's FIN."""
    while "readLost" not in visitor.client.events:
        yield 1
    visitor.finish()


def vanishes(visitor: Visitor) -> Script:
    """Sends once and is never heard of again."""
    visitor.sendSome(1000)
    yield 2 * DAY


def neverReads(visitor: Visitor) -> Script:
    """Sends up to 300 kB and takes nothing."""
    visitor.client.link.pauseProducing()
    visitor.sendSome(300_000)
    yield 2 * DAY


def neverReadsAndFinishes(visitor: Visitor) -> Script:
    """Sends what the server takes whole, then its FIN, and takes nothing."""
    visitor.client.link.pauseProducing()
    visitor.sendSome(60_000)
    visitor.finish()
    yield 2 * DAY


def takesSlowly(visitor: Visitor) -> Script:
    """
    Sends its FIN and takes 40 to 200 bytes a second of up to 60 kB: some have it all, some are cut.
    """
    visitor.client.link.pauseProducing()
    visitor.sendSome(60_000)
    visitor.finish()
    yield 1
    piece = visitor.random.randint(40, 200)
    visitor.pair.cut = lambda size: min(size, piece)
    while visitor.pair.server.closed is None:
        visitor.client.link.resumeProducing()
        visitor.pair.step()
        visitor.client.link.pauseProducing()
        yield 1


def sendsSlowly(visitor: Visitor) -> Script:
    """
    Sends a byte every few minutes for hours: never idle for long enough, it has all of it back.
    """
    for _ in range(visitor.random.randint(1, 12)):
        if visitor.clock.seconds() > DAY - EVENING:
            break
        visitor.send(b"x")
        yield visitor.random.randint(60, 590)
    visitor.finish()
    yield 1
    echoed(visitor)


def resets(visitor: Visitor) -> Script:
    """Sends and resets, at once or later."""
    visitor.sendSome(100_000)
    yield visitor.random.randint(0, 5)
    visitor.client.link.abortConnection()


def isGreeted(visitor: Visitor) -> Script:
    """Asks, is greeted, closes."""
    visitor.send(CLIENT_GREETING)
    yield 1
    assert visitor.client.received == SERVER_GREETING
    visitor.finish()


def talksOn(visitor: Visitor) -> Script:
    """Is greeted and talks on without end."""
    for _ in range(100):
        visitor.sendSome(1000)
        yield 2
    yield 2 * DAY


ECHO_SCRIPTS = (
    talks,
    talks,
    sendsAll,
    saysNothing,
    vanishes,
    neverReads,
    neverReadsAndFinishes,
    takesSlowly,
    sendsSlowly,
    resets,
)
GREETING_SCRIPTS = (isGreeted, isGreeted, saysNothing, vanishes, talksOn, resets)


def someAddress(random: Random) -> IAddress:
    """One of few sources; some are denied, some come over IPv6, some over a UNIX socket."""
    number, port = random.randrange(SOURCES), random.randrange(1024, 65_536)
    if number == 0:
        return UNIXAddress(None)
    if number == 1:
        return IPv4Address("TCP", "198.51.100.1", port)
    if number < 10:
        return IPv6Address("TCP", f"2001:db8:{number}::{random.randrange(1, 9)}", port)
    return IPv4Address("TCP", f"192.0.2.{number}", port)


@dataclass
class Day:
    """The two services of a day, their limits and their visitors."""

    random: Random
    clock: Clock = field(default_factory=Clock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    visitors: list[tuple[Visitor, Script]] = field(default_factory=list)
    hammering: list[IAddress] = field(default_factory=list)
    came: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.admission = ConnectionAdmission(
            self.clock.seconds,
            MAXIMUM,
            PER_SOURCE,
            RATE,
            BURST,
            AddressFilter(deny=["198.51.100.0/24"]),
        )
        self.echo = EchoFactory(self.clock, self.observer, self.admission)
        self.greeting = GreetingFactory(self.clock, self.observer, self.admission)
        for factory in (self.echo, self.greeting):
            factory.unsentBytes = lambda transport: len(transport.queue)

    def arrive(self, address: IAddress) -> None:
        """A client comes, and is served or refused."""
        self.came += 1
        factory: StreamFactory
        factory, scripts = (
            (self.greeting, GREETING_SCRIPTS)
            if self.random.random() < 0.3
            else (self.echo, ECHO_SCRIPTS)
        )
        server = factory.buildProtocol(address)
        if server is not None:
            client = RecordingProtocol()
            visitor = Visitor(StreamPair(client, server), client, self.random, self.clock)
            self.visitors.append((visitor, self.random.choice(scripts)(visitor)))
            self.most = max(self.most, self.admission.open)

    def second(self) -> None:
        """One second passes: who is due acts, bytes move, deadlines are kept."""
        now = self.clock.seconds()
        for visitor, script in self.visitors:
            if visitor.wakesAt <= now:
                visitor.wakesAt = now + next(script, 2 * DAY)
            visitor.pair.pump()
        self.clock.advance(1)
        self.visitors = [each for each in self.visitors if each[0].pair.server.closed is None]

    def arrivals(self) -> None:
        """
        Perhaps a client comes; seldom a crowd, of many sources or of one, or one that comes every
        second.
        """
        if self.random.random() < ARRIVAL:
            self.arrive(someAddress(self.random))
        if self.hammering:
            self.arrive(self.hammering.pop())
        if self.random.random() < CROWD:
            one = someAddress(self.random)
            self.random.choice((self.crowd, self.crowdOfOne, self.hammer))(one)

    def crowd(self, one: IAddress) -> None:
        for _ in range(CROWD_SIZE):
            self.arrive(someAddress(self.random))

    def crowdOfOne(self, one: IAddress) -> None:
        for _ in range(CROWD_SIZE):
            self.arrive(one)

    def hammer(self, one: IAddress) -> None:
        self.hammering = [one] * CROWD_SIZE

    def pass_(self) -> None:
        """The whole day."""
        for second in range(DAY):
            if second < DAY - EVENING:
                self.arrivals()
            self.second()


def counted(what: Any) -> str:
    """How often each, for people."""
    return ", ".join(f"{number:,} {name}" for name, number in Counter(what).most_common())


@pytest.mark.timeout(180)
def test_day(figures: Figures) -> None:
    """
    After a day of clients of every kind, nobody is held: no place is taken, no source remembered as
    connected, nothing scheduled; every connection that was opened has ended, and each of them for
    the reason that was due.
    """
    day = Day(Random(862))
    day.pass_()
    assert day.admission.open == 0
    assert day.admission._bySource == {}
    assert (day.echo.tracker.connections, day.greeting.tracker.connections) == (
        set(),
        set(),
    )
    assert day.clock.getDelayedCalls() == []
    assert day.visitors == []
    observer = day.observer
    assert len(observer.opened) == len(observer.ended)
    assert len(observer.opened) + len(observer.refused) == day.came
    assert day.most == MAXIMUM
    endings = [summary.ending.value for summary in observer.ended]
    refusals = [reason for _, reason in observer.refused]
    assert set(endings) == {"finished", "idle", "stalled", "aborted", "lost"}
    assert set(refusals) == {each.value for each in LIMITS}
    figures.add(
        "24 simulated hours of mixed clients",
        f"{day.came:,} clients, at most {day.most} at once: {counted(endings)}; refused: "
        f"{counted(refusals)}; 0 open, 0 sources counted, 0 calls scheduled",
    )


#: Seconds that the soak takes; 600 for the table.
SOAK = float(os.environ.get("ECHOPROTO_SOAK", "0"))

#: The part of it after which the server is taken to be warm.
WARM_UP = 0.25

#: What it may grow after that.
GROWTH_BYTES = 2_000_000

#: How many clients of the soak stay open and silent at a time.
IDLE = 20


def resetting(address: Any) -> None:
    """Send, then reset with the echo under way."""
    with connected(address) as client:
        client.sendall(b"x" * 50_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def greeted(address: Any) -> None:
    """The greeting."""
    with connected(address) as client:
        client.sendall(CLIENT_GREETING)
        assert readToEnd(client) == SERVER_GREETING


def echoedDatagram(address: Any, size: int) -> None:
    """A datagram there and back."""
    with datagramSocket() as asking:
        data = os.urandom(size)
        asking.sendto(data, address)
        assert asking.recv(70_000) == data


def garbage(address: Any) -> None:
    """Bytes that are neither a header nor a handshake, until the server closes."""
    with connected(address) as client, suppress(ConnectionError):
        client.sendall(b"\xff\x00garbage\r\n" * 100)
        readToEnd(client)


def silent(held: list[socket.socket], address: Any) -> None:
    """One more that says a byte and then nothing; the oldest goes."""
    held.append(connected(address))
    held[-1].sendall(b"x")
    if len(held) > IDLE:
        held.pop(0).close()


def echoes(address: Any, size: int) -> None:
    """A stream there and back, with a half-close."""
    data = os.urandom(size)
    assert halfCloseEcho(address, data) == data


def loopbackPorts(program: Program) -> list[tuple[str, int]]:
    """Where each listener is, in the order of the options."""
    lines = [line for line in program.log if " is listening on " in line]
    return [("127.0.0.1", int(line.rpartition(":")[2])) for line in lines]


def settled(program: Program, descriptors: int) -> int:
    """
    The descriptors that are open, when they are back at ``descriptors`` or do not come back in
    time.
    """
    end = time.monotonic() + PATIENCE
    while (now := program.descriptors()) != descriptors and time.monotonic() < end:
        time.sleep(0.1)
    return now


@pytest.mark.skipif(SOAK <= 0, reason="ECHOPROTO_SOAK=600 runs a soak of 600 seconds")
@pytest.mark.timeout(SOAK + 120)
def test_soak(figures: Figures, tmp_path: Path) -> None:
    """
    With clients of every kind for as long as asked, neither memory nor descriptors grow once the
    server is warm.
    """
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(serverPEM())
    place = "interface=127.0.0.1"
    with Program(
        *("-p", f"tcp:0:{place}", "-p", f"udp:0:{place}", "-g", f"tcp:0:{place}"),
        *("-p", f"tcp:0:{place}:proxy=any", "-p", f"tcp:0:{place}:tlsCert={certificate}"),
        *("--idle-timeout", "5s", "--datagram-rate", "0"),
        listeners=5,
    ) as program:
        # Echo is announced before greeting.
        echo, datagrams, proxied, tls, greeting = loopbackPorts(program)
        quiet = program.descriptors()
        held: list[socket.socket] = []
        acts: tuple[Callable[[], None], ...] = (
            partial(echoes, echo, 1000),
            partial(echoes, echo, 1_000_000),
            partial(resetting, echo),
            partial(greeted, greeting),
            partial(echoedDatagram, datagrams, 0),
            partial(echoedDatagram, datagrams, 60_000),
            partial(garbage, proxied),
            partial(garbage, tls),
            partial(silent, held, echo),
        )
        begun = time.monotonic()
        done = warm = 0
        for act in cycle(acts):
            act()
            done += 1
            passed = time.monotonic() - begun
            if not warm and passed > WARM_UP * SOAK:
                warm = program.residentBytes()
            if passed > SOAK:
                break
        for each in held:
            each.close()
        descriptors = settled(program, quiet)
        grown = program.residentBytes() - warm
        program.stop()
    assert "Traceback" not in "".join(program.log)
    assert descriptors == quiet
    assert grown < GROWTH_BYTES
    figures.add(
        "soak, 10 minutes",
        f"{SOAK:g} s, {done:,} clients: memory {grown / 1024:+,.0f} KiB on {warm / 1e6:.1f} MB, "
        f"descriptors {quiet} before and {descriptors} after",
    )
