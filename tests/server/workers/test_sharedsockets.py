from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python import log
from twisted.python.failure import Failure
from twisted.python.log import textFromEventDict
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.listeners.ports import Platform
from echoproto.server.systemd import PassedSocket
from echoproto.server.workers.sharedsockets import SharedListeners, SharedPort

WORKERS = 3
FIRST = 10


def portNumber(port: IListeningPort) -> int:
    """The port number of a listener on IPv4."""
    address: Any = port.getHost()
    number: int = address.port
    return number


class SharedListenersTests(TestCase):
    """On real sockets, as the kernel does what is tested."""

    timeout = 300

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.drains: list[Deferred[None]] = []
        self.statuses: list[Listener] = []
        openStatus: Any = self.statuses.append
        platform = Platform(openStream=lambda reactor, listener, factory: openStatus(listener))
        self.listeners = SharedListeners(WORKERS, self._drainWorkers, platform)
        self.open: list[Any] = []

    def _drainWorkers(self) -> Deferred[None]:
        self.drains.append(Deferred())
        return self.drains[-1]

    def tearDown(self) -> None:
        for port in self.open:
            port.connectionLost(Failure(ConnectionDone()))

    def stream(self, text: str, passed: list[PassedSocket] | None = None) -> SharedPort:
        [listener] = parseListener("echo", text, passed=passed or [])
        port: Any = self.listeners.openStream(self.reactor, listener, Factory())
        self.open.append(port)
        return port  # type: ignore[no-any-return]

    def sockets(self, port: SharedPort) -> list[socket.socket]:
        return [port.sockets()[worker % len(port.sockets())] for worker in range(WORKERS)]

    def test_stream(self) -> None:
        """
        Each worker has its own socket on the address, also on port 0; the supervisor reads none.
        """
        port = self.stream("tcp:0:interface=127.0.0.1")
        verifyObject(IListeningPort, port)
        port.startListening()
        sockets = self.sockets(port)
        self.assertEqual(len({own.fileno() for own in sockets}), WORKERS)
        self.assertEqual({own.getsockname() for own in sockets}, {("127.0.0.1", portNumber(port))})
        self.assertFalse([reader for reader in self.reactor.getReaders() if reader in port._ports])

    def test_spread(self) -> None:
        """The kernel spreads connections over the workers' sockets."""
        port = self.stream("tcp:0:interface=127.0.0.1")
        address = ("127.0.0.1", portNumber(port))
        clients = [socket.create_connection(address) for _ in range(100)]
        accepted = 0
        for listening in self.sockets(port):
            count = 0
            while True:
                try:
                    listening.accept()[0].close()
                except BlockingIOError:
                    break
                count += 1
            self.assertGreater(count, 0)
            accepted += count
        for client in clients:
            client.close()
        self.assertEqual(accepted, 100)

    def test_inUse(self) -> None:
        """An address in use is an error, and nothing is left open."""
        with (
            socket.create_server(("127.0.0.1", 0)) as other,
            self.assertRaises(CannotListenError),
        ):
            self.stream(f"tcp:{other.getsockname()[1]}:interface=127.0.0.1")
        self.assertEqual(
            (self.listeners.groupsFor(0, FIRST), self.listeners.descriptors(FIRST)), ([], {})
        )

    def test_inUseByAnotherSupervisor(self) -> None:
        """So is one that another supervisor shares, which the kernel alone would allow."""
        number = portNumber(self.stream("tcp:0:interface=127.0.0.1"))
        another = SharedListeners(WORKERS, self._drainWorkers, Platform())
        [listener] = parseListener("echo", f"tcp:{number}:interface=127.0.0.1")
        with self.assertRaises(CannotListenError):
            another.openStream(self.reactor, listener, Factory())
        [listener] = parseListener("echo", f"udp:{number}:interface=127.0.0.1")
        self.open.append(self.listeners.openDatagrams(self.reactor, listener, None))
        with self.assertRaises(OSError):
            another.openDatagrams(self.reactor, listener, None)

    def test_unix(self) -> None:
        """A UNIX socket is one socket for all workers."""
        port = self.stream(f"unix:{self.mktemp()}")
        self.assertEqual(len({shared.fileno() for shared in self.sockets(port)}), 1)

    def test_passed(self) -> None:
        """So is one that systemd has passed, of streams or datagrams."""
        kinds: list[socket.SocketKind] = [socket.SOCK_STREAM, socket.SOCK_DGRAM]
        for kind in kinds:
            with socket.socket(socket.AF_INET, kind) as bound:
                bound.bind(("127.0.0.1", 0))
                if kind == socket.SOCK_STREAM:
                    bound.listen()
                passed = PassedSocket(bound.fileno(), "web", kind, socket.AF_INET)
                if kind == socket.SOCK_STREAM:
                    port: Any = self.stream("systemd:web", [passed])
                else:
                    [listener] = parseListener("echo", "systemd:web", passed=[passed])
                    port = self.listeners.openDatagrams(self.reactor, listener, None)
                    self.open.append(port)
                self.assertEqual(portNumber(port), bound.getsockname()[1])
                self.assertEqual(len({shared.fileno() for shared in self.sockets(port)}), 1)

    def test_datagrams(self) -> None:
        """Each worker has its own socket for datagrams too."""
        [listener] = parseListener("echo", "udp:0:interface=127.0.0.1")
        port: Any = self.listeners.openDatagrams(self.reactor, listener, None)
        self.open.append(port)
        sockets = self.sockets(port)
        self.assertEqual({own.getsockname() for own in sockets}, {("127.0.0.1", portNumber(port))})
        self.assertEqual(len({own.fileno() for own in sockets}), WORKERS)

    def test_names(self) -> None:
        """The supervisor's sockets for datagrams have its name in the lines of Twisted."""
        [listener] = parseListener("echo", "udp:0:interface=127.0.0.1")
        lines: list[str] = []
        log.addObserver(observe := lambda event: lines.append(textFromEventDict(event) or ""))
        self.addCleanup(log.removeObserver, observe)
        port = self.listeners.openDatagrams(self.reactor, listener, None)
        self.open.append(port)
        self.assertEqual(lines, [f"Supervisor starting on {portNumber(port)}"] * WORKERS)

    def test_groups(self) -> None:
        """Each worker inherits all sockets, and its listeners have the descriptors of its own."""
        ports = [self.stream("tcp:0:interface=127.0.0.1"), self.stream(f"unix:{self.mktemp()}")]
        descriptors = self.listeners.descriptors(FIRST)
        self.assertEqual(list(descriptors), list(range(FIRST, FIRST + WORKERS + 1)))
        groups = self.listeners.groupsFor(1, FIRST)
        for port, [listener] in zip(ports, groups, strict=True):
            assert listener.passed is not None
            self.assertEqual(
                descriptors[listener.passed.descriptor], self.sockets(port)[1].fileno()
            )
        [[listener], _] = groups
        self.assertEqual((listener.service, listener.carrier), ("echo", "tcp"))
        self.assertEqual(listener.displayName, "tcp:0:interface=127.0.0.1")

    def test_status(self) -> None:
        """The status listener is the supervisor's own, and not passed to workers."""
        [listener] = parseListener("status", "tcp:9100")
        self.listeners.openStream(self.reactor, listener, Factory())
        self.assertEqual(self.statuses, [listener])
        self.assertEqual(
            (self.listeners.groupsFor(0, FIRST), self.listeners.descriptors(FIRST)), ([], {})
        )

    def test_stop(self) -> Any:
        """A port has stopped when its sockets are closed and then the workers have drained."""
        port = self.stream("tcp:0:interface=127.0.0.1")
        self.open.clear()
        ended = port.stopListening()
        self.assertEqual(self.drains, [])

        def closed(_: object) -> None:
            self.assertEqual([own.connected for own in port._ports], [False] * WORKERS)
            self.assertNoResult(ended)
            self.drains[0].callback(None)

        waiting: Any = Deferred()
        self.reactor.callLater(0, waiting.callback, None)
        return waiting.addCallback(closed).addCallback(lambda _: ended)
