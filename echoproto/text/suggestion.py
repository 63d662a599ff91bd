"""
What a mistyped word may have been.
"""

from __future__ import annotations

from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """
    The continuation of a message about an unknown word.

    :param known: the words that exist.
    :return: ``; did you mean NAME?`` with the most similar word; empty if none is similar.
    """
    # Imported only after a mistake, because it takes as long as much of the command.
    from difflib import get_close_matches

    similar = get_close_matches(word, list(known), 1)
    return f"; did you mean {similar[0]}?" if similar else ""
