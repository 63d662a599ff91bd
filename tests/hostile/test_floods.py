"""Attacks with datagrams: forged ones, a flood of them, and a network that takes none."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
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

from echoproto.protocols.admission import DATAGRAM_RATE
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.transports.udp import DatagramPort
from tests.hostile.figures import Figures
from tests.loopback.program import PATIENCE, ROOT, Program, connected, datagramSocket, environment
from tests.loopback.test_datagrams import exchanged
from tests.transports.test_udp import PEER, FakeSocket, FakeSocketPort, pktinfo

HERE, THERE = "127.0.0.1", "127.0.0.2"

MILLION = 1_000_000

#: Seconds that a TCP round trip may take, whatever comes over UDP.
LONGEST_ROUND_TRIP = 0.1

#: What one queued datagram takes of a receive buffer, with some to spare.
QUEUED_BYTES = 1024


def rawSocket() -> socket.socket:
    """A socket that sends packets with a source of the test's choice."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError:
        pytest.skip("raw sockets need root")


def forge(raw: socket.socket, source: tuple[str, int], to: tuple[str, int]) -> None:
    """Send a datagram to ``to`` that says it is from ``source``."""
    data = b"loop"
    udp = b"".join(each.to_bytes(2, "big") for each in (source[1], to[1], 8 + len(data), 0)) + data
    # The kernel fills in length, identification and checksum (raw(7)).
    ip = bytes((0x45, 0, 0, 0, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, 0))
    raw.sendto(ip + socket.inet_aton(source[0]) + socket.inet_aton(to[0]) + udp, to)


def datagramServer(port: int, host: str = HERE, *options: str) -> Program:
    """An echo server on UDP and nothing else."""
    return Program("-p", f"udp:{port}:interface={host}", *options, listeners=1)


def totals(program: Program) -> tuple[int, int, str]:
    """Stop; datagrams taken and answered, and what else the log says of them at the end."""
    program.stop()
    log = "".join(program.log)
    assert "Traceback" not in log
    found = re.search(r"closed: (\d+) datagrams in, (\d+) answered; (.*)", log)
    assert found is not None
    return int(found[1]), int(found[2]), found[3]


@pytest.mark.timeout(60)
def test_loopOnEqualPorts(figures: Figures) -> None:
    """
    A datagram forged in the name of another echo server on the same port is answered by neither.
    """
    with rawSocket() as raw, datagramServer(0) as first:
        here = first.address("echo", "udp")
        there = (THERE, here[1])
        with datagramServer(here[1], THERE) as second:
            for _ in range(100):
                forge(raw, there, here)
            # Each is answered in its turn, so what was forged has been dealt with by then.
            assert exchanged(here, b"alive") == b"alive"
            assert exchanged(there, b"alive") == b"alive"
            assert totals(second)[:2] == (1, 1)
        received, answered, rest = totals(first)
    assert (received, answered) == (101, 1)
    assert "100 source port is our own" in rest
    figures.add("spoofed loop between two of our servers", "equal ports: 0 of 100 forged answered")


#: Seconds for which a loop is fed.
FEEDING = 2.0


@pytest.mark.timeout(60)
def test_loopOnDifferentPorts(figures: Figures) -> None:
    """
    Between two servers on different ports a loop goes no faster than the rate of one source,
    however often it is begun anew, and dies when it is not; both still answer others.
    """
    with rawSocket() as raw, datagramServer(0) as first, datagramServer(0, THERE) as second:
        here, there = first.address("echo", "udp"), second.address("echo", "udp")
        assert here[1] != there[1]
        begun = time.monotonic()
        fed = 0
        # Fed evenly: a loop is dead as soon as one of the two has refused its datagram.
        while (passed := time.monotonic() - begun) < FEEDING:
            if fed < passed * 2000:
                forge(raw, there, here)
                fed += 1
            else:
                time.sleep(0.0005)
        # From sources of their own: what the loop has used up is not theirs.
        for address, source in ((here, "127.0.0.3"), (there, "127.0.0.4")):
            with datagramSocket() as other:
                other.bind((source, 0))
                other.sendto(b"alive", address)
                assert other.recv(100) == b"alive"
        seconds = time.monotonic() - begun
        answered = [totals(each)[1] for each in (first, second)]
    most = DATAGRAM_RATE * (1 + seconds) + 2
    assert all(0 < each <= most for each in answered)
    figures.add(
        "spoofed loop between two of our servers",
        f"different ports, {fed / FEEDING:,.0f} forged a second: each answered "
        f"{max(answered) / seconds:,.0f} a second, the burst included",
    )


