from __future__ import annotations

import socket
from errno import ENOMEM
from typing import Any, cast
from unittest import mock

from twisted.internet.error import InvalidAddressError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.transports.datagramreactor import listenDatagrams
from echoproto.transports.serversocket import boundAddress
from echoproto.transports.udp import DATAGRAMS_PER_TURN, DatagramPort
from tests.transports.fakeudpsocket import PEER, RecordingEcho
from tests.transports.test_pktinfo import DESTINATION, IP_PKTINFO, pktinfo, pktinfo6
from tests.transports.udpcase import FailingProtocol, PortTestCase
from tests.transports.udppromises import EchoPromises


class Closing(DatagramProtocol):
    """Closes its port when it receives ``stop``."""

    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram == b"stop":
            cast(Any, self.transport).connectionLost()


class LaterEcho(DatagramProtocol):
    """Answers when it is told to."""

    noisy = False
    transport: Any

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.waiting.append((self.transport.laterReply(), datagram, addr))

    def answerAll(self) -> None:
        for reply, datagram, addr in self.waiting:
            reply(self.transport.write, datagram, addr)


class PortTests(PortTestCase):
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

    def test_laterReply(self) -> None:
        """A datagram that is answered later is answered from the address that it was sent to."""
        protocol = self.port.protocol = LaterEcho()
        protocol.makeConnection(self.port)
        other = pktinfo(*[bytes([192, 0, 2, 10])] * 2)
        self.receive((b"one", [pktinfo()], 0, PEER), (b"two", [other], 0, PEER))
        protocol.answerAll()
        self.port.write(b"unasked", PEER)
        sources = [ancillary and ancillary[0][2][4:8] for _, ancillary, _ in self.port.socket.sent]
        self.assertEqual(sources, [DESTINATION, bytes([192, 0, 2, 10]), []])

    def bound(self, address: str, maxPacketSize: int = MAX_IPV6_DATAGRAM) -> Any:
        """A port bound to one address."""
        port, _ = self.listening(RecordingEcho())
        port.maxPacketSize = maxPacketSize
        port.socket.bound = address
        port._bound = boundAddress(port.socket)
        self.port = port
        return port

    def test_destinationKnown(self) -> None:
        """A port on one address stops requesting destinations after the first unicast datagram."""
        port = self.bound("192.0.2.9")
        self.receive((b"one", [pktinfo()], 0, PEER), (b"two", [pktinfo()], 0, PEER))
        self.assertEqual(port.socket.option, (socket.IPPROTO_IP, IP_PKTINFO, 0))
        self.receive((b"three", [], 0, PEER))
        self.assertEqual(port.socket.sent[2], (b"three", [], PEER))
        with self.assertRaises(InvalidAddressError):
            port.write(b"hi", ("localhost", 7))

    def test_destinationKnownErrors(self) -> None:
        """On such a port too, errors are logged or counted, and a turn is bounded."""
        port = self.bound("192.0.2.9")
        self.receive((b"one", [pktinfo()], 0, PEER))
        failing = mock.patch.object(self.port.protocol, "datagramReceived", side_effect=SystemExit)
        with failing:
            self.receive((b"two", [], 0, PEER), OSError(ENOMEM, "memory"))
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
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
            self.assertFalse(port._destinationKnown)

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
        """Exceptions of the protocol, also SystemExit, are logged; the next datagram is read."""
        self.port, _ = self.listening(FailingProtocol())
        self.receive((b"a", [], 0, PEER), (b"b", [], 0, PEER))
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 2)
        self.port.connect(*PEER)
        self.receive((b"c", [], 0, PEER))
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

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

    def test_size(self) -> None:
        """The port accepts datagrams of the maximum size."""
        self.assertEqual(MAX_IPV6_DATAGRAM, 65_535 - 8)
        self.assertEqual(cast(Any, self.listening("127.0.0.1")).maxPacketSize, MAX_IPV6_DATAGRAM)


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
        with mock.patch.object(service, "admit", side_effect=SystemExit):
            port.socket.sendto(b"x", port.socket.getsockname())
            port._isBusy = True
            port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
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
