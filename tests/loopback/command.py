"""The command ``echoproto`` as a process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.loopback.program import PATIENCE, environment

COMMAND = (sys.executable, "-m", "echoproto")

#: The option with which a reply is in time although the server was held up, by a busy machine.
PATIENT = ("-W", f"{PATIENCE:.0f}s")


def runCommand(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """
    Run it to its end.

    :param options: further ones of ``subprocess.run``.
    """
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )


def startCommand(*words: str) -> subprocess.Popen[str]:
    """Start it, with pipes for its output and its errors."""
    return subprocess.Popen(
        [*COMMAND, *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
