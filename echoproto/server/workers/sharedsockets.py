"""
Listening sockets that a supervisor opens and keeps, and only its workers accept from.

Each worker has a socket of its own at every place, and the kernel distributes clients among them
(SO_REUSEPORT, socket(7)): a connection, and all datagrams of one address and port, stay with one.
Because the supervisor keeps the sockets, a worker that dies loses only connections that it had
accepted. UNIX sockets, and those passed by systemd, are one socket for all workers.

:class:`SharedListeners` replaces the opening functions of a
    :class:`~echoproto.server.ports.Platform`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol, Factory
from zope.interface import implementer

from echoproto.server.config.listeners import Listener, parseDatagrams
from echoproto.server.ports import Platform, openStream
from echoproto.server.sockets import StreamReactor, boundSocket, checkFree
from echoproto.server.systemd import PassedSocket, adoptDatagrams


class _DiscardProtocol(DatagramProtocol):
    """Receives no datagram."""

    noisy = False


@implementer(IListeningPort)
class SharedPort:
    """
    One place, with a port for each worker or one for all, none of which is read.

    :param ports: listening ports of Twisted.
    :param stopped: called when they are closed; its Deferred fires when the workers are done with
        theirs.
    """

    def __init__(self, ports: Sequence[Any], stopped: Callable[[], Deferred[None]]) -> None:
        self._ports = ports
        self._stopped = stopped
        for port in ports:
            port.stopReading()

    def sockets(self) -> list[Any]:
        """One for each worker, or one for all."""
        return [port.socket for port in self._ports]

    def startListening(self) -> None:
        """They listen already."""

    def stopListening(self) -> Deferred[Any]:
        """
        Close the supervisor's copies of the sockets; the workers have theirs, and the kernel's
        queues.

        :return: fires when the workers have drained.
        """
        closed = [maybeDeferred(port.stopListening) for port in self._ports]
        # Closed first, so that a worker that closes its copy is the last to have it.
        return gatherResults(closed).addCallback(lambda _: self._stopped())

    def connectionLost(self, reason: Any) -> None:
        """Close at once: another listener could not be opened."""
        for port in self._ports:
            port.connectionLost(reason)

    def getHost(self) -> Any:
        """Its address."""
        return self._ports[0].getHost()


class SharedListeners:
    """
    Opens places and keeps them.

    :param workers: the number of workers.
    :param stopped: see :class:`SharedPort`.
    :param machine: opens the status listener.
    """

    def __init__(
        self, workers: int, stopped: Callable[[], Deferred[None]], machine: Platform
    ) -> None:
        self._workers = workers
        self._stopped = stopped
        self._machine = machine
        self._opened: list[tuple[Listener, SharedPort]] = []

    def openStream(self, reactor: Any, listener: Listener, factory: Factory) -> IListeningPort:
        """
        See :func:`echoproto.server.ports.openStream`. The status listener is the supervisor's own.
        """
        if listener.service == "status":
            return self._machine.openStream(reactor, listener, factory)
        if listener.passed is not None or listener.carrier == "unix":
            return self._hold(listener, [openStream(reactor, listener, factory)])
        streams = StreamReactor(reactor, shared=True)
        ports = [openStream(reactor, listener, factory, streams) for _ in range(self._workers)]
        return self._hold(listener, ports)

    def openDatagrams(self, reactor: Any, listener: Listener, protocol: Any) -> IListeningPort:
        """See :func:`echoproto.server.ports.openDatagrams`."""
        if listener.passed is not None:
            return self._hold(
                listener, [adoptDatagrams(reactor, listener.passed, _DiscardProtocol())]
            )
        number, interface = parseDatagrams(listener.description)
        checkFree(socket.SOCK_DGRAM, interface, number)
        ports: list[Any] = []
        for _ in range(self._workers):
            with boundSocket(socket.SOCK_DGRAM, interface, number, shared=True) as made:
                number = made.getsockname()[1]
                passed = PassedSocket(made.fileno(), "", made.type, made.family)
                ports.append(adoptDatagrams(reactor, passed, _DiscardProtocol()))
        return self._hold(listener, ports)

    def descriptors(self, first: int) -> dict[int, int]:
        """
        The descriptors that each worker inherits, because any may replace any other: ours, by their
        numbers there.

        :param first: the smallest of those numbers.
        """
        sockets = [opened for _, port in self._opened for opened in port.sockets()]
        return {first + index: opened.fileno() for index, opened in enumerate(sockets)}

    def groupsFor(self, worker: int, first: int) -> list[list[Listener]]:
        """
        The listeners of worker number ``worker``, for its settings.

        :param first: see :meth:`descriptors`.
        """
        groups: list[list[Listener]] = []
        for listener, port in self._opened:
            sockets = port.sockets()
            index = worker % len(sockets)
            held = sockets[index]
            passed = PassedSocket(first + index, "", held.type, held.family)
            groups.append([replace(listener, passed=passed)])
            first += len(sockets)
        return groups

    def _hold(self, listener: Listener, ports: list[Any]) -> SharedPort:
        port = SharedPort(ports, self._stopped)
        self._opened.append((listener, port))
        return port
