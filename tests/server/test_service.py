from __future__ import annotations

from collections.abc import Callable
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from os import strerror
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyClass

from echoproto.echo import EchoDatagrams, EchoFactory
from echoproto.errors import CannotStart
from echoproto.greeting import GreetingDatagrams, GreetingFactory
from echoproto.server.descriptions import Listener, listenersFor
from echoproto.server.opening import Machine
from echoproto.server.service import EchoprotoService
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS


def failed(number: int) -> OSError:
    """What the kernel fails with."""
    return OSError(number, strerror(number))


@implementer(IListeningPort)
class FakePort:
    """A listening port that notes how it was closed."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.closed = ""
        self.stopError: OSError | None = None
        self.onRead: Callable[[], None] = lambda: None

    def startListening(self) -> None:
        raise NotImplementedError

    def doRead(self) -> None:
        self.onRead()

    def stopListening(self) -> Deferred[None]:
        self.closed = "stopped"
        return succeed(None) if self.stopError is None else fail(self.stopError)

    def connectionLost(self, reason: Any) -> None:
        self.closed = "abandoned"

    def getHost(self) -> Any:
        make = IPv6Address if ":" in self.listener.interface else IPv4Address
        return make("TCP", self.listener.interface, self.listener.port or 0)


verifyClass(IListeningPort, FakePort)


class FakeMachine:
    """Opens nothing and notes everything; fails for the listeners that it was told to."""

    def __init__(self, ipv6: bool = True) -> None:
        self.ipv6 = ipv6
        self.opened: list[tuple[FakePort, Any]] = []
        self.failing: dict[str, Exception] = {}
        self.picked: list[list[str]] = []
        self.noPort: Exception | None = None
        self.complaints: list[str] = []

    def open(self, reactor: Any, listener: Listener, serving: Any) -> IListeningPort:
        for part, error in self.failing.items():
            if part in listener.description:
                raise error
        port = FakePort(listener)
        self.opened.append((port, serving))
        return port

    def pickPort(self, interfaces: Any) -> int:
        if self.noPort is not None:
            raise self.noPort
        self.picked.append(list(interfaces))
        return 40_000 + len(self.picked)

    def machine(self) -> Machine:
        return Machine(
            self.open, self.open, lambda: self.ipv6, self.pickPort, self.complaints.append
        )


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.fake = FakeMachine()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def service(self, *groups: list[Listener], **options: Any) -> EchoprotoService:
        return EchoprotoService(self.reactor, groups, machine=self.fake.machine(), **options)

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.log]

    def test_opensEach(self) -> None:
        """Every listener is opened with its service on its carrier, and is one log line."""
        echo, greeting = listenersFor("echo", "7"), listenersFor("greeting", "8")
        self.service(echo, greeting).privilegedStartService()
        self.assertEqual(
            [type(serving) for _, serving in self.fake.opened],
            [EchoFactory, EchoDatagrams] * 2 + [GreetingFactory, GreetingDatagrams] * 2,
        )
        self.assertEqual(self.logged(), [])
        self.reactor.run()
        self.assertEqual(self.logged()[0], "echo is listening on tcp 0.0.0.0:7")
        self.assertEqual(self.logged()[-1], "greeting is listening on udp [::]:8")

    def test_startWithoutPrivileged(self) -> None:
        """Started without the privileged part, as twist does, it opens its listeners all the same, once."""
        service = self.service(listenersFor("echo", "7"))
        service.startService()
        self.assertEqual(len(self.fake.opened), 4)
        other = self.service(listenersFor("echo", "7"))
        other.privilegedStartService()
        other.startService()
        self.assertEqual(len(self.fake.opened), 8)

    def test_options(self) -> None:
        """The text and the rate reach the services; one admission serves all datagram listeners."""
        listeners = listenersFor("greeting", "7")
        self.service(listeners, greeting=b"Moin", datagramRate=0.0).startService()
        (_, streams), (_, first), _, (_, second) = self.fake.opened
        self.assertEqual((streams.text, first.text), (b"Moin", b"Moin"))
        self.assertIs(first.admission, second.admission)
        self.assertIsNone(first.admission._buckets)

    def test_withoutIPv6(self) -> None:
        """Where the machine has no IPv6 a bare number is on IPv4 alone; what was asked for by name is not left out."""
        self.fake.ipv6 = False
        self.service(listenersFor("echo", "7"), listenersFor("echo", "8", ("::1",))).startService()
        self.assertEqual(
            [port.listener.interface for port, _ in self.fake.opened],
            ["0.0.0.0", "0.0.0.0", "::1", "::1"],
        )

    def test_portZero(self) -> None:
        """Port 0 is one port that is free everywhere, one for each service."""
        self.service(listenersFor("echo", "0"), listenersFor("greeting", "0")).startService()
        self.assertEqual(self.fake.picked, [["0.0.0.0", "::"]] * 2)
        self.assertEqual(
            [port.listener.port for port, _ in self.fake.opened], [40_001] * 4 + [40_002] * 4
        )
        self.assertIn("tcp:40001:", self.fake.opened[0][0].listener.description)

    def test_allOrNone(self) -> None:
        """When one listener cannot be opened those that were are closed, and one line says why."""
        error = CannotListenError("0.0.0.0", 8, failed(EADDRINUSE))
        self.fake.failing["udp:8"] = error
        service = self.service(listenersFor("echo", "7"), listenersFor("greeting", "8"))
        with self.assertRaises(CannotStart) as raised:
            service.privilegedStartService()
        message = (
            "greeting cannot listen on udp 0.0.0.0:8: Address already in use; "
            "stop what listens there, or choose another place"
        )
        self.assertEqual(str(raised.exception), message)
        self.assertEqual([port.closed for port, _ in self.fake.opened], ["abandoned"] * 5)
        self.assertEqual(self.fake.complaints, [message])

    def test_portZeroTakenMeanwhile(self) -> None:
        """Where a picked port is taken before all its listeners are open, another is picked for all."""
        self.fake.failing["udp:40001"] = CannotListenError("", 40_001, failed(EADDRINUSE))
        self.service(listenersFor("echo", "0")).startService()
        self.assertEqual(
            [(port.listener.port, port.closed) for port, _ in self.fake.opened],
            [(40_001, "abandoned")] + [(40_002, "")] * 4,
        )

    def test_noFreePort(self) -> None:
        """Where no port is free on all carriers that is said in one line, too."""
        self.fake.noPort = failed(EADDRINUSE)
        with self.assertRaises(CannotStart) as raised:
            self.service(listenersFor("echo", "0")).privilegedStartService()
        self.assertIn("echo cannot listen on tcp 0.0.0.0:0", str(raised.exception))

    def test_twoZeros(self) -> None:
        """Two bare 0 are two ports, each the same on all its listeners."""
        self.service(listenersFor("echo", "0"), listenersFor("echo", "0")).startService()
        self.assertEqual(
            [port.listener.port for port, _ in self.fake.opened], [40_001] * 4 + [40_002] * 4
        )

    def test_portZeroOnAnotherMachinesAddress(self) -> None:
        """Where no port can be picked, the address that cannot be had is named."""
        self.fake.noPort = CannotListenError("192.0.2.1", 0, failed(EADDRNOTAVAIL))
        listeners = listenersFor("echo", "0", ("127.0.0.1", "192.0.2.1"))
        with self.assertRaises(CannotStart) as raised:
            self.service(listeners).privilegedStartService()
        self.assertIn("cannot listen on tcp 192.0.2.1:0: Cannot", str(raised.exception))

    def test_stopTwice(self) -> None:
        """A second stop is over when the first is."""
        service = self.service(listenersFor("echo", "7"))
        service.startService()
        factory = self.fake.opened[0][1]
        pair = StreamPair(RecordingProtocol(), factory.buildProtocol(CLIENT_ADDRESS))
        stops = [service.stopService(), service.stopService()]
        self.assertNoResult(stops[1])
        pair.client.loseConnection()
        pair.pump()
        for stop in stops:
            self.successResultOf(stop)

    def test_failingToClose(self) -> None:
        """A listener that does not close cleanly is one log line, and does not cut the drain."""
        service = self.service(listenersFor("echo", "7"))
        service.startService()
        port, factory = self.fake.opened[0]
        port.stopError = failed(EACCES)
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        stopped = service.stopService()
        self.assertNoResult(stopped)
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.assertIn(
            "echo did not close tcp 0.0.0.0:7 cleanly: [Errno 13] Permission denied", self.logged()
        )

    def test_acceptsWhatWaits(self) -> None:
        """Stopped, it first takes the connections that its listeners hold."""
        service = self.service(listenersFor("echo", "7"))
        service.startService()
        port, factory = self.fake.opened[0]
        directlyProvides(port, IReadDescriptor)
        taken: list[bool] = []
        port.onRead = lambda: taken.append(factory.sweep.draining)
        self.successResultOf(service.stopService())
        self.assertEqual(set(taken), {False})

    def test_stop(self) -> None:
        """Stopped, it closes every listener, drains what is open, and is over when nothing is left."""
        service = self.service(listenersFor("echo", "7"))
        service.startService()
        factory = self.fake.opened[0][1]
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        stopped = service.stopService()
        self.assertEqual({port.closed for port, _ in self.fake.opened}, {"stopped"})
        self.assertNoResult(stopped)
        client.link.write(b"last words")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"last words")
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
