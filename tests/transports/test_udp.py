from __future__ import annotations

import socket
from errno import EAGAIN, ECONNREFUSED, EHOSTUNREACH, ENOMEM, ENOPROTOOPT
from select import select
from typing import Any, cast
from unittest import mock

from twisted.internet.error import CannotListenError, ConnectionDone, InvalidAddressError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import Self

from echoproto.addresses import MAX_IPV6_DATAGRAM, AddressFilter
from echoproto.protocols.admission import DatagramAdmission, Refusal
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import DatagramWire, RecordingObserver
from echoproto.transports import udp
from echoproto.transports.pktinfo import Ancillary
from echoproto.transports.serversocket import boundAddress, setServerOptions
from echoproto.transports.udp import (
    DATAGRAMS_PER_TURN,
    DatagramPort,
    listenDatagrams,
)
from tests.transports.test_pktinfo import DESTINATION, IP_PKTINFO, pktinfo, pktinfo6

PEER = ("192.0.2.1", 40_000)


class FakeSocket:
    """Receives the contents of ``waiting``, and records sent datagrams."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.waiting: list[OSError | tuple[bytes, list[Ancillary], int, Any]] = []
        self.sent: list[tuple[bytes, list[Ancillary], Any]] = []
        self.error = 0
        self.bound = "0.0.0.0"
        self.option: Any = None

    def setsockopt(self, *option: int) -> None:
        self.option = option

    def recvmsg(self, size: int, ancillarySize: int) -> Any:
        if not self.waiting:
            raise OSError(EAGAIN, "nothing waits")
        next = self.waiting.pop(0)
        if isinstance(next, OSError):
            raise next
        data, ancillary, flags, addr = next
        return data[:size], ancillary, flags, addr

    def recvfrom(self, size: int) -> Any:
        data, _, _, addr = self.recvmsg(size, 0)
        return data, addr

    def sendto(self, data: bytes, to: Any) -> None:
        self.sent.append((data, [], to))

    def sendmsg(self, data: list[bytes], ancillary: list[Ancillary], flags: int, to: Any) -> None:
        self.sent.append((b"".join(data), ancillary, to))

    def send(self, data: bytes) -> None:
        self.sent.append((data, [], None))

    def bind(self, address: Any) -> None:
        pass

    def getsockname(self) -> Any:
        return (self.bound, 7777)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fileno(self) -> int:
        return 3

    def connect(self, address: Any) -> None:
        pass

    def getsockopt(self, level: int, option: int, size: int = 0) -> int:
        """Return and clear the pending socket error; there are no other options."""
        if size:
            raise OSError(ENOPROTOOPT, "x")
        error, self.error = self.error, 0
        return error

    def close(self) -> None:
        pass


class FakeSocketPort(DatagramPort):
    def createInternetSocket(self) -> socket.socket:
        return cast(socket.socket, FakeSocket())


class RecordingEcho(DatagramProtocol):
    """Echoes and records received datagrams."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0

    def connectionRefused(self) -> None:
        self.refused += 1

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))
        cast(Any, self.transport).write(datagram, addr)


class Failing(DatagramProtocol):
    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        raise ZeroDivisionError

    def connectionRefused(self) -> None:
        raise ZeroDivisionError


