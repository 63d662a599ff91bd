"""
One worker process of the server, as its supervisor sees it.

Used by :mod:`.pool`. The code that runs in the process is in :mod:`.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from echoproto.processes.childprocess import STOP_GRACE, ChildProcess
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.server.workers.worker import WorkerAssignment, WorkerConfig, WorkerOrder

#: Seconds from its start in which a process must send its first report; then it is killed.
START_TIMEOUT = 60.0

#: Seconds without a report, of which a worker sends one per second, after which it is not ready. At
#: a stop it is killed then, as others wait for it.
SILENT_AFTER = 3.0

#: Seconds without a report after which a worker is killed: it hangs.
HUNG_AFTER = 15.0


@dataclass(frozen=True)
class WorkerStart:
    """
    How to start a worker.

    :ivar config: its first message, when it is started.
    :ivar descriptors: the sockets that it inherits, by their descriptors there.
    :ivar assignmentOf: makes its second message, when it becomes the worker with this number.
    """

    config: WorkerConfig
    descriptors: Mapping[int, int]
    assignmentOf: Callable[[int], WorkerAssignment]


class WorkerProcess(ChildProcess):
    """
    One worker process, or the spare. Once it has started it must report regularly: otherwise it is
    not ready, and then it is killed.

    :param clock: keeps the time; a reactor.
    :param onReport: called with this worker and a line that it has sent.
    :param onExit: called with this worker when it has ended, and the arguments of :meth:`exited`.
    :ivar number: ``None`` for the spare.
    :ivar hasServed: whether it has ever been ready.
    :ivar isSilent: whether its reports have stopped.
    :ivar hasHung: whether it had to be killed.
    :ivar assignedAt: when it got its number, in seconds of the clock.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        onReport: Callable[[WorkerProcess, bytes], object],
        onExit: Callable[[WorkerProcess, str, bool], object],
    ) -> None:
        super().__init__()
        self.number: int | None = None
        self.hasServed = False
        self.isSilent = self.hasHung = False
        self.assignedAt = 0.0
        self._clock = clock
        self._onReport = onReport
        self._onExit = onExit
        self._silence: DeadlineCall | None = None
        self._isStopping = self._isExpected = self._isAwaited = False

    @property
    def name(self) -> str:
        """Its name in the log."""
        return "the spare worker" if self.number is None else f"worker {self.number}"

    @property
    def isReady(self) -> bool:
        """Whether it serves."""
        return self.hasServed and not self.isSilent

    def connectionMade(self) -> None:
        """See ``ProcessProtocol``: the process was started."""
        self._expectReport(START_TIMEOUT, self.kill)

    def assign(self, number: int, assignment: WorkerAssignment) -> None:
        """Make it the worker with this number."""
        self.number = number
        self.assignedAt = self._clock.seconds()
        self.send(assignment)

    def accept(self) -> None:
        """
        Let it accept the clients that wait in its queue, and report that. If it has served and
        does not report in :data:`SILENT_AFTER`, it is killed.
        """
        self._isStopping = self._isAwaited = True
        if self.hasServed:
            self._expectReport(SILENT_AFTER, self._fellSilent)
        self.send(WorkerOrder.ACCEPT)

    def discard(self) -> None:
        """Kill it at once; it serves nothing."""
        self._isExpected = True
        super().kill()

    def drain(self, seconds: float) -> None:
        """
        Let it drain and end, for this time and
        :data:`~echoproto.processes.childprocess.STOP_GRACE`; then it is killed. It must go on to
        report.
        """
        self._isStopping, self._isAwaited = True, False
        self.send(WorkerOrder.DRAIN)
        self.killAfter(self._clock, seconds + STOP_GRACE)

    def stop(self) -> None:
        """End its drain now; it is killed if that takes longer than ``STOP_GRACE``."""
        self.send(WorkerOrder.STOP)
        self.killAfter(self._clock, STOP_GRACE)

    def kill(self) -> None:
        """Kill it, because it hangs."""
        self.hasHung = True
        self._log.error("{worker} hangs and is killed", worker=self.name)
        super().kill()

    def _expectNothing(self) -> None:
        if self._silence is not None:
            self._silence.stop()
        self._silence = None

    def reportReceived(self, line: bytes) -> None:
        """See ``ChildProcess``."""
        if self.isSilent:
            self.isSilent = False
            self._log.info("{worker} reports again", worker=self.name)
        self._expectReport(SILENT_AFTER, self._fellSilent)
        self._onReport(self, line)

    def exited(self, how: str, isClean: bool) -> None:
        """See ``ChildProcess``."""
        self._expectNothing()
        if not (self._isExpected or (self._isStopping and isClean)):
            self._log.error("{worker} {how}", worker=self.name, how=how)
        self._onExit(self, how, isClean)

    def _expectReport(self, seconds: float, act: Callable[[], object]) -> None:
        self._expectNothing()
        self._silence = DeadlineCall(self._clock, seconds, act)

    def _fellSilent(self) -> None:
        self.isSilent = True
        self._log.error(
            "{worker} has not reported for {seconds:g} s", worker=self.name, seconds=SILENT_AFTER
        )
        if self._isAwaited and self.hasServed:
            self.kill()
        else:
            self._expectReport(HUNG_AFTER - SILENT_AFTER, self.kill)
