"""
The worker processes of a supervisor: started, replaced when they die, told to drain and to reload, and asked what they have counted.

One process more than there are workers stands by, ready but for its duty, and takes the place of one that dies: a start
would take a second on a busy machine, for which new clients would wait.

Made by :mod:`echoproto.server.workers.supervisor`. What runs in a worker is :mod:`echoproto.server.workers.worker`; knows nothing of sockets.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.server.workers.aggregate import CounterAggregator
from echoproto.server.workers.worker import REPORTS

#: Seconds until the next start of a worker that died, by how often it has died in a row; the last for all further ones.
RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

#: A worker that was up for as many seconds has not died in a row.
LIVED_WELL = 10.0

#: So many starts in a row of which none came to serve, and we give up.
FAILED_STARTS = 3

#: Seconds more than its drain may take until a worker that should stop is killed.
GRACE = 5.0

#: Stands for the spare among the numbers of workers that are to be started.
_SPARE = -1

#: Bytes that a line of a report may have; a snapshot of a thousand listeners is shorter.
LONGEST_REPORT = 10_000_000


@dataclass(frozen=True)
class Start:
    """
    How to start a worker.

    :ivar orders: what it reads from its standard input when it is started.
    :ivar descriptors: what it inherits, by their numbers there.
    :ivar dutyOf: what it reads next, when it becomes the worker of that number.
    """

    orders: bytes
    descriptors: Mapping[int, int]
    dutyOf: Callable[[int], bytes]


class _Worker(ProcessProtocol):
    """One process, whose standard input stays open for as long as we live."""

    def __init__(self, crew: WorkerPool) -> None:
        self.number: int | None = None
        self.ready = False
        self.since = 0.0
        self._crew = crew
        self._line = b""

    def tell(self, data: bytes) -> None:
        """Write to its standard input."""
        transport: Any = self.transport
        transport.writeToChild(0, data)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Take its reports."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > LONGEST_REPORT:
            self._line = b""
        for line in lines:
            self._crew.reported(self, line)

    def processEnded(self, reason: Failure) -> None:
        """It is over."""
        ended: Any = reason.value
        how = f"signal {ended.signal}" if ended.signal else f"status {ended.exitCode}"
        self._crew.ended(self, how, ended.exitCode == 0)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it is over."""
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess(number)


