"""
Orphans: processes whose parents have ended. Process 1, as a server is in a container, becomes their
parent, and each stays as a zombie until its status is read (wait(2)).
"""

from __future__ import annotations

import os
from contextlib import suppress

from twisted.internet.process import reapAllProcesses, reapProcessHandlers

#: Seconds between two looks for orphans: a zombie is harmless, many are not.
REAP_INTERVAL = 1.0


def reapOrphans() -> None:
    """Read the status of all children that have ended, except those started by Twisted."""
    # First Twisted's own, since the kernel shows one child at a time.
    reapAllProcesses()
    # ChildProcessError: there is no child.
    with suppress(ChildProcessError):
        while child := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if child.si_pid in reapProcessHandlers:
                # It ended just now, and Twisted will be told.
                return
            os.waitpid(child.si_pid, 0)
