"""
The server as several processes: a supervisor that serves no client, and workers that do.

The supervisor opens the listeners and keeps them open (:mod:`.sharedsockets`), runs the workers
(:mod:`.pool`), passes drain and reload on to them, and adds up what they count. To systemd and to
readers of the status page it is one :class:`~echoproto.server.application.EchoprotoService`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning

from echoproto.server.application import EchoprotoService
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.ports import Platform
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.metrics import WorkerCounts, exposition
from echoproto.server.notifier import Notifier
from echoproto.server.workers.pool import WorkerPool
from echoproto.server.workers.sharedsockets import SharedListeners
from echoproto.server.workers.worker import FIRST_SOCKET, WorkerAssignment, WorkerConfig
from echoproto.server.workers.workerprocess import WorkerStart


class Supervisor(EchoprotoService):
    """
    The service of the supervising process.

    :param reactor: runs it.
    :param settings: the settings of the workers; the status listener is the supervisor's own.
    :param workers: number of workers.
    :param configFor: makes the configuration of workers with these settings.
    :param machine: see :class:`~echoproto.server.application.EchoprotoService`.
    :param notifier: likewise.
    """

    def __init__(
        self,
        reactor: Any,  # as of EchoprotoService
        settings: Settings,
        workers: int,
        configFor: Callable[[Settings], WorkerConfig],
        machine: Platform | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        # The phases of a stop are those of this process.
        self._workerSettings = replace(settings, groups=[], lameDuck=0.0, statusLinger=0.0)
        self._configFor = configFor
        self._hasFailed = False
        machine = machine if machine is not None else Platform()
        self._shared = SharedListeners(workers, self._drainWorkers, machine)
        sharing = replace(
            machine, openStream=self._shared.openStream, openDatagrams=self._shared.openDatagrams
        )
        # The workers, not the supervisor, stop accepting when they are full.
        super().__init__(reactor, replace(settings, waitWhenFull=False), sharing, notifier)
        self.pool = WorkerPool(reactor, workers, self._prepare, self._allReady, self._giveUp)

    @property
    def exitStatus(self) -> int:
        """1 if the workers could not be started or had to be killed, else 0."""
        return 0 if self.pool.isClean and not self._hasFailed else 1

    def startService(self) -> None:
        """Start the service and the workers."""
        super().startService()
        self.pool.start()

    def _prepare(self) -> WorkerStart:
        config = self._configFor(self._workerSettings)
        return WorkerStart(config, self._shared.descriptors(FIRST_SOCKET), self._assignmentOf)

    def _assignmentOf(self, number: int) -> WorkerAssignment:
        loaded = {files: files for files in self.listeners.certificates.loaded()}
        groups = [
            [listener.withCertificates(loaded) for listener in group]
            for group in self._shared.groupsFor(number, FIRST_SOCKET)
        ]
        own = {group[0].passed.descriptor for group in groups if group[0].passed is not None}
        others = sorted(self._shared.descriptors(FIRST_SOCKET).keys() - own)
        return WorkerAssignment(groups, others)

    def _notifyReady(self) -> None:
        # Called when the reactor runs, and again each time that all workers have become ready.
        if self.pool.isReady:
            super()._notifyReady()

    def _allReady(self) -> None:
        if not self._isStopping:
            self._notifyReady()

    def _drainWorkers(self) -> Deferred[None]:
        return self.pool.drain(self._workerSettings.drain)

    async def _drain(self) -> None:
        # While the sockets are still open: clients may wait in the queue of a dead worker.
        await self.pool.acceptWaiting()
        await super()._drain()

    def _stopAtOnce(self) -> None:
        super()._stopAtOnce()
        self.pool.stopAtOnce()

    def _readAgain(self) -> None:
        super()._readAgain()
        self.pool.send(self.listeners.certificates.loaded())

    def _giveUp(self, message: str) -> None:
        self._hasFailed, self._lameDuck = True, 0.0
        self._machine.reportStartupError(message)
        # The workers are started before the reactor runs.
        self._reactor.callWhenRunning(self._stopReactor)

    def _stopReactor(self) -> None:
        # A signal may have stopped it already.
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def ready(self) -> bool:
        """Whether all workers serve and the server is not stopping."""
        return super().ready() and self.pool.isReady

    def metrics(self) -> bytes:
        """The metrics, added up over all workers."""
        workers = WorkerCounts(self.pool.running, self.pool.restarts)
        counters = self.pool.counters
        errors = self.logErrors.count + counters.logErrors()
        return exposition(
            self._watched(), self.listeners.draining, counters.loopLag(), errors, workers
        )

    def _watched(self) -> Iterable[MonitoredListener]:
        return self.pool.counters.listeners()
