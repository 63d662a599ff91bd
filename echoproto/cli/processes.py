"""
How many processes a command is to have: what ``--workers`` says.
"""

from __future__ import annotations

import os

#: More than any machine has processors.
MOST = 1024


def parseWorkers(text: str) -> int:
    """
    A number, or ``auto`` for one per processor that we may use.

    :raise ValueError: it is neither; the message says so in one line.
    """
    if text == "auto":
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST:
        raise ValueError(f"{text!r}: a number from 1 to {MOST}, or auto")
    return int(text)
