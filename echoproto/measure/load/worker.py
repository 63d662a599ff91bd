"""
A worker process of a load: sends its share of the messages and reports the result.

Started by :mod:`.workers`. It receives a :class:`LoadAssignment`, reports that it is ready, and
starts when it receives :data:`~.messages.GO`. It reports every second that it runs, and the counts
of each second, then the result. At :data:`~.messages.FINISH` it stops sending; when its standard
input is closed it ends at once, with the result so far.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime, ITransport
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from echoproto.client.targets.failures import describeFailure
from echoproto.errors import ConnectionClosed, ExchangeError, TargetError
from echoproto.measure.api import prepareLoad
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.messages import ALIVE_INTERVAL, FINISH, LoadAssignment, LoadReport
from echoproto.measure.load.plan import LoadResult
from echoproto.processes.parentpipe import ParentPipe, ignoreSignals, openParentPipe, receiveMessage
from echoproto.reactors.install import installClientReactor


class LoadWorker(ParentPipe):
    """
    Runs one assignment.

    :param reactor: stopped at the end.
    """

    def __init__(self, reactor: IReactorTime, assignment: LoadAssignment) -> None:
        super().__init__(reactor)
        self.onMessage = self._messageReceived
        self._assignment = assignment
        self._load: LoadGenerator | None = None
        self._alive = LoopingCall(self._report, LoadReport(isAlive=True))
        self._alive.clock = reactor

    def connectionMade(self) -> None:
        """Prepare the load."""
        self._alive.start(ALIVE_INTERVAL, now=False)
        assignment = self._assignment
        preparing = prepareLoad(
            self._reactor,
            assignment.target,
            assignment.plan,
            connect=assignment.connect,
            onInterval=self._intervalEnded,
        )
        preparing.addCallbacks(self._prepared, self._failed).addErrback(self._crashed)

    def _prepared(self, load: LoadGenerator) -> None:
        self._load = load
        load.result.addCallbacks(self._finished, self._failed).addErrback(self._crashed)
        self._report(LoadReport())

    def _messageReceived(self, message: object) -> None:
        """Start, or stop sending; before the load is prepared, end at once."""
        if self._load is None:
            if message == FINISH:
                self.stop()
        elif message == FINISH:
            self._load.finish()
        else:
            self._load.start()

    def readConnectionLost(self) -> None:
        """End at once, with the result so far."""
        if self._load is None:
            self.stop()
        else:
            self._load.stop()

    def writeConnectionLost(self) -> None:
        """All reports are written, or the pool is gone."""
        super().writeConnectionLost()
        self.stop()

    def stop(self) -> None:
        """See :class:`.ParentPipe`."""
        if self._alive.running:
            self._alive.stop()
        super().stop()

    def _intervalEnded(self, interval: Interval, counts: IntervalCounts) -> None:
        self._report(LoadReport(counts=counts))

    def _finished(self, result: LoadResult) -> None:
        # The send times are an iterator, which cannot be pickled.
        self._end(LoadReport(result=replace(result, plan=replace(result.plan, times=None))))

    def _failed(self, failure: Failure) -> None:
        isRefused = failure.check(ConnectError, ExchangeError)
        error = ConnectionClosed if isRefused else TargetError
        self._end(LoadReport(error=error(describeFailure(failure))))

    def _crashed(self, failure: Failure) -> None:
        """A fault of ours: a process that can report nothing must not stay."""
        self._report(LoadReport(error=TargetError(f"internal error: {failure.value!r}")))
        self.stop()

    def _end(self, report: LoadReport) -> None:
        self._report(report)
        cast(ITransport, self.transport).loseConnection()

    def _report(self, report: LoadReport) -> None:
        self.sendReport(report.encode())


def runLoadWorker() -> int:
    """Run one assignment; returns the exit status."""
    ignoreSignals()
    try:
        assignment: LoadAssignment = receiveMessage()
    except EOFError:
        # The parent ended before it sent anything.
        return 0
    reactor = installClientReactor()
    openParentPipe(LoadWorker(reactor, assignment), reactor)
    reactor.run(installSignalHandlers=False)
    return 0
