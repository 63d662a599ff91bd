from __future__ import annotations

import os
from errno import EPERM
from math import inf
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_NOFILE, getrlimit
from typing import NoReturn
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.processes import resources as module
from echoproto.processes.resources import (
    USUAL_DESCRIPTORS,
    Limit,
    descriptorLimit,
    memoryLimit,
    processorLimit,
    processors,
    raiseDescriptorLimit,
)


class FakeMachine(SynchronousTestCase):
    """A process in control groups that are folders of the test."""

    def setUp(self) -> None:
        self.proc = Path(self.mktemp()).absolute()
        self.proc.mkdir(parents=True)
        self.patch(os, "sched_getaffinity", lambda process: set(range(8)))
        self.patch(module, "getrlimit", lambda kind: (RLIM_INFINITY, RLIM_INFINITY))

    def describe(self, group: str, kind: str, root: str = "/") -> Path:
        """Describe one hierarchy; returns the folder where it is mounted."""
        mounted = self.proc / "mounted"
        (self.proc / "cgroup").write_text(f"3:cpuset:/\n{group}\n")
        (self.proc / "mountinfo").write_text(
            "23 1 0:5 / / rw - overlay overlay rw\n"
            f"31 23 0:28 {root} {mounted} rw,relatime shared:9 - {kind} rw\n"
        )
        return mounted

    def write(self, folder: Path, **files: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")


class ControlGroupTests(FakeMachine):
    def test_version2(self) -> None:
        """The smallest limit of the group and of those above it holds."""
        mounted = self.describe("0::/pod/container", "cgroup2 none")
        self.write(mounted / "pod", cpu_max="150000 100000", memory_max="1000000")
        self.write(mounted / "pod/container", cpu_max="max 100000", memory_max="max")
        self.assertEqual(processorLimit(self.proc).number, 2)
        self.assertEqual(memoryLimit(self.proc).number, 1_000_000)

    def test_version1(self) -> None:
        """Version 1 has the same limits in other files; -1 and huge numbers are no limit."""
        mounted = self.describe("4:memory,cpu:/docker/a", "cgroup cgroup", "/docker/a")
        quota = {"cpu_cfs_quota_us": "50000", "cpu_cfs_period_us": "100000"}
        self.write(mounted, memory_limit_in_bytes="500000", **quota)
        self.assertEqual(processorLimit(self.proc).number, 1)
        self.assertEqual(memoryLimit(self.proc).number, 500_000)
        self.write(mounted, memory_limit_in_bytes=str((1 << 63) - 4096), cpu_cfs_quota_us="-1")
        self.assertEqual(processorLimit(self.proc).number, 8)
        self.assertEqual(memoryLimit(self.proc).number, inf)

    def test_source(self) -> None:
        """A limit has its source, for people."""
        mounted = self.describe("0::/pod", "cgroup2 none")
        self.write(mounted / "pod", cpu_max="150000 100000", memory_max="1000000")
        path = mounted / "pod/memory.max"
        self.assertEqual(memoryLimit(self.proc), (1_000_000, str(path)))
        self.assertEqual(str(memoryLimit(self.proc)), f"{path} is 1,000,000")
        self.assertEqual(processorLimit(self.proc), (2, str(mounted / "pod/cpu.max")))
        self.write(mounted / "pod", cpu_max="max 100000", memory_max="max")
        self.assertEqual(processorLimit(self.proc), Limit(8, "the CPU affinity"))
        self.assertEqual(processors(), int(processorLimit().number))

    def test_unknown(self) -> None:
        """Without control groups nothing is limited by them."""
        self.assertEqual(processorLimit(self.proc).number, 8)
        self.assertEqual(memoryLimit(self.proc).number, inf)

    def test_oddNames(self) -> None:
        """A mount may have any name: not of UTF-8, and with what Python takes for a line's end."""
        mounted = self.describe("0::/", "cgroup2 none")
        self.write(mounted, memory_max="1000000")
        with (self.proc / "mountinfo").open("ab") as mounts:
            mounts.write(b"32 23 0:29 / /mnt/\xff\xe2\x80\xa8\x0c rw - ext4 /dev/sda rw\n")
        self.assertEqual(memoryLimit(self.proc).number, 1_000_000)

    def test_unreadable(self) -> None:
        """A group that is removed just now, or has files of another form, sets no limit."""
        mounted = self.describe("4:memory,cpu:/", "cgroup cgroup")
        for name in ("memory.limit_in_bytes", "cpu.cfs_quota_us"):
            (mounted / name).mkdir(parents=True)
        self.assertEqual(
            (memoryLimit(self.proc).number, processorLimit(self.proc).number), (inf, 8)
        )
        (mounted / "cpu.cfs_quota_us").rmdir()
        self.write(mounted, cpu_cfs_quota_us="50000", cpu_cfs_period_us="0")
        self.assertEqual(processorLimit(self.proc).number, 8)


def denied(*arguments: object) -> NoReturn:
    raise PermissionError(EPERM, os.strerror(EPERM))


class SandboxTests(FakeMachine):
    """A sandbox, such as one of seccomp(2), forbids to read the limits of this process."""

    def test_limits(self) -> None:
        """Then there are as many descriptors as usual, and any amount of memory."""
        self.patch(module, "getrlimit", denied)
        self.assertEqual(descriptorLimit().number, USUAL_DESCRIPTORS)
        self.assertIn("must not be read here", descriptorLimit().source)
        self.assertEqual(memoryLimit(self.proc).number, inf)

    def test_raised(self) -> None:
        """Then the limit of descriptors stays."""
        self.patch(module, "setrlimit", denied)
        raiseDescriptorLimit()

    def test_affinity(self) -> None:
        """Then all processors count."""
        self.patch(os, "sched_getaffinity", denied)
        self.patch(os, "cpu_count", lambda: 7)
        self.assertEqual(processorLimit(self.proc).number, 7)


class ProcessTests(FakeMachine):
    def test_addressSpace(self) -> None:
        """A limit of the address space is one of memory (RLIMIT_AS)."""
        self.patch(module, "getrlimit", lambda kind: (300 if kind == RLIMIT_AS else 0, 0))
        self.assertEqual(memoryLimit(self.proc).number, 300)

    def test_noAffinity(self) -> None:
        """On a system without affinity it is the number of processors, at least one."""
        with mock.patch.object(os, "sched_getaffinity"):
            del os.sched_getaffinity
            for found, expected in ((7, 7), (None, 1)):
                self.patch(os, "cpu_count", lambda found=found: found)
                self.assertEqual(processorLimit(self.proc).number, expected)


class DescriptorLimitTests(SynchronousTestCase):
    def test_soft(self) -> None:
        """The current limit counts."""
        self.assertEqual(descriptorLimit(), (getrlimit(RLIMIT_NOFILE)[0], "RLIMIT_NOFILE"))


class DescriptorTests(SynchronousTestCase):
    def test_raised(self) -> None:
        """The limit of descriptors is raised to the one that needs privileges to be raised."""
        calls: list[object] = []
        self.patch(module, "getrlimit", lambda kind: (1024, 4096))
        self.patch(module, "setrlimit", lambda *arguments: calls.append(arguments))
        raiseDescriptorLimit()
        self.assertEqual(calls, [(RLIMIT_NOFILE, (4096, 4096))])
