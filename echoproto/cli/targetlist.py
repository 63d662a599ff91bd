"""
The list of targets in a file.
"""

from __future__ import annotations

import click

from echoproto.cli.paramtypes import ParsedParamType
from echoproto.client.targets.target import Target, parseTarget
from echoproto.text.untrusted import openRegularFile

#: Targets of a list, at most: each has a connection, and a result in the document.
MAX_LISTED = 10_000

#: Bytes of a list, at most, and characters of a message about one of its lines.
MAX_LIST_SIZE = 1 << 24
MAX_SHOWN = 300


def readTargets(path: str) -> tuple[Target, ...]:
    """
    The targets in a file, one a line; ``-`` is the standard input. ``#`` begins a comment.

    :raise ValueError: it cannot be read, or a line is no target.
    """
    try:
        with click.open_file("-", "rb") if path == "-" else openRegularFile(path) as file:
            found = file.read(MAX_LIST_SIZE + 1)
        # Some editors put a byte order mark before the text.
        content = found.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; - is the standard input") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not text in UTF-8") from None
    if len(found) > MAX_LIST_SIZE:
        raise ValueError(f"{path}: larger than 16 MiB")
    targets = []
    for number, line in enumerate(content.splitlines(), 1):
        if text := line.partition("#")[0].strip():
            try:
                targets.append(parseTarget(text))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {str(error)[:MAX_SHOWN]}") from None
    if not 0 < len(targets) <= MAX_LISTED:
        raise ValueError(f"{path} has {len(targets)} targets (1 to {MAX_LISTED}, one a line)")
    return tuple(targets)


TARGET_FILE = ParsedParamType("file", readTargets)
