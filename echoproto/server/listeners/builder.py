"""
Builds the runtime of a listener: the service, its admission and timeouts, its layers, its
observers.

One :class:`ListenerBuilder` serves a program: its limits are for all listeners together. Nothing is
opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from echoproto.processes.resources import Limit
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.datagramadmission import DatagramAdmission
from echoproto.protocols.admission.refusals import (
    CONNECTION_REFUSALS,
    HANDSHAKE_REFUSALS,
    HEADER_REFUSALS,
    Refusal,
)
from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.protocols.observer import CompositeObserver, IObserver
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory
from echoproto.server.config.layers import Layers, ProxyRule
from echoproto.server.config.listener import Listener, listenerName
from echoproto.server.config.settings import Settings
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.log import LogObserver

if TYPE_CHECKING:
    from echoproto.server.certificates.servercontext import ServerContext
    from echoproto.transports.proxyprotocol import ProxyProtocolFactory

_log = Logger()


@dataclass(frozen=True)
class ListenerRuntime:
    """
    The objects that serve one listener.

    :ivar service: a factory for a stream listener, a protocol for a datagram listener.
    :ivar drain: takes seconds, lets open connections finish; its Deferred fires when none is open.
    :ivar log: writes its log lines.
    :ivar watched: the counters for the metrics.
    :ivar context: the certificates, if any.
    """

    service: Any
    drain: Callable[[float], Deferred[None]]
    log: LogObserver
    watched: MonitoredListener
    context: ServerContext | None = None

    def at(self, place: str) -> ListenerRuntime:
        """The same for a listener that is open at ``place``, which becomes part of its name."""
        watched = replace(self.watched, place=place)
        self.log.listener = watched.name
        return replace(self, watched=watched)

    def report(self) -> None:
        """Log the totals."""
        totals = self.watched.datagrams
        self.log.report(None if totals is None else totals())


class ListenerBuilder:
    """
    Builds the objects that serve the listeners of a server.

    :param reactor: the clock of everything that is built.
    :param descriptors: the limit of file descriptors of the process.
    :param memory: its limit of memory, in bytes.
    :raise StartupError: there are too few.
    :ivar connections: the admission of all stream connections.
    :ivar limitText: the maximum number of connections and its origin, for the log; if the operator
        has set it, a warning if memory may not suffice, or empty.
    """

    def __init__(
        self, reactor: IReactorTime, settings: Settings, descriptors: Limit, memory: Limit
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        limit = settings.connectionLimit(int(descriptors.number), memory.number)
        self.limitText = ""
        if settings.maxConnections is None:
            isMemory = limit < settings.connectionLimit(int(descriptors.number))
            reason = memory if isMemory else descriptors
            self.limitText = f"at most {limit:,} connections per process: {reason}"
        elif limit > settings.connectionsInMemory(memory.number):
            self.limitText = (
                f"--max-connections {limit} may need more memory than there is: {memory}; the "
                "kernel, or OpenSSL, may end the process then"
            )
        self.connections = ConnectionAdmission(
            reactor.seconds,
            limit,
            settings.perSourceLimit(limit),
            settings.connectionRate,
            settings.connectionBurst,
            settings.networks,
        )
        self._datagrams = DatagramAdmission(
            reactor.seconds, settings.datagramRate, settings.refusedPorts, settings.networks
        )

    def build(self, listener: Listener) -> ListenerRuntime:
        """
        Build the runtime of ``listener``.

        :raise ValueError: its certificates cannot be used; the message is the reason.
        """
        counts = ListenerCounters(_refusalsOf(listener.layers))
        name = listenerName(listener.service, listener.displayName)
        log = LogObserver(name, _log, counts.faults)
        observer = CompositeObserver(counts, log)
        if listener.carrier == "udp":
            return self._buildDatagrams(listener, observer, log, counts)
        return self._buildStreams(listener, observer, log, counts)

    def _buildDatagrams(
        self, listener: Listener, observer: IObserver, log: LogObserver, counts: ListenerCounters
    ) -> ListenerRuntime:
        kind: type[DatagramServerProtocol] = EchoDatagramProtocol
        arguments: list[object] = [self._reactor, observer, self._datagrams]
        if listener.service == "greeting":
            kind = GreetingDatagramProtocol
            arguments.append(self._settings.greeting)
        elif listener.service == "udp-plus":
            from echoproto.protocols.echoplus import EchoPlusDatagramProtocol

            kind = EchoPlusDatagramProtocol
        make: Callable[..., DatagramServerProtocol] = kind
        if listener.faults:
            from echoproto.protocols.faults.faulty import withDatagramFaults

            seed = self._settings.faultSeed
            make = withDatagramFaults(kind, listener.faults, seed, counts.faults)
        service = make(*arguments)
        return ListenerRuntime(
            service,
            lambda seconds: succeed(None),
            log,
            MonitoredListener(
                listener.service, listener.displayName, counts, tuple, service.totals
            ),
        )

    def _buildStreams(
        self, listener: Listener, observer: IObserver, log: LogObserver, counts: ListenerCounters
    ) -> ListenerRuntime:
        settings, layers = self._settings, listener.layers
        service: StreamFactory
        if listener.service == "greeting":
            service = GreetingFactory(
                self._reactor, observer, self.connections, settings.deadlines, settings.greeting
            )
        else:
            service = EchoFactory(self._reactor, observer, self.connections, settings.deadlines)
        if listener.faults:
            from echoproto.protocols.faults.faulty import addStreamFaults

            addStreamFaults(service, listener.faults, settings.faultSeed, counts.faults)
        outermost: Any = service
        drain = service.drain
        context = None
        if layers.tls is not None:
            # Imported here: a server without TLS starts sooner without it.
            from echoproto.server.certificates.servercontext import ServerContext
            from echoproto.transports.tls import TLSStreamFactory

            context = ServerContext(layers.tls)
            outermost = TLSStreamFactory(context.current, service, self._reactor)
        if layers.proxy is not None:
            outermost = _behindProxy(layers.proxy, service, outermost)
            drain = outermost.drain
        connections = cast(
            Callable[[], Iterable[StreamProtocol]], lambda: service.tracker.connections
        )
        watched = MonitoredListener(listener.service, listener.displayName, counts, connections)
        return ListenerRuntime(outermost, drain, log, watched, context)

    def buildSite(self, listener: Listener, site: Factory) -> Factory:
        """The factory of a status listener; a header is read as on other listeners."""
        proxy = listener.layers.proxy
        if proxy is None:
            return site
        headers = StreamFactory(self._reactor, timeouts=self._settings.deadlines)
        return _behindProxy(proxy, headers, site)


def _refusalsOf(layers: Layers) -> list[Refusal]:
    """The reasons why connections of a listener with these layers may be refused."""
    refusals = list(CONNECTION_REFUSALS)
    if layers.proxy is not None:
        refusals += HEADER_REFUSALS
    if layers.tls is not None:
        refusals += HANDSHAKE_REFUSALS
    return refusals


def _behindProxy(rule: ProxyRule, service: StreamFactory, wrapped: Factory) -> ProxyProtocolFactory:
    """``wrapped`` with a PROXY header in front; ``service`` has its timeouts and its admission."""
    from echoproto.transports.proxyprotocol import ProxyProtocolFactory

    return ProxyProtocolFactory(service, rule.versions, AddressFilter(rule.trusted), wrapped)