class Closing(DatagramProtocol):
    """Closes its port when it receives ``stop``."""

    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram == b"stop":
            cast(Any, self.transport).connectionLost()


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.port, self.protocol = self.listening(RecordingEcho())

    def listening(self, protocol: DatagramProtocol) -> tuple[Any, Any]:
        reactor = MemoryReactorClock()
        port = FakeSocketPort(7777, protocol, reactor=cast(Any, reactor))
        DatagramPort.startListening(port)
        return port, protocol

    def receive(self, *datagrams: Any) -> None:
        self.port.socket.waiting += datagrams
        self.port.doRead()

    def test_replySource(self) -> None:
        """A reply is sent from the destination address of the request, whatever the interface."""
        self.receive((b"hi", [pktinfo()], 0, PEER))
        expected = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + DESTINATION + bytes(4))
        self.assertEqual(self.port.socket.sent, [(b"hi", [expected], PEER)])

    def test_laterWrites(self) -> None:
        """For a write outside of a receive the kernel chooses the source address."""
        self.receive((b"hi", [pktinfo()], 0, PEER))
        self.port.write(b"later", PEER)
        self.assertEqual(self.port.socket.sent[-1], (b"later", [], PEER))

    def bound(self, address: str, maxPacketSize: int = MAX_IPV6_DATAGRAM) -> Any:
        """A port bound to one address."""
        port, _ = self.listening(RecordingEcho())
        port.maxPacketSize = maxPacketSize
        port.socket.bound = address
        port._bound = boundAddress(port.socket)
        self.port = port
        return port

    def test_oneAddress(self) -> None:
        """A port on one address stops requesting destinations after the first unicast datagram."""
        port = self.bound("192.0.2.9")
        self.receive((b"one", [pktinfo()], 0, PEER), (b"two", [pktinfo()], 0, PEER))
        self.assertEqual(port.socket.option, (socket.IPPROTO_IP, IP_PKTINFO, 0))
        self.receive((b"three", [], 0, PEER))
        self.assertEqual(port.socket.sent[2], (b"three", [], PEER))
        with self.assertRaises(InvalidAddressError):
            port.write(b"hi", ("localhost", 7))

    def test_oneAddressErrors(self) -> None:
        """On such a port too, errors are logged or counted, and a turn is bounded."""
        port = self.bound("192.0.2.9")
        self.receive((b"one", [pktinfo()], 0, PEER))
        failing = mock.patch.object(self.port.protocol, "datagramReceived", side_effect=KeyError)
        with failing:
            self.receive((b"two", [], 0, PEER), OSError(ENOMEM, "memory"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(port.receiveErrors, {"receive ENOMEM": 1})
        self.receive(*[(b"x", [], 0, PEER)] * (DATAGRAMS_PER_TURN + 1))
        self.assertEqual(len(port.socket.waiting), 1)

    def test_otherAddresses(self) -> None:
        """A port on a group, on all addresses or for short datagrams still requests them."""
        for address, size in (
            ("224.0.0.1", MAX_IPV6_DATAGRAM),
            ("0.0.0.0", MAX_IPV6_DATAGRAM),
            ("192.0.2.9", 8192),
        ):
            port = self.bound(address, size)
            self.receive((b"one", [pktinfo()], 0, PEER))
            self.assertFalse(port._oneAddress)

    def test_names(self) -> None:
        """Writing to a host name is an error: a lookup would block the reactor."""
        with self.assertRaises(InvalidAddressError):
            self.port.write(b"hi", ("localhost", 7))
        self.assertEqual(self.port.socket.sent, [])
        for host in ("::1", "<broadcast>"):
            self.port.write(b"hi", (host, 7))
        self.assertEqual(len(self.port.socket.sent), 2)

    def test_connected(self) -> None:
        """A connected port sends without an explicit source, also during a receive."""
        self.port.connect(*PEER)
        self.receive((b"hi", [pktinfo()], 0, PEER))
        self.assertEqual(self.port.socket.sent, [(b"hi", [], None)])

    def test_connectToName(self) -> None:
        """A port cannot be connected to a name, because a lookup would block the reactor."""
        with self.assertRaises(InvalidAddressError):
            self.port.connect("localhost", 7)

    def test_linkLocal(self) -> None:
        """A link-local address is connected and written to with its scope."""
        scope = socket.if_nametoindex("lo")
        connected: list[Any] = []
        self.port.addressFamily = socket.AF_INET6
        self.port.socket.connect = connected.append
        self.port.write(b"hi", ("fe80::1%lo", 7))
        self.port.connect("fe80::1%lo", 7)
        address = ("fe80::1", 7, 0, scope)
        self.assertEqual((self.port.socket.sent, connected), ([(b"hi", [], address)], [address]))

    def test_wholeAddress(self) -> None:
        """An IPv6 source includes flow and scope, and the reply goes there."""
        peer = ("fe80::1", 40_000, 0, 2)
        self.receive((b"hi", [pktinfo6("fe80::2", 2)], 0, peer))
        self.assertEqual(self.protocol.received, [(b"hi", peer)])
        self.assertEqual(self.port.socket.sent, [(b"hi", [pktinfo6("fe80::2", 2)], peer)])

    def test_emptyDatagrams(self) -> None:
        """Empty datagrams are received and count towards the limit of a turn."""
        self.receive(*[(b"", [], 0, PEER)] * (DATAGRAMS_PER_TURN + 1))
        self.assertEqual(len(self.protocol.received), DATAGRAMS_PER_TURN)
        self.port.doRead()
        self.assertEqual(len(self.protocol.received), DATAGRAMS_PER_TURN + 1)

    def test_shortAfterLong(self) -> None:
        """A short datagram after a long one contains no data of the long one."""
        self.receive((b"long one", [], 0, PEER), (b"s", [], 0, PEER))
        self.assertEqual([data for data, _ in self.protocol.received], [b"long one", b"s"])

    def test_receiveErrors(self) -> None:
        """A failed receive is counted and ends the turn; the next turn continues."""
        self.receive(OSError(ENOMEM, "x"), OSError(ECONNREFUSED, "x"), (b"hi", [], 0, PEER))
        self.port.doRead()
        self.port.doRead()
        self.assertEqual(self.port.receiveErrors, {"receive ENOMEM": 1, "receive ECONNREFUSED": 1})
        self.assertEqual(self.protocol.received, [(b"hi", PEER)])

    def test_truncated(self) -> None:
        """A truncated datagram is dropped and counted."""
        self.receive((b"cut", [], socket.MSG_TRUNC, PEER))
        self.assertEqual(self.port.receiveErrors, {"receive truncated": 1})
        self.assertEqual(self.protocol.received, [])

    def test_sentToAGroup(self) -> None:
        """A datagram to a broadcast or multicast address is dropped and counted."""
        self.receive((b"all", [pktinfo(header=socket.inet_aton("255.255.255.255"))], 0, PEER))
        self.assertEqual(self.port.receiveErrors, {"receive sent to a group": 1})
        self.assertEqual(self.protocol.received, [])

    def test_failingProtocol(self) -> None:
        """Exceptions of the protocol are logged, and the next datagram is received."""
        self.port, _ = self.listening(Failing())
        self.receive((b"a", [], 0, PEER), (b"b", [], 0, PEER))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.port.connect(*PEER)
        self.receive(OSError(ECONNREFUSED, "x"), (b"c", [], 0, PEER))
        self.port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_networkError(self) -> None:
        """On a connected port a network error is reported to the protocol; the port stays open."""
        self.port.connect(*PEER)
        self.receive(OSError(EHOSTUNREACH, "x"))
        self.port.socket.error = ECONNREFUSED
        self.port.stopReading()
        self.port.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.protocol.refused, 2)
        self.assertEqual(
            self.port.receiveErrors, {"receive EHOSTUNREACH": 1, "receive ECONNREFUSED": 1}
        )
        self.receive((b"hi", [], 0, PEER))
        self.assertIn(self.port, self.port.reactor.getReaders())

    def test_networkErrorOfASend(self) -> None:
        """A socket error already returned by a send is not reported again."""
        self.port.connect(*PEER)
        self.port.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.protocol.refused, self.port.receiveErrors), (0, {}))
        self.assertIn(self.port, self.port.reactor.getReaders())

    def test_networkErrorUnconnected(self) -> None:
        """On an unconnected port a network error is only counted."""
        self.receive(OSError(EHOSTUNREACH, "x"))
        self.assertEqual(self.port.receiveErrors, {"receive EHOSTUNREACH": 1})
        self.assertEqual(self.protocol.refused, 0)

    def test_closing(self) -> None:
        """A port closed during a turn ends it, with and without destinations."""
        for bound in ("0.0.0.0", "192.0.2.9"):
            self.port, _ = self.listening(Closing())
            fake = self.port.socket
            self.port._bound = b"" if bound == "0.0.0.0" else DESTINATION
            self.receive((b"first", [pktinfo()], 0, PEER))
            fake.waiting += [(b"stop", [pktinfo()], 0, PEER), (b"late", [pktinfo()], 0, PEER)]
            self.port.doRead()
            self.assertEqual([datagram[0] for datagram in fake.waiting], [b"late"], bound)


