"""
The listeners as a Twisted service: opens all of them or none, and drains them when stopped.

Made by :mod:`echoproto.server.application`; may as well be added to any ``MultiService``. What serves a listener
is built by :mod:`echoproto.server.builder`; how the service reaches the machine is passed in
(:mod:`echoproto.server.ports`), so that its tests need no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from errno import EADDRINUSE
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.errors import StartupError
from echoproto.server.builder import ListenerBuilder, ListenerRuntime
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.log import addressText
from echoproto.server.ports import LISTEN_ERRORS, Platform, errnoOf, explainListenError
from echoproto.server.sockets import acceptOnlyWithRoom, setUserTimeout

#: How often a port is picked for a bare 0: another program may take it before we have it on all carriers.
PICKS = 20


@dataclass(frozen=True)
class _Open:
    """A listener that is open, its port, and what serves its clients; the status listener has none."""

    listener: Listener
    port: IListeningPort
    serving: ListenerRuntime | None


def _acceptWaiting(port: Any) -> None:
    """
    Take the connections that the kernel holds for us, which it would reset when the port is closed, with all that
    their clients have sent; and the datagrams. Bounded: a stream port takes more at every turn, 20
    turns take more than the longest backlog.
    """
    if IReadDescriptor.providedBy(port):
        for _ in range(20):
            port.doRead()


class ListenerService(Service):
    """
    Echo and greeting on any number of listeners.

    :param reactor: runs them.
    :param settings: the listeners, and the limits that hold for all of them together.
    :param machine: how sockets are opened.
    :param makeSite: makes the factory of a status listener, where there is one.
    :param announce: whether to log where the listeners are.
    :ivar draining: true from the moment it is stopped.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        machine: Platform | None = None,
        makeSite: Callable[[], Any] | None = None,
        announce: bool = True,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._machine = machine if machine is not None else Platform()
        self._makeSite = makeSite
        self._announces = announce
        self._open: list[_Open] = []
        self._drained: list[ListenerRuntime] = []
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether every listener is open and new clients are welcome."""
        return bool(self._open) and not self.draining

    def watched(self) -> Iterable[MonitoredListener]:
        """What the metrics read, of each listener, also while it is drained."""
        return [each.watched for each in self._servings()]

    def privilegedStartService(self) -> None:
        """
        Open every listener, while we may still open low ports.

        :raise StartupError: one of them cannot be opened; then none is.
        """
        Service.privilegedStartService(self)
        self.draining, self._drained = False, []
        try:
            self._assembly = ListenerBuilder(
                self._reactor, self._settings, self._machine.descriptorLimit()
            )
        except StartupError as error:
            self._machine.reportStartupError(str(error))
            raise StartupError(str(error), said=True) from None
        hasIPv6 = self._machine.hasIPv6()
        for group in self._settings.groups:
            self._openGroup([each for each in group if hasIPv6 or not each.optional], PICKS)
        self._holdWhenFull()
        # Said when the reactor runs: who waits for these lines may send a signal or a client at once.
        if self._announces:
            self._reactor.callWhenRunning(self._announce)

    def startService(self) -> None:
        """Start; opens the listeners where ``privilegedStartService`` was not called (``twist`` does not)."""
        if not self._open:
            self.privilegedStartService()
        Service.startService(self)

    def report(self) -> None:
        """Let the log tell what it tells in sums; to be called every :data:`echoproto.server.monitoring.log.REPORT_INTERVAL`."""
        for each in self._servings():
            each.report()

    def reload(self) -> None:
        """Read the certificates again, for the connections from now on; those in use stay where they cannot be used."""
        contexts = [each.context for each in self._servings() if each.context is not None]
        wrong: set[str] = set()
        for context in contexts:
            try:
                context.load()
            except ValueError as error:
                wrong.add(str(error))
        for reason in sorted(wrong):
            self._log.error("the certificates in use stay: {reason}", reason=reason)
        if not wrong:
            self._log.info("read the certificates of {number} listeners", number=len(contexts))

    def stopService(self) -> Deferred[None]:
        """
        Close the listeners and drain what is open; the status listener is closed last, so that who asks
        meanwhile is told.

        :return: fires with ``None`` when nothing is left, at the latest after the drain's deadline.
        """
        Service.stopService(self)
        self.draining = True
        opened, self._open = self._open, []
        serving = [each for each in opened if each.serving is not None]
        for each in serving:
            _acceptWaiting(each.port)
        ending: list[Deferred[Any]] = [self._close(each) for each in serving]
        # Kept until the next start, so that a second stop waits for the same drains.
        self._drained += [each.serving for each in serving if each.serving is not None]
        ending += [each.drain(self._settings.drain) for each in self._drained]
        rest = [each for each in opened if each.serving is None]
        return gatherResults(ending).addCallback(lambda _: self._closeRest(rest))

    def stopAtOnce(self) -> None:
        """Cut what a drain still waits for."""
        for each in self._drained:
            each.drain(0.0)

    def _closeRest(self, rest: Sequence[_Open]) -> Deferred[None]:
        self.report()
        return gatherResults([self._close(each) for each in rest]).addCallback(lambda _: None)

    def _servings(self) -> list[ListenerRuntime]:
        return [each.serving for each in self._open if each.serving is not None] + self._drained

    def _close(self, opened: _Open) -> Deferred[Any]:
        """Close a port; a failure, such as a UNIX socket's file that is gone, must not cut the drain."""

        def failed(failure: Failure) -> None:
            self._log.error(
                "{service} did not close {where} cleanly: {reason}",
                service=opened.listener.service,
                where=opened.listener.where,
                reason=failure.getErrorMessage(),
            )

        return maybeDeferred(opened.port.stopListening).addErrback(failed)

    def _openGroup(self, group: Sequence[Listener], picks: int) -> None:
        """Open what one option asks for; on one port where it asks for port 0."""
        before = len(self._open)
        listener = group[0]
        try:
            for listener in self._placed(group):
                self._open.append(self._listen(listener))
        except LISTEN_ERRORS as error:
            self._abandon(before)
            if group[0].port == 0 and errnoOf(error) == EADDRINUSE and picks > 1:
                return self._openGroup(group, picks - 1)
            self._abandon(0)
            if group[0].port == 0 and isinstance(error, CannotListenError):
                # Picking a port tries all addresses at once: name the one that cannot be had.
                listener = replace(listener, interface=str(error.interface))
            message = explainListenError(listener, error)
            self._machine.reportStartupError(message)
            raise StartupError(message, said=True) from None

    def _placed(self, group: Sequence[Listener]) -> Sequence[Listener]:
        if group[0].port != 0:
            return group
        interfaces = list(dict.fromkeys(each.interface for each in group))
        port = self._machine.pickPort(interfaces)
        return [each.at(port) for each in group]

    def _announce(self) -> None:
        for each in self._open:
            self._log.info(
                "{service} is listening on {carrier} {address}",
                service=each.listener.service,
                carrier=each.listener.carrier,
                address=addressText(each.port.getHost()),
            )

    def _listen(self, listener: Listener) -> _Open:
        if listener.service == "status" and self._makeSite is not None:
            port = self._machine.openStream(self._reactor, listener, self._makeSite())
            return _Open(listener, port, None)
        serving = self._assembly.serve(listener)
        if listener.carrier == "udp":
            port = self._machine.openDatagrams(self._reactor, listener, serving.service)
        else:
            port = self._machine.openStream(self._reactor, listener, serving.service)
            setUserTimeout(port, self._settings.userTimeout)
        # Named by where it is and not by what was written, of which there may be two alike.
        place = f"{listener.carrier} {addressText(port.getHost())}"
        return _Open(
            listener, port, replace(serving, watched=replace(serving.watched, place=place))
        )

    def _holdWhenFull(self) -> None:
        if not self._settings.waitWhenFull:
            return
        admission = self._assembly.connections
        ports: list[Any] = [
            each.port
            for each in self._open
            if each.serving is not None and each.listener.carrier != "udp"
        ]
        for port in ports:
            acceptOnlyWithRoom(port, lambda: admission.room)

        def goOn() -> None:
            for port in ports:
                if port.connected and not port.disconnecting:
                    port.startReading()

        admission.whenRoom = goOn

    def _abandon(self, first: int) -> None:
        """Close what was opened from ``first`` on."""
        # The reactor does not run yet, so a Deferred of stopListening() would never fire:
        # do now what it would do later, for a UNIX socket leaves a file behind.
        while len(self._open) > first:
            port: Any = self._open.pop().port
            port.connectionLost(Failure(ConnectionDone()))
