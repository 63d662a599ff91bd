"""
What goes through the pipes between :mod:`.workers` and its workers (:mod:`.worker`): orders there, reports back.

Both are pickled, as both ends are ours.
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

#: The descriptor that a worker reports on.
REPORTS = 3

#: What tells a worker to begin.
GO = b"go"


@dataclass(frozen=True)
class LoadAssignment:
    """
    What a worker is to do.

    :ivar target: whom to load.
    :ivar plan: its share, without times.
    :ivar sizes: the least and the most bytes of a message.
    :ivar way: how to get there.
    :ivar arrivals: of an open loop (:func:`~echoproto.measure.load.partition.sendTimes`).
    :ivar rate: messages a second of the whole; ``None`` for a closed loop.
    :ivar index: which worker it is.
    :ivar of: how many there are.
    """

    target: Target
    plan: LoadPlan
    sizes: tuple[int, int]
    way: ConnectOptions
    arrivals: str
    rate: float | None
    index: int
    of: int

    def wholePlan(self) -> LoadPlan:
        """Its share, with times."""
        if self.rate is None:
            return self.plan
        return replace(self.plan, times=sendTimes(self.arrivals, self.rate, self.index, self.of))


@dataclass(frozen=True)
class LoadReport:
    """
    What a worker says; nothing when it is ready.

    :ivar counts: of a second that is over.
    :ivar result: what became of it, when it is over.
    :ivar error: why there is none.
    """

    counts: IntervalCounts | None = None
    result: LoadResult | None = None
    error: EchoprotoError | None = None

    def line(self) -> bytes:
        """For the pipe."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"

    @classmethod
    def of(cls, line: bytes) -> LoadReport:
        """What :meth:`line` has made, in a worker of ours."""
        report: LoadReport = pickle.loads(base64.b64decode(line))
        return report
