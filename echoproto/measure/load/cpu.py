"""
How much of a processor this process has had, and how long it has waited for one.

Asked by :mod:`echoproto.measure.api` for loads, so that they can say when we were the limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

#: Nanoseconds that we have run, and waited in the queue of a processor (Documentation/scheduler/sched-stats.rst of Linux).
SCHEDSTAT = Path("/proc/self/schedstat")


@dataclass(frozen=True)
class CPUTime:
    """
    Since the beginning of the process, in nanoseconds.

    :ivar spent: that processors have run us.
    :ivar waited: that we could have run, but others did; 0 where the system does not tell.
    """

    spent: int = 0
    waited: int = 0


def cpuTime() -> CPUTime:
    """So far."""
    try:
        waited = int(SCHEDSTAT.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        waited = 0
    return CPUTime(time.process_time_ns(), waited)
