"""
The whole program: the listeners, the periodic totals in the log, the status listener, systemd
notifications, and signals.

``twistd`` stops a service at the first SIGTERM or SIGINT. The further ones, each of which ends a
phase of the stop, and SIGHUP are handled here.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.errors import StartupError
from echoproto.processes.orphans import REAP_INTERVAL, reapOrphans
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.server.listeners.ports import Platform
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.server.monitoring.logerrors import LogErrors
from echoproto.server.monitoring.totals import logStreamTotals
from echoproto.server.notifier import Notifier, makeWatchdog
from echoproto.server.periodic import PeriodicService
from echoproto.server.privileges import Identity
from echoproto.server.signals import STOP_SIGNALS
from echoproto.status.looplag import LoopLag
from echoproto.status.state import IState

if TYPE_CHECKING:
    from echoproto.server.certificates.certificatereader import CertificateReader


@implementer(IState)
class EchoprotoService(Service):
    """
    The service of the whole program.

    :param reactor: runs everything.
    :param machine: opens sockets and handles signals.
    :param notifier: notifies systemd; by default the process's own.
    :param announce: whether to log the addresses of the listeners, and at the end their totals.
    :param identity: the user to become when the listeners are open.
    :param startReader: starts what reads certificates again for another user, if nobody else does.
    """

    name = "echoproto"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        machine: Platform = Platform(),
        notifier: Notifier | None = None,
        announce: bool = True,
        identity: Identity = Identity(),
        startReader: Callable[[Sequence[TLSFiles]], CertificateReader] | None = None,
    ) -> None:
        self._reactor = reactor
        self._startReader = startReader
        self._reader: CertificateReader | None = None
        self._machine = machine
        self._identity = identity
        self._notifier = notifier if notifier is not None else Notifier(os.environ, os.getpid())
        self.listeners = ListenerService(reactor, settings, self._machine, self._site, announce)
        self.delay = LoopLag(reactor)
        self.logErrors = LogErrors(reactor)
        self._companions: Any = MultiService()
        for companion in self._makeCompanions():
            self._companions.addService(companion)
        self._announces = announce
        self._lameDuck = settings.lameDuck
        self._statusLinger = settings.statusLinger if settings.hasStatus else 0.0
        self._waiting: Deferred[None] = succeed(None)
        self._isStopping = self._endsFirst = False
        self._stops: list[Deferred[None]] = []

    def _makeCompanions(self) -> Iterable[Service]:
        """The services that run beside the listeners."""
        yield PeriodicService(self._reactor, REPORT_INTERVAL, self.listeners.report)
        yield self.delay
        yield self.logErrors
        yield makeWatchdog(self._reactor, self._notifier)
        if self._machine.processID() == 1:
            yield PeriodicService(self._reactor, REAP_INTERVAL, reapOrphans)

    def privilegedStartService(self) -> None:
        """
        Open the listeners, then become another user, if there is one.

        :raise StartupError: a listener cannot be opened, or the process may not become that user;
            then none stays open.
        """
        Service.privilegedStartService(self)
        self._machine.postponeStop(self._reactor, self._endPhase)
        self.listeners.privilegedStartService()
        try:
            self._becomeUser()
        except StartupError:
            self.listeners.abandon()
            self._stopReader()
            raise

    def _becomeUser(self) -> None:
        if self._identity.isCurrent:
            return
        files = [context.files for context in self.listeners.certificates.contexts]
        if files and self._startReader is not None:
            self._reader = self._startReader(files)
        self._identity.assume()
        self.listeners.checkAccess()

    def _stopReader(self) -> None:
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def startService(self) -> None:
        """Start; see :class:`~echoproto.server.listeners.listenerservice.ListenerService`."""
        Service.startService(self)
        self._isStopping = self._endsFirst = False
        self.listeners.startService()
        self._companions.startService()
        self._machine.ignoreRotation()
        self._machine.onSignal(self._reactor, signal.SIGHUP, self._reload)
        # A full garbage collection of the imported modules would delay all clients by 50 ms.
        self._reactor.callWhenRunning(gc.freeze)
        self._reactor.callWhenRunning(self._notifyReady)

    def stopService(self) -> Deferred[None]:
        """
        Stop, in phases: the lame-duck time, in which new clients are served, the drain, and the
        time in which the last metrics can be read. A further SIGTERM or SIGINT ends the phase.

        :return: fires with ``None`` when everything is closed.
        """
        Service.stopService(self)
        stopped: Deferred[None] = Deferred()
        self._stops.append(stopped)
        if len(self._stops) == 1:
            Deferred.fromCoroutine(self._stop()).addBoth(self._stopped)
        return stopped

    async def _stop(self) -> None:
        self._isStopping = True
        self._notifier.stopping()
        self._restore = [
            self._machine.onSignal(self._reactor, number, self._endPhase) for number in STOP_SIGNALS
        ]
        if self._endsFirst:
            self._reactor.callLater(0, self._endPhase)
        if seconds := self._lameDuck:
            self._log.info("stopping; new clients are served for {seconds:g} s", seconds=seconds)
            await self._wait(seconds)
        await self._drain()
        if self._announces:
            logStreamTotals(self._watched())
        if self._statusLinger:
            await self._wait(self._statusLinger)
        await self.listeners.stopService()
        await self._stopRest()

    async def _drain(self) -> None:
        await self.listeners.drain()

    def _stopRest(self) -> Any:
        # The process may continue, and must be stoppable.
        for undo in self._restore:
            undo()
        self._stopReader()
        self._notifier.close()
        return self._companions.stopService()

    def _stopped(self, result: Failure | None) -> None:
        stops, self._stops = self._stops, []
        for stop in stops:
            stop.callback(result)

    def _wait(self, seconds: float) -> Deferred[None]:
        """Wait, at most until a further signal."""
        self._waiting = deferLater(self._reactor, seconds)
        return self._waiting.addErrback(lambda _: None)

    def _endPhase(self) -> None:
        if self.running:
            # The reactor was stopped just now, and will begin the first phase.
            self._endsFirst = True
        elif self._waiting.called:
            self._stopAtOnce()
        else:
            self._waiting.cancel()

    def _stopAtOnce(self) -> None:
        self.listeners.stopAtOnce()

    def _notifyReady(self) -> None:
        self._notifier.ready("serving")

    def _reload(self) -> None:
        # Otherwise READY=1 would follow STOPPING=1, and new clients would not be served.
        if not self._isStopping:
            self._notifier.reloading()
            self._readAgain()
            self._notifyReady()

    def _readAgain(self) -> None:
        read = TLSFiles.read if self._reader is None else self._reader.read
        self.listeners.certificates.reload(read)

    # IState, shown by the status listener

    def ready(self) -> bool:
        """Whether every listener is open and the server is not stopping."""
        return self.listeners.ready and not self._isStopping

    def notReadyReason(self) -> str:
        """Why the server is not ready."""
        if self.listeners.draining:
            return "draining"
        return "stopping" if self._isStopping else "starting"

    def metrics(self) -> bytes:
        """The metrics, in Prometheus' text format."""
        from echoproto.server.monitoring.metrics import exposition

        return exposition(
            self._watched(), self.listeners.draining, self.delay.histogram, self.logErrors.count
        )

    def _watched(self) -> Iterable[MonitoredListener]:
        return self.listeners.watched()

    def _site(self) -> Any:
        # Only here, as they import a web server; the first now, while it may be read (--uid).
        from echoproto.server.monitoring import metrics  # noqa: F401
        from echoproto.status.site import StatusSite

        return StatusSite(self._reactor, self)
