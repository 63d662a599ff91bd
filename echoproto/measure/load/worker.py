"""
A worker process of a load, started by :mod:`.workers`: does its share, and reports it.

Its standard input brings its assignment, then the signal to begin; it stops when the input ends.
"""

from __future__ import annotations

import pickle
import signal
import sys
from dataclasses import replace
from typing import Any

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.childprocess import REPORTS
from echoproto.errors import ConnectionClosed, ExchangeError, TargetError
from echoproto.measure.api import prepareLoad
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import LoadAssignment, LoadReport
from echoproto.measure.load.plan import LoadResult
from echoproto.reactors.install import installReactor
from echoproto.targets.failures import describeFailure


@implementer(IHalfCloseableProtocol)
class LoadWorker(Protocol):
    """
    The pipes to the pool.

    :param reactor: stopped at the end.
    :param assignment: the share of this worker.
    """

    def __init__(self, reactor: Any, assignment: LoadAssignment) -> None:
        self._reactor = reactor
        self._assignment = assignment
        self._loading: Any = None

    def connectionMade(self) -> None:
        """Prepare the load."""
        assignment = self._assignment
        preparing = prepareLoad(
            self._reactor,
            assignment.target,
            assignment.wholePlan(),
            sizes=assignment.sizes,
            connect=assignment.connect,
            onInterval=self._intervalEnded,
        )
        preparing.addCallbacks(self._ready, self._failed)

    def _ready(self, loading: Any) -> None:
        self._loading = loading
        loading.result.addCallbacks(self._done, self._failed)
        self._report(LoadReport())

    def dataReceived(self, data: bytes) -> None:
        """Begin."""
        self._loading.start()

    def readConnectionLost(self) -> None:
        """Stop sending."""
        if self._loading is None:
            self._stop()
        else:
            self._loading.finish()

    def writeConnectionLost(self) -> None:
        """The pool has ended."""
        self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The last report was sent."""
        self._stop()

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _intervalEnded(self, interval: Interval, counts: IntervalCounts) -> None:
        self._report(LoadReport(counts=counts))

    def _done(self, result: LoadResult) -> None:
        # An iterator of send times cannot be pickled.
        self._end(LoadReport(result=replace(result, plan=replace(result.plan, times=None))))

    def _failed(self, failure: Failure) -> None:
        unreachable = failure.check(ConnectError, ExchangeError)
        self._end(
            LoadReport(
                error=(ConnectionClosed if unreachable else TargetError)(describeFailure(failure))
            )
        )

    def _end(self, report: LoadReport) -> None:
        self._report(report)
        transport: Any = self.transport
        transport.loseConnection()

    def _report(self, report: LoadReport) -> None:
        transport: Any = self.transport
        transport.write(report.line())


def runLoadWorker() -> int:
    """Do the assigned share; returns the exit status."""
    # Ctrl-C on a terminal reaches this process too; the pool decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assignment: LoadAssignment = pickle.load(sys.stdin.buffer)
    except EOFError:
        # The parent has ended before there was an assignment.
        return 0
    reactor = installReactor(None)
    # Imported here, because it imports the reactor.
    from twisted.internet import stdio

    pipes: Any = stdio.StandardIO
    pipes(LoadWorker(reactor, assignment), stdin=0, stdout=REPORTS, reactor=reactor)
    reactor.run()
    return 0
