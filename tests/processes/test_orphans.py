from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from echoproto.processes import orphans
from echoproto.processes.orphans import reapOrphans


def endedChild() -> int:
    """Start a child, and wait until it has ended."""
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return child


class OrphansTests(SynchronousTestCase):
    def test_reaped(self) -> None:
        """All ended children are reaped; one that runs, and none at all, are no error."""
        children = [endedChild(), endedChild()]
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        ) as running:
            reapOrphans()
            for child in children:
                self.assertRaises(ChildProcessError, os.waitpid, child, 0)
            self.assertIsNone(running.poll())
            running.communicate()
        reapOrphans()

    def test_own(self) -> None:
        """Children of Twisted are left to it."""
        child = endedChild()
        self.patch(orphans, "reapAllProcesses", lambda: None)
        self.patch(orphans, "reapProcessHandlers", {child: None})
        reapOrphans()
        self.assertEqual(os.waitpid(child, 0), (child, 0))
