"""Long attacks: a simulated day, and a soak test in real time."""

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

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING, GreetingFactory
from echoproto.protocols.streamfactory import StreamFactory
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

#: Seconds without new clients at the end of the day: longer than all timeouts in sequence.
QUIET_END = 2_000

#: Limits of connections in total and per source, and their rate and burst per source.
MAXIMUM, PER_SOURCE, RATE, BURST = 40, 8, 0.02, 10.0

SOURCES = 30

#: The possible reasons of a refusal.
LIMITS = (Refusal.DENIED, Refusal.FULL, Refusal.SOURCE_FULL, Refusal.RATE)

#: The chance of a client and of a burst in a given second, and the size of a burst.
ARRIVAL, BURST_CHANCE, BURST_SIZE = 0.06, 0.001, 60


@dataclass
class SimulatedClient:
    """A client of the simulated day. Its script yields the seconds until its next action."""

    pair: StreamPair
    protocol: RecordingProtocol
    random: Random
    clock: Clock
    wakesAt: float = 0.0
    sent: bytes = b""

    def send(self, data: bytes) -> None:
        self.sent += data
        self.protocol.link.write(data)

    def sendSome(self, most: int) -> None:
        self.send(self.random.randbytes(self.random.randint(1, most)))

    def finish(self) -> None:
        self.protocol.link.loseWriteConnection()


Script = Generator[float, None, None]


def echoed(client: SimulatedClient) -> None:
    """Assert that all sent data was echoed, followed by a FIN."""
    assert client.protocol.received == client.sent
    assert "readLost" in client.protocol.events


def sendsNowAndThen(client: SimulatedClient) -> Script:
    """Sends now and then, half-closes, and gets all data back."""
    for _ in range(client.random.randint(0, 20)):
        client.sendSome(3000)
        yield client.random.randint(1, 30)
        assert client.protocol.received == client.sent
    client.finish()
    yield 1
    echoed(client)


def sendsAll(client: SimulatedClient) -> Script:
    """Sends up to 300 kB and a FIN at once, and gets all data back."""
    client.sendSome(300_000)
    client.finish()
    yield 1
    echoed(client)


def staysSilent(client: SimulatedClient) -> Script:
    """Is silent, and closes at the server's FIN."""
    while "readLost" not in client.protocol.events:
        yield 1
    client.finish()


def vanishes(client: SimulatedClient) -> Script:
    """Sends once and vanishes."""
    client.sendSome(1000)
    yield 2 * DAY


def neverReads(client: SimulatedClient) -> Script:
    """Sends up to 300 kB and reads nothing."""
    client.protocol.link.pauseProducing()
    client.sendSome(300_000)
    yield 2 * DAY


def neverReadsAndFinishes(client: SimulatedClient) -> Script:
    """Sends no more than the server's queue holds, half-closes, and reads nothing."""
    client.protocol.link.pauseProducing()
    client.sendSome(60_000)
    client.finish()
    yield 2 * DAY


def readsSlowly(client: SimulatedClient) -> Script:
    """Half-closes and reads slowly: some clients get all data, some are aborted."""
    client.protocol.link.pauseProducing()
    client.sendSome(60_000)
    client.finish()
    yield 1
    piece = client.random.randint(40, 200)
    client.pair.cut = lambda size: min(size, piece)
    while client.pair.server.closed is None:
        client.protocol.link.resumeProducing()
        client.pair.step()
        client.protocol.link.pauseProducing()
        yield 1


def sendsSlowly(client: SimulatedClient) -> Script:
    """Sends a byte every few minutes for hours: it is never idle and gets all data back."""
    for _ in range(client.random.randint(1, 12)):
        if client.clock.seconds() > DAY - QUIET_END:
            break
        client.send(b"x")
        yield client.random.randint(60, 590)
    client.finish()
    yield 1
    echoed(client)


def resets(client: SimulatedClient) -> Script:
    """Sends and resets, at once or later."""
    client.sendSome(100_000)
    yield client.random.randint(0, 5)
    client.protocol.link.abortConnection()


