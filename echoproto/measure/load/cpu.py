"""
CPU time of this process, and its time in the run queue.

A load uses both to report that the client was the limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

#: Nanoseconds on a CPU, and in a run queue (Documentation/scheduler/sched-stats.rst of Linux).
SCHEDSTAT = Path("/proc/self/schedstat")


@dataclass(frozen=True)
class CPUTime:
    """
    Times since the start of the process, in nanoseconds.

    :ivar used: time on a CPU.
    :ivar queued: time in the run queue while others ran; 0 if the system does not report it.
    """

    used: int = 0
    queued: int = 0


def cpuTime() -> CPUTime:
    """Read the times so far."""
    try:
        queued = int(SCHEDSTAT.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        queued = 0
    return CPUTime(time.process_time_ns(), queued)
