"""
A worker process of the server, one of several that serve the same listeners.

Started by :mod:`.pool`. It receives a :class:`WorkerConfig`, and a :class:`WorkerAssignment` when
it is to serve. Then it receives the orders of :class:`WorkerOrder`, and certificates that the
supervisor has read. When its standard input is closed, the supervisor is gone, and it drains and
stops. Its reports are lines of JSON: ``{"spare": true}`` every second before its assignment,
``{"ready": true}`` once, ``{"snapshot": ...}`` every second, and ``{"accepted": true}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain
from typing import Any

from echoproto.errors import StartupError
from echoproto.processes.childprocess import REPORT_DESCRIPTOR
from echoproto.processes.parentpipe import (
    ParentPipe,
    awaitMessage,
    ignoreSignals,
    openParentPipe,
    receiveMessage,
)
from echoproto.reactors.install import installReactor
from echoproto.server.application import EchoprotoService
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.ports import Platform, reportStartupError
from echoproto.server.notifier import Notifier
from echoproto.server.periodic import PeriodicService
from echoproto.server.privileges import Identity
from echoproto.server.runner import runForeground, startLog
from echoproto.server.workers.aggregate import snapshot

#: The first descriptor of the sockets that a worker inherits.
FIRST_SOCKET = REPORT_DESCRIPTOR + 1

#: Seconds between two snapshots.
SNAPSHOT_INTERVAL = 1.0


@dataclass(frozen=True)
class WorkerConfig:
    """
    The configuration of every worker.

    :ivar settings: the settings of the server, without its listeners.
    :ivar reactor: see :func:`~echoproto.reactors.install.installReactor`.
    :ivar logFormat: see :func:`~echoproto.server.runner.startLog`.
    :ivar identity: the user that it becomes.
    """

    settings: Settings
    reactor: str | None
    logFormat: str
    identity: Identity


@dataclass(frozen=True)
class WorkerAssignment:
    """
    The listeners of one worker.

    :ivar groups: its listeners, on inherited descriptors; see
        :class:`~echoproto.server.config.settings.Settings`.
    :ivar others: inherited descriptors of the other workers, to be closed.
    """

    groups: Sequence[Sequence[Listener]]
    others: Sequence[int]


class WorkerOrder(Enum):
    """An order to a worker that has its assignment."""

    #: Accept the clients that wait in the queue, report that, and go on.
    ACCEPT = 1

    #: Serve the clients that wait to be accepted, drain, and end.
    DRAIN = 2

    #: End the drain now.
    STOP = 3


#: A worker leaves signals to its supervisor.
_WITHOUT_SIGNALS = Platform(
    onSignal=lambda reactor, number, act: lambda: None,
    postponeStop=lambda reactor, onFurther: None,
    ignoreRotation=lambda: None,
)


class WorkerService(EchoprotoService):
    """
    The server in a worker. It reports to its supervisor, which announces the listeners and notifies
    systemd.

    :param reactor: runs it.
    :param settings: its settings, with its own listeners.
    :param pipe: receives its reports.
    :param machine: see :class:`~echoproto.server.application.EchoprotoService`.
    :param identity: likewise.
    """

    def __init__(
        self,
        reactor: Any,  # as of EchoprotoService
        settings: Settings,
        pipe: ParentPipe,
        machine: Platform = _WITHOUT_SIGNALS,
        identity: Identity = Identity(),
    ) -> None:
        super().__init__(reactor, settings, machine, Notifier({}, 0), False, identity)
        self._inherited = [
            listener.passed.descriptor
            for listener in chain.from_iterable(settings.groups)
            if listener.passed is not None
        ]
        self._pipe = pipe
        pipe.onMessage = self._messageReceived
        self._snapshots = PeriodicService(reactor, SNAPSHOT_INTERVAL, self._reportSnapshot)

    def _messageReceived(self, message: WorkerOrder | Sequence[TLSFiles]) -> None:
        if message is WorkerOrder.ACCEPT:
            self.listeners.acceptWaiting()
            self._report(accepted=True)
        elif message is WorkerOrder.DRAIN:
            self._pipe.stop()
        elif message is WorkerOrder.STOP:
            self._endPhase()
        else:
            self.listeners.certificates.replace(message)

    def _notifyReady(self) -> None:
        if not self._snapshots.running:
            self._report(ready=True)
            self._snapshots.startService()

    async def _drain(self) -> None:
        # The listeners have copies, which must be the last: as long as there are others, the kernel
        # goes on to connect clients that nobody accepts.
        while self._inherited:
            os.close(self._inherited.pop())
        await super()._drain()

    def _stopRest(self) -> Any:
        self._snapshots.stopService()
        self._reportSnapshot()
        super()._stopRest()
        return self._pipe.finish()

    def _reportSnapshot(self) -> None:
        counts = snapshot(self.listeners.watched(), self.delay.histogram, self.logErrors.count)
        self._report(snapshot=counts)

    def _report(self, **report: object) -> None:
        self._pipe.sendReport(json.dumps(report).encode())


def runWorker() -> int:
    """Serve one assignment; returns the exit status."""
    ignoreSignals()
    try:
        config: WorkerConfig = receiveMessage()
        reactor: Any = installReactor(config.reactor)  # Any: it has many interfaces
        startLog(config.logFormat, isShared=True)
        assignment: WorkerAssignment = awaitMessage(SNAPSHOT_INTERVAL, b'{"spare": true}')
    except EOFError:
        # The supervisor ended before there was anything to serve.
        return 0
    for descriptor in assignment.others:
        os.close(descriptor)
    pipe = ParentPipe(reactor)
    openParentPipe(pipe, reactor)
    settings = replace(config.settings, groups=assignment.groups)
    service = WorkerService(reactor, settings, pipe, identity=config.identity)
    try:
        return runForeground(reactor, service, handleSignals=False)
    except StartupError as error:
        # Python would print it in two writes, between which other workers print theirs.
        if error.code != 1:
            reportStartupError(str(error))
        return 1