def isGreeted(client: SimulatedClient) -> Script:
    """Sends a greeting, gets the reply, and closes."""
    client.send(CLIENT_GREETING)
    yield 1
    assert client.protocol.received == SERVER_GREETING
    client.finish()


def sendsEndlessly(client: SimulatedClient) -> Script:
    """Gets the greeting and continues to send."""
    for _ in range(100):
        client.sendSome(1000)
        yield 2
    yield 2 * DAY


ECHO_SCRIPTS = (
    sendsNowAndThen,
    sendsNowAndThen,
    sendsAll,
    staysSilent,
    vanishes,
    neverReads,
    neverReadsAndFinishes,
    readsSlowly,
    sendsSlowly,
    resets,
)
GREETING_SCRIPTS = (isGreeted, isGreeted, staysSilent, vanishes, sendsEndlessly, resets)


def someAddress(random: Random) -> IAddress:
    """One of a few sources: some are denied, some use IPv6, one a UNIX socket."""
    number, port = random.randrange(SOURCES), random.randrange(1024, 65_536)
    if number == 0:
        return UNIXAddress(None)
    if number == 1:
        return IPv4Address("TCP", "198.51.100.1", port)
    if number < 10:
        return IPv6Address("TCP", f"2001:db8:{number}::{random.randrange(1, 9)}", port)
    return IPv4Address("TCP", f"192.0.2.{number}", port)


