"""Attacks with datagrams: forged sources, floods, and networks without a route back."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EAGAIN, EWOULDBLOCK, errorcode
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from echoproto.protocols.admission.datagramadmission import DATAGRAM_RATE
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.transports.readpause import LONGEST_PAUSE
from echoproto.transports.udp import DatagramPort
from tests.hostile.figures import Figures
from tests.loopback.namespace import inNamespace
from tests.loopback.program import PATIENCE, ROOT, Program, connected, datagramSocket, environment
from tests.loopback.test_datagrams import exchanged
from tests.transports.fakeudpsocket import PEER, FakeSocket, FakeSocketPort
from tests.transports.test_pktinfo import pktinfo

HERE, THERE = "127.0.0.1", "127.0.0.2"

MILLION = 1_000_000

#: Maximum time of a TCP round trip during UDP traffic, in seconds.
LONGEST_ROUND_TRIP = 0.1

#: Receive buffer space of a queued datagram, with a margin.
QUEUED_BYTES = 1024


def rawSocket() -> socket.socket:
    """A socket that sends packets with a chosen source address."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError:
        pytest.skip("raw sockets need root")


def forge(raw: socket.socket, source: tuple[str, int], to: tuple[str, int]) -> None:
    """Send a datagram to ``to`` with the forged source address ``source``."""
    data = b"loop"
    udp = (
        b"".join(field.to_bytes(2, "big") for field in (source[1], to[1], 8 + len(data), 0)) + data
    )
    # The kernel sets length, identification and checksum (raw(7)).
    ip = bytes((0x45, 0, 0, 0, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, 0))
    raw.sendto(ip + socket.inet_aton(source[0]) + socket.inet_aton(to[0]) + udp, to)


def datagramServer(port: int, host: str = HERE, *options: str) -> Program:
    """An echo server on UDP only."""
    return Program("-p", f"udp:{port}:interface={host}", *options, listeners=1)


def totals(program: Program) -> tuple[int, int, str]:
    """Stop the server; return its received and answered datagrams, and the other totals."""
    program.stop()
    log = "".join(program.log)
    assert "Traceback" not in log
    found = re.search(r"closed: (\d+) datagrams in, (\d+) answered; (.*)", log)
    assert found is not None
    return int(found[1]), int(found[2]), found[3]


def test_loopOnEqualPorts(figures: Figures) -> None:
    """A forged datagram from another echo server on the same port is not answered."""
    with rawSocket() as raw, datagramServer(0) as first:
        here = first.address("echo", "udp")
        there = (THERE, here[1])
        with datagramServer(here[1], THERE) as second:
            for _ in range(100):
                forge(raw, there, here)
            # Datagrams are handled in order, so all forged ones are done by then.
            assert exchanged(here, b"alive") == b"alive"
            assert exchanged(there, b"alive") == b"alive"
            assert totals(second)[:2] == (1, 1)
        received, answered, rest = totals(first)
    assert (received, answered) == (101, 1)
    assert "100 source port is our own" in rest
    figures.add(
        "spoofed loop between two echoproto servers",
        "equal ports: 0 of 100 forged datagrams answered",
    )


#: Duration of a loop in seconds.
FEEDING = 2.0


def test_loopOnDifferentPorts(figures: Figures) -> None:
    """A loop between two servers is limited to the rate of one source, and then ends."""
    with rawSocket() as raw, datagramServer(0) as first, datagramServer(0, THERE) as second:
        here, there = first.address("echo", "udp"), second.address("echo", "udp")
        assert here[1] != there[1]
        begun = time.monotonic()
        fed = 0
        # Sent evenly: a loop ends as soon as one server refuses a datagram.
        while (passed := time.monotonic() - begun) < FEEDING:
            if fed < passed * 2000:
                forge(raw, there, here)
                fed += 1
            else:
                time.sleep(0.0005)
        # From other sources: the loop has used up the rate of its own.
        for address, source in ((here, "127.0.0.3"), (there, "127.0.0.4")):
            with datagramSocket() as other:
                other.bind((source, 0))
                other.sendto(b"alive", address)
                assert other.recv(100) == b"alive"
        seconds = time.monotonic() - begun
        answered = [totals(server)[1] for server in (first, second)]
    most = DATAGRAM_RATE * (1 + seconds) + 2
    assert all(0 < count <= most for count in answered)
    figures.add(
        "spoofed loop between two echoproto servers",
        f"different ports, {fed / FEEDING:,.0f} forged datagrams per second: "
        f"every server answered {max(answered) / seconds:,.0f} per second, burst included",
    )


