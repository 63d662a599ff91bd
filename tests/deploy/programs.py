"""Programs that some tests need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from unittest import SkipTest


def program(name: str) -> str:
    """
    The path of a program, in this environment or on the machine.

    :raise SkipTest: there is none.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    found = which(name, path=path)
    if found is None:
        raise SkipTest(f"no {name} here")
    return found


def outputOf(*command: str) -> str:
    """The output of a program, which must succeed."""
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode != 0:
        raise AssertionError(finished.stdout)
    return finished.stdout
