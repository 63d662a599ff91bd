from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.systemd import (
    SD_LISTEN_FDS_START,
    UNNAMED,
    PassedSocket,
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
