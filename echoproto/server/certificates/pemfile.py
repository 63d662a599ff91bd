"""Files for what :mod:`ssl` reads from files only: certificates and keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import IO

#: The open files of this process by their descriptors; see proc(5).
DESCRIPTORS = "/proc/self/fd"


@contextmanager
def pemFile(content: bytes) -> Iterator[str]:
    """
    The path of a file with this content, which is removed at the end.

    It is in memory if the system and its sandbox allow that: a key is not written to a disk.

    :raise ValueError: there can be no such file; the message is one line.
    """
    try:
        # Closed below.
        file = _memoryFile(content) or _written(NamedTemporaryFile(), content)  # noqa: SIM115
    except OSError as error:
        raise ValueError(
            f"certificates cannot be passed on to OpenSSL: {error.strerror}; it needs /proc, or a "
            "folder for temporary files (TMPDIR)"
        ) from error
    with file:
        # In memory it has no name but its descriptor.
        yield f"{DESCRIPTORS}/{file.name}" if isinstance(file.name, int) else file.name


def _memoryFile(content: bytes) -> IO[bytes] | None:
    # AttributeError: a system without such files.
    with suppress(AttributeError, OSError):
        if os.path.isdir(DESCRIPTORS):
            return _written(open(os.memfd_create("pem"), "wb"), content)
    return None


def _written(file: IO[bytes], content: bytes) -> IO[bytes]:
    with ExitStack() as onFailure:
        onFailure.enter_context(file)
        file.write(content)
        file.flush()
        onFailure.pop_all()
    return file