class WorkerPool:
    """
    A number of workers.

    :param reactor: spawns them and keeps the time.
    :param count: how many.
    :param prepare: how to start one.
    :param whenReady: called each time that all are ready.
    :param giveUp: called with one line when they cannot be started.
    :ivar restarts: how many were started in place of one that had died.
    :ivar clean: whether all that were to stop have stopped by themselves.
    :ivar sums: what they have counted.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        prepare: Callable[[], Start],
        whenReady: Callable[[], object],
        giveUp: Callable[[str], object],
    ) -> None:
        self._reactor = reactor
        self._count = count
        self._prepare = prepare
        self._whenReady = whenReady
        self._giveUp = giveUp
        self._workers: dict[int, _Worker] = {}
        self._spare: _Worker | None = None
        self._deaths = [0] * count
        self._failedStarts = 0
        self._starting: dict[int, Any] = {}
        self._stopping: list[Deferred[None]] = []
        self._draining = False
        self._kill: Any = None
        self.restarts = 0
        self.clean = True
        self.sums = CounterAggregator()

    @property
    def running(self) -> int:
        """How many are ready."""
        return sum(each.ready for each in self._workers.values())

    @property
    def ready(self) -> bool:
        """Whether all are."""
        return self.running == self._count

    def start(self) -> None:
        """Start all."""
        for number in range(self._count):
            self._engage(number)

    def reload(self) -> None:
        """Have all read their certificates again."""
        for each in self._workers.values():
            each.signal(signal.SIGHUP)

    def stopAtOnce(self) -> None:
        """Cut what their drains wait for."""
        self._signal(signal.SIGTERM)

    def drain(self, seconds: float) -> Deferred[None]:
        """
        Let all finish and end.

        :param seconds: how long each may take; one that takes :data:`GRACE` longer is killed.
        :return: fires when none is left.
        """
        if not self._draining:
            self._draining = True
            for call in self._starting.values():
                call.cancel()
            self._starting.clear()
            self._signal(signal.SIGTERM)
            self._kill = self._reactor.callLater(seconds + GRACE, self._signal, signal.SIGKILL)
        if not self._processes():
            self._allEnded()
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopping.append(stopped)
        return stopped

    def reported(self, worker: _Worker, line: bytes) -> None:
        """A line came from ``worker``."""
        try:
            report = json.loads(line)
            if "snapshot" in report and worker.number is not None:
                self.sums.update(worker.number, report["snapshot"])
            elif "ready" in report:
                self._isReady(worker)
        except (ValueError, TypeError) as error:
            self._log.error(
                "worker {number} reports nonsense: {error}", number=worker.number, error=error
            )

    def _isReady(self, worker: _Worker) -> None:
        worker.ready = True
        self._failedStarts = 0
        if self.ready:
            self._whenReady()
            self._standBy()

    def _standBy(self) -> None:
        self._starting.pop(_SPARE, None)
        if self._spare is None and not self._draining:
            self._spare = self._spawn()

    def ended(self, worker: _Worker, how: str, clean: bool) -> None:
        """``worker`` is over: put another in its place, unless we are stopping."""
        number = worker.number
        if number is None:
            self._spare = None
        else:
            del self._workers[number]
            self.sums.bury(number)
        if self._draining:
            self.clean = self.clean and (clean or not worker.ready)
            if not self._processes():
                self._allEnded()
        elif number is None:
            self._log.error("the spare worker ended with {how}", how=how)
            self._starting[_SPARE] = self._reactor.callLater(LIVED_WELL, self._standBy)
        else:
            self._log.error("worker {number} ended with {how}", number=number, how=how)
            self._replace(number, worker, how)

    def _replace(self, number: int, worker: _Worker, how: str) -> None:
        self._failedStarts += not worker.ready
        if self._failedStarts >= FAILED_STARTS:
            self._giveUp(
                f"workers cannot start: {FAILED_STARTS} in a row ended with {how}; see the log above"
            )
            return
        lived = self._reactor.seconds() - worker.since
        self._deaths[number] = 0 if lived >= LIVED_WELL else self._deaths[number]
        delay = RESTART_DELAYS[min(self._deaths[number], len(RESTART_DELAYS) - 1)]
        self._deaths[number] += 1
        self.restarts += 1
        self._starting[number] = self._reactor.callLater(delay, self._engage, number)

    def _engage(self, number: int) -> None:
        self._starting.pop(number, None)
        worker, self._spare = self._spare or self._spawn(), None
        worker.number = number
        worker.since = self._reactor.seconds()
        self._workers[number] = worker
        worker.tell(self._prepare().dutyOf(number))

    def _spawn(self) -> _Worker:
        start = self._prepare()
        worker = _Worker(self)
        self._reactor.spawnProcess(
            worker,
            sys.executable,
            [sys.executable, "-m", "echoproto.server.workers.worker"],
            env=os.environ,
            childFDs={0: "w", 1: 1, 2: 2, REPORTS: "r", **start.descriptors},
        )
        worker.tell(start.orders)
        return worker

    def _processes(self) -> list[_Worker]:
        # The spare first, so that its copies of the sockets are closed when a worker closes its own.
        spare = [] if self._spare is None else [self._spare]
        return [*spare, *self._workers.values()]

    def _signal(self, number: int) -> None:
        for each in self._processes():
            each.signal(number)

    def _allEnded(self) -> None:
        if self._kill is not None and self._kill.active():
            self._kill.cancel()
        waiting, self._stopping = self._stopping, []
        for each in waiting:
            each.callback(None)
