"""
The listeners as a Twisted service: opens all of them or none, and drains them when stopped.

It can be added to any ``MultiService``. :mod:`echoproto.server.builder` builds the service of a
listener; sockets are opened through :mod:`echoproto.server.ports`, which is passed in, so that
tests need no socket.
"""

from __future__ import annotations

import os
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
from echoproto.server.acceptguard import guardAccepting
from echoproto.server.builder import ListenerBuilder, ListenerRuntime
from echoproto.server.certificates import ServerContext, TLSFiles
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.log import addressText
from echoproto.server.ports import LISTEN_ERRORS, Platform, errnoOf, explainListenError
from echoproto.server.privileges import mayRemove
from echoproto.server.sockets import acceptOnlyWithRoom, setListenerOptions

#: How often a port is picked for a bare 0: another program may take it before all carriers have it.
PORT_PICKS = 20


@dataclass(frozen=True)
class _Open:
    """An open listener, its port, and its runtime; the status listener has none."""

    listener: Listener
    port: IListeningPort
    runtime: ListenerRuntime | None


def _acceptWaiting(port: Any) -> None:
    """
    Accept the connections in the listen backlog, which the kernel would reset, with their data,
    when the port is closed; and receive waiting datagrams. Bounded: a stream port accepts more in
    every turn, and 20 turns accept more than the longest backlog.
    """
    if IReadDescriptor.providedBy(port):
        for _ in range(20):
            port.doRead()


