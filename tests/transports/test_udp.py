from __future__ import annotations

import socket
import struct
from errno import EAGAIN, ECONNREFUSED, EHOSTUNREACH, ENOMEM
from typing import Any, cast
from unittest import mock

from twisted.internet.error import CannotListenError, ConnectionDone, InvalidAddressError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import Self

from echoproto.addresses import MAX_IPV6_DATAGRAM
from echoproto.testing import DatagramWire
from echoproto.transports.pktinfo import (
    Ancillary,
    NotUnicast,
    destinations,
    enablePacketInfo,
    replySource,
)
from echoproto.transports.udp import (
    DATAGRAMS_PER_TURN,
    DatagramPort,
    boundAddress,
    listenDatagrams,
    socketAddress,
)

IP_PKTINFO = 8
PEER = ("192.0.2.1", 40_000)
ASKED = socket.inet_aton("192.0.2.9")


def pktinfo(spec: bytes = ASKED, header: bytes = ASKED) -> Ancillary:
    return (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", 3, spec, header))


def pktinfo6(address: str, interface: int = 3) -> Ancillary:
    packed = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=i", interface)
    return (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed)


class FakeSocket:
    """A socket that receives what the test has put into ``waiting`` and notes what is sent."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.waiting: list[OSError | tuple[bytes, list[Ancillary], int, Any]] = []
        self.sent: list[tuple[bytes, list[Ancillary], Any]] = []
        self.error = 0
        self.bound = "0.0.0.0"
        self.asked: Any = None

    def setsockopt(self, *option: int) -> None:
        self.asked = option

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

    def getsockopt(self, level: int, option: int) -> int:
        """SO_ERROR, once."""
        error, self.error = self.error, 0
        return error

    def close(self) -> None:
        pass


class FakeSocketPort(DatagramPort):
    def createInternetSocket(self) -> socket.socket:
        return cast(socket.socket, FakeSocket())


class Echoing(DatagramProtocol):
    """Echoes, and keeps what came."""

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
    """Closes its port when it is told to."""

    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram == b"stop":
            cast(Any, self.transport).connectionLost()


class SentToTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        """
        The addresses of hosts are told, on either family; those of groups, and what else comes
        along, are not.
        """
        group = pktinfo(header=socket.inet_aton("224.0.0.1"))
        other = (socket.SOL_SOCKET, 1, b"")
        self.assertEqual(destinations([group, other, pktinfo()]), [ASKED])
        six = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
        self.assertEqual(destinations([pktinfo6("2001:db8::1")]), [six])


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.port, self.protocol = self.listening(Echoing())

    def listening(self, protocol: DatagramProtocol) -> tuple[Any, Any]:
        reactor = MemoryReactorClock()
        port = FakeSocketPort(7777, protocol, reactor=cast(Any, reactor))
        DatagramPort.startListening(port)
        return port, protocol

    def receive(self, *datagrams: Any) -> None:
        self.port.socket.waiting += datagrams
        self.port.doRead()

    def test_answersFromTheAddressAsked(self) -> None:
        """A reply leaves from the address that the datagram was sent to, whatever the interface."""
        self.receive((b"hi", [pktinfo()], 0, PEER))
        expected = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + ASKED + bytes(4))
        self.assertEqual(self.port.socket.sent, [(b"hi", [expected], PEER)])

    def test_laterWrites(self) -> None:
        """A write outside of a reception leaves from the address that the kernel chooses."""
        self.receive((b"hi", [pktinfo()], 0, PEER))
        self.port.write(b"later", PEER)
        self.assertEqual(self.port.socket.sent[-1], (b"later", [], PEER))

    def bound(self, address: str, maxPacketSize: int = MAX_IPV6_DATAGRAM) -> Any:
        """A port on one address."""
        port, _ = self.listening(Echoing())
        port.maxPacketSize = maxPacketSize
        port.socket.bound = address
        port._bound = boundAddress(port.socket)
        self.port = port
        return port

    def test_oneAddress(self) -> None:
        """
        A port on one address asks no more where datagrams were sent to, once one has shown that it
        is a host's.
        """
        port = self.bound("192.0.2.9")
        self.receive((b"one", [pktinfo()], 0, PEER), (b"two", [pktinfo()], 0, PEER))
        self.assertEqual(port.socket.asked, (socket.IPPROTO_IP, IP_PKTINFO, 0))
        self.receive((b"three", [], 0, PEER))
        self.assertEqual(port.socket.sent[2], (b"three", [], PEER))
        with self.assertRaises(InvalidAddressError):
            port.write(b"hi", ("localhost", 7))

    def test_oneAddressEnds(self) -> None:
        """There too a failing protocol is logged, an error is counted, and a turn has an end."""
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
        """
        What is bound to a group, to every address or takes only short datagrams goes on asking.
        """
        for address, size in (
            ("224.0.0.1", MAX_IPV6_DATAGRAM),
            ("0.0.0.0", MAX_IPV6_DATAGRAM),
            ("192.0.2.9", 8192),
        ):
            port = self.bound(address, size)
            self.receive((b"one", [pktinfo()], 0, PEER))
            self.assertFalse(port._oneAddress)

    def test_names(self) -> None:
        """
        A name is not written to, as to look it up would stop the reactor; broadcast is no name.
        """
        with self.assertRaises(InvalidAddressError):
            self.port.write(b"hi", ("localhost", 7))
        self.assertEqual(self.port.socket.sent, [])
        for host in ("::1", "<broadcast>"):
            self.port.write(b"hi", (host, 7))
        self.assertEqual(len(self.port.socket.sent), 2)

    def test_connected(self) -> None:
        """A connected port sends as Twisted's does, also while it receives."""
        self.port.connect(*PEER)
        self.receive((b"hi", [pktinfo()], 0, PEER))
        self.assertEqual(self.port.socket.sent, [(b"hi", [], None)])

    def test_wholeAddress(self) -> None:
        """An IPv6 source comes with flow and scope, and is answered at them."""
        peer = ("fe80::1", 40_000, 0, 2)
        self.receive((b"hi", [pktinfo6("fe80::2", 2)], 0, peer))
        self.assertEqual(self.protocol.received, [(b"hi", peer)])
        self.assertEqual(self.port.socket.sent, [(b"hi", [pktinfo6("fe80::2", 2)], peer)])

    def test_emptyDatagrams(self) -> None:
        """Empty datagrams are received as any other, and do not prolong a turn."""
        self.receive(*[(b"", [], 0, PEER)] * (DATAGRAMS_PER_TURN + 1))
        self.assertEqual(len(self.protocol.received), DATAGRAMS_PER_TURN)
        self.port.doRead()
        self.assertEqual(len(self.protocol.received), DATAGRAMS_PER_TURN + 1)

    def test_pieceOfABuffer(self) -> None:
        """A short datagram after a long one has nothing of the long one in it."""
        self.receive((b"long one", [], 0, PEER), (b"s", [], 0, PEER))
        self.assertEqual([data for data, _ in self.protocol.received], [b"long one", b"s"])

    def test_receiveErrors(self) -> None:
        """A failed receive is counted and ends the turn; the port goes on at the next."""
        self.receive(OSError(ENOMEM, "x"), OSError(ECONNREFUSED, "x"), (b"hi", [], 0, PEER))
        self.port.doRead()
        self.port.doRead()
        self.assertEqual(self.port.receiveErrors, {"receive ENOMEM": 1, "receive ECONNREFUSED": 1})
        self.assertEqual(self.protocol.received, [(b"hi", PEER)])

    def test_truncated(self) -> None:
        """A datagram that was cut is dropped and counted."""
        self.receive((b"cut", [], socket.MSG_TRUNC, PEER))
        self.assertEqual(self.port.receiveErrors, {"receive truncated": 1})
        self.assertEqual(self.protocol.received, [])

    def test_sentToAGroup(self) -> None:
        """A datagram to a broadcast or multicast address is dropped and counted."""
        self.receive((b"all", [pktinfo(header=socket.inet_aton("255.255.255.255"))], 0, PEER))
        self.assertEqual(self.port.receiveErrors, {"receive sent to a group": 1})
        self.assertEqual(self.protocol.received, [])

    def test_failingProtocol(self) -> None:
        """
        A protocol that raises is logged, also over a refusal, and the next datagram is received.
        """
        self.port, _ = self.listening(Failing())
        self.receive((b"a", [], 0, PEER), (b"b", [], 0, PEER))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.port.connect(*PEER)
        self.receive(OSError(ECONNREFUSED, "x"), (b"c", [], 0, PEER))
        self.port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_networkSaysNo(self) -> None:
        """
        On a connected port an error of the network is told to the protocol; the port lives on.
        """
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

    def test_networkSaidNoBefore(self) -> None:
        """An error that a send has met already is not told twice, and the port lives on."""
        self.port.connect(*PEER)
        self.port.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.protocol.refused, self.port.receiveErrors), (0, {}))
        self.assertIn(self.port, self.port.reactor.getReaders())

    def test_networkSaysNoToAServer(self) -> None:
        """On a port that is not connected an error is counted, and told to nobody."""
        self.receive(OSError(EHOSTUNREACH, "x"))
        self.assertEqual(self.port.receiveErrors, {"receive EHOSTUNREACH": 1})
        self.assertEqual(self.protocol.refused, 0)

    def test_closing(self) -> None:
        """
        A port that is closed during a turn ends it, whether it asks where datagrams were sent to or
        not.
        """
        for bound in ("0.0.0.0", "192.0.2.9"):
            self.port, _ = self.listening(Closing())
            fake = self.port.socket
            self.port._bound = b"" if bound == "0.0.0.0" else ASKED
            self.receive((b"first", [pktinfo()], 0, PEER))
            fake.waiting += [(b"stop", [pktinfo()], 0, PEER), (b"late", [pktinfo()], 0, PEER)]
            self.port.doRead()
            self.assertEqual([each[0] for each in fake.waiting], [b"late"], bound)


