"""
The program as several processes: a supervisor that serves no client, and workers that do.

For ``echoproto serve --workers``. The supervisor opens the listeners and keeps them
(:mod:`echoproto.server.workers.sharedsockets`), starts the workers
(:mod:`echoproto.server.workers.pool`), passes drain and reload on to them and adds their counters.
Monitoring sees one :class:`~echoproto.server.application.EchoprotoService`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from echoproto.server.application import EchoprotoService
from echoproto.server.config.settings import Settings
from echoproto.server.monitoring.metrics import Workers, exposition
from echoproto.server.ports import Platform
from echoproto.server.systemd import Notifier
from echoproto.server.workers.pool import Start, WorkerPool
from echoproto.server.workers.sharedsockets import SharedListeners
from echoproto.server.workers.worker import FIRST_SOCKET, WorkerAssignment, WorkerConfig


class Supervisor(EchoprotoService):
    """
    :param reactor: runs it.
    :param settings: the settings of each worker, and the status listener.
    :param workers: their number.
    :param configFor: makes the configuration of a worker with these settings.
    :param machine: see :class:`~echoproto.server.application.EchoprotoService`; opens the status
        listener.
    :param notifier: likewise.
    :ivar exitStatus: 1 if the workers could not be started, or did not stop by themselves.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        workers: int,
        configFor: Callable[[Settings], WorkerConfig],
        machine: Platform | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._settings = settings
        self._configFor = configFor
        self._failed = False
        machine = machine if machine is not None else Platform()
        self._held = SharedListeners(workers, self._drainWorkers, machine)
        holding = replace(
            machine, openStream=self._held.openStream, openDatagrams=self._held.openDatagrams
        )
        # The backlog of a full server is the workers' concern.
        super().__init__(reactor, replace(settings, waitWhenFull=False), holding, notifier)
        self.crew = WorkerPool(reactor, workers, self._prepare, self._allReady, self._giveUp)

    @property
    def exitStatus(self) -> int:
        """0 after a clean stop."""
        return 0 if self.crew.clean and not self._failed else 1

    def startService(self) -> None:
        """Start the workers too."""
        super().startService()
        self.crew.start()

    def _prepare(self) -> Start:
        config = self._configFor(replace(self._settings, groups=[]))
        return Start(pickle.dumps(config), self._held.descriptors(FIRST_SOCKET), self._assignmentOf)

    def _assignmentOf(self, number: int) -> bytes:
        groups = self._held.groupsFor(number, FIRST_SOCKET)
        mine = {listener.passed.descriptor for [listener] in groups if listener.passed is not None}
        others = sorted(self._held.descriptors(FIRST_SOCKET).keys() - mine)
        return pickle.dumps(WorkerAssignment(groups, others))

    def _tellReady(self) -> None:
        # Called when our reactor runs, and again by each worker that becomes ready.
        if self.crew.ready:
            super()._tellReady()

    def _allReady(self) -> None:
        if not self.listeners.draining:
            self._tellReady()

    def _drainWorkers(self) -> Deferred[None]:
        return self.crew.drain(self._settings.drain)

    def _stopAtOnce(self) -> None:
        super()._stopAtOnce()
        self.crew.stopAtOnce()

    def _readAgain(self) -> None:
        super()._readAgain()
        self.crew.reload()

    def _giveUp(self, message: str) -> None:
        self._failed = True
        self._machine.reportStartupError(message)
        self._reactor.stop()

    def ready(self) -> bool:
        """Whether all workers serve and the program is not stopping."""
        return super().ready() and self.crew.ready

    def metrics(self) -> bytes:
        """The sums over all workers."""
        sums = self.crew.sums
        workers = Workers(self.crew.running, self.crew.restarts)
        return exposition(sums.watched(), self.listeners.draining, sums.delay(), workers)
