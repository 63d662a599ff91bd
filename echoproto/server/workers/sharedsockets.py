"""
Listening sockets that a supervisor opens and holds, and never accepts from: its workers do.

Each worker has a socket of its own at every place, and the kernel spreads clients over them (SO_REUSEPORT, socket(7)): a
connection, and all datagrams of one address and port, stay with one. As the supervisor holds the
sockets, a worker that dies loses nothing that it had not accepted. UNIX sockets, and those that systemd passed, are
one socket for all workers.

Made by :mod:`echoproto.server.workers.supervisor`; :class:`SharedListeners` stands for opening in a :class:`~echoproto.server.ports.Platform`.
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
    """Never hears a datagram."""

    noisy = False


@implementer(IListeningPort)
class SharedPort:
    """
    One place, with a port for each worker or one for all, of which none is read.

    :param ports: ports of Twisted's that listen.
    :param stopped: called when they are closed; its Deferred fires when the workers are done with theirs.
    """

    def __init__(self, ports: Sequence[Any], stopped: Callable[[], Deferred[None]]) -> None:
        self._ports = ports
        self._stopped = stopped
        for port in ports:
            port.stopReading()

    def sockets(self) -> list[Any]:
        """One for each worker, or one for all."""
        return [each.socket for each in self._ports]

    def startListening(self) -> None:
        """They listen already."""

    def stopListening(self) -> Deferred[Any]:
        """
        Close our copies of the sockets; the workers have theirs, and the kernel's queues.

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
        """Where it is."""
        return self._ports[0].getHost()


class SharedListeners:
    """
    Opens places and remembers them.

    :param workers: how many there will be.
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
        """See :func:`echoproto.server.ports.openStream`. The status listener is the supervisor's own."""
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
        What each worker inherits, as any may be put in the place of any other: our descriptors, by their numbers there.

        :param first: the least of those numbers.
        """
        sockets = [each for _, port in self._opened for each in port.sockets()]
        return {first + index: each.fileno() for index, each in enumerate(sockets)}

    def groupsFor(self, worker: int, first: int) -> list[list[Listener]]:
        """
        What worker number ``worker`` serves, for its settings.

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