@dataclass
class SimulatedDay:
    """The two services of a simulated day, their limits and their clients."""

    random: Random
    clock: Clock = field(default_factory=Clock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    clients: list[tuple[SimulatedClient, Script]] = field(default_factory=list)
    reconnecting: list[IAddress] = field(default_factory=list)
    arrived: int = 0
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
        """Let a client connect."""
        self.arrived += 1
        factory: StreamFactory
        factory, scripts = (
            (self.greeting, GREETING_SCRIPTS)
            if self.random.random() < 0.3
            else (self.echo, ECHO_SCRIPTS)
        )
        server = factory.buildProtocol(address)
        if server is not None:
            protocol = RecordingProtocol()
            pair = StreamPair(protocol, server)
            client = SimulatedClient(pair, protocol, self.random, self.clock)
            self.clients.append((client, self.random.choice(scripts)(client)))
            self.most = max(self.most, self.admission.open)

    def second(self) -> None:
        """Simulate one second: run due scripts, move data, check timeouts."""
        now = self.clock.seconds()
        for client, script in self.clients:
            if client.wakesAt <= now:
                client.wakesAt = now + next(script, 2 * DAY)
            client.pair.pump()
        self.clock.advance(1)
        self.clients = [
            (client, script) for client, script in self.clients if client.pair.server.closed is None
        ]

    def arrivals(self) -> None:
        """Perhaps let a client connect; rarely a burst, of many sources or of one."""
        if self.random.random() < ARRIVAL:
            self.arrive(someAddress(self.random))
        if self.reconnecting:
            self.arrive(self.reconnecting.pop())
        if self.random.random() < BURST_CHANCE:
            burst = self.random.choice((self.burst, self.burstOfOne, self.reconnect))
            burst(someAddress(self.random))

    def burst(self, source: IAddress) -> None:
        for _ in range(BURST_SIZE):
            self.arrive(someAddress(self.random))

    def burstOfOne(self, source: IAddress) -> None:
        for _ in range(BURST_SIZE):
            self.arrive(source)

    def reconnect(self, source: IAddress) -> None:
        self.reconnecting = [source] * BURST_SIZE

    def run(self) -> None:
        """Simulate the whole day."""
        for second in range(DAY):
            if second < DAY - QUIET_END:
                self.arrivals()
            self.second()


def counted(values: Any) -> str:
    """Counts of equal values, as text."""
    return ", ".join(f"{number:,} {name}" for name, number in Counter(values).most_common())


def test_day(figures: Figures) -> None:
    """After a day of clients of every kind, no connection, place, source or call is left."""
    day = SimulatedDay(Random(862))
    day.run()
    assert day.admission.open == 0
    assert day.admission._bySource == {}
    assert (day.echo.tracker.connections, day.greeting.tracker.connections) == (
        set(),
        set(),
    )
    assert day.clock.getDelayedCalls() == []
    assert day.clients == []
    observer = day.observer
    assert len(observer.opened) == len(observer.ended)
    assert len(observer.opened) + len(observer.refused) == day.arrived
    assert day.most == MAXIMUM
    endings = [summary.ending.value for summary in observer.ended]
    refusals = [reason for _, reason in observer.refused]
    assert set(endings) == {"finished", "idle", "stalled", "aborted", "unused", "lost"}
    assert set(refusals) == {refusal.value for refusal in LIMITS}
    figures.add(
        "24 simulated hours of mixed clients",
        f"{day.arrived:,} clients, at most {day.most} at once: {counted(endings)}; refused: "
        f"{counted(refusals)}; 0 open, 0 sources counted, 0 calls scheduled",
    )


#: Duration of the soak test in seconds; 600 for the table.
SOAK = float(os.environ.get("ECHOPROTO_SOAK", "0"))

#: The fraction of it after which the server is warm.
WARM_UP = 0.25

#: Maximum growth of memory after that, in bytes.
GROWTH_BYTES = 2_000_000

#: The number of idle clients in the soak test.
IDLE = 20


def resetting(address: Any) -> None:
    """Send, then reset with a pending echo."""
    with connected(address) as client:
        client.sendall(b"x" * 50_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def greeted(address: Any) -> None:
    """Exchange the greeting."""
    with connected(address) as client:
        client.sendall(CLIENT_GREETING)
        assert readToEnd(client) == SERVER_GREETING


def echoedDatagram(address: Any, size: int) -> None:
    """Exchange a datagram."""
    with datagramSocket() as client:
        data = os.urandom(size)
        client.sendto(data, address)
        assert client.recv(70_000) == data


def garbage(address: Any) -> None:
    """Send neither a header nor a handshake, and read until the server closes."""
    with connected(address) as client, suppress(ConnectionError):
        client.sendall(b"\xff\x00garbage\r\n" * 100)
        readToEnd(client)


def silent(held: list[socket.socket], address: Any) -> None:
    """Open another idle client, and close the oldest."""
    held.append(connected(address))
    held[-1].sendall(b"x")
    if len(held) > IDLE:
        held.pop(0).close()


def echoes(address: Any, size: int) -> None:
    """Exchange a stream, with a half-close."""
    data = os.urandom(size)
    assert halfCloseEcho(address, data) == data


def loopbackPorts(program: Program) -> list[tuple[str, int]]:
    """The addresses of the listeners, in the order of the options."""
    lines = [line for line in program.log if " is listening on " in line]
    return [("127.0.0.1", int(line.rpartition(":")[2])) for line in lines]


def settled(program: Program, descriptors: int) -> int:
    """Wait until ``descriptors`` are open, for a limited time; return the number of open ones."""
    end = time.monotonic() + PATIENCE
    while (now := program.descriptors()) != descriptors and time.monotonic() < end:
        time.sleep(0.1)
    return now


@pytest.mark.skipif(SOAK <= 0, reason="ECHOPROTO_SOAK=600 runs a soak of 600 seconds")
@pytest.mark.timeout(SOAK + 120)
def test_soak(figures: Figures, tmp_path: Path) -> None:
    """With clients of every kind, the memory and descriptors of a warm server do not grow."""
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(serverPEM())
    place = "interface=127.0.0.1"
    with Program(
        *("-p", f"tcp:0:{place}", "-p", f"udp:0:{place}", "-g", f"tcp:0:{place}"),
        *("-p", f"tcp:0:{place}:proxy=any", "-p", f"tcp:0:{place}:tlsCert={certificate}"),
        *("--idle-timeout", "5s", "--datagram-rate", "0"),
        listeners=5,
    ) as program:
        # Echo listeners are logged before greeting listeners.
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
        for client in held:
            client.close()
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
