"""
Connections that come through a proxy which announces the client in a PROXY header.

:class:`ProxyProtocolFactory` stands before a stream service's factory, or before the TLS that is before it. It reads the
header (:mod:`echoproto.transports.proxyheader`), then builds the service's protocol for the announced address and
leaves the connection to it: the transport's protocol is replaced, so that nothing stands between them
and half-close is what it was. Twisted's wrapper stays between, relays no half-close, and loses a header that comes in
two pieces.

Nothing is believed from a source that is not trusted, and a listener takes connections either with
a header or without; it never guesses.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.addresses import AddressFilter, numericHost
from echoproto.protocols.admission import Refusal
from echoproto.protocols.connections import DRAIN_TIMEOUT, ConnectionTracker, ITrackedConnection
from echoproto.protocols.stream import DRAIN_SILENCE, StreamFactory
from echoproto.transports.proxyheader import (
    HeaderParser,
    InvalidProxyHeader,
    ProxyHeader,
    ProxyProtocolVersion,
)


def announcedAddress(source: tuple[str, int]) -> IPv4Address | IPv6Address:
    """The address of the client that a header announces."""
    host, port = source
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


@implementer(ITrackedConnection)
class ProxyHeaderProtocol(Protocol):
    """One connection until its PROXY header is whole."""

    factory: ProxyProtocolFactory

    def __init__(self, proxy: IAddress | None, parser: HeaderParser) -> None:
        self._proxy = proxy
        self._parser = parser
        self._over = False

    def connectionMade(self) -> None:
        """Begin to count the time."""
        self._deadline = self.factory.clock.seconds() + self.factory.service.deadlines.header
        self.factory.checkTimeouts.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Read on in the header; at its end hand the connection over."""
        try:
            announced = self._parser.feed(data)
        except InvalidProxyHeader as error:
            self._refuse(str(error))
        else:
            if announced is not None:
                self._handOver(announced)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It ended without a whole header."""
        if not self._over:
            self._refused(Refusal.NO_HEADER.value)

    def beginDrain(self) -> None:
        """We are stopping: who has not sent a header by now gets a moment more."""
        self._deadline = min(self._deadline, self.factory.clock.seconds() + DRAIN_SILENCE)

    def checkTimeouts(self, now: float) -> None:
        """Keep the deadline; see :class:`~echoproto.protocols.connections.ITrackedConnection`."""
        if now >= self._deadline:
            self._refuse(Refusal.LATE_HEADER.value)

    def abort(self) -> None:
        """The drain is over."""
        self._refuse(Refusal.LATE_HEADER.value)

    def _refuse(self, reason: str) -> None:
        self._refused(reason)
        self._transport.abortConnection()

    def _refused(self, reason: str) -> None:
        self._leave()
        self.factory.service.observer.connectionRefused(self._proxy, reason)

    def _leave(self) -> None:
        self._over = True
        self.factory.service.admission.release(None)
        self.factory.checkTimeouts.remove(self)

    def _handOver(self, announced: ProxyHeader) -> None:
        """Build the service's protocol for the client and put it in our place."""
        source = announced.source
        client = self._proxy if source is None else announcedAddress(source)
        self._over = True
        # The place that we held is free for the client that we held it for.
        self.factory.service.admission.release(None)
        try:
            self._replace(self.factory.wrapped.buildProtocol(client), announced.rest)
        finally:
            # Last: when we are stopping and no header is awaited any more, the service takes nobody new.
            self.factory.checkTimeouts.remove(self)

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
        # Transports offer more than any one interface of theirs declares.
        return self.transport


class ProxyProtocolFactory(Factory):
    """
    Takes connections with a PROXY header for a stream service.

    :param service: the service's factory: its clock, observer, admission and deadlines are ours.
    :param versions: the versions of the header that are taken.
    :param trusted: the proxies.
    :param wrapped: the factory of the protocol that is put in place; ``service`` unless there is TLS between.
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
        self.checkTimeouts = ConnectionTracker(service.clock)
        self._versions = versions
        self._trusted = trusted

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A protocol that reads the header; ``None`` while draining, for a stranger, or where there is no room."""
        if self.checkTimeouts.draining:
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
        # A UNIX socket is guarded by its file's permissions.
        if host is not None and not self._trusted.permits(host):
            return Refusal.UNTRUSTED
        return self.service.admission.admit(None)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Let the headers come that are under way, then drain the service.

        :param timeout: seconds after which what is still open is aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        end = self.clock.seconds() + timeout
        headers = self.checkTimeouts.drain(timeout)
        return headers.addCallback(lambda _: self.service.drain(end - self.clock.seconds()))