def test_loopOfOne(figures: Figures) -> None:
    """A forged datagram between two servers loops only until a rate is exceeded."""
    with rawSocket() as raw, datagramServer(0) as first, datagramServer(0, THERE) as second:
        here, there = first.address("echo", "udp"), second.address("echo", "udp")
        before = cpuSeconds(first)
        forge(raw, there, here)
        end = time.monotonic() + PATIENCE
        while "source over its rate" not in "".join(first.log + second.log):
            assert time.monotonic() < end, "the loop does not end"
            time.sleep(0.1)
        spent = cpuSeconds(first) - before
        counts = [totals(server) for server in (first, second)]
    assert sum(rest.count("1 source over its rate") for _, _, rest in counts) == 1
    answered = sum(answered for _, answered, _ in counts)
    figures.add(
        "spoofed loop between two echoproto servers",
        f"different ports, 1 forged datagram: {answered:,} datagrams, then none; "
        f"{spent:.2f} s of CPU time per server",
    )


def cpuSeconds(program: Program) -> float:
    """CPU time of the process (proc(5))."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(port: int, count: int) -> None:
    """Send ``count`` empty datagrams as fast as possible; to be run in a separate process."""
    with datagramSocket() as sending:
        sending.connect((HERE, port))
        for _ in range(count):
            # The port is unreachable once the server has stopped.
            with suppress(ConnectionRefusedError):
                sending.send(b"")


@contextmanager
def flooding(port: int, count: int = MILLION) -> Generator[subprocess.Popen[bytes]]:
    """Run a process that floods the port."""
    command = [sys.executable, "-m", __name__, "flood", str(port), str(count)]
    with subprocess.Popen(command, cwd=ROOT, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def waitedSeconds(program: Program) -> float:
    """The run-queue wait of the server and this process (proc_pid_schedstat in proc(5))."""
    paths = ("/proc/self/schedstat", f"/proc/{program.process.pid}/schedstat")
    return sum(int(Path(path).read_text().split()[1]) for path in paths) / 1e9


@dataclass
class Prober:
    """
    A client that measures round trips.

    :ivar trips: their number.
    :ivar longest: the longest one in seconds, without run-queue wait: the attacker and other
        processes need the CPU too.
    :ivar longestInAll: the longest one in seconds, with run-queue wait.
    """

    program: Program
    client: socket.socket
    trips: int = 0
    longest: float = 0.0
    longestInAll: float = 0.0

    def trip(self) -> None:
        """Measure a round trip of 64 bytes."""
        waited, begun = waitedSeconds(self.program), time.perf_counter()
        self.client.sendall(b"x" * 64)
        left = 64
        while left:
            left -= len(self.client.recv(left))
        took = time.perf_counter() - begun
        waited = waitedSeconds(self.program) - waited
        self.trips += 1
        self.longest = max(self.longest, took - waited)
        self.longestInAll = max(self.longestInAll, took)

    def __str__(self) -> str:
        return (
            f"longest of {self.trips:,} round trips {self.longest * 1000:.1f} ms "
            f"({self.longestInAll * 1000:.1f} ms with run-queue wait)"
        )


STREAMS_AND_DATAGRAMS = ("-p", "tcp:0:interface=127.0.0.1", "-p", "udp:0:interface=127.0.0.1")


def test_flood(figures: Figures) -> None:
    """During a flood of a million empty datagrams, all answered, TCP clients are served."""
    with Program(*STREAMS_AND_DATAGRAMS, "--datagram-rate", "0", listeners=2) as program:
        port = program.address("echo", "udp")[1]
        with connected(program.address("echo", "tcp")) as client, flooding(port) as attacker:
            prober = Prober(program, client)
            begun = time.perf_counter()
            while attacker.poll() is None:
                prober.trip()
            seconds = time.perf_counter() - begun
            assert attacker.returncode == 0
        received, answered, _ = totals(program)
    assert received == answered > 0
    assert prober.longest < LONGEST_ROUND_TRIP
    figures.add(
        "1,000,000 queued empty datagrams",
        f"sent in {seconds:.1f} s: {received:,} reached the server and were answered, {prober}",
    )


#: A system call of Linux 5.6, with the same number on every architecture.
_PIDFD_GETFD = 438

_SO_RCVBUFFORCE = 33


def serverSockets(program: Program) -> Generator[socket.socket]:
    """Yield the accessible sockets of the server, one at a time."""
    process = os.pidfd_open(program.process.pid)
    for name in os.listdir(f"/proc/{program.process.pid}/fd"):
        taken = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, int(name), 0)
        if taken < 0:
            continue
        if stat.S_ISSOCK(os.fstat(taken).st_mode):
            with socket.socket(fileno=taken) as theirs:
                yield theirs
        else:
            os.close(taken)
    os.close(process)


def enlargeQueue(program: Program, port: int, size: int) -> None:
    """Set the receive buffer of the server's UDP port to ``size`` bytes, or skip the test."""
    for taken in serverSockets(program):
        if (taken.type, taken.getsockname()[1:2]) == (socket.SOCK_DGRAM, (port,)):
            taken.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
            return
    pytest.skip("another process's receive buffer needs root, and Linux 5.6")


