"""
The listeners as a Twisted service: opened when it is started (:mod:`.opener`), drained when it is
stopped. It can be added to any ``MultiService``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.server.certificates.certificateset import CertificateSet
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.acceptguard import ACCEPTS_PER_TURN
from echoproto.server.listeners.builder import ListenerRuntime
from echoproto.server.listeners.opener import ListenerOpener, OpenListener, closeAtOnce
from echoproto.server.listeners.ports import Platform
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.privileges import mayRemove

#: Connections that a listen backlog holds at most; Linux's default of ``somaxconn`` is 4096.
LONGEST_BACKLOG = 8192


def _acceptWaiting(port: object) -> None:
    """
    Accept the connections in the listen backlog, which the kernel would reset, with their data,
    when the port is closed; and receive waiting datagrams. Bounded, but by more than the longest
    backlog.
    """
    if IReadDescriptor.providedBy(port):
        for _ in range(LONGEST_BACKLOG // ACCEPTS_PER_TURN):
            port.doRead()


def _closePort(port: Any) -> Any:
    """
    Close a port after its last acceptance. The socket of one that has its own is closed with
    nothing in between, and not in the next turn of the reactor as by ``stopListening()``: the
    kernel would connect further clients, and reset them.
    """
    if not hasattr(port, "socket"):
        return port.stopListening()
    port.stopReading()
    _acceptWaiting(port)
    port.socket.close()
    return port.connectionLost(Failure(ConnectionDone()))


class ListenerService(Service):
    """
    Echo and greeting on any number of listeners.

    :param reactor: runs them.
    :param settings: the listeners, and the limits for all of them together.
    :param machine: opens sockets.
    :param makeSite: makes the factory of a status listener.
    :param announce: whether to log the addresses of the listeners.
    :ivar draining: true from the beginning of the drain.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        machine: Platform = Platform(),
        makeSite: Callable[[], Any] | None = None,
        announce: bool = True,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._machine = machine
        self._makeSite = makeSite
        self._announces = announce
        self._open: list[OpenListener] = []
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
        opener = ListenerOpener(self._reactor, self._settings, self._machine, self._makeSite)
        self._open = opener.openAll()
        # Logged when the reactor runs: a program that waits for these lines may send a signal or
        # connect at once.
        if self._announces:
            self._reactor.callWhenRunning(self._announce, opener.builder.limitText)

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

    def stopService(self) -> Deferred[None]:
        """
        Drain, then close the status listener.

        :return: fires with ``None`` when everything is closed, at the latest at the end of the
            drain.
        """
        Service.stopService(self)
        return self.drain().addCallback(lambda _: self._closeRest())

    def acceptWaiting(self) -> None:
        """Accept the clients that wait, and answer waiting datagrams."""
        for opening in self._open:
            if opening.runtime is not None:
                _acceptWaiting(opening.port)

    def drain(self) -> Deferred[None]:
        """
        Close the listeners and drain open connections; the status listener stays open, so that it
        can report the drain.

        :return: fires with ``None`` when no connection is open.
        """
        self.draining = True
        serving = [opening for opening in self._open if opening.runtime is not None]
        self._open = [opening for opening in self._open if opening.runtime is None]
        ending: list[Deferred[Any]] = [self._close(opening, _closePort) for opening in serving]
        # Kept until the next start, so that a second stop waits for the same drains.
        self._drained += [opening.runtime for opening in serving if opening.runtime is not None]
        ending += [runtime.drain(self._settings.drain) for runtime in self._drained]
        return gatherResults(ending).addCallback(lambda _: self.report())

    def stopAtOnce(self) -> None:
        """End the drain: reset the remaining connections."""
        for runtime in self._drained:
            runtime.drain(0.0)

    def _closeRest(self) -> Deferred[None]:
        rest, self._open = self._open, []
        closed = [self._close(opening, lambda port: port.stopListening()) for opening in rest]
        return gatherResults(closed).addCallback(lambda _: None)

    @property
    def certificates(self) -> CertificateSet:
        """The certificates of the listeners."""
        contexts = [runtime.context for runtime in self._runtimes()]
        return CertificateSet([context for context in contexts if context is not None])

    def _runtimes(self) -> list[ListenerRuntime]:
        return [
            opening.runtime for opening in self._open if opening.runtime is not None
        ] + self._drained

    def _close(self, opened: OpenListener, close: Callable[[Any], Any]) -> Deferred[Any]:
        """
        Close a port by ``close``; a failure, such as a missing file of a UNIX socket, must not end
        the drain.
        """

        def failed(failure: Failure) -> None:
            self._log.error(
                "{listener} did not close cleanly: {reason}",
                listener=opened.name,
                reason=failure.getErrorMessage(),
            )

        return maybeDeferred(close, opened.port).addErrback(failed)

    def _announce(self, limitText: str) -> None:
        for opening in self._open:
            self._log.info(
                "{service} is listening on {place}",
                event="listening",
                listener=opening.name,
                service=opening.listener.service,
                place=opening.place,
            )
            faults = opening.listener.faults
            if faults:
                self._log.warn(
                    "WARNING: {listener} has faults on purpose: {faults}; "
                    "--fault-seed {seed} repeats them",
                    listener=opening.name,
                    faults=faults,
                    seed=self._settings.faultSeed,
                )
        self.certificates.warnOfInvalid()
        if self._settings.notice:
            self._log.warn("{text}", text=self._settings.notice)
        # Datagrams and requests for metrics are none of these connections.
        hasStreams = any(o.runtime and o.listener.carrier != "udp" for o in self._open)
        if limitText and hasStreams:
            self._log.info("{text}", text=limitText)

    def checkAccess(self) -> None:
        """Log sockets that the current user may not remove later."""
        for opening in self._open:
            path = os.fsdecode(getattr(opening.port.getHost(), "name", None) or b"")
            if opening.listener.passed is None and os.path.exists(path) and not mayRemove(path):
                self._log.warn(
                    "{path} cannot be removed at the stop: user {uid} may not remove files of "
                    "others in its folder; use a folder that this user owns",
                    path=path,
                    uid=os.getuid(),
                )

    def abandon(self) -> None:
        """Close the listeners at once, because the start has failed."""
        closeAtOnce(self._open)