class ReplySourceTests(SynchronousTestCase):
    def test_IPv6(self) -> None:
        """A global address is handed back without the interface, a link-local one with it."""
        for address, interface in (("2001:db8::1", 0), ("fe80::1", 3), ("fec0::1", 0)):
            self.assertEqual(
                replySource([pktinfo6(address)]), [pktinfo6(address, interface)], address
            )

    def test_IPv6Group(self) -> None:
        """A datagram to an IPv6 group has no source to be answered from."""
        self.assertRaises(NotUnicast, replySource, [pktinfo6("ff02::1")])

    def test_IPv4OnIPv6(self) -> None:
        """
        What comes to a mapped address is answered as IPv4, and not at all where it came to a group.
        """
        mapped = pktinfo6("::ffff:192.0.2.9")
        expected = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + ASKED + bytes(4))
        self.assertEqual(replySource([mapped, pktinfo()]), [expected])
        group = pktinfo(header=socket.inet_aton("192.0.2.255"))
        self.assertRaises(NotUnicast, replySource, [mapped, group])

    def test_askedLate(self) -> None:
        """
        Where the local address is not known the one in the header is tried; the kernel refuses a
        group.
        """
        late = pktinfo(spec=bytes(4))
        self.assertEqual(replySource([late]), replySource([pktinfo()]))

    def test_nothingKnown(self) -> None:
        """Where the destination is not told, and for what is told besides, the kernel chooses."""
        self.assertEqual(replySource([]), [])
        self.assertEqual(replySource([(socket.SOL_SOCKET, 29, bytes(16))]), [])


