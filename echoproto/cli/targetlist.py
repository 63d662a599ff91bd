"""
The list of targets in a file.
"""

from __future__ import annotations

import os
from stat import S_ISREG

import click

from echoproto.client.targets.target import Target, parseTarget

#: Targets of a list, at most: each has a connection, and a result in the document.
MAX_LISTED = 10_000

#: Characters of a list, at most, and of a message about one of its lines.
MAX_LIST_SIZE = 1 << 24
MAX_SHOWN = 300


def readTargets(path: str) -> tuple[Target, ...]:
    """
    The targets in a file, one a line; ``-`` is the standard input. ``#`` begins a comment.

    :raise ValueError: it cannot be read, or a line is no target.
    """
    try:
        with click.open_file(path, encoding="utf-8") as file:
            if path != "-" and not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{path}: not a regular file; - is the standard input")
            content = file.read(MAX_LIST_SIZE + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not text in UTF-8") from None
    if len(content) > MAX_LIST_SIZE:
        raise ValueError(f"{path}: larger than 16 MiB")
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        if text := line.partition("#")[0].strip():
            try:
                found.append(parseTarget(text))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {str(error)[:MAX_SHOWN]}") from None
    if not 0 < len(found) <= MAX_LISTED:
        raise ValueError(f"{path} has {len(found)} targets (1 to {MAX_LISTED}, one a line)")
    return tuple(found)
