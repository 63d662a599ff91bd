"""
The messages between a load worker pool (:mod:`.workers`) and its workers (:mod:`.worker`).

Both directions are pickled, as both ends are ours.
"""

from __future__ import annotations

import base64
import pickle
from dataclasses import dataclass

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import Target
from echoproto.errors import EchoprotoError
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.partition import splitPlan
from echoproto.measure.load.plan import LoadPlan, LoadResult

#: Sent to each worker when all are ready: start sending.
GO = "go"

#: Sent to each worker at an early end: stop sending, and wait for the replies under way. When its
#: input is closed, a worker ends at once, with the result so far.
FINISH = "finish"

#: Seconds between two reports of a worker that it runs.
ALIVE_INTERVAL = 1.0


@dataclass(frozen=True)
class LoadAssignment:
    """
    The share of one worker.

    :ivar target: the server.
    :ivar plan: the plan of this worker, without send times.
    :ivar connect: options of the connections.
    :ivar index: number of this worker, from 0.
    """

    target: Target
    plan: LoadPlan
    connect: ConnectOptions
    index: int


def loadAssignments(
    target: Target, plan: LoadPlan, connect: ConnectOptions, workers: int
) -> list[LoadAssignment]:
    """
    The share of each worker.

    :raise ValueError: the plan has times, which workers cannot share.
    """
    if plan.times is not None:
        raise ValueError("workers cannot share the times of a plan: set its rate and arrivals")
    return [
        LoadAssignment(target, share, connect, index)
        for index, share in enumerate(splitPlan(plan, workers))
    ]


@dataclass(frozen=True)
class LoadReport:
    """
    One report of a worker; with no value, it is ready to start.

    :ivar isAlive: only says that the process runs, every :data:`ALIVE_INTERVAL` seconds.
    :ivar counts: of the second that has just ended.
    :ivar result: the last report: the result.
    :ivar error: the last report: why there is no result.
    """

    isAlive: bool = False
    counts: IntervalCounts | None = None
    result: LoadResult | None = None
    error: EchoprotoError | None = None

    def encode(self) -> bytes:
        """The report as one line, without its end."""
        return base64.b64encode(pickle.dumps(self))

    @classmethod
    def decode(cls, line: bytes) -> LoadReport:
        """
        Decode a line of one of our workers.

        :raise ValueError: it is malformed.
        """
        try:
            report = pickle.loads(base64.b64decode(line))
            if not isinstance(report, cls):
                raise TypeError(type(report))
        except Exception as error:
            raise ValueError(f"not a report: {error!r}") from error
        return report
