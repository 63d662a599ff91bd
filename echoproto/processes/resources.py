"""
What the machine grants this process: descriptors, memory and processors, by the limits of the
process and of its control groups (cgroups(7)), of version 1 and 2.

A sandbox, such as one of seccomp(2), may forbid the system calls; then there is no known limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil, inf
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import NamedTuple

#: The usual limit of descriptors, for a process that may not read its own.
USUAL_DESCRIPTORS = 1024

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
    with suppress(OSError):
        return Limit(getrlimit(RLIMIT_NOFILE)[0], "RLIMIT_NOFILE")
    return Limit(USUAL_DESCRIPTORS, "RLIMIT_NOFILE, which must not be read here, usually")


def raiseDescriptorLimit() -> None:
    """Raise the limit of file descriptors of this process as far as it may without privileges."""
    with suppress(OSError):
        hard = getrlimit(RLIMIT_NOFILE)[1]
        setrlimit(RLIMIT_NOFILE, (hard, hard))


def memoryLimit(proc: Path = PROC) -> Limit:
    """Bytes of memory that this process may use: RLIMIT_AS, or the limit of a control group."""
    limits = [
        Limit(_number(_textOf(file)), str(file))
        for name in ("memory.max", "memory.limit_in_bytes")
        for file in _files(proc, "memory", name)
    ]
    own = RLIM_INFINITY
    with suppress(OSError):
        own = getrlimit(RLIMIT_AS)[0]
    return min([*limits, Limit(inf if own == RLIM_INFINITY else own, "RLIMIT_AS")])


def processorLimit(proc: Path = PROC) -> Limit:
    """Number of processors that this process may use, by its affinity and its group's quota."""
    count = os.cpu_count() or 1
    # AttributeError: a system without affinity.
    with suppress(AttributeError, OSError):
        count = len(os.sched_getaffinity(0))
    quotas = [
        (_quota(*_textOf(file).partition(" ")[::2]), file)
        for file in _files(proc, "cpu", "cpu.max")
    ]
    quotas += [
        (_quota(_textOf(file), _textOf(file.with_name("cpu.cfs_period_us"))), file)
        for file in _files(proc, "cpu", "cpu.cfs_quota_us")
    ]
    limits = [Limit(ceil(quota), str(file)) for quota, file in quotas if quota < inf]
    return min([Limit(count, "the CPU affinity"), *limits])


def processors() -> int:
    """The number of :func:`processorLimit`."""
    return int(processorLimit().number)


def _textOf(file: Path) -> str:
    """The text of a file; empty if it cannot be read: its group was removed just now."""
    try:
        return os.fsdecode(file.read_bytes()).strip()
    except OSError:
        return ""


def _lines(file: Path) -> Iterator[str]:
    # Names of mounts may contain what str.splitlines() takes for the end of a line.
    return filter(None, _textOf(file).split("\n"))


def _quota(quota: str, period: str) -> float:
    """Processors that a quota of microseconds in each period allows; ``inf`` for all."""
    return _number(quota) / _number(period) if _number(period) < inf else inf


def _number(text: str) -> float:
    """
    A limit, at least 1; ``inf`` for none: ``max``, -1, numbers that stand for no limit in version
    1, and text that is no number.
    """
    number = int(text) if text.isdecimal() else 0
    return number if 0 < number < 1 << 60 else inf


def _files(proc: Path, controller: str, name: str) -> Iterator[Path]:
    """The files of this name in the groups of this process, and in the groups above them."""
    paths = {}
    for group in _lines(proc / "cgroup"):
        _, controllers, path = group.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    for mount in _lines(proc / "mountinfo"):
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
