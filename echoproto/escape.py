"""
Untrusted text and bytes, made printable.
"""

from __future__ import annotations

from unicodedata import category


def printable(text: str) -> str:
    """Text of others, in which what does not print is escaped as Python has it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


#: Letters and symbols by their category that show nothing: the Hangul fillers, the blank Braille pattern
#: and the null notehead. Nearly all else that is invisible is a format character or a mark.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")


#: Marks without a width of their own: invisible, or piled on the character before, up to any height.
_PILING = ("Mn", "Me")


def escaped(data: bytes) -> str:
    """
    ``data`` as one line of visible text: UTF-8 where it is that, and a backslash escape for each control,
    format or blank character, each combining mark, backslash and undecodable byte. Nothing in it can begin a new
    line, move a terminal's cursor, turn the direction of what stands beside it, hide or cover it.
    """
    return "".join(map(_escapedCharacter, data.decode("utf-8", "surrogateescape")))


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
        character.isprintable() and character not in _BLANK and category(character) not in _PILING
    )
