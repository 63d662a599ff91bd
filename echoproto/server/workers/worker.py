"""
One of several processes that serve the same listeners: ``python -m echoproto.server.workers.worker``, started by
:mod:`echoproto.server.workers.pool` and by nobody else.

It is told what to do on standard input, by who has started it: first a pickled :class:`WorkerConfig`, and when its turn comes a pickled
:class:`WorkerAssignment`. Then the pipe stays open: its end means that the supervisor is gone, and that we drain and stop. It tells how it is doing on descriptor
:data:`REPORTS`, in lines of JSON: ``{"ready": true}`` once, and a ``{"snapshot": ...}`` every second.
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

from echoproto.reactors.install import installReactor
from echoproto.server.application import EchoprotoService
from echoproto.server.config.listeners import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.ports import Platform
from echoproto.server.runner import Foreground, startLog
from echoproto.server.systemd import Notifier
from echoproto.server.workers.aggregate import snapshot

#: The descriptor that a worker reports on, and the first of the sockets that it serves.
REPORTS = 3
FIRST_SOCKET = 4

#: Seconds between two snapshots.
SNAPSHOT_INTERVAL = 1.0


@dataclass(frozen=True)
class WorkerConfig:
    """
    What a worker is to be.

    :ivar settings: how to serve.
    :ivar reactor: see :func:`~echoproto.server.runner.installReactor`.
    :ivar logFormat: see :func:`~echoproto.server.runner.startLog`.
    :ivar foreground: who to become.
    """

    settings: Settings
    reactor: str | None
    logFormat: str
    foreground: Foreground


@dataclass(frozen=True)
class WorkerAssignment:
    """
    What a worker is to do.

    :ivar groups: what to serve, on descriptors that it has inherited (:class:`~echoproto.server.config.settings.Settings`).
    :ivar others: descriptors of other workers, to close.
    """

    groups: Sequence[Sequence[Listener]]
    others: Sequence[int]


@implementer(IHalfCloseableProtocol)
class SupervisorPipe(Protocol):
    """
    The pipes to the supervisor.

    :param reactor: stopped when the supervisor is gone.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def tell(self, **report: Any) -> None:
        """Send one line."""
        transport: Any = self.transport
        transport.write(json.dumps(report).encode() + b"\n")

    def readConnectionLost(self) -> None:
        """The supervisor is gone."""
        self._stop()

    def writeConnectionLost(self) -> None:
        """Nobody listens any more."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The supervisor is gone."""
        self._stop()

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()


class WorkerProgram(EchoprotoService):
    """
    The program in a worker: it announces nothing and tells systemd nothing, which the supervisor does, and reports.

    :param reports: where to.
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
        """As the program's; then tell the last figures."""
        return super().stopService().addCallback(lambda _: self._tellLast())

    def _tellLast(self) -> None:
        if self._snapshots.running:
            self._snapshots.stop()
        self._tellFigures()

    def _tellFigures(self) -> None:
        self._reports.tell(snapshot=snapshot(self.listeners.watched(), self.delay.histogram))


def main() -> int:
    """Serve as ordered; returns the exit status."""
    # Ctrl-C on a terminal reaches us too; the supervisor sends what we should heed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        orders: WorkerConfig = pickle.load(sys.stdin.buffer)
        reactor = installReactor(orders.reactor)
        startLog(orders.logFormat)
        duty: WorkerAssignment = pickle.load(sys.stdin.buffer)
    except EOFError:
        # The supervisor has ended before there was anything to do.
        return 0
    for each in duty.others:
        os.close(each)
    # Here, as it takes the reactor along.
    from twisted.internet import stdio

    reports = SupervisorPipe(reactor)
    pipes: Any = stdio.StandardIO
    pipes(reports, stdin=0, stdout=REPORTS, reactor=reactor)
    settings = replace(orders.settings, groups=duty.groups)
    return orders.foreground.run(reactor, WorkerProgram(reactor, settings, reports))


if __name__ == "__main__":
    sys.exit(main())
