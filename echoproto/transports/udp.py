"""
A UDP port that receives whole datagrams and answers from the address that they were sent to.

:class:`DatagramPort` runs any ``DatagramProtocol``; :mod:`echoproto.transports.datagramreactor`
opens one.

On a wildcard socket the kernel sends from the address that routing prefers, and a client that used
another address drops the reply. RFC 1122 section 4.1.3.5: a "request/response application that uses
UDP should use a source address for the response that is the same as the specific destination
address of the request". So the kernel reports the destination of each datagram (``IP_PKTINFO``,
ip(7); ``IPV6_RECVPKTINFO``, RFC 3542 section 6), and the reply is sent with it. On other systems
than Linux the kernel chooses.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EAGAIN, EWOULDBLOCK
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import InvalidAddressError
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import DatagramProtocol

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM, IDatagramEcho
from echoproto.reactors.eventcontext import EventContext
from echoproto.reactors.transports import READ_DIRECTLY
from echoproto.transports.batchecho import BatchEcho
from echoproto.transports.datagrambatch import datagramBatch
from echoproto.transports.lastingport import LastingPort
from echoproto.transports.pktinfo import (
    ANCILLARY_BYTES,
    Ancillary,
    NotUnicast,
    destinations,
    enablePacketInfo,
    replySource,
)
from echoproto.transports.readpause import FIRST_PAUSE
from echoproto.transports.serversocket import boundAddress, socketAddress

#: Datagrams handled in one turn of the reactor. The stock port counts bytes, so that empty
#: datagrams never end its turn.
DATAGRAMS_PER_TURN = 32


# A plain number: Python's own is an enumeration, whose "&" costs as much as the receive.
_TRUNCATED = int(socket.MSG_TRUNC)


def _isNumeric(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host) or host == "<broadcast>"


class DatagramPort(LastingPort):
    """
    Twisted's UDP port with these differences: a write while a datagram is being received leaves
    from the address that the datagram was sent to; a turn ends after :data:`DATAGRAMS_PER_TURN`
    datagrams; errors are counted and never close the port, which pauses if a receive fails. On a
    connected port an error reported by the network (ICMP) calls the protocol's
    ``connectionRefused``.

    ``datagramReceived`` is called with the whole address, for IPv6 with flow and scope, because a
    reply to a link-local address needs it.
    """

    # Used by the stock port's closing, which sets it to -1 to end a turn in progress.
    maxThroughput = DATAGRAMS_PER_TURN

    def __init__(
        self,
        port: int | None,
        proto: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = MAX_IPV6_DATAGRAM,
        reactor: IReactorFDSet | None = None,
    ) -> None:
        super().__init__(port, proto, interface, maxPacketSize, reactor)
        # Used by the direct reactor.
        self.logContext = EventContext(self.reactor, self)
        self._replySource: list[Ancillary] = []
        self._ancillary: list[Ancillary] = []
        self._answering = False
        # The address that the port is bound to, packed; and whether a datagram has shown that it is
        # a host's, not a group's.
        self._bound = b""
        self._destinationKnown = False
        self._batches: BatchEcho | None = None
        # Whether the last turn had several datagrams: a lone one costs less without a batch.
        self._isBusy = False

    def startListening(self) -> None:
        """See :class:`ScopedPort`."""
        super().startListening()
        self._bound = boundAddress(self.socket)
        self._useBatches()

    def _useBatches(self) -> None:
        """Answer in batches, if the protocol and the system permit."""
        batch = datagramBatch(self.socket.family, not self._destinationKnown)
        permitted = IDatagramEcho.providedBy(self.protocol) and not self._connectedAddr
        if batch is not None and permitted and self.maxPacketSize >= MAX_IPV6_DATAGRAM:
            self._batches = BatchEcho(self.protocol, batch, self.receiveErrors)

    def doRead(self) -> None:
        """Receive waiting datagrams, at most those of one turn; called by the reactor."""
        try:
            if self._isBusy and self._batches is not None:
                self._isBusy = self._batches.takeTurn(self.socket.fileno()) > 1
            else:
                self._answering = not self._connectedAddr
                self._readBound() if self._destinationKnown else self._readWildcard()
        except OSError as error:
            if error.errno in (EAGAIN, EWOULDBLOCK):
                self._pause.seconds = FIRST_PAUSE
            else:
                self._receiveFailed(error)
        except BaseException:  # noqa: BLE001 - logged for its author; the port must live on
            self._protocolFailed()
        finally:
            self._answering = False

    def _readBound(self) -> None:
        """A turn of a port with one address. The destinations are known, which halves the cost."""
        receive, deliver = self.socket.recvfrom, self.protocol.datagramReceived
        turn = 0
        while turn < self.maxThroughput:
            self._isBusy = turn > 1
            turn += 1
            datagram, addr = receive(MAX_IPV6_DATAGRAM)
            try:
                deliver(datagram, addr)
            except BaseException:  # noqa: BLE001 - as above
                self._protocolFailed()

    def _readWildcard(self) -> None:
        """A turn of a port that must ask for the destination of each datagram."""
        receive, deliver = self.socket.recvmsg, self.protocol.datagramReceived
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
                deliver(datagram, addr)
            except BaseException:  # noqa: BLE001 - as above
                self._protocolFailed()

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
            self._destinationKnown = True
            enablePacketInfo(self.socket, 0)
            self._useBatches()
        return True

    def connect(self, host: str, port: int) -> None:
        """See :class:`ScopedPort`."""
        super().connect(host, port)
        self._batches = None

    def laterReply(self) -> Callable[..., object]:
        """
        For a datagram that is answered later; called while it is received.

        :return: calls a function with arguments; what it writes leaves from the address that the
            datagram was sent to.
        """
        source = self._replySource

        def reply(function: Callable[..., object], *arguments: object) -> object:
            outer = self._answering, self._replySource
            self._answering, self._replySource = not self._connectedAddr, source
            try:
                return function(*arguments)
            finally:
                self._answering, self._replySource = outer

        return reply

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
            if self._destinationKnown:
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
