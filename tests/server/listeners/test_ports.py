from __future__ import annotations

import os
import socket
import sys
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, EMFILE, ENOENT, EPERM
from os import strerror
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any, cast
from unittest import mock

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.server.config.listener import BACKLOG, Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.listeners import ports as opening
from echoproto.server.listeners.ports import (
    explainListenError,
    firstUnprivilegedPort,
    openDatagrams,
    openStream,
    placeOf,
    reportStartupError,
)
from echoproto.server.systemd import PassedSocket


def failed(number: int) -> OSError:
    """An error of the kernel."""
    return OSError(number, strerror(number))


class PlaceTests(SynchronousTestCase):
    def test_realAddress(self) -> None:
        """The place of an open listener is its carrier and the real address of its port."""
        for address, place in (
            (IPv4Address("TCP", "127.0.0.1", 5000), "tcp 127.0.0.1:5000"),
            (IPv6Address("TCP", "::", 7), "tcp [::]:7"),
        ):
            port: Any = mock.Mock(getHost=lambda address=address: address)
            self.assertEqual(placeOf(Listener("echo", "tcp6:0"), port), place)


class WhyNotTests(SynchronousTestCase):
    def test_bareNumber(self) -> None:
        """A listener of a bare number is named by carrier, address and port, with the remedy."""
        [tcp, *_] = parseListener("echo", "80", ("::1",))
        self.assertEqual(
            explainListenError(tcp, CannotListenError("::1", 80, failed(EACCES))),
            "echo cannot listen on tcp [::1]:80: Permission denied; "
            "ports below 1024 need root, who may become another user by --uid, or the "
            "capability CAP_NET_BIND_SERVICE",
        )
        self.assertIn(
            "this machine does not have that address",
            explainListenError(tcp, failed(EADDRNOTAVAIL)),
        )

    def test_remedies(self) -> None:
        """The remedy is that of the listener: a low port, a high port, or the path of a socket."""
        high = Listener("echo", "tcp:7007")
        low = Listener("echo", "udp:7", passed=None)
        path = Listener("echo", "unix:/x/y")
        for listener, error, remedy in (
            (low, CannotListenError("", 7, failed(EPERM)), "ports below 1024 need root"),
            (high, CannotListenError("", 7007, failed(EACCES)), "security policy"),
            (high, failed(EACCES), "security policy"),
            (high, failed(EADDRINUSE), "stop the program that listens there"),
            (path, CannotListenError(None, "/x/y", failed(EACCES)), "write permission"),
            (path, CannotListenError(None, "/x/y", failed(ENOENT)), "create the folder"),
            (path, CannotListenError(None, "/x/y", failed(EADDRINUSE)), "remove the file"),
            (path, CannotListenError(None, __file__, failed(EADDRINUSE)), "is no socket"),
            (
                path,
                CannotListenError(None, b"\0name", failed(EADDRINUSE)),
                "use another name",
            ),
            (path, failed(EINVAL), "which is no lock"),
            (path, OSError("AF_UNIX path too long"), "at most 107 bytes"),
            (path, failed(EMFILE), "raise the limit"),
            (high, failed(EMFILE), "raise the limit"),
            (high, failed(ENOENT), "no /dev/null"),
            (high, CannotListenError("fe80::1", 7, failed(EINVAL)), "fe80::1%eth0"),
            (high, CannotListenError("192.0.2.1", 7, failed(EINVAL)), "Invalid argument"),
        ):
            message = explainListenError(listener, error)
            self.assertIn(remedy, message)
            self.assertEqual("ports below" in message, listener is low, message)

    def test_firstUnprivilegedPort(self) -> None:
        """The first port that every user may bind is the kernel's setting, or 1024."""
        with NamedTemporaryFile("w") as setting:
            setting.write("80\n")
            setting.flush()
            self.assertEqual(firstUnprivilegedPort(setting.name), 80)
        self.assertEqual(firstUnprivilegedPort("/nonexistent"), 1024)

    def test_otherErrors(self) -> None:
        """Each kind of error has its reason."""
        listener = Listener("echo", "tcp:7:interface=lab")
        error = CannotListenError("lab", 7, socket.gaierror(-2, "Name or service not known"))
        self.assertIn(
            "lab: Name or service not known; use a numeric address of this machine",
            explainListenError(listener, error),
        )
        self.assertIn("too large", explainListenError(listener, OverflowError("too large")))

    def test_description(self) -> None:
        """A listener of a description is named by the description."""
        self.assertEqual(
            explainListenError(
                Listener("echo", "unix:/x"), CannotListenError(None, "/x", "Cannot acquire lock")
            ),
            "echo cannot listen on unix:/x: Cannot acquire lock; stop the program that listens "
            "there, or use another path",
        )


