"""A wire for datagrams in memory; the test decides the fate of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IListeningPort, IReactorUDP, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM, IReactorDatagrams, maxDatagram

#: The first port that is picked for port 0.
FIRST_PICKED_PORT = 50_000


@dataclass(frozen=True)
class Datagram:
    """
    One datagram on the wire.

    :ivar source: its source host and port.
    :ivar destination: its destination host and port.
    :ivar data: the payload.
    """

    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes


@implementer(IListeningPort, IUDPTransport)
class MemoryDatagramPort:
    """A UDP port on a :class:`DatagramWire`; made by :meth:`DatagramWire.listenUDP`."""

    def __init__(
        self, wire: DatagramWire, address: tuple[str, int], protocol: DatagramProtocol, size: int
    ) -> None:
        self.address = address
        self.protocol = protocol
        self.maxPacketSize = size
        self.peer: tuple[str, int] | None = None
        self.others: Callable[[bytes, tuple[str, int]], None] | None = None
        self._wire = wire

    def getHost(self) -> Any:
        """The address that the port is bound to."""
        make = IPv6Address if isIPv6Address(self.address[0]) else IPv4Address
        return make("UDP", *self.address)

    def startListening(self) -> None:
        """Take the port into use."""
        self.protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None]:
        """Leave the wire; fires at once, and a second call does nothing."""
        if self._wire.ports.pop(self.address, None) is not None:
            self.protocol.doStop()
        return succeed(None)

    def write(self, packet: bytes, addr: tuple[Any, ...] | None = None) -> None:
        """Put a datagram on the wire."""
        if len(packet) > maxDatagram(self.address[0]):
            raise MessageLengthError("message too long")
        destination = self.peer if addr is None else (addr[0], addr[1])
        if destination is None:
            raise ValueError("an address is needed: the port is not connected")
        self._wire.pending.append(Datagram(self.address, destination, bytes(packet)))

    def connect(self, host: str, port: int) -> None:
        """Send to this address, receive from it only, and report refusals."""
        self.peer = (host, port)

    def reportOthers(self, report: Callable[[bytes, tuple[str, int]], None] | None) -> None:
        """See :meth:`echoproto.transports.udp.DatagramPort.reportOthers`."""
        self.others = report

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """The wire has no broadcast: nothing changes."""

    def getBroadcastAllowed(self) -> bool:
        """Always false."""
        return False


@implementer(IReactorUDP, IReactorDatagrams)
class DatagramWire(MemoryReactorClock):
    """
    A reactor whose UDP is in memory: a clock, a resolver, and a wire on which datagrams wait until
    they are delivered.

    :ivar pending: the datagrams on the wire, the next one first. A test may change the list; the
        methods :meth:`lose`, :meth:`duplicate`, :meth:`swap` and :meth:`corrupt` are the usual
        ways.
    :ivar ports: the open ports by address. A port on ``""`` has the address ``127.0.0.1``, one on
        ``::`` the address ``::1``.
    """

    def __init__(self) -> None:
        MemoryReactorClock.__init__(self)
        self.pending: list[Datagram] = []
        self.ports: dict[tuple[str, int], MemoryDatagramPort] = {}
        self._picked = FIRST_PICKED_PORT

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> MemoryDatagramPort:
        """See ``IReactorUDP``."""
        if port == 0:
            port = self._picked
            self._picked += 1
        address = ({"": "127.0.0.1", "::": "::1"}.get(interface, interface), port)
        if address in self.ports:
            raise CannotListenError(interface, port, OSError("address already in use"))
        made = self.ports[address] = MemoryDatagramPort(self, address, protocol, maxPacketSize)
        made.startListening()
        return made

    def listenDatagrams(
        self, port: int, protocol: DatagramProtocol, interface: str = ""
    ) -> MemoryDatagramPort:
        """Like :func:`echoproto.listenDatagrams`: a port that receives whole datagrams."""
        return self.listenUDP(port, protocol, interface, MAX_IPV6_DATAGRAM)

    def lose(self, index: int = 0) -> None:
        """
        Drop the datagram at ``index`` of :attr:`pending`.

        :raise IndexError: no such datagram is pending; so do the methods below.
        """
        self._check(index)
        del self.pending[index]

    def duplicate(self, index: int = 0) -> None:
        """Deliver the datagram at ``index`` twice."""
        self._check(index)
        self.pending.insert(index, self.pending[index])

    def swap(self, first: int, second: int) -> None:
        """Exchange the places of two datagrams."""
        self._check(max(first, second))
        wire = self.pending
        wire[first], wire[second] = wire[second], wire[first]

    def _check(self, index: int) -> None:
        count = len(self.pending)
        if not -count <= index < count:
            raise IndexError(f"no datagram {index}: {count} are pending")

    def corrupt(self, index: int = 0, offset: int = 0) -> None:
        """Invert every bit of the byte at ``offset`` of the datagram at ``index``."""
        data = bytearray(self.pending[index].data)
        data[offset] ^= 0xFF
        self.pending[index] = replace(self.pending[index], data=bytes(data))

    def deliver(self, count: int | None = None) -> None:
        """
        Deliver the next ``count`` datagrams; if ``None``, those that wait now, without their
        replies.
        """
        for _ in range(len(self.pending) if count is None else count):
            self._arrive(self.pending.pop(0))

    def deliverAll(self) -> None:
        """Deliver until none waits, including replies."""
        while self.pending:
            self.deliver()

    def _arrive(self, datagram: Datagram) -> None:
        port = self.ports.get(datagram.destination)
        if port is None:
            sender = self.ports.get(datagram.source)
            if sender is not None and sender.peer == datagram.destination:
                sender.protocol.connectionRefused()
        elif port.peer in (None, datagram.source):
            # Like recvfrom(2): data that does not fit is cut.
            port.protocol.datagramReceived(datagram.data[: port.maxPacketSize], datagram.source)
        elif port.others is not None:
            port.others(datagram.data, datagram.source)


verifyClass(IListeningPort, MemoryDatagramPort)
verifyClass(IUDPTransport, MemoryDatagramPort)
verifyClass(IReactorUDP, DatagramWire)
verifyClass(IReactorDatagrams, DatagramWire)
