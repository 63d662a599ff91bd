"""
Opens the listeners of the settings, all or none.

:mod:`.builder` builds the service of a listener; sockets are opened through :mod:`.ports`, which is
passed in, so that tests need no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from errno import EADDRINUSE
from typing import Any, NoReturn

from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from echoproto.errors import StartupError
from echoproto.server.config.listener import Listener, listenerName
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.acceptguard import guardAccepting
from echoproto.server.listeners.builder import ListenerBuilder, ListenerRuntime
from echoproto.server.listeners.ports import (
    LISTEN_ERRORS,
    Platform,
    errnoOf,
    explainListenError,
    placeOf,
)
from echoproto.server.listeners.sockets import acceptOnlyWithRoom, setListenerOptions

#: How often a port is picked for a bare 0: another program may take it before all carriers have it.
PORT_PICKS = 20


@dataclass(frozen=True)
class OpenListener:
    """
    An open listener.

    :ivar place: see :func:`~echoproto.server.listeners.ports.placeOf`.
    :ivar runtime: its runtime; the status listener has none.
    """

    listener: Listener
    port: IListeningPort
    place: str
    runtime: ListenerRuntime | None = None

    @property
    def name(self) -> str:
        """Its name in the log."""
        return listenerName(self.listener.service, self.place)


def closeAtOnce(opened: list[OpenListener], first: int = 0) -> None:
    """Close the listeners from ``first`` on, and remove them: the start has failed."""
    # The reactor does not run yet, so a Deferred of stopListening() would never fire: do at once
    # what it would do later, because a UNIX socket leaves a file behind.
    while len(opened) > first:
        port: Any = opened.pop().port
        port.connectionLost(Failure(ConnectionDone()))


def openStatus(machine: Platform, reactor: Any, listener: Listener, site: Any) -> OpenListener:
    """
    Open a status listener.

    :param site: answers its requests.
    """
    port = machine.openStream(reactor, listener, site)
    opened = OpenListener(listener, port, placeOf(listener, port))
    guardAccepting(port, reactor, opened.name)
    return opened


class ListenerOpener:
    """
    Opens the listeners of a server.

    :param reactor: runs the listeners.
    :param settings: the listeners, and the limits for all of them together.
    :param machine: opens sockets, and reports why one cannot be opened.
    :param makeSite: makes the factory of a status listener.
    :raise StartupError: there are too few descriptors.
    :ivar builder: builds their services.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        machine: Platform,
        makeSite: Callable[[], Any] | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._machine = machine
        self._makeSite = makeSite
        self._open: list[OpenListener] = []
        try:
            self.builder = ListenerBuilder(
                reactor, settings, machine.descriptorLimit(), machine.memoryLimit()
            )
        except StartupError as error:
            self._fail(str(error))

    def openAll(self) -> list[OpenListener]:
        """
        Open every listener.

        :raise StartupError: one of them cannot be opened; then none is.
        """
        hasIPv6 = self._machine.hasIPv6()
        for group in self._settings.groups:
            self._openGroup(
                [listener for listener in group if hasIPv6 or not listener.optional], PORT_PICKS
            )
        if self._settings.waitWhenFull:
            self._holdWhenFull()
        return self._open

    def _fail(self, message: str) -> NoReturn:
        self._machine.reportStartupError(message)
        raise StartupError(message, isReported=True) from None

    def _openGroup(self, group: Sequence[Listener], picks: int) -> None:
        """Open the listeners of one option; on one port for port 0."""
        before = len(self._open)
        listener = group[0]
        try:
            for listener in self._placed(group):
                self._open.append(self._listen(listener))
        except LISTEN_ERRORS as error:
            owner = self._ownerOf(listener, error)
            closeAtOnce(self._open, before)
            if group[0].port == 0 and errnoOf(error) == EADDRINUSE and picks > 1:
                return self._openGroup(group, picks - 1)
            closeAtOnce(self._open)
            if group[0].port == 0 and isinstance(error, CannotListenError):
                # Picking a port tries all addresses at once: name the one that cannot be bound.
                listener = replace(listener, interface=str(error.interface))
            if owner is not None:
                self._fail(
                    f"{listener.service} cannot listen on {listener.displayName}: {owner} of this "
                    "server listens there already; use another port for one of them"
                )
            self._fail(explainListenError(listener, error))

    def _ownerOf(self, listener: Listener, error: Exception) -> str | None:
        """The service that has the port of a listener already."""
        port = getattr(error, "port", listener.port)
        if errnoOf(error) != EADDRINUSE or not port:
            return None
        isUDP = listener.carrier == "udp"
        return next(
            (
                opening.listener.service
                for opening in self._open
                if (opening.listener.carrier == "udp") == isUDP
                and getattr(opening.port.getHost(), "port", None) == port
            ),
            None,
        )

    def _placed(self, group: Sequence[Listener]) -> Sequence[Listener]:
        if group[0].port != 0:
            return group
        interfaces = list(dict.fromkeys(listener.interface for listener in group))
        port = self._machine.pickPort(interfaces)
        return [listener.withPort(port) for listener in group]

    def _listen(self, listener: Listener) -> OpenListener:
        if listener.service == "status" and self._makeSite is not None:
            site = self.builder.buildSite(listener, self._makeSite())
            return openStatus(self._machine, self._reactor, listener, site)
        runtime = self.builder.build(listener)
        isUDP = listener.carrier == "udp"
        openPort = self._machine.openDatagrams if isUDP else self._machine.openStream
        port = openPort(self._reactor, listener, runtime.service)
        place = placeOf(listener, port)
        opened = OpenListener(listener, port, place, runtime.at(place))
        if not isUDP:
            setListenerOptions(port, self._settings.userTimeout)
            guardAccepting(port, self._reactor, opened.name)
        return opened

    def _holdWhenFull(self) -> None:
        admission = self.builder.connections
        ports: list[Any] = [
            opening.port
            for opening in self._open
            if opening.runtime is not None and opening.listener.carrier != "udp"
        ]
        for port in ports:
            acceptOnlyWithRoom(port, lambda: admission.room)

        def resume() -> None:
            for port in ports:
                if port.connected and not port.disconnecting:
                    port.startReading()

        admission.whenRoom = resume
