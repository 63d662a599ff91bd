from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from echoproto.server.config.listeners import Listener, parseListener
from echoproto.server.ports import Platform
from echoproto.server.systemd import PassedSocket
from echoproto.server.workers.sharedsockets import SharedListeners, SharedPort

WORKERS = 3
FIRST = 10


class HeldTests(TestCase):
    """On the machine's own sockets, as what is held is what the kernel does with them."""

    timeout = 300

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.stopped: list[Deferred[None]] = []
        self.statuses: list[Listener] = []
        noted: Any = self.statuses.append
        machine = Platform(openStream=lambda reactor, listener, factory: noted(listener))
        self.held = SharedListeners(WORKERS, self._workersStop, machine)
        self.open: list[Any] = []

    def _workersStop(self) -> Deferred[None]:
        self.stopped.append(Deferred())
        return self.stopped[-1]

    def tearDown(self) -> None:
        for port in self.open:
            port.connectionLost(Failure(ConnectionDone()))

    def stream(self, text: str, passed: list[PassedSocket] | None = None) -> SharedPort:
        [listener] = parseListener("echo", text, passed=passed or [])
        port: Any = self.held.openStream(self.reactor, listener, Factory())
        self.open.append(port)
        return port  # type: ignore[no-any-return]

    def sockets(self, port: SharedPort) -> list[socket.socket]:
        return [port.sockets()[worker % len(port.sockets())] for worker in range(WORKERS)]

    def test_stream(self) -> None:
        """Each worker has a socket of its own at the place, also where the kernel picked the port; none is read by us."""
        port = self.stream("tcp:0:interface=127.0.0.1")
        verifyObject(IListeningPort, port)
        port.startListening()
        made = self.sockets(port)
        self.assertEqual(len({each.fileno() for each in made}), WORKERS)
        self.assertEqual(
            {each.getsockname() for each in made}, {("127.0.0.1", port.getHost().port)}
        )
        self.assertFalse([each for each in self.reactor.getReaders() if each in port._ports])

    def test_spread(self) -> None:
        """The kernel spreads connections over the workers' sockets."""
        port = self.stream("tcp:0:interface=127.0.0.1")
        address = ("127.0.0.1", port.getHost().port)
        clients = [socket.create_connection(address) for _ in range(100)]
        accepted = 0
        for each in self.sockets(port):
            taken = 0
            while True:
                try:
                    each.accept()[0].close()
                except BlockingIOError:
                    break
                taken += 1
            self.assertGreater(taken, 0)
            accepted += taken
        for client in clients:
            client.close()
        self.assertEqual(accepted, 100)

    def test_taken(self) -> None:
        """A place that somebody else has is an error, and nothing is left open."""
        with (
            socket.create_server(("127.0.0.1", 0)) as other,
            self.assertRaises(CannotListenError),
        ):
            self.stream(f"tcp:{other.getsockname()[1]}:interface=127.0.0.1")
        self.assertEqual((self.held.groupsFor(0, FIRST), self.held.descriptors(FIRST)), ([], {}))

    def test_takenByAnother(self) -> None:
        """So is one that another supervisor shares among its workers: the kernel would share it with ours too."""
        number = self.stream("tcp:0:interface=127.0.0.1").getHost().port
        another = SharedListeners(WORKERS, self._workersStop, Platform())
        [listener] = parseListener("echo", f"tcp:{number}:interface=127.0.0.1")
        with self.assertRaises(CannotListenError):
            another.openStream(self.reactor, listener, Factory())
        [listener] = parseListener("echo", f"udp:{number}:interface=127.0.0.1")
        self.open.append(self.held.openDatagrams(self.reactor, listener, None))
        with self.assertRaises(OSError):
            another.openDatagrams(self.reactor, listener, None)

    def test_unix(self) -> None:
        """A UNIX socket is one for all workers."""
        port = self.stream(f"unix:{self.mktemp()}")
        self.assertEqual(len({each.fileno() for each in self.sockets(port)}), 1)

    def test_passed(self) -> None:
        """So is one that systemd has passed, for streams and for datagrams."""
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
                    port = self.held.openDatagrams(self.reactor, listener, None)
                    self.open.append(port)
                self.assertEqual(port.getHost().port, bound.getsockname()[1])
                self.assertEqual(len({each.fileno() for each in self.sockets(port)}), 1)

    def test_datagrams(self) -> None:
        """Each worker has a socket for datagrams too."""
        [listener] = parseListener("echo", "udp:0:interface=127.0.0.1")
        port: Any = self.held.openDatagrams(self.reactor, listener, None)
        self.open.append(port)
        made = self.sockets(port)
        self.assertEqual(
            {each.getsockname() for each in made}, {("127.0.0.1", port.getHost().port)}
        )
        self.assertEqual(len({each.fileno() for each in made}), WORKERS)

    def test_groups(self) -> None:
        """All inherit all sockets; each is told its listeners, a group each, by the numbers of its own."""
        ports = [self.stream("tcp:0:interface=127.0.0.1"), self.stream(f"unix:{self.mktemp()}")]
        descriptors = self.held.descriptors(FIRST)
        self.assertEqual(list(descriptors), list(range(FIRST, FIRST + WORKERS + 1)))
        groups = self.held.groupsFor(1, FIRST)
        for port, [each] in zip(ports, groups, strict=True):
            assert each.passed is not None
            self.assertEqual(descriptors[each.passed.descriptor], self.sockets(port)[1].fileno())
        [[listener], _] = groups
        self.assertEqual((listener.service, listener.carrier), ("echo", "tcp"))
        self.assertEqual(listener.displayName, "tcp:0:interface=127.0.0.1")

    def test_status(self) -> None:
        """The status listener is the supervisor's own and is told no worker."""
        [listener] = parseListener("status", "tcp:9100")
        self.held.openStream(self.reactor, listener, Factory())
        self.assertEqual(self.statuses, [listener])
        self.assertEqual((self.held.groupsFor(0, FIRST), self.held.descriptors(FIRST)), ([], {}))

    def test_stop(self) -> Any:
        """A place is stopped when our sockets are closed, and then the workers have stopped."""
        port = self.stream("tcp:0:interface=127.0.0.1")
        self.open.clear()
        ended = port.stopListening()
        self.assertEqual(self.stopped, [])

        def closed(_: object) -> None:
            self.assertEqual([each.connected for each in port._ports], [False] * WORKERS)
            self.assertNoResult(ended)
            self.stopped[0].callback(None)

        waiting: Any = Deferred()
        self.reactor.callLater(0, waiting.callback, None)
        return waiting.addCallback(closed).addCallback(lambda _: ended)
