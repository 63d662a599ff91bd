"""
The spare: a process that has started up and waits for an assignment, so that it can take the place
of a worker that dies. Starting a process takes up to a second on a busy machine, and new clients
would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from echoproto.processes.childprocess import explainStartError
from echoproto.server.workers.restarts import STABLE_AFTER
from echoproto.server.workers.workerprocess import WorkerProcess


class Spare:
    """
    At most one process, until the server stops.

    :param clock: keeps the time; a reactor.
    :param spawn: starts a process, or raises ``OSError``.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, spawn: Callable[[], WorkerProcess]) -> None:
        self._clock = clock
        self._spawn = spawn
        self._process: WorkerProcess | None = None
        self._start: IDelayedCall | None = None
        self._ended: Deferred[None] = succeed(None)
        self._isStopping = False

    def start(self) -> None:
        """Start the process, unless it runs already; if it cannot be started, try again later."""
        self._cancelStart()
        if self._process is not None or self._isStopping:
            return
        try:
            self._process = self._spawn()
        except OSError as error:
            self._log.error("no spare worker can be started: {why}", why=explainStartError(error))
            self._startLater()

    def take(self) -> WorkerProcess | None:
        """The process, to be assigned, unless there is none or it hangs: then it is killed soon."""
        if self._process is None or self._process.isSilent:
            return None
        process, self._process = self._process, None
        return process

    def exited(self) -> None:
        """The process has ended: start another one later."""
        self._process = None
        if not self._isStopping:
            self._startLater()
        else:
            self._ended.callback(None)

    def stop(self) -> Deferred[None]:
        """
        End the process, and start no other one.

        :return: fires when it has ended.
        """
        self._isStopping = True
        self._cancelStart()
        if self._process is not None and self._ended.called:
            self._ended = Deferred()
            self._process.discard()
        return self._ended

    def _startLater(self) -> None:
        self._start = self._clock.callLater(STABLE_AFTER, self.start)

    def _cancelStart(self) -> None:
        if self._start is not None and self._start.active():
            self._start.cancel()