class ReportStartupErrorTests(SynchronousTestCase):
    def loggedErrors(self, standardError: IO[str] | None) -> list[str]:
        """
        The logged errors after reportStartupError(), with ``standardError`` as standard error.
        """
        logged: list[str] = []
        self.patch(opening, "_log", Logger("test", observer=cast(Any, logged.append)))
        self.patch(sys, "__stderr__", standardError)
        reportStartupError("no")
        return logged

    def test_standardError(self) -> None:
        """A startup error is one line on the original standard error."""
        with TemporaryFile("w+") as standardError:
            self.assertEqual(self.loggedErrors(standardError), [])
            standardError.seek(0)
            self.assertEqual(standardError.read(), "no\n")

    def test_full(self) -> None:
        """A standard error on a full disk is not another error."""
        with open("/dev/full", "w") as full:
            self.assertEqual(self.loggedErrors(full), [])

    def test_noNullDevice(self) -> None:
        """A root without a null device has a standard error."""
        self.patch(os, "devnull", "/nonexistent")
        with TemporaryFile("w+") as standardError:
            self.assertEqual(self.loggedErrors(standardError), [])

    def test_daemon(self) -> None:
        """Without standard error it is one line in the log."""
        with open(os.devnull, "w") as nowhere:
            self.assertEqual(len(self.loggedErrors(nowhere)), 1)
        self.assertEqual(len(self.loggedErrors(None)), 1)


class OpenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def test_stream(self) -> None:
        """Twisted's endpoint opens a stream listener."""
        factory = EchoFactory(self.reactor)
        openStream(self.reactor, Listener("echo", "unix:/x"), factory)
        self.assertEqual(self.reactor.unixServers[0][:2], ("/x", factory))

    def test_number(self) -> None:
        """A bare number is opened on its address, with a long backlog."""
        streams = mock.Mock()
        factory = EchoFactory(self.reactor)
        listener = Listener("echo", "tcp:7:interface=127.0.0.1", 7, "127.0.0.1")
        openStream(self.reactor, listener, factory, streams)
        streams.listenTCP.assert_called_once_with(7, factory, BACKLOG, "127.0.0.1")

    def test_streamFails(self) -> None:
        """The error of the endpoint is raised."""
        for description in ("tcp:7:interface=192.0.2.1", "tcp:7:192.0.2.1"):
            with self.assertRaises(CannotListenError):
                openStream(self.reactor, Listener("echo", description), EchoFactory(self.reactor))

    def test_datagrams(self) -> None:
        """A datagram listener is opened on our own port."""
        listener = Listener("echo", "udp:0:interface=127.0.0.1")
        port = openDatagrams(self.reactor, listener, EchoDatagramProtocol(self.reactor))
        self.addCleanup(cast(Any, port).connectionLost)
        self.assertEqual(cast(Any, port.getHost()).host, "127.0.0.1")

    def test_passedStream(self) -> None:
        """A stream socket passed by systemd is adopted."""
        with socket.create_server(("127.0.0.1", 0)) as made:
            passed = PassedSocket(made.fileno(), "x", socket.SOCK_STREAM, socket.AF_INET)
            openStream(
                self.reactor,
                Listener("echo", "systemd:x", passed=passed),
                EchoFactory(self.reactor),
            )
        [(descriptor, family, _)] = self.reactor.adoptedPorts
        self.assertEqual((descriptor, family), (passed.descriptor, socket.AF_INET))

    def test_passedDatagrams(self) -> None:
        """A datagram socket passed by systemd is adopted."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind(("127.0.0.1", 0))
            passed = PassedSocket(made.fileno(), "x", socket.SOCK_DGRAM, socket.AF_INET)
            port = openDatagrams(
                self.reactor,
                Listener("echo", "systemd:x", passed=passed),
                EchoDatagramProtocol(self.reactor),
            )
            self.addCleanup(cast(Any, port).connectionLost)
            self.assertEqual(cast(Any, port.getHost()).port, made.getsockname()[1])
