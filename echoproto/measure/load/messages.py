"""
The messages between a :class:`.workers.LoadWorkerPool` and its workers: assignments there, reports back.

Both are pickled, because both ends are of this package.
"""

from __future__ import annotations

import base64
import pickle
from dataclasses import dataclass, replace

from echoproto.errors import EchoprotoError
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.partition import sendTimes
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.targets.endpoints import ConnectOptions
from echoproto.targets.target import Target

#: Makes a worker begin.
GO = b"go"


@dataclass(frozen=True)
class LoadAssignment:
    """
    The share of a worker.

    :ivar target: the target.
    :ivar plan: its plan, without send times.
    :ivar sizes: minimum and maximum bytes of a message.
    :ivar connect: how to connect.
    :ivar arrivals: of an open loop (:func:`~echoproto.measure.load.partition.sendTimes`).
    :ivar rate: messages per second of the whole load; ``None`` for a closed loop.
    :ivar index: the number of the worker.
    :ivar of: the number of workers.
    """

    target: Target
    plan: LoadPlan
    sizes: tuple[int, int]
    connect: ConnectOptions
    arrivals: str
    rate: float | None
    index: int
    of: int

    def wholePlan(self) -> LoadPlan:
        """Its plan, with send times."""
        if self.rate is None:
            return self.plan
        return replace(self.plan, times=sendTimes(self.arrivals, self.rate, self.index, self.of))


@dataclass(frozen=True)
class LoadReport:
    """
    A report of a worker; an empty one when it is ready.

    :ivar counts: the counts of a second.
    :ivar result: its result.
    :ivar error: why it has none.
    """

    counts: IntervalCounts | None = None
    result: LoadResult | None = None
    error: EchoprotoError | None = None

    def line(self) -> bytes:
        """The report as a line."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"

    @classmethod
    def fromLine(cls, line: bytes) -> LoadReport:
        """The report in a line of a worker."""
        report: LoadReport = pickle.loads(base64.b64decode(line))
        return report
