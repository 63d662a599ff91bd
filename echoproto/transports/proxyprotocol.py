"""
Connections from a proxy that announces the client in a PROXY header.

:class:`ProxyProtocolFactory` wraps the factory of a stream service, or of TLS in front of it. It
    reads the header (:mod:`echoproto.transports.proxyheader`), builds the service's protocol for
    the announced address, and puts it in its own place as the transport's protocol, so that nothing
    remains between them and half-close works as before. Twisted's wrapper stays in between, does
    not relay half-close, and loses a header that arrives in two pieces.

Headers are accepted from trusted sources only, and a listener either requires a header or accepts
none; it never guesses. A header without a client, as a proxy sends it to check the server, is
served whatever networks are allowed for clients (section 2.2: "the receiver must accept this
connection as valid").
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.addresses import numericHost
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.connections import DRAIN_TIMEOUT, ConnectionTracker, ITrackedConnection
from echoproto.protocols.socketoptions import setConnectionOptions
from echoproto.protocols.streamfactory import DRAIN_SILENCE, StreamFactory, TrustedPeer
from echoproto.transports.proxyheader import (
    HeaderParser,
    InvalidProxyHeader,
    ProxyHeader,
    ProxyProtocolVersion,
)


def announcedAddress(source: tuple[str, int]) -> IPv4Address | IPv6Address:
    """The client's address in a header."""
    host, port = source
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


@implementer(ITrackedConnection)
class ProxyHeaderProtocol(Protocol):
    """One connection until its PROXY header is complete."""

    factory: ProxyProtocolFactory

    def __init__(self, proxy: IAddress | None, parser: HeaderParser) -> None:
        self._proxy = proxy
        self._parser = parser
        self._over = False

    def connectionMade(self) -> None:
        """Start the timeout, and set socket options: a byte of the header may be urgent data."""
        setConnectionOptions(self._transport)
        self._deadline = self.factory.clock.seconds() + self.factory.service.timeouts.header
        self.factory.tracker.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Parse the data; hand the connection over when the header is complete."""
        try:
            announced = self._parser.feed(data)
        except InvalidProxyHeader as error:
            self._refuse(error.refusal)
        else:
            if announced is not None:
                self._handOver(announced)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended without a complete header."""
        if not self._over:
            self._refused(Refusal.NO_HEADER)

    def beginDrain(self) -> None:
        """The server stops: a connection without a header gets a short extra time."""
        self._deadline = min(self._deadline, self.factory.clock.seconds() + DRAIN_SILENCE)

    def checkTimeouts(self, now: float) -> None:
        """Check the timeout; see :class:`~echoproto.protocols.connections.ITrackedConnection`."""
        if now >= self._deadline:
            self._refuse(Refusal.LATE_HEADER)

    def abort(self) -> None:
        """The drain is over."""
        self._refuse(Refusal.LATE_HEADER)

    def _refuse(self, reason: Refusal) -> None:
        self._refused(reason)
        self._transport.abortConnection()

    def _refused(self, reason: Refusal) -> None:
        self._leave()
        self.factory.service.observer.connectionRefused(self._proxy, reason.value)

    def _leave(self) -> None:
        self._over = True
        self.factory.service.admission.release(None)
        self.factory.tracker.remove(self)

    def _handOver(self, announced: ProxyHeader) -> None:
        """Build the service's protocol for the client and put it in our place."""
        source = announced.source
        client = TrustedPeer(self._proxy) if source is None else announcedAddress(source)
        self._over = True
        # Give the place back, so that the announced client can take it.
        self.factory.service.admission.release(None)
        try:
            self._replace(self.factory.wrapped.buildProtocol(client), announced.rest)
        finally:
            # Last: when the server stops and no header is pending any more, the service accepts no
            # new connection.
            self.factory.tracker.remove(self)

    def _replace(self, served: Any, rest: bytes) -> None:
        transport = self._transport
        if served is None:
            transport.abortConnection()
            return
        transport.protocol = served
        served.makeConnection(transport)
        if rest:
            served.dataReceived(rest)

    @property
    def _transport(self) -> Any:
        # Transports offer more than any single interface declares.
        return self.transport


class ProxyProtocolFactory(Factory):
    """
    Accepts connections with a PROXY header for a stream service.

    :param service: the service's factory; its clock, observer, admission and timeouts are used.
    :param versions: the accepted versions of the header.
    :param trusted: the networks of the proxies.
    :param wrapped: the factory of the protocol to put in place; ``service`` unless there is TLS
        between.
    """

    noisy = False

    def __init__(
        self,
        service: StreamFactory,
        versions: ProxyProtocolVersion,
        trusted: AddressFilter,
        wrapped: IProtocolFactory | None = None,
    ) -> None:
        self.service = service
        self.clock = service.clock
        self.wrapped: Any = service if wrapped is None else wrapped
        self.tracker = ConnectionTracker(service.clock)
        self._versions = versions
        self._trusted = trusted

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        A protocol that reads the header; ``None`` while draining, for an untrusted source, or
        without room.
        """
        if self.tracker.draining:
            return None
        refusal = self._refusal(addr)
        if refusal is not None:
            self.service.observer.connectionRefused(addr, refusal.value)
            return None
        protocol = ProxyHeaderProtocol(addr, HeaderParser(self._versions))
        protocol.factory = self
        return protocol

    def _refusal(self, addr: IAddress | None) -> Refusal | None:
        host = numericHost(addr)
        # A UNIX socket is protected by the permissions of its file.
        if host is not None and not self._trusted.permits(host):
            return Refusal.UNTRUSTED
        return self.service.admission.admit(None)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Wait for the headers in progress, then drain the service.

        :param timeout: seconds after which the remaining connections are aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        end = self.clock.seconds() + timeout
        headers = self.tracker.drain(timeout)
        return headers.addCallback(lambda _: self.service.drain(end - self.clock.seconds()))
