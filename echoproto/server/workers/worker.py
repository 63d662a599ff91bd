"""
One of several processes that serve the same listeners, started by
:mod:`echoproto.server.workers.pool`.

Standard input brings a pickled :class:`WorkerConfig`, and later a pickled
:class:`WorkerAssignment`. Then the pipe stays open: its end means that the supervisor has ended,
and the worker drains and stops. The worker reports on descriptor :data:`REPORTS`, in lines of JSON:
``{"ready": true}`` once, and ``{"snapshot": ...}`` every second.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.childprocess import REPORTS
from echoproto.reactors.install import installReactor
from echoproto.server.application import EchoprotoService
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.ports import Platform
from echoproto.server.runner import ForegroundRunner, startLog
from echoproto.server.systemd import Notifier
from echoproto.server.workers.aggregate import snapshot

#: The first descriptor of the sockets.
FIRST_SOCKET = REPORTS + 1

#: Seconds between two snapshots.
SNAPSHOT_INTERVAL = 1.0


@dataclass(frozen=True)
class WorkerConfig:
    """
    The configuration of a worker.

    :ivar settings: the settings.
    :ivar reactor: see :func:`~echoproto.reactors.install.installReactor`.
    :ivar logFormat: see :func:`~echoproto.server.runner.startLog`.
    :ivar foreground: the user to become.
    """

    settings: Settings
    reactor: str | None
    logFormat: str
    foreground: ForegroundRunner


@dataclass(frozen=True)
class WorkerAssignment:
    """
    The assignment of a worker.

    :ivar groups: its listeners, on inherited descriptors
        (:class:`~echoproto.server.config.settings.Settings`).
    :ivar others: descriptors of other workers, to close.
    """

    groups: Sequence[Sequence[Listener]]
    others: Sequence[int]


@implementer(IHalfCloseableProtocol)
class SupervisorPipe(Protocol):
    """
    The pipes to the supervisor.

    :param reactor: stopped when the supervisor ends.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def tell(self, **report: Any) -> None:
        """Send one line."""
        transport: Any = self.transport
        transport.write(json.dumps(report).encode() + b"\n")

    def readConnectionLost(self) -> None:
        """The supervisor has ended."""
        self._stop()

    def writeConnectionLost(self) -> None:
        """The supervisor no longer reads."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The supervisor has ended."""
        self._stop()

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()


class WorkerProgram(EchoprotoService):
    """
    The program in a worker: announcing the listeners and notifying systemd is left to the
    supervisor; it reports.

    :param reports: sends the reports.
    :param machine: see :class:`~echoproto.server.application.EchoprotoService`.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        reports: SupervisorPipe,
        machine: Platform | None = None,
    ) -> None:
        super().__init__(reactor, settings, machine, Notifier({}, 0), announce=False)
        self._reports = reports
        self._snapshots = LoopingCall(self._tellFigures)
        self._snapshots.clock = reactor

    def _tellReady(self) -> None:
        if not self._snapshots.running:
            self._reports.tell(ready=True)
            self._snapshots.start(SNAPSHOT_INTERVAL)

    def stopService(self) -> Deferred[None]:
        """As the program does; then report the last figures."""
        return super().stopService().addCallback(lambda _: self._tellLast())

    def _tellLast(self) -> None:
        if self._snapshots.running:
            self._snapshots.stop()
        self._tellFigures()

    def _tellFigures(self) -> None:
        self._reports.tell(snapshot=snapshot(self.listeners.watched(), self.delay.histogram))


def runWorker() -> int:
    """Serve as configured; returns the exit status."""
    # Ctrl-C on a terminal reaches this process too; the supervisor sends the signals that count.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        config: WorkerConfig = pickle.load(sys.stdin.buffer)
        reactor = installReactor(config.reactor)
        startLog(config.logFormat)
        assignment: WorkerAssignment = pickle.load(sys.stdin.buffer)
    except EOFError:
        # The supervisor has ended before there was an assignment.
        return 0
    for other in assignment.others:
        os.close(other)
    # Imported here, because it imports the reactor.
    from twisted.internet import stdio

    reports = SupervisorPipe(reactor)
    pipes: Any = stdio.StandardIO
    pipes(reports, stdin=0, stdout=REPORTS, reactor=reactor)
    settings = replace(config.settings, groups=assignment.groups)
    return config.foreground.run(reactor, WorkerProgram(reactor, settings, reports))
