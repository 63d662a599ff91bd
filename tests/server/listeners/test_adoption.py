from __future__ import annotations

import os
import socket
import stat
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.listeners.adoption import adoptDatagrams, adoptStream
from echoproto.server.systemd import PassedSocket
from tests.server.test_systemd import SOON, boundSocket, temporaryFolder


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
