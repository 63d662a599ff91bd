from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.processes import parseWorkers


class ProcessesTests(SynchronousTestCase):
    def test_number(self) -> None:
        """It is a number, or one per processor that we may use."""
        self.assertEqual(parseWorkers("4"), 4)
        self.patch(os, "sched_getaffinity", lambda process: {0, 3})
        self.assertEqual(parseWorkers("auto"), 2)

    def test_elsewhere(self) -> None:
        """Where a system does not say which, it is all of them, at least one."""
        self.patch(os, "sched_getaffinity", None)  # as where there is none
        for found, expected in ((7, 7), (None, 1)):
            self.patch(os, "cpu_count", lambda found=found: found)
            self.assertEqual(parseWorkers("auto"), expected)

    def test_bad(self) -> None:
        """Anything else is no number of processes."""
        for text in ("0", "1025", "many", "²", ""):
            with self.assertRaisesRegex(ValueError, "a number from 1 to 1024, or auto"):
                parseWorkers(text)