@pytest.mark.timeout(60)
def test_loopOfOne(figures: Figures) -> None:
    """
    One forged datagram between servers on different ports goes round until a rate is met, then
    never again.
    """
    with rawSocket() as raw, datagramServer(0) as first, datagramServer(0, THERE) as second:
        here, there = first.address("echo", "udp"), second.address("echo", "udp")
        before = processorSeconds(first)
        forge(raw, there, here)
        end = time.monotonic() + PATIENCE
        while "source over its rate" not in "".join(first.log + second.log):
            assert time.monotonic() < end, "the loop goes on"
            time.sleep(0.1)
        spent = processorSeconds(first) - before
        counts = [totals(each) for each in (first, second)]
    assert sum(rest.count("1 source over its rate") for _, _, rest in counts) == 1
    answered = sum(answered for _, answered, _ in counts)
    figures.add(
        "spoofed loop between two of our servers",
        f"different ports, 1 forged: {answered:,} datagrams, then none; "
        f"{spent:.2f} s of processor each",
    )


def processorSeconds(program: Program) -> float:
    """What the process has used of a processor (proc(5))."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(port: int, count: int) -> None:
    """Send ``count`` empty datagrams as fast as they go; run in a process of its own."""
    with datagramSocket() as sending:
        sending.connect((HERE, port))
        for _ in range(count):
            # A port unreachable, when the server is gone.
            with suppress(ConnectionRefusedError):
                sending.send(b"")


@contextmanager
def flooding(port: int, count: int = MILLION) -> Generator[subprocess.Popen[bytes]]:
    """A process that floods."""
    command = [sys.executable, "-m", __name__, "flood", str(port), str(count)]
    with subprocess.Popen(command, cwd=ROOT, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def waitedSeconds(program: Program) -> float:
    """
    How long the server and we have waited for a processor so far (proc_pid_schedstat in proc(5)).
    """
    paths = ("/proc/self/schedstat", f"/proc/{program.process.pid}/schedstat")
    return sum(int(Path(path).read_text().split()[1]) for path in paths) / 1e9


@dataclass
class Prober:
    """
    One client that measures round trips.

    :ivar trips: how many there were.
    :ivar longest: seconds that the longest took, less what the server or we waited for a processor
        meanwhile: the attacker and whatever else runs here use it too.
    :ivar longestInAll: seconds, without that.
    """

    program: Program
    client: socket.socket
    trips: int = 0
    longest: float = 0.0
    longestInAll: float = 0.0

    def trip(self) -> None:
        """64 bytes there and back."""
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
            f"({self.longestInAll * 1000:.1f} ms with waiting for a processor)"
        )


STREAMS_AND_DATAGRAMS = ("-p", "tcp:0:interface=127.0.0.1", "-p", "udp:0:interface=127.0.0.1")


@pytest.mark.timeout(60)
def test_flood(figures: Figures) -> None:
    """
    While a million empty datagrams come as fast as one process sends them, all answered, TCP
    clients are served.
    """
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


#: System call of Linux 5.6, the same number on every architecture.
_PIDFD_GETFD = 438

_SO_RCVBUFFORCE = 33


def theirSockets(program: Program) -> Generator[socket.socket]:
    """The sockets of the server, one at a time, as far as we may have them."""
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
    """
    Let the kernel hold ``size`` bytes of datagrams for the server's UDP port; skips where that is
    not allowed.
    """
    for taken in theirSockets(program):
        if (taken.type, taken.getsockname()[1:2]) == (socket.SOCK_DGRAM, (port,)):
            taken.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
            return
    pytest.skip("another process's receive buffer needs root, and Linux 5.6")


@pytest.mark.timeout(60)
def test_queue(figures: Figures) -> None:
    """
    A server that wakes to a million empty datagrams in its queue serves TCP clients between them.
    """
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
        f"queued while it was stopped: {received:,} received and {answered:,} answered in "
        f"{seconds:.1f} s, "
        f"{prober}",
    )


def queuedBytes(port: int) -> int:
    """What the kernel holds for a UDP port of ours over IPv4 (proc_net(5))."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            return int(queues.rpartition(":")[2], 16)
    raise LookupError(port)