class SocketTests(SynchronousTestCase):
    """What is asked of the real kernel; nothing is sent."""

    def listening(self, interface: str) -> IListeningPort:
        reactor: Any = MemoryReactorClock()
        port = listenDatagrams(reactor, 0, Echoing(), interface)
        self.addCleanup(cast(Any, port).connectionLost)
        return port

    def test_IPv4(self) -> None:
        """An IPv4 port asks for each datagram's destination."""
        handle = cast(Any, self.listening("127.0.0.1")).getHandle()
        self.assertEqual(handle.getsockopt(socket.IPPROTO_IP, IP_PKTINFO), 1)

    def test_IPv6(self) -> None:
        """An IPv6 port asks for it too, and takes IPv6 only."""
        handle = cast(Any, self.listening("::1")).getHandle()
        options = (socket.IPV6_RECVPKTINFO, socket.IPV6_V6ONLY)
        self.assertEqual([handle.getsockopt(socket.IPPROTO_IPV6, o) for o in options], [1, 1])

    def test_IPv4OnIPv6(self) -> None:
        """An IPv6 socket asks for the destination of IPv4 datagrams too: it may take them."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
            enablePacketInfo(made)
            options = (
                (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
                (socket.IPPROTO_IP, IP_PKTINFO),
            )
            self.assertEqual([made.getsockopt(*option) for option in options], [1, 1])

    def test_adopted(self) -> None:
        """A port that was given a bound socket listens on a duplicate of that."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind(("127.0.0.1", 0))
            adopt = cast(Any, DatagramPort)._fromListeningDescriptor
            reactor = MemoryReactorClock()
            port = adopt(reactor, made.fileno(), made.family, Echoing(), MAX_IPV6_DATAGRAM)
            port.startListening()
            self.addCleanup(port.connectionLost)
            self.assertEqual(port.getHost().port, made.getsockname()[1])

    def test_taken(self) -> None:
        """An address that cannot be had is Twisted's CannotListenError."""
        with self.assertRaises(CannotListenError) as raised:
            self.listening("192.0.2.1")
        self.assertEqual(raised.exception.interface, "192.0.2.1")

    def test_socketAddress(self) -> None:
        """The address to bind has the scope of a link-local one, and the port that was given."""
        scope = socket.if_nametoindex("lo")
        expected = ("fe80::1", 70_000, 0, scope)
        self.assertEqual(socketAddress("fe80::1%lo", 70_000, socket.AF_INET6), expected)
        self.assertEqual(socketAddress("", 7, socket.AF_INET), ("0.0.0.0", 7))

    def test_reactorWithItsOwn(self) -> None:
        """A reactor that has a port of its own gives that one."""
        wire = DatagramWire()
        self.assertIs(listenDatagrams(wire, 7, Echoing()), wire.ports["127.0.0.1", 7])

    def test_size(self) -> None:
        """The port takes the longest datagram there is."""
        self.assertEqual(MAX_IPV6_DATAGRAM, 65_535 - 8)
        self.assertEqual(cast(Any, self.listening("127.0.0.1")).maxPacketSize, MAX_IPV6_DATAGRAM)
