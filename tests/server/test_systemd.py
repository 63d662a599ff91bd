from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.systemd import (
    SD_LISTEN_FDS_START,
    UNNAMED,
    PassedSocket,
    adoptDatagrams,
    adoptStream,
    explainNoSockets,
    initialEnvironment,
    passedSockets,
)

PID = 4711
#: Above what the tests have open, so that descriptors from here on are free.
START = 500
#: Seconds after which a test that waits for the kernel has failed.
SOON = 300.0


def boundSocket(
    case: SynchronousTestCase,
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    address: Any = None,
) -> socket.socket:
    """A socket as systemd makes it: it blocks, and IPv6 accepts IPv4 too. Closed after the test."""
    made = socket.socket(family, kind)
    case.addCleanup(made.close)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if address is not None:
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
    return made


def temporaryFolder(case: SynchronousTestCase) -> Path:
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


class PassedSocketsTests(SynchronousTestCase):
    def passing(self, *descriptors: int, names: str | None = None) -> list[PassedSocket]:
        """The sockets found if systemd passed duplicates of these, and those still inheritable."""
        environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": str(len(descriptors))}
        if names is not None:
            environ["LISTEN_FDNAMES"] = names
        with ExitStack() as passed:
            for number, descriptor in enumerate(descriptors, START):
                self.assertEqual(fcntl.fcntl(descriptor, fcntl.F_DUPFD, number), number)
                passed.callback(os.close, number)
            found = passedSockets(environ, PID, START)
            self.inherited = [
                passed.descriptor for passed in found if os.get_inheritable(passed.descriptor)
            ]
        return found

    def refusal(self, descriptor: int, *reasons: str) -> None:
        with self.assertRaises(ValueError) as raised:
            self.passing(descriptor, names="this")
        for reason in (f"descriptor {START}, passed by systemd as 'this', ", *reasons):
            self.assertIn(reason, str(raised.exception))
        self.assertNotIn("\n", str(raised.exception))

    def test_passed(self) -> None:
        """
        Each socket is found with its name, kind and family; child processes do not inherit it.
        """
        stream = boundSocket(self, socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        datagrams = boundSocket(self, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        path = str(temporaryFolder(self) / "socket")
        local = boundSocket(self, socket.AF_UNIX, socket.SOCK_STREAM, path)
        found = self.passing(
            stream.fileno(), datagrams.fileno(), local.fileno(), names="echo:echo:local"
        )
        self.assertEqual(
            found,
            [
                PassedSocket(START, "echo", socket.SOCK_STREAM, socket.AF_INET6),
                PassedSocket(START + 1, "echo", socket.SOCK_DGRAM, socket.AF_INET),
                PassedSocket(START + 2, "local", socket.SOCK_STREAM, socket.AF_UNIX),
            ],
        )
        self.assertEqual(self.inherited, [])

    def test_unnamed(self) -> None:
        """Sockets passed without names have the name of sd_listen_fds_with_names(3)."""
        made = boundSocket(self, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.assertEqual([passed.name for passed in self.passing(made.fileno())], [UNNAMED])

    def test_none(self) -> None:
        """No socket is found if none was passed, or if they are for another process."""
        self.assertEqual(passedSockets({}, PID), [])
        self.assertEqual(passedSockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, PID), [])
        self.assertEqual(passedSockets({"LISTEN_PID": str(PID)}, PID), [])
        empty = {"LISTEN_PID": str(PID), "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""}
        self.assertEqual(passedSockets(empty, PID), [])
        self.assertEqual(SD_LISTEN_FDS_START, 3)

    def test_malformed(self) -> None:
        """Invalid numbers and too few names are reported in one line."""
        for environ, reason in (
            ({"LISTEN_PID": "x"}, "invalid LISTEN_PID 'x' (a number)"),
            ({"LISTEN_FDS": "-1"}, "invalid LISTEN_FDS '-1' (a number)"),
            (
                {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "echo"},
                "LISTEN_FDS is 2, but LISTEN_FDNAMES has 1 names",
            ),
        ):
            with self.assertRaises(ValueError) as raised:
                passedSockets({"LISTEN_PID": str(PID), **environ}, PID)
            self.assertEqual(str(raised.exception), reason)

    def test_noSocket(self) -> None:
        """A descriptor that is a file, or not open, is refused by name and number."""
        with open(os.devnull) as file:
            self.refusal(file.fileno(), "is not a socket: Socket operation on non-socket")
        with self.assertRaises(ValueError) as raised:
            passedSockets({"LISTEN_PID": str(PID), "LISTEN_FDS": "1"}, PID, 900)
        self.assertIn("Bad file descriptor", str(raised.exception))

    def test_nothingIsLeftOpen(self) -> None:
        """Inspecting a descriptor opens none."""
        before = sorted(os.listdir("/proc/self/fd"))
        with open(os.devnull) as file:
            self.refusal(file.fileno())
        made = boundSocket(self, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.passing(made.fileno())
        made.close()
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)

    def test_notServed(self) -> None:
        """UNIX datagrams and sequenced packets are refused."""
        for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            made = boundSocket(self, socket.AF_UNIX, kind)
            self.refusal(made.fileno(), f"AF_UNIX {kind.name}: only streams and UDP can be served")

    def test_unbound(self) -> None:
        """A UDP socket that is not bound is refused: no datagram can reach it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            self.refusal(made.fileno(), "is not bound to a port")

    def test_connection(self) -> None:
        """A connection instead of a listening socket is refused, with the remedy."""
        made = boundSocket(self, socket.AF_INET, socket.SOCK_STREAM)
        self.refusal(made.fileno(), "does not listen: the socket unit must not have Accept=yes")


class InitialEnvironmentTests(SynchronousTestCase):
    def test_afterTwisted(self) -> None:
        """The environment of systemd is found although Twisted has removed it."""
        program = (
            "import os, twisted.internet.endpoints\n"
            "from echoproto.server.systemd import initialEnvironment\n"
            "print(initialEnvironment().get('LISTEN_PID') == str(os.getpid()))"
        )
        shell = 'LISTEN_PID=$$ LISTEN_FDS=0 exec "$0" -c "$1"'
        ran = subprocess.run(
            ["sh", "-c", shell, sys.executable, program],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual((ran.stdout, ran.stderr), ("True\n", ""))

    def test_parts(self) -> None:
        """Values may be empty or have "=" in them; entries without "=" are left out."""
        path = temporaryFolder(self) / "environ"
        path.write_bytes(b"A=b=c\0EMPTY=\0stray\0BYTE=\xff\0")
        expected = {"A": "b=c", "EMPTY": "", "BYTE": "\udcff"}
        self.assertEqual(initialEnvironment(str(path)), expected)

    def test_noCopy(self) -> None:
        """If the kernel keeps no copy, it is the current environment."""
        absent = str(temporaryFolder(self) / "absent")
        self.assertEqual(initialEnvironment(absent), dict(os.environ))


class Echoing(Protocol):
    def dataReceived(self, data: bytes) -> None:
        cast(Any, self.transport).write(data)


class EchoingDatagrams(DatagramProtocol):
    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        cast(Any, self.transport).write(datagram, addr)


class AdoptStreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.factory = Factory.forProtocol(Echoing)
        self.factory.noisy = False

    def test_TCP(self) -> None:
        """The reactor adopts the socket, which no longer blocks."""
        made = boundSocket(self, socket.AF_INET6, socket.SOCK_STREAM, ("::", 0))
        passed = PassedSocket(made.fileno(), "echo", socket.SOCK_STREAM, socket.AF_INET6)
        port = adoptStream(self.reactor, passed, self.factory)
        self.assertEqual(cast(Any, port.getHost()).host, "::")
        expected = (made.fileno(), socket.AF_INET6, self.factory)
        self.assertEqual(self.reactor.adoptedPorts, [expected])
        self.assertFalse(os.get_blocking(made.fileno()))

    def adoptUNIX(self, address: bytes) -> tuple[socket.socket, Any]:
        made = boundSocket(self, socket.AF_UNIX, socket.SOCK_STREAM, address)
        passed = PassedSocket(made.fileno(), "echo", socket.SOCK_STREAM, socket.AF_UNIX)
        return made, adoptStream(self.reactor, passed, self.factory)

    def assertServed(self, address: bytes, port: Any) -> None:
        """A client that connects is answered."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SOON)
            client.connect(address)
            client.sendall(b"hello")
            before = set(self.reactor.getReaders())
            port.doRead()
            [connection] = set(self.reactor.getReaders()) - before
            connection.doRead()
            connection.doWrite()
            self.assertEqual(client.recv(100), b"hello")
            connection.connectionLost(Failure(ConnectionDone()))

    def test_UNIX(self) -> None:
        """A UNIX socket is served, with the name and mode that systemd gave its file."""
        path = temporaryFolder(self) / "socket"
        made, port = self.adoptUNIX(os.fsencode(path))
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(0o600)
        port.connectionLost(Failure(ConnectionDone()))
        passed = PassedSocket(made.fileno(), "echo", socket.SOCK_STREAM, socket.AF_UNIX)
        port = cast(Any, adoptStream(self.reactor, passed, self.factory))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertNotEqual(mode, 0o600)
        self.assertEqual(port.getHost().name, os.fsencode(path))
        self.assertServed(os.fsencode(path), port)
        port.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(path.is_socket())

    def test_abstractUNIX(self) -> None:
        """A UNIX socket with an abstract name is served too."""
        name = b"\0echoproto-test-" + os.urandom(8).hex().encode()
        _, port = self.adoptUNIX(name)
        self.assertServed(name, port)
        port.connectionLost(Failure(ConnectionDone()))

    def test_afterStop(self) -> None:
        """A client that connects while the port is closed waits for the next start."""
        path = os.fsencode(temporaryFolder(self) / "socket")
        made, port = self.adoptUNIX(path)
        port.connectionLost(Failure(ConnectionDone()))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            made.accept()[0].close()


class AdoptDatagramsTests(SynchronousTestCase):
    def adopt(self, made: socket.socket) -> Any:
        passed = PassedSocket(made.fileno(), "echo", socket.SOCK_DGRAM, made.family)
        reactor: Any = MemoryReactorClock()
        port: Any = adoptDatagrams(reactor, passed, EchoingDatagrams())
        self.addCleanup(port.connectionLost)
        return port

    def asking(self, host: str, number: int, listen: Any) -> str:
        """The source address of the reply to a datagram to ``host``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(SOON)
            client.sendto(b"hello", (host, number))
            listen()
            data, source = client.recvfrom(100)
        self.assertEqual((data, source[1]), (b"hello", number))
        return cast(str, source[0])

    def test_addressAsked(self) -> None:
        """Datagrams are answered from their destination address, on each kind of socket."""
        for family, bound, asked in (
            (socket.AF_INET, "0.0.0.0", ("127.0.0.1", "127.0.0.2")),
            (socket.AF_INET6, "::", ("127.0.0.1", "127.0.0.2", "::1")),
        ):
            made = boundSocket(self, family, socket.SOCK_DGRAM, (bound, 0))
            port = self.adopt(made)
            for host in asked:
                source = self.asking(host, port.getHost().port, port.doRead)
                self.assertEqual(source, host, family)
            self.assertFalse(os.get_blocking(made.fileno()))

    def test_theFirst(self) -> None:
        """
        So is the first datagram, which arrived before the server could ask for its destination.
        """
        for family, bound in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            made = boundSocket(self, family, socket.SOCK_DGRAM, (bound, 0))
            source = self.asking(
                "127.0.0.2", made.getsockname()[1], lambda made=made: self.adopt(made).doRead()
            )
            self.assertEqual(source, "127.0.0.2", family)

    def test_closing(self) -> None:
        """Closing the port leaves the socket open for the next start."""
        made = boundSocket(self, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        passed = PassedSocket(made.fileno(), "echo", socket.SOCK_DGRAM, socket.AF_INET)
        reactor: Any = MemoryReactorClock()
        cast(Any, adoptDatagrams(reactor, passed, EchoingDatagrams())).connectionLost()
        port = self.adopt(made)
        source = self.asking("127.0.0.1", port.getHost().port, port.doRead)
        self.assertEqual(source, "127.0.0.1")


class ExplainTests(SynchronousTestCase):
    def test_noSockets(self) -> None:
        """The reason why no sockets were passed names the variable of systemd."""
        for environ, reason in (
            ({}, "LISTEN_PID is not set"),
            ({"LISTEN_PID": "1"}, f"LISTEN_PID is 1, but this is process {PID}"),
            ({"LISTEN_PID": str(PID)}, "LISTEN_FDS is 0"),
        ):
            self.assertIn(reason, explainNoSockets(environ, PID))

    def test_hugeNumbers(self) -> None:
        """A number of any length is handled at once."""
        for name in ("LISTEN_PID", "LISTEN_FDS"):
            environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": "1", name: "9" * 5000}
            self.assertRaises(ValueError, passedSockets, environ, PID)
        environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": "9" * 18}
        error = self.assertRaises(ValueError, passedSockets, environ, PID, 1_000_000)
        self.assertIn("is not a socket", str(error))
