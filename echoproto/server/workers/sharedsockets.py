"""
Listening sockets that the supervisor keeps open for its workers, and never accepts from.

Each worker has its own socket on each address, and the kernel spreads clients over them
(SO_REUSEPORT, socket(7)): a connection, and all datagrams of one source address and port, stay with
one worker. As the supervisor keeps the sockets open, a dead worker loses nothing that it had not
yet accepted. A UNIX socket, and one that systemd passed, is one socket for all workers.

A :class:`~echoproto.server.listeners.ports.Platform` of the supervisor opens listeners through
:class:`SharedListeners`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.server.config.descriptions import parseDatagrams
from echoproto.server.config.listener import Listener
from echoproto.server.listeners.adoption import adoptDatagrams
from echoproto.server.listeners.ports import Platform, openStream
from echoproto.server.listeners.sockets import StreamReactor, boundSocket, checkFree
from echoproto.server.systemd import PassedSocket


class _DiscardProtocol(DatagramProtocol):
    """The protocol of a port that is never read."""

    noisy = False

    def logPrefix(self) -> str:
        """Its name in Twisted's lines in the log."""
        return "Supervisor"


@implementer(IListeningPort)
class SharedPort:
    """
    One address, with a port for each worker or one for all; none of them is read.

    :param ports: listening ports of Twisted.
    :param whenClosed: called when the ports are closed; its Deferred fires when the workers have
        closed theirs.
    """

    def __init__(
        self,
        ports: Sequence[Any],  # Any: the attribute socket and stopReading() are in no interface
        whenClosed: Callable[[], Deferred[None]],
    ) -> None:
        self._ports = ports
        self._whenClosed = whenClosed
        for port in ports:
            port.stopReading()

    def sockets(self) -> list[socket.socket]:
        """One socket for each worker, or one for all."""
        return [port.socket for port in self._ports]

    def startListening(self) -> None:
        """Do nothing: the ports listen already."""

    def stopListening(self) -> Deferred[None]:
        """
        Close the supervisor's copies of the sockets; the workers and the kernel's queues keep
        theirs.

        :return: fires when the workers have drained.
        """
        closed = [maybeDeferred(port.stopListening) for port in self._ports]
        # First ours, so that a worker that closes its copy is the last to have it.
        return gatherResults(closed).addCallback(lambda _: self._whenClosed())

    def connectionLost(self, reason: Failure) -> None:
        """Close at once: another listener could not be opened."""
        for port in self._ports:
            port.connectionLost(reason)

    def getHost(self) -> IAddress:
        """The address."""
        address: IAddress = self._ports[0].getHost()
        return address


class SharedListeners:
    """
    Opens shared listeners and keeps track of them.

    :param workers: number of workers.
    :param whenClosed: see :class:`SharedPort`.
    :param platform: opens the status listener.
    """

    def __init__(
        self, workers: int, whenClosed: Callable[[], Deferred[None]], platform: Platform
    ) -> None:
        self._workers = workers
        self._whenClosed = whenClosed
        self._platform = platform
        self._opened: list[tuple[Listener, SharedPort]] = []

    # The reactors are Any, as of the functions of echoproto.server.listeners.ports.

    def openStream(self, reactor: object, listener: Listener, factory: Factory) -> IListeningPort:
        """
        Open a stream listener; see :func:`echoproto.server.listeners.ports.openStream`.

        The status listener is not shared: it is the supervisor's own.
        """
        if listener.service == "status":
            return self._platform.openStream(reactor, listener, factory)
        if listener.passed is not None or listener.carrier == "unix":
            return self._share(listener, [openStream(reactor, listener, factory)])
        streams = StreamReactor(reactor, shared=True)
        ports = [openStream(reactor, listener, factory, streams) for _ in range(self._workers)]
        return self._share(listener, ports)

    def openDatagrams(
        self, reactor: object, listener: Listener, protocol: object
    ) -> IListeningPort:
        """Open a datagram listener; see :func:`echoproto.server.listeners.ports.openDatagrams`."""
        if listener.passed is not None:
            return self._share(
                listener, [adoptDatagrams(reactor, listener.passed, _DiscardProtocol())]
            )
        number, interface = parseDatagrams(listener.description)
        checkFree(socket.SOCK_DGRAM, interface, number)
        ports: list[IListeningPort] = []
        for _ in range(self._workers):
            with boundSocket(socket.SOCK_DGRAM, interface, number, shared=True) as bound:
                number = bound.getsockname()[1]
                passed = PassedSocket(bound.fileno(), "", bound.type, bound.family)
                ports.append(adoptDatagrams(reactor, passed, _DiscardProtocol()))
        return self._share(listener, ports)

    def descriptors(self, first: int) -> dict[int, int]:
        """
        The descriptors that each worker inherits, by their numbers there.

        Each worker inherits those of all workers, as any process may replace any other.

        :param first: the lowest of these numbers.
        """
        sockets = [shared for _, port in self._opened for shared in port.sockets()]
        return {first + index: shared.fileno() for index, shared in enumerate(sockets)}

    def groupsFor(self, worker: int, first: int) -> list[list[Listener]]:
        """
        The listeners of one worker, in groups of one, for its settings.

        :param worker: its number.
        :param first: see :meth:`descriptors`.
        """
        groups: list[list[Listener]] = []
        for listener, port in self._opened:
            sockets = port.sockets()
            index = worker % len(sockets)
            shared = sockets[index]
            passed = PassedSocket(first + index, "", shared.type, shared.family)
            groups.append([replace(listener, passed=passed)])
            first += len(sockets)
        return groups

    def _share(self, listener: Listener, ports: Sequence[IListeningPort]) -> SharedPort:
        port = SharedPort(ports, self._whenClosed)
        self._opened.append((listener, port))
        return port
