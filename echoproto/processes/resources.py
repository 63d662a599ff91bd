"""
What the machine grants this process: descriptors, memory and processors, by the limits of the
process and of its control groups (cgroups(7)), of version 1 and 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil, inf
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_NOFILE, getrlimit

#: Where the kernel describes this process; see proc(5).
PROC = Path("/proc/self")


def descriptorLimit() -> int:
    """Limit of file descriptors of this process (RLIMIT_NOFILE, getrlimit(2))."""
    return getrlimit(RLIMIT_NOFILE)[0]


def memoryLimit(proc: Path = PROC) -> float:
    """
    Bytes of memory that this process may use: RLIMIT_AS, or the limit of a control group.

    :return: ``inf`` if there is no limit.
    """
    limits = [_number(file) for file in _files(proc, "memory", "memory.max")]
    limits += [_number(file) for file in _files(proc, "memory", "memory.limit_in_bytes")]
    own = getrlimit(RLIMIT_AS)[0]
    return min([*limits, inf if own == RLIM_INFINITY else own])


def processors(proc: Path = PROC) -> int:
    """Number of processors that this process may use, by its affinity and its group's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quotas = [_quota(file) for file in _files(proc, "cpu", "cpu.max")]
    quotas += [
        _number(file) / _number(file.with_name("cpu.cfs_period_us"))
        for file in _files(proc, "cpu", "cpu.cfs_quota_us")
        if _number(file) < inf
    ]
    return min([count, *(ceil(quota) for quota in quotas if quota < inf)])


def _quota(file: Path) -> float:
    """The quota in ``cpu.max``: microseconds, or ``max``, in each period."""
    quota, _, period = file.read_text().strip().partition(" ")
    return inf if quota == "max" else int(quota) / int(period)


def _number(file: Path) -> float:
    """A limit; ``inf`` for ``max`` and -1, and for numbers that stand for no limit in version 1."""
    text = file.read_text().strip()
    number = inf if text == "max" else int(text)
    return number if 0 <= number < 1 << 60 else inf


def _files(proc: Path, controller: str, name: str) -> Iterator[Path]:
    """The files of this name in the groups of this process, and in the groups above them."""
    try:
        groups = (proc / "cgroup").read_text().splitlines()
        mounts = (proc / "mountinfo").read_text().splitlines()
    except OSError:
        return
    paths = {}
    for group in groups:
        _, controllers, path = group.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    for mount in mounts:
        place, _, kind = mount.partition(" - ")
        root, point = place.split(" ")[3:5]
        known = controller if kind.startswith("cgroup ") else ""
        if kind.startswith("cgroup") and known in paths:
            yield from _upwards(Path(point), paths[known].removeprefix(root).strip("/"), name)


def _upwards(mounted: Path, group: str, name: str) -> Iterator[Path]:
    """The readable files of this name, from the folder of a group up to that of its hierarchy."""
    folder = mounted / group
    while True:
        if os.access(folder / name, os.R_OK):
            yield folder / name
        if folder == mounted:
            return
        folder = folder.parent