@contextmanager
def loggedFailures() -> Generator[list[LogEvent]]:
    """The events meanwhile that are errors or have a traceback."""
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
    """A socket whose sends fail with ``refusal``, while there is one."""

    refusal: OSError | None = None

    def sendmsg(self, *send: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().sendmsg(*send)


class RefusingPort(FakeSocketPort):
    """The server's UDP port on a :class:`RefusingSocket`."""

    def createInternetSocket(self) -> socket.socket:
        return cast(socket.socket, RefusingSocket())


def refusingPort() -> tuple[Any, EchoDatagramProtocol]:
    """A port that echoes, and its service."""
    service = EchoDatagramProtocol(Clock())
    port = RefusingPort(7777, service, reactor=cast(Any, MemoryReactorClock()))
    DatagramPort.startListening(port)
    return port, service


def receive(port: Any, what: Any) -> None:
    """One reading of the port, in which ``what`` waits: a datagram or an error."""
    port.socket.waiting.append(what)
    port.doRead()


#: Whether the datagram came with the address that it was sent to.
WITH_SOURCE, WITHOUT_SOURCE = [pktinfo()], list[Any]()


@pytest.mark.parametrize("ancillary", [WITH_SOURCE, WITHOUT_SOURCE], ids=["asked", "unknown"])
def test_sendErrors(figures: Figures, ancillary: Any) -> None:
    """
    Whatever errno a send fails with, it is counted by its name and not logged, and the next
    datagram is answered.
    """
    port, service = refusingPort()
    with loggedFailures() as failures:
        for number in errorcode:
            port.socket.refusal = OSError(number, "the network says no")
            receive(port, (b"lost", ancillary, 0, PEER))
            port.socket.refusal = None
            receive(port, (b"next", ancillary, 0, PEER))
            assert port.socket.sent.pop()[0] == b"next"
    assert failures == []
    assert service.totals().errors == {f"send {name}": 1 for name in errorcode.values()}
    assert service.totals().answered == len(errorcode)
    figures.add(
        "send errors of every kind", f"{len(errorcode)} errnos of each send counted, 0 logged"
    )


def test_receiveErrors(figures: Figures) -> None:
    """
    Whatever errno a receive fails with, it is counted and not logged, and the next datagram is
    answered.
    """
    port, service = refusingPort()
    nothing = {EAGAIN, EWOULDBLOCK}
    with loggedFailures() as failures:
        for number in errorcode:
            receive(port, OSError(number, "the network says no"))
            receive(port, (b"next", WITH_SOURCE, 0, PEER))
            assert port.socket.sent.pop()[0] == b"next"
    assert failures == []
    counted = {f"receive {name}": 1 for each, name in errorcode.items() if each not in nothing}
    assert service.totals().errors == counted
    assert port in port.reactor.getReaders()
    figures.add("send errors of every kind", f"{len(counted)} errnos of receives likewise")


#: AddressFilter without a way to them in the namespace, and what the kernel says of each
#: (ip-route(8)).
NO_WAY = {
    "198.51.100.1": ("prohibit", "EACCES"),
    "203.0.113.1": ("unreachable", "EHOSTUNREACH"),
    "192.0.2.1": ("blackhole", "EINVAL"),
    "100.64.0.1": (None, "ENETUNREACH"),
}


@pytest.mark.timeout(60)
def test_kernelRefuses(figures: Figures) -> None:
    """
    In a network without a way back, what the kernel says is counted by its name, nothing is logged
    of it but the sum, and others are answered.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip")
    routes = [
        f"ip route add {kind} {host}" for host, (kind, _) in NO_WAY.items() if kind is not None
    ]
    script = " && ".join(
        ["ip link set lo up", *routes, f"exec {sys.executable} -m {__name__} no-way"]
    )
    finished = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    if "unshare failed" in finished.stdout:
        pytest.skip("a network namespace needs root")
    assert finished.returncode == 0, finished.stdout
    figures.add("send errors of every kind", f"of the kernel: {finished.stdout.strip()}")


def askFromNowhere() -> None:
    """Run inside a namespace by the test above."""
    with rawSocket() as raw, datagramServer(0) as program:
        address = program.address("echo", "udp")
        for host in NO_WAY:
            forge(raw, (host, 40_000), address)
        assert exchanged(address, b"alive") == b"alive"
        received, answered, rest = totals(program)
    errors = rest.partition("errors: ")[2]
    assert (received, answered) == (len(NO_WAY) + 1, 1), rest
    for _, name in NO_WAY.values():
        assert f"1 send {name}" in errors, errors
    print(errors)


def main(what: str, *arguments: str) -> None:
    """Run in processes of their own by the tests above."""
    if what == "flood":
        flood(*map(int, arguments))
    else:
        askFromNowhere()


if __name__ == "__main__":
    main(*sys.argv[1:])
