"""
A worker process of ``echoproto load --workers``: does its share of a load, and reports it.

Started by :mod:`.workers`. On its standard input it is told what to do, then to begin; when that ends it stops. It reports what it
has counted in each second, and what became of it.
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

from echoproto.errors import ConnectionClosed, ExchangeError, TargetError
from echoproto.measure.api import prepareLoad
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import REPORTS, LoadAssignment, LoadReport
from echoproto.measure.load.plan import LoadResult
from echoproto.reactors.install import installReactor
from echoproto.targets.failures import describeFailure


@implementer(IHalfCloseableProtocol)
class LoadWorker(Protocol):
    """
    The pipes to the crew.

    :param reactor: stopped at the end.
    :param orders: what to do.
    """

    def __init__(self, reactor: Any, orders: LoadAssignment) -> None:
        self._reactor = reactor
        self._orders = orders
        self._loading: Any = None

    def connectionMade(self) -> None:
        """Make ready."""
        orders = self._orders
        preparing = prepareLoad(
            self._reactor,
            orders.target,
            orders.wholePlan(),
            sizes=orders.sizes,
            connect=orders.way,
            onInterval=self._tell,
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
        """It is enough."""
        if self._loading is None:
            self._stop()
        else:
            self._loading.finish()

    def writeConnectionLost(self) -> None:
        """Nobody listens any more."""
        self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All is told."""
        self._stop()

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _tell(self, interval: Interval, counts: IntervalCounts) -> None:
        self._report(LoadReport(counts=counts))

    def _done(self, result: LoadResult) -> None:
        # Times that are yet to come are no value.
        self._end(LoadReport(result=replace(result, plan=replace(result.plan, times=None))))

    def _failed(self, failure: Failure) -> None:
        nobody = failure.check(ConnectError, ExchangeError)
        self._end(
            LoadReport(
                error=(ConnectionClosed if nobody else TargetError)(describeFailure(failure))
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
    """Work as ordered; returns the exit status."""
    # Ctrl-C on a terminal reaches us too; the crew tells us when it is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        orders: LoadAssignment = pickle.load(sys.stdin.buffer)
    except EOFError:
        # The command has ended before there was anything to do.
        return 0
    reactor = installReactor(None)
    # Here, as it takes the reactor along.
    from twisted.internet import stdio

    pipes: Any = stdio.StandardIO
    pipes(LoadWorker(reactor, orders), stdin=0, stdout=REPORTS, reactor=reactor)
    reactor.run()
    return 0


if __name__ == "__main__":
    sys.exit(runLoadWorker())
