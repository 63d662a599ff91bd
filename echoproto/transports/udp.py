"""
A UDP port that receives whole datagrams and answers from the address that they were sent to.

:class:`DatagramPort` runs any ``DatagramProtocol``; :func:`listenDatagrams` is
    ``reactor.listenUDP`` with this port.

On a wildcard socket the kernel sends from the address that routing prefers, and a client that used
another address drops the reply. RFC 1122 section 4.1.3.5: a "request/response application that uses
UDP should use a source address for the response that is the same as the specific destination
address of the request". So the kernel reports the destination of each datagram (``IP_PKTINFO``,
ip(7); ``IPV6_RECVPKTINFO``, RFC 3542 section 6), and the reply is sent with it. On other systems
than Linux the kernel chooses. The other options of the socket are in
:mod:`echoproto.transports.serversocket`.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from errno import EAGAIN, EWOULDBLOCK
from os import strerror
from typing import Any, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, InvalidAddressError
from twisted.internet.interfaces import IListeningPort, IReactorFDSet
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface

from echoproto.addresses import MAX_IPV6_DATAGRAM, datagramAddress
from echoproto.errors import errnoName
from echoproto.protocols.datagram import IDatagramEcho
from echoproto.reactors.transports import READ_DIRECTLY
from echoproto.transports.batchecho import BatchEcho
from echoproto.transports.datagrambatch import datagramBatch
from echoproto.transports.pktinfo import (
    ANCILLARY_BYTES,
    Ancillary,
    NotUnicast,
    destinations,
    enablePacketInfo,
    replySource,
)
from echoproto.transports.receivebuffer import droppedDatagrams
from echoproto.transports.serversocket import (
    bindSocket,
    boundAddress,
    setServerOptions,
    socketAddress,
)

#: Datagrams handled in one turn of the reactor. The stock port counts bytes, so that empty
#: datagrams never end its turn.
DATAGRAMS_PER_TURN = 32


# A plain number: Python's own is an enumeration, whose "&" costs as much as the receive.
_TRUNCATED = int(socket.MSG_TRUNC)


def _isNumeric(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host) or host == "<broadcast>"


class DatagramPort(Port):
    """
    Twisted's UDP port with these differences: a write while a datagram is being received leaves
    from the address that the datagram was sent to; a turn ends after :data:`DATAGRAMS_PER_TURN`
    datagrams; errors are counted and never close the port. Its own IPv6 sockets accept IPv6 only.
    On a connected port an error reported by the network (ICMP) calls the protocol's
    ``connectionRefused``.

    ``datagramReceived`` is called with the whole address, for IPv6 with flow and scope, because a
    reply to a link-local address needs it.

    :ivar setOptions: sets the options of its own socket.
    :ivar networkError: while ``connectionRefused`` is called, the errno that the network reported,
        or 0 if that is unknown.
    :ivar receiveErrors: failed receives and dropped datagrams so far, by name of the errno or
        fault.
    """

    _log = Logger()
    # Used by the stock port's closing, which sets it to -1 to end a turn in progress.
    maxThroughput = DATAGRAMS_PER_TURN
    # Used by the direct reactor.
    logContext: Any = None

    def __init__(
        self,
        port: int | None,
        proto: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = MAX_IPV6_DATAGRAM,
        reactor: IReactorFDSet | None = None,
    ) -> None:
        Port.__init__(self, port, proto, interface, maxPacketSize, reactor)
        self.setOptions: Callable[[socket.socket], None] = setServerOptions
        self.networkError = 0
        self.receiveErrors: Counter[str] = Counter()
        self._replySource: list[Ancillary] = []
        self._ancillary: list[Ancillary] = []
        self._answering = False
        # The address that the port is bound to, packed; and whether a datagram has shown that it is
        # a host's, not a group's.
        self._bound = b""
        self._oneAddress = False
        self._others: DatagramPort | None = None
        self._batches: BatchEcho | None = None
        # Whether the last turn had several datagrams: a lone one costs less without a batch.
        self._isBusy = False
        self._droppedBefore = 0

    def startListening(self) -> None:
        """
        Listen, on a socket of its own unless it was given one.

        :raise CannotListenError: the address cannot be bound.
        """
        if cast(Any, self)._preexistingSocket is None:
            cast(Any, self)._preexistingSocket = self._boundSocket()
        self._droppedBefore = droppedDatagrams(cast(Any, self)._preexistingSocket)
        Port.startListening(self)
        self._bound = boundAddress(self.socket)
        self._useBatches()

    def droppedDatagrams(self) -> int:
        """
        Number of datagrams that the kernel has dropped since the port began to listen, because its
        receive buffer was full or their checksum was wrong.
        """
        # The kernel counts since the socket was made, in 32 bits.
        return droppedDatagrams(self.socket) - self._droppedBefore & 0xFFFF_FFFF

    def _useBatches(self) -> None:
        """Answer in batches, if the protocol and the system permit."""
        batch = datagramBatch(self.socket.family, not self._oneAddress)
        permitted = IDatagramEcho.providedBy(self.protocol) and not self._connectedAddr
        if batch is not None and permitted and self.maxPacketSize >= MAX_IPV6_DATAGRAM:
            self._batches = BatchEcho(self.protocol, batch, self.receiveErrors)

    def _boundSocket(self) -> socket.socket:
        try:
            with ExitStack() as unlessBound:
                made = unlessBound.enter_context(self.createInternetSocket())
                # Not the stock port's bind(), which drops the scope of a link-local address.
                bindSocket(made, self.interface, self.port)
                unlessBound.pop_all()
        except OSError as error:
            raise CannotListenError(self.interface, self.port, error) from error
        return made

    def getHost(self) -> IPv4Address | IPv6Address:
        """The address that it is bound to, with its scope if it is link-local."""
        return datagramAddress(self.socket.getsockname())

    def createInternetSocket(self) -> socket.socket:
        """
        A socket with the options of this port; called by the stock port before it binds.
        """
        made: socket.socket = super().createInternetSocket()
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.setOptions(made)
        return made

    def doRead(self) -> None:
        """Receive waiting datagrams, at most those of one turn; called by the reactor."""
        try:
            if self._isBusy and self._batches is not None:
                self._isBusy = self._batches.takeTurn(self.socket.fileno()) > 1
            else:
                self._answering = not self._connectedAddr
                self._takeHere() if self._oneAddress else self._takeAnywhere()
        except OSError as error:
            if error.errno not in (EAGAIN, EWOULDBLOCK):
                self._failed(error)
        except Exception:  # noqa: BLE001 - logged for its author; the port must live on
            self._log.failure("a datagram protocol failed")
        finally:
            self._answering = False

    def _takeHere(self) -> None:
        """A turn of a port with one address, at half the cost of asking for each destination."""
        receive, hear = self.socket.recvfrom, self.protocol.datagramReceived
        turn = 0
        while turn < self.maxThroughput:
            self._isBusy = turn > 1
            turn += 1
            datagram, addr = receive(MAX_IPV6_DATAGRAM)
            try:
                hear(datagram, addr)
            except Exception:  # noqa: BLE001 - as above
                self._log.failure("a datagram protocol failed")

    def _takeAnywhere(self) -> None:
        """A turn of a port that must ask for the destination of each datagram."""
        receive, hear = self.socket.recvmsg, self.protocol.datagramReceived
        turn = 0
        while turn < self.maxThroughput:
            self._isBusy = turn > 1
            turn += 1
            datagram, ancillary, flags, addr = receive(self.maxPacketSize, ANCILLARY_BYTES)
            if flags & _TRUNCATED:
                self.receiveErrors["receive truncated"] += 1
                continue
            # Usually the destination is that of the datagram before.
            if ancillary != self._ancillary and not self._noteDestination(ancillary):
                continue
            try:
                hear(datagram, addr)
            except Exception:  # noqa: BLE001 - as above
                self._log.failure("a datagram protocol failed")

    def _noteDestination(self, ancillary: list[Ancillary]) -> bool:
        """
        Keep the ancillary data for replies to such datagrams; false if they must not be answered.
        """
        try:
            self._replySource = replySource(ancillary)
        except NotUnicast:
            self.receiveErrors["receive sent to a group"] += 1
            return False
        self._ancillary = ancillary
        if (
            self._bound
            and self.maxPacketSize >= MAX_IPV6_DATAGRAM
            and self._bound in destinations(ancillary)
        ):
            self._oneAddress = True
            enablePacketInfo(self.socket, 0)
            self._useBatches()
        return True

    def connect(self, host: str, port: int) -> None:
        """See ``IUDPTransport``; with the scope of a link-local address."""
        if not isIPAddress(host) and not isIPv6Address(host):
            raise InvalidAddressError(host, "connect() takes numeric addresses, not names")
        # The stock port would pass a scope of 0, which replaces that in the address.
        self.socket.connect(socketAddress(host, port, self.addressFamily))
        cast(Any, self)._connectedAddr = (host, port)
        self._batches = None

    def reportOthers(self, report: Callable[[bytes, tuple[Any, ...]], None] | None) -> None:
        """
        Report datagrams from other addresses than the one that the port is connected to, of which
        the kernel gives it none: a second socket on the same local port receives them.

        :param report: called with each datagram and its source; ``None`` to stop. If the second
            socket cannot be opened, nothing is reported.
        """
        others, self._others = self._others, None
        if others is not None:
            others.stopListening()
        if report is not None:
            host, port = self.socket.getsockname()[:2]
            others = _OthersPort(port, _Reporter(report), host, reactor=self.reactor)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(CannotListenError):
                others.startListening()
                self._others = others
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def stopListening(self) -> Any:
        """See ``IListeningPort``."""
        self.reportOthers(None)
        return Port.stopListening(self)

    def _failed(self, error: OSError) -> None:
        self.receiveErrors[f"receive {errnoName(error)}"] += 1
        if self._connectedAddr:
            self.networkError = error.errno or 0
            try:
                self.protocol.connectionRefused()
            except Exception:  # noqa: BLE001 - as above
                self._log.failure("a datagram protocol failed")
            self.networkError = 0

    def readConnectionLost(self, reason: Failure) -> None:
        """
        Ignore it: a UDP port has no end of input. The epoll and poll reactors report every error
        that the network returns to the socket (ICMP) in this way, and the stock port closes.
        """
        Port.startReading(self)
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # A send may have met the error first; it is reported once.
        if number:
            self._failed(OSError(number, strerror(number)))

    def write(self, datagram: bytes, addr: Any = None) -> None:
        """
        Send one datagram; while one is being received, from the address that it was sent to. A
        connected port has one address, and errors of its own (``IUDPTransport``).

        :param datagram: the payload.
        :param addr: the destination: address and port, and for IPv6 possibly flow and scope.
        :raise OSError: the kernel did not accept it.
        :raise InvalidAddressError: the address is not numeric; a lookup would block the reactor.
        """
        # A reply uses the address of its request; other callers may pass anything.
        if self._answering:
            if self._oneAddress:
                self.socket.sendto(datagram, addr)
            else:
                self.socket.sendmsg((datagram,), self._replySource, 0, addr)
        elif self._connectedAddr:
            super().write(datagram, addr)
        elif not _isNumeric(addr[0]):
            raise InvalidAddressError(addr[0], "write() takes numeric addresses, not names")
        elif "%" in addr[0]:
            self.socket.sendto(datagram, socketAddress(addr[0], addr[1], self.addressFamily))
        else:
            self.socket.sendto(datagram, addr)


READ_DIRECTLY.add(DatagramPort)


class _OthersPort(DatagramPort):
    """A second port with the local port of another one."""

    def createInternetSocket(self) -> socket.socket:
        made = super().createInternetSocket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made


class _Reporter(DatagramProtocol):
    noisy = False
    datagramReceived: Any

    def __init__(self, report: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self.datagramReceived = report


class IReactorDatagrams(Interface):
    """
    A reactor with its own kind of port instead of :class:`DatagramPort`, for example in memory.
    """

    def listenDatagrams(port: int, protocol: DatagramProtocol, interface: str) -> IListeningPort:
        """See :func:`listenDatagrams`."""


def listenDatagrams(
    reactor: Any,
    port: int,
    protocol: DatagramProtocol,
    interface: str = "",
    setOptions: Callable[[socket.socket], None] = setServerOptions,
) -> IListeningPort:
    """
    Listen for datagrams, as ``reactor.listenUDP`` does, on a :class:`DatagramPort`.

    :param reactor: any reactor of Twisted with file descriptors, or an :class:`IReactorDatagrams`.
    :param port: port number; 0 picks one.
    :param interface: the numeric address to bind; empty for all IPv4 addresses, ``::`` for all
        IPv6.
    :param setOptions: sets the options of the socket before it is bound; a port in memory has none.
    :raise twisted.internet.error.CannotListenError: the address cannot be bound.
    """
    if IReactorDatagrams.providedBy(reactor):
        own: IListeningPort = reactor.listenDatagrams(port, protocol, interface)
        return own
    made: Any = DatagramPort(port, protocol, interface, reactor=reactor)
    made.setOptions = setOptions
    made.startListening()
    return cast(IListeningPort, made)
