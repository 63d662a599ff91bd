"""Part of a test module as a program of its own, in a network namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from unittest import SkipTest

from tests.loopback.program import PATIENCE, ROOT, environment


def inNamespace(script: str, module: str, name: str) -> str:
    """
    The output of ``python -m module name`` in a namespace.

    :param script: prepares the namespace, in which ``lo`` is up.
    :raise SkipTest: this machine permits no namespace.
    :raise AssertionError: the program has failed; the message is its output.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        raise SkipTest("needs unshare and ip")
    run = f"ip link set lo up && {script} && exec {sys.executable} -m {module} {name}"
    finished = subprocess.run(
        ["unshare", "--net", "sh", "-c", run],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    if "unshare failed" in finished.stdout:
        raise SkipTest("a network namespace needs root")
    if finished.returncode != 0:
        raise AssertionError(finished.stdout)
    return finished.stdout