class ListenerService(Service):
    """
    Echo and greeting on any number of listeners.

    :param reactor: runs them.
    :param settings: the listeners, and the limits for all of them together.
    :param machine: opens sockets.
    :param makeSite: makes the factory of a status listener.
    :param announce: whether to log the addresses of the listeners.
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
        """Whether every listener is open and new clients are served."""
        return bool(self._open) and not self.draining

    def watched(self) -> Iterable[MonitoredListener]:
        """The monitored listeners for the metrics, also while they are drained."""
        return [runtime.watched for runtime in self._runtimes()]

    def privilegedStartService(self) -> None:
        """
        Open every listener, while the process may still open low ports.

        :raise StartupError: one of them cannot be opened; then none is.
        """
        Service.privilegedStartService(self)
        self.draining, self._drained = False, []
        try:
            self._builder = ListenerBuilder(
                self._reactor,
                self._settings,
                self._machine.descriptorLimit(),
                self._machine.memoryLimit(),
            )
        except StartupError as error:
            self._machine.reportStartupError(str(error))
            raise StartupError(str(error), said=True) from None
        hasIPv6 = self._machine.hasIPv6()
        for group in self._settings.groups:
            self._openGroup(
                [listener for listener in group if hasIPv6 or not listener.optional], PORT_PICKS
            )
        self._holdWhenFull()
        # Logged when the reactor runs: a program that waits for these lines may send a signal or
        # connect at once.
        if self._announces:
            self._reactor.callWhenRunning(self._announce)

    def startService(self) -> None:
        """
        Start; opens the listeners unless ``privilegedStartService`` has done so (``twist`` does not
        call it).
        """
        if not self._open:
            self.privilegedStartService()
        Service.startService(self)

    def report(self) -> None:
        """
        Log the totals; to be called every :data:`echoproto.server.monitoring.log.REPORT_INTERVAL`
        seconds.
        """
        for runtime in self._runtimes():
            runtime.report()

    def reload(self) -> None:
        """
        Read the certificates again, for new connections; if they cannot be used, the current ones
        stay.
        """
        contexts = self._contexts()
        wrong: set[str] = set()
        for context in contexts:
            try:
                context.load()
            except ValueError as error:
                wrong.add(str(error))
        for reason in sorted(wrong):
            self._log.error("the current certificates stay in use: {reason}", reason=reason)
        if not wrong:
            self._log.info("read the certificates of {number} listeners", number=len(contexts))

    def stopService(self) -> Deferred[None]:
        """
        Close the listeners and drain open connections; the status listener is closed last, so that
        it can report the drain.

        :return: fires with ``None`` when everything is closed, at the latest at the end of the
            drain.
        """
        Service.stopService(self)
        self.draining = True
        opened, self._open = self._open, []
        serving = [opening for opening in opened if opening.runtime is not None]
        for opening in serving:
            _acceptWaiting(opening.port)
        ending: list[Deferred[Any]] = [self._close(opening) for opening in serving]
        # Kept until the next start, so that a second stop waits for the same drains.
        self._drained += [opening.runtime for opening in serving if opening.runtime is not None]
        ending += [runtime.drain(self._settings.drain) for runtime in self._drained]
        rest = [opening for opening in opened if opening.runtime is None]
        return gatherResults(ending).addCallback(lambda _: self._closeRest(rest))

    def stopAtOnce(self) -> None:
        """End the drain: reset the remaining connections."""
        for runtime in self._drained:
            runtime.drain(0.0)

    def _closeRest(self, rest: Sequence[_Open]) -> Deferred[None]:
        self.report()
        return gatherResults([self._close(opening) for opening in rest]).addCallback(lambda _: None)

    def replaceCertificates(self, files: Iterable[TLSFiles]) -> None:
        """Use what another process has read, for new connections."""
        byName = {name: name for name in files}
        for context in self._contexts():
            context.load(byName[context.files])

    def loadedFiles(self) -> list[TLSFiles]:
        """The certificates in use, with their contents, for :meth:`replaceCertificates`."""
        return [context.loaded for context in self._contexts()]

    def _contexts(self) -> list[ServerContext]:
        return [runtime.context for runtime in self._runtimes() if runtime.context is not None]

    def _runtimes(self) -> list[ListenerRuntime]:
        return [
            opening.runtime for opening in self._open if opening.runtime is not None
        ] + self._drained

    def _close(self, opened: _Open) -> Deferred[Any]:
        """
        Close a port; a failure, such as a missing file of a UNIX socket, must not end the drain.
        """

        def failed(failure: Failure) -> None:
            self._log.error(
                "{service} did not close {where} cleanly: {reason}",
                service=opened.listener.service,
                where=opened.listener.displayName,
                reason=failure.getErrorMessage(),
            )

        return maybeDeferred(opened.port.stopListening).addErrback(failed)

    def _openGroup(self, group: Sequence[Listener], picks: int) -> None:
        """Open the listeners of one option; on one port for port 0."""
        before = len(self._open)
        listener = group[0]
        try:
            for listener in self._placed(group):
                self._open.append(self._listen(listener))
        except LISTEN_ERRORS as error:
            self.abandon(before)
            if group[0].port == 0 and errnoOf(error) == EADDRINUSE and picks > 1:
                return self._openGroup(group, picks - 1)
            self.abandon(0)
            if group[0].port == 0 and isinstance(error, CannotListenError):
                # Picking a port tries all addresses at once: name the one that cannot be bound.
                listener = replace(listener, interface=str(error.interface))
            message = explainListenError(listener, error)
            self._machine.reportStartupError(message)
            raise StartupError(message, said=True) from None

    def _placed(self, group: Sequence[Listener]) -> Sequence[Listener]:
        if group[0].port != 0:
            return group
        interfaces = list(dict.fromkeys(listener.interface for listener in group))
        port = self._machine.pickPort(interfaces)
        return [listener.withPort(port) for listener in group]

    def _announce(self) -> None:
        for opening in self._open:
            self._log.info(
                "{service} is listening on {carrier} {address}",
                service=opening.listener.service,
                carrier=opening.listener.carrier,
                address=addressText(opening.port.getHost()),
            )

    def _listen(self, listener: Listener) -> _Open:
        if listener.service == "status" and self._makeSite is not None:
            port = self._machine.openStream(self._reactor, listener, self._makeSite())
            guardAccepting(port, self._reactor, f"status on {listener.displayName}")
            return _Open(listener, port, None)
        runtime = self._builder.build(listener)
        if listener.carrier == "udp":
            port = self._machine.openDatagrams(self._reactor, listener, runtime.service)
        else:
            port = self._machine.openStream(self._reactor, listener, runtime.service)
            setListenerOptions(port, self._settings.userTimeout)
            guardAccepting(port, self._reactor, f"{listener.service} on {listener.displayName}")
        # Named by its place, because two texts may be alike.
        place = f"{listener.carrier} {addressText(port.getHost())}"
        return _Open(
            listener, port, replace(runtime, watched=replace(runtime.watched, place=place))
        )

    def _holdWhenFull(self) -> None:
        if not self._settings.waitWhenFull:
            return
        admission = self._builder.connections
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

    def checkAccess(self) -> None:
        """Log files that the current user may not use later: keys, and sockets to be removed."""
        for opening in self._open:
            path = os.fsdecode(getattr(opening.port.getHost(), "name", None) or b"")
            if opening.listener.passed is None and os.path.exists(path) and not mayRemove(path):
                self._log.warn(
                    "{path} cannot be removed at the stop: user {uid} may not write in its folder",
                    path=path,
                    uid=os.getuid(),
                )
        for context in self._contexts():
            try:
                context.files.read()
            except ValueError as error:
                self._log.warn("SIGHUP cannot read the certificates again: {reason}", reason=error)

    def abandon(self, first: int = 0) -> None:
        """Close at once the listeners that were opened from ``first`` on: the start has failed."""
        # The reactor does not run yet, so a Deferred of stopListening() would never fire: do at
        # once what it would do later, because a UNIX socket leaves a file behind.
        while len(self._open) > first:
            port: Any = self._open.pop().port
            port.connectionLost(Failure(ConnectionDone()))