def test_queue(figures: Figures) -> None:
    """A server with a million queued empty datagrams serves TCP clients in between."""
    with Program(*STREAMS_AND_DATAGRAMS, listeners=2) as program:
        port = program.address("echo", "udp")[1]
        enlargeQueue(program, port, MILLION * QUEUED_BYTES)
        with connected(program.address("echo", "tcp")) as client:
            prober = Prober(program, client)
            prober.trip()
            program.process.send_signal(signal.SIGSTOP)
            with flooding(port) as attacker:
                assert attacker.wait(PATIENCE) == 0
            begun = time.perf_counter()
            program.process.send_signal(signal.SIGCONT)
            while queuedBytes(port):
                for _ in range(100):
                    prober.trip()
            seconds = time.perf_counter() - begun
        received, answered, _ = totals(program)
    assert received > 0.9 * MILLION
    assert prober.longest < LONGEST_ROUND_TRIP
    figures.add(
        "1,000,000 queued empty datagrams",
        f"queued while the server was stopped: {received:,} received and {answered:,} answered in "
        f"{seconds:.1f} s, "
        f"{prober}",
    )


def queuedBytes(port: int) -> int:
    """The bytes queued for a local IPv4 UDP port (proc_net(5))."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            return int(queues.rpartition(":")[2], 16)
    raise LookupError(port)


@contextmanager
def loggedFailures() -> Generator[list[LogEvent]]:
    """Collect events that are errors or have a traceback."""
    failures: list[LogEvent] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        if "log_failure" in event or event["log_level"] >= LogLevel.error:
            failures.append(event)

    globalLogPublisher.addObserver(keep)
    try:
        yield failures
    finally:
        globalLogPublisher.removeObserver(keep)


class RefusingSocket(FakeSocket):
    """A socket whose sends fail with ``refusal``, if set."""

    refusal: OSError | None = None

    def sendmsg(self, *send: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().sendmsg(*send)


class RefusingPort(FakeSocketPort):
    """A UDP port on a :class:`RefusingSocket`."""

    def createInternetSocket(self) -> socket.socket:
        return cast(socket.socket, RefusingSocket())


def refusingPort() -> tuple[Any, EchoDatagramProtocol]:
    """Return a port with an echo service, and the service."""
    service = EchoDatagramProtocol(Clock())
    port = RefusingPort(7777, service, reactor=cast(Any, MemoryReactorClock()))
    DatagramPort.startListening(port)
    return port, service


def receive(port: Any, input: Any) -> None:
    """Let the port read a datagram or an error."""
    port.socket.waiting.append(input)
    port.doRead()


#: Whether the datagram has its destination address.
WITH_SOURCE, WITHOUT_SOURCE = [pktinfo()], list[Any]()


@pytest.mark.parametrize("ancillary", [WITH_SOURCE, WITHOUT_SOURCE], ids=["asked", "unknown"])
def test_sendErrors(figures: Figures, ancillary: Any) -> None:
    """A failed send is counted by its errno and not logged, and the next datagram is answered."""
    port, service = refusingPort()
    with loggedFailures() as failures:
        for number in errorcode:
            port.socket.refusal = OSError(number, "a network error")
            receive(port, (b"lost", ancillary, 0, PEER))
            port.socket.refusal = None
            receive(port, (b"next", ancillary, 0, PEER))
            assert port.socket.sent.pop()[0] == b"next"
    assert failures == []
    assert service.totals().errors == {f"send {name}": 1 for name in errorcode.values()}
    assert service.totals().answered == len(errorcode)
    figures.add(
        "send errors of every kind", f"all {len(errorcode)} errnos of a send counted, 0 logged"
    )


def test_receiveErrors(figures: Figures) -> None:
    """
    A failed receive is counted, not logged, and the next datagram is answered after a pause.
    """
    port, service = refusingPort()
    nothing = {EAGAIN, EWOULDBLOCK}
    with loggedFailures() as failures:
        for number in errorcode:
            receive(port, OSError(number, "a network error"))
            receive(port, (b"next", WITH_SOURCE, 0, PEER))
            assert port.socket.sent.pop()[0] == b"next"
    assert failures == []
    counted = {f"receive {name}": 1 for number, name in errorcode.items() if number not in nothing}
    assert service.totals().errors == counted
    port.reactor.advance(LONGEST_PAUSE)
    assert port in port.reactor.getReaders()
    figures.add("send errors of every kind", f"all {len(counted)} errnos of a receive likewise")


#: Hosts without a usable route in the namespace, and the errno of the kernel (ip-route(8)).
ROUTES = {
    "198.51.100.1": ("prohibit", "EACCES"),
    "203.0.113.1": ("unreachable", "EHOSTUNREACH"),
    "192.0.2.1": ("blackhole", "EINVAL"),
    "100.64.0.1": (None, "ENETUNREACH"),
}


def test_kernelRefuses(figures: Figures) -> None:
    """Without a route back, send errors are counted, and other clients are answered."""
    routes = [
        f"ip route add {kind} {host}" for host, (kind, _) in ROUTES.items() if kind is not None
    ]
    output = inNamespace(" && ".join(routes), __name__, "unroutable")
    figures.add("send errors of every kind", f"from the kernel: {output.strip()}")


def sendFromUnroutable() -> None:
    """Run by the test above, inside a namespace."""
    with rawSocket() as raw, datagramServer(0) as program:
        address = program.address("echo", "udp")
        for host in ROUTES:
            forge(raw, (host, 40_000), address)
        assert exchanged(address, b"alive") == b"alive"
        received, answered, rest = totals(program)
    errors = rest.partition("errors: ")[2]
    assert (received, answered) == (len(ROUTES) + 1, 1), rest
    for _, name in ROUTES.values():
        assert f"1 send {name}" in errors, errors
    print(errors)


def main(name: str, *arguments: str) -> None:
    """Run by the tests above, in separate processes."""
    if name == "flood":
        flood(*map(int, arguments))
    else:
        sendFromUnroutable()


if __name__ == "__main__":
    main(*sys.argv[1:])
