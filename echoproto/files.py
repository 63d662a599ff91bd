"""Reading files that a user has named, which may be anything."""

from __future__ import annotations

import os
import stat
from errno import EFBIG, EINVAL


def readRegularFile(path: str, limit: int) -> bytes:
    """
    The content of a file, without waiting: a named pipe without a writer, or a device without an
    end, would hold the program up for ever.

    :param limit: bytes of the longest content.
    :raise OSError: it cannot be read, is not a regular file, or is too long.
    """

    def openAtOnce(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)

    with open(path, "rb", opener=openAtOnce) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "not a regular file", path)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(EFBIG, f"longer than {limit:,} bytes", path)
    return content