class SocketTests(SynchronousTestCase):
    """Options of real sockets; nothing is sent."""

    def listening(self, interface: str) -> IListeningPort:
        reactor: Any = MemoryReactorClock()
        port = listenDatagrams(reactor, 0, RecordingEcho(), interface)
        self.addCleanup(cast(Any, port).connectionLost)
        return port

    def test_IPv4(self) -> None:
        """An IPv4 port requests the destination of every datagram."""
        handle = cast(Any, self.listening("127.0.0.1")).getHandle()
        self.assertEqual(handle.getsockopt(socket.IPPROTO_IP, IP_PKTINFO), 1)
        self.assertEqual(cast(Any, self.listening("127.0.0.1")).getHost().host, "127.0.0.1")

    def test_IPv6(self) -> None:
        """An IPv6 port requests it too, and is limited to IPv6."""
        handle = cast(Any, self.listening("::1")).getHandle()
        options = (socket.IPV6_RECVPKTINFO, socket.IPV6_V6ONLY)
        self.assertEqual([handle.getsockopt(socket.IPPROTO_IPV6, o) for o in options], [1, 1])

    def test_adopted(self) -> None:
        """A port adopted from a bound socket listens on a duplicate of it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            adopt = cast(Any, DatagramPort)._fromListeningDescriptor
            reactor = MemoryReactorClock()
            port = adopt(reactor, bound.fileno(), bound.family, RecordingEcho(), MAX_IPV6_DATAGRAM)
            port.startListening()
            self.addCleanup(port.connectionLost)
            self.assertEqual(port.getHost().port, bound.getsockname()[1])

    def test_unavailable(self) -> None:
        """An unavailable address raises CannotListenError."""
        with self.assertRaises(CannotListenError) as raised:
            self.listening("192.0.2.1")
        self.assertEqual(raised.exception.interface, "192.0.2.1")

    def test_others(self) -> None:
        """
        A connected port can report datagrams from other addresses, until it is told to stop or is
        closed; those of its peer are its own.
        """
        received: list[Any] = []
        port: Any = self.listening("127.0.0.1")
        other, peer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for made in (other, peer):
            made.bind(("127.0.0.1", 0))
            self.addCleanup(made.close)
        port.connect(*peer.getsockname())
        port.reportOthers(lambda *datagram: received.append(datagram))
        reporting = port._others
        self.addCleanup(reporting.connectionLost)
        for made in (other, peer):
            made.sendto(b"hi", port.socket.getsockname())
        reporting.doRead()
        port.doRead()
        self.assertEqual(received, [(b"hi", other.getsockname())])
        self.assertEqual(port.protocol.received, [(b"hi", peer.getsockname())])
        port.stopListening()
        self.assertIsNone(port._others)

    def test_noOthers(self) -> None:
        """Without a second socket nothing is reported."""
        port: Any = self.listening("127.0.0.1")
        with mock.patch.object(
            DatagramPort, "startListening", side_effect=CannotListenError("", 0, OSError())
        ):
            port.reportOthers(lambda *datagram: None)
        self.assertIsNone(port._others)

    def test_reactorWithOwnPorts(self) -> None:
        """If the reactor itself has listenDatagrams(), that is used."""
        wire = DatagramWire()
        self.assertIs(listenDatagrams(wire, 7, RecordingEcho()), wire.ports["127.0.0.1", 7])

    def test_size(self) -> None:
        """The port accepts datagrams of the maximum size."""
        self.assertEqual(MAX_IPV6_DATAGRAM, 65_535 - 8)
        self.assertEqual(cast(Any, self.listening("127.0.0.1")).maxPacketSize, MAX_IPV6_DATAGRAM)


class EchoPromises:
    """
    What the echo service does with datagrams, on sockets of the loopback interface, where a
    datagram has arrived when it is sent. Run with batches and without.
    """

    batches: bool

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        test = cast(SynchronousTestCase, self)
        if not self.batches:
            test.patch(udp, "datagramBatch", lambda *_: None)

    def listening(self, interface: str = "127.0.0.1", **admission: Any) -> Any:
        """A port with the echo service, whose admission has these options."""
        self.admission = DatagramAdmission(self.clock.seconds, **admission)
        self.service = EchoDatagramProtocol(self.clock, self.observer, self.admission)
        port: Any = listenDatagrams(cast(Any, MemoryReactorClock()), 0, self.service, interface)
        cast(SynchronousTestCase, self).addCleanup(lambda: port.connected and port.connectionLost())
        cast(SynchronousTestCase, self).assertEqual(port._batches is not None, self.batches)
        return port

    def turn(self, port: Any) -> None:
        """A turn of a port that is busy, or not."""
        port._isBusy = self.batches
        port.doRead()

    def client(self, interface: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM)
        cast(SynchronousTestCase, self).addCleanup(made.close)
        made.setblocking(False)
        made.bind((interface, 0))
        return made

    def received(self, client: socket.socket) -> list[bytes]:
        """Everything that has arrived."""
        found: list[bytes] = []
        while select([client], [], [], 0)[0]:
            found.append(client.recv(70_000))
        return found

    def test_sizes(self: Any) -> None:
        """Datagrams of every size are echoed whole, in order, on both families."""
        sizes = (0, 1, 1472, 2049, 8193, 65_507)
        for interface in ("127.0.0.1", "0.0.0.0", "::1", "::"):
            host = "::1" if ":" in interface else "127.0.0.1"
            port, client = self.listening(interface), self.client(host)
            for _ in range(2):
                texts = [bytes([size % 251]) * size for size in sizes]
                for text in texts:
                    client.sendto(text, (host, port.getHost().port))
                for _ in sizes:
                    self.turn(port)
                self.assertEqual(self.received(client), texts, interface)
            totals = self.service.totals()
            counts = (totals.received, totals.answered, totals.bytesReceived, totals.bytesSent)
            self.assertEqual(counts, (12, 12, 2 * sum(sizes), 2 * sum(sizes)))

    def test_replySources(self: Any) -> None:
        """On every address, each datagram is answered from the one that it was sent to."""
        port, client = self.listening("0.0.0.0"), self.client()
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.3.2.1", "127.0.0.1"]
        for host in hosts:
            client.sendto(host.encode(), (host, port.getHost().port))
        self.turn(port)
        replies = [client.recvfrom(100) for _ in hosts]
        self.assertEqual(
            [(text.decode(), source[0]) for text, source in replies],
            [(host, host) for host in hosts],
        )

    def test_broadcast(self: Any) -> None:
        """A datagram to a broadcast address is not answered, and counted as an error."""
        port, client = self.listening("0.0.0.0"), self.client()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for host in ("127.255.255.255", "127.0.0.1", "127.255.255.255"):
            client.sendto(host.encode(), (host, port.getHost().port))
        self.turn(port)
        self.assertEqual(self.received(client), [b"127.0.0.1"])
        totals = self.service.totals()
        self.assertEqual((totals.received, totals.errors), (1, {"receive sent to a group": 2}))

    def test_mapped(self: Any) -> None:
        """IPv4 on a socket of IPv6 is answered from its address, within the rate of IPv4."""
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setblocking(False)
        made.bind(("::", 0))
        setServerOptions(made)
        self.admission = DatagramAdmission(self.clock.seconds, rate=2.0)
        service = EchoDatagramProtocol(self.clock, admission=self.admission)
        adopt = cast(Any, DatagramPort)._fromListeningDescriptor
        port = adopt(MemoryReactorClock(), made.fileno(), made.family, service, MAX_IPV6_DATAGRAM)
        port.startListening()
        self.addCleanup(port.connectionLost)
        self.assertEqual(port._batches is not None, self.batches)
        client = self.client()
        client.connect(("127.0.0.2", made.getsockname()[1]))
        for text in (b"1", b"2", b"3"):
            client.send(text)
        self.turn(port)
        self.assertEqual(self.received(client), [b"1", b"2"])
        self.assertIs(self.admission.refusal("127.0.0.1", 40_000), Refusal.RATE)

    def test_refused(self: Any) -> None:
        """Refused source ports, our own ports and denied networks are not answered, but counted."""
        looping, own, good = (self.client() for _ in range(3))
        denied = self.client("127.0.0.9")
        port = self.listening(
            refusedPorts=[looping.getsockname()[1]], networks=AddressFilter(deny=["127.0.0.9"])
        )
        good.sendto(b"0", port.socket.getsockname())
        own.sendto(b"before", port.socket.getsockname())
        self.turn(port)
        self.admission.addOwnPort(own.getsockname()[1])
        for client in (looping, good, own, denied, good):
            client.sendto(b"x", port.socket.getsockname())
        self.turn(port)
        self.assertEqual([self.received(c) for c in (looping, denied)], [[], []])
        self.assertEqual([self.received(c) for c in (own, good)], [[b"before"], [b"0", b"x", b"x"]])
        refused = {
            Refusal.LOOPING_PORT.value: 1,
            Refusal.OWN_PORT.value: 1,
            Refusal.DENIED.value: 1,
        }
        self.assertEqual(self.service.totals().refused, refused)

    def test_rate(self: Any) -> None:
        """A source has one rate for all its ports, and other sources have theirs."""
        port = self.listening(rate=3.0)
        one, same, other = self.client(), self.client(), self.client("127.0.0.2")
        for _ in range(2):
            for client in (one, same, one, same, other):
                client.sendto(b"x", port.socket.getsockname())
            self.turn(port)
            self.assertEqual([len(self.received(c)) for c in (one, same, other)], [2, 1, 1])
            self.clock.advance(1)
        self.assertEqual(self.service.totals().refused, {Refusal.RATE.value: 2})

    def test_noLimit(self: Any) -> None:
        """Without a limit of the rate all datagrams are answered."""
        port, client = self.listening(rate=0), self.client()
        for _ in range(100):
            client.sendto(b"x", port.socket.getsockname())
        for _ in range(4):
            self.turn(port)
        self.assertEqual(len(self.received(client)), 100)

    def test_heldUp(self: Any) -> None:
        """Datagrams that arrived while the process was held up are answered in the next turns."""
        port, client = self.listening(), self.client()
        texts = [b"%d" % number for number in range(150)]
        for text in texts:
            client.sendto(text, port.socket.getsockname())
        self.turn(port)
        first = self.received(client)
        self.assertTrue(0 < len(first) < len(texts))
        for _ in range(5):
            self.turn(port)
        self.assertEqual(first + self.received(client), texts)

    def test_closedClient(self: Any) -> None:
        """A client that is gone is an error of the network, and the next one is answered."""
        port, gone, client = self.listening(), self.client(), self.client()
        for made in (gone, client):
            made.sendto(b"x", port.socket.getsockname())
        gone.close()
        self.turn(port)
        client.sendto(b"y", port.socket.getsockname())
        self.turn(port)
        self.assertEqual(self.received(client), [b"x", b"y"])

    def test_dropped(self: Any) -> None:
        """Datagrams for which the kernel had no room are counted, also in the totals at the end."""
        port, client = self.listening(), self.client()
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(100):
            client.sendto(bytes(1000), port.socket.getsockname())
        for _ in range(5):
            self.turn(port)
        totals = self.service.totals()
        self.assertGreater(totals.dropped, 0)
        self.assertEqual(totals.received + totals.dropped, 100)
        port.connectionLost()
        self.assertEqual((self.observer.totals, self.service.totals()), ([totals], totals))


class BatchPromisesTests(EchoPromises, SynchronousTestCase):
    batches = True


class SinglePromisesTests(EchoPromises, SynchronousTestCase):
    batches = False


class BatchPortTests(SynchronousTestCase):
    def listening(
        self, protocol: DatagramProtocol, interface: str = "127.0.0.1", **options: Any
    ) -> Any:
        reactor: Any = MemoryReactorClock()
        port: Any = DatagramPort(0, protocol, interface, reactor=reactor, **options)
        port.startListening()
        self.addCleanup(port.connectionLost)
        return port

    def test_chosen(self) -> None:
        """
        Batches are used for a protocol that provides IDatagramEcho, on a port for datagrams of all
        sizes, until it is connected.
        """
        subclass = type("Subclass", (EchoDatagramProtocol,), {})
        for protocol in (RecordingEcho(), subclass(Clock())):
            self.assertIsNone(self.listening(protocol)._batches)
        self.assertIsNone(self.listening(EchoDatagramProtocol(Clock()), maxPacketSize=100)._batches)
        port = self.listening(EchoDatagramProtocol(Clock()))
        self.assertIsNotNone(port._batches)
        port.connect("127.0.0.1", 7)
        self.assertIsNone(port._batches)

    def test_busy(self) -> None:
        """The turn after one with several datagrams uses batches; others do not."""
        for interface in ("127.0.0.1", ""):
            port = self.listening(EchoDatagramProtocol(Clock()), interface)
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(client.close)
            used = []
            for count in (1, 1, 2, 1, 1, 3, 2, 0, 1):
                for _ in range(count):
                    client.sendto(b"x", ("127.0.0.1", port.getHost().port))
                with mock.patch.object(
                    port._batches, "takeTurn", side_effect=port._batches.takeTurn
                ) as takeTurn:
                    port.doRead()
                used.append(takeTurn.called)
            self.assertEqual(used, [False, False, False, True, False, False, True, True, False])

    def test_failingService(self) -> None:
        """Exceptions of the service are logged, and the port stays open."""
        service = EchoDatagramProtocol(Clock())
        port = self.listening(service)
        with mock.patch.object(service, "admit", side_effect=KeyError):
            port.socket.sendto(b"x", port.socket.getsockname())
            port._isBusy = True
            port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertIn(port, port.reactor.getReaders())

    def test_receiveErrors(self) -> None:
        """A failed receive is counted by its errno."""
        port = self.listening(EchoDatagramProtocol(Clock()))
        with mock.patch.object(port._batches, "takeTurn", side_effect=OSError(ENOMEM, "x")):
            port._isBusy = True
            port.doRead()
        self.assertEqual(port.receiveErrors, {"receive ENOMEM": 1})

    def test_write(self) -> None:
        """A write of the service to another host during a turn takes numeric addresses only."""
        service = EchoDatagramProtocol(Clock())
        port = self.listening(service)
        port._batches.takeTurn = lambda descriptor: port.write(b"x", ("localhost", 7))
        port._isBusy = True
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(InvalidAddressError)), 1)
