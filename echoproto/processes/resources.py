"""
What the machine grants this process: descriptors, memory and processors, by the limits of the
process and of its control groups (cgroups(7)), of version 1 and 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil, inf
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import NamedTuple

#: Where the kernel describes this process; see proc(5).
PROC = Path("/proc/self")


class Limit(NamedTuple):
    """
    A limit, and where it is set.

    :ivar number: ``inf`` for none.
    :ivar source: the name of a resource, or a file.
    """

    number: float
    source: str

    def __str__(self) -> str:
        return f"{self.source} is {self.number:,.0f}"


def descriptorLimit() -> Limit:
    """Limit of file descriptors of this process (getrlimit(2))."""
    return Limit(getrlimit(RLIMIT_NOFILE)[0], "RLIMIT_NOFILE")


def raiseDescriptorLimit() -> None:
    """Raise the limit of file descriptors of this process as far as it may without privileges."""
    hard = getrlimit(RLIMIT_NOFILE)[1]
    setrlimit(RLIMIT_NOFILE, (hard, hard))


def memoryLimit(proc: Path = PROC) -> Limit:
    """Bytes of memory that this process may use: RLIMIT_AS, or the limit of a control group."""
    limits = [
        Limit(_number(file), str(file))
        for name in ("memory.max", "memory.limit_in_bytes")
        for file in _files(proc, "memory", name)
    ]
    own = getrlimit(RLIMIT_AS)[0]
    return min([*limits, Limit(inf if own == RLIM_INFINITY else own, "RLIMIT_AS")])


def processorLimit(proc: Path = PROC) -> Limit:
    """Number of processors that this process may use, by its affinity and its group's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quotas = [(_quota(file), file) for file in _files(proc, "cpu", "cpu.max")]
    quotas += [
        (_number(file) / _number(file.with_name("cpu.cfs_period_us")), file)
        for file in _files(proc, "cpu", "cpu.cfs_quota_us")
    ]
    limits = [Limit(ceil(quota), str(file)) for quota, file in quotas if quota < inf]
    return min([Limit(count, "the CPU affinity"), *limits])


def processors() -> int:
    """The number of :func:`processorLimit`."""
    return int(processorLimit().number)


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
