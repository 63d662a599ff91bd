from __future__ import annotations

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load import cpu as module
from echoproto.measure.load.cpu import CPUTime, cpuTime


class UsageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(time, "process_time_ns", lambda: 5)
        self.file = Path(self.mktemp())
        self.patch(module, "SCHEDSTAT", self.file)

    def test_linux(self) -> None:
        """The kernel reports the time on a CPU and in the run queue."""
        self.file.write_text("123 45 6\n")
        self.assertEqual(cpuTime(), CPUTime(5, 45))

    def test_elsewhere(self) -> None:
        """If the kernel does not report it, the time in the run queue is 0."""
        self.assertEqual(cpuTime(), CPUTime(5, 0))
        for text in ("", "1", "1 x"):
            self.file.write_text(text)
            self.assertEqual(cpuTime(), CPUTime(5, 0))
