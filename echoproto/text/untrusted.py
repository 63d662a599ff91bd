"""
What somebody else may have written: text and bytes made printable, for the log and for terminals,
and files that a user has named, which may be anything.
"""

from __future__ import annotations

import os
import stat
from errno import EFBIG, EINVAL
from os import PathLike
from typing import BinaryIO
from unicodedata import category

#: Letters and symbols, by their category, that show nothing: the Hangul fillers, the blank Braille
#: pattern and the null notehead. Nearly all other invisible characters are format characters or
#: marks.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")

#: Marks without a width of their own: invisible, or stacked on the character before, to any height.
_STACKING = ("Mn", "Me")


def escaped(data: bytes | str) -> str:
    """
    ``data`` as one line of visible text: UTF-8 if it is valid, and a backslash escape for each
    control, format or blank character, each combining mark, backslash and invalid byte. The result
    cannot begin a new line, move a terminal's cursor, change the direction of text, or hide text.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    return "".join(map(_escapedCharacter, text))


def _escapedCharacter(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character != "\\" and _isVisible(character):
        return character
    return character.encode("unicode_escape").decode("ascii")


def _isVisible(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    return (
        character.isprintable() and character not in _BLANK and category(character) not in _STACKING
    )


def openRegularFile(path: str | PathLike[str]) -> BinaryIO:
    """
    Open a file to be read, without waiting: a named pipe without a writer, or a device without an
    end, would hold the program up for ever.

    :raise OSError: it cannot be read, or is not a regular file.
    """

    def openAtOnce(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)

    file = open(path, "rb", opener=openAtOnce)  # noqa: SIM115 - the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(EINVAL, "not a regular file", path)
    return file


def readRegularFile(path: str, limit: int) -> bytes:
    """
    The content of a file; see :func:`openRegularFile`.

    :param limit: bytes of the longest content.
    :raise OSError: it cannot be read, is not a regular file, or is too long.
    """
    with openRegularFile(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(EFBIG, f"longer than {limit:,} bytes", path)
    return content
