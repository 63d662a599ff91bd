"""
Finds where two streams agree again after bytes that differ.
"""

from __future__ import annotations

#: Bytes that must agree to be a match: more than the header of a block, most of which neighbouring
#: blocks share.
MINIMUM_MATCH = 32

#: Bytes after the first wrong one that are searched.
LOOKAHEAD = 65_536

#: Bytes before a fault that are searched for duplicated ones.
LOOKBEHIND = 1 << 20

#: In the widest search, distance of the places in the expected bytes that are looked for.
SEARCH_STRIDE = 256


def align(expected: bytes, received: bytes) -> tuple[int | None, int]:
    """
    Find where the streams agree again.

    :return: how many bytes of ``expected`` and of ``received`` to skip; the first is ``None`` if
        they do not agree anywhere.
    """
    found = [
        skipped
        for skipped in (
            _replaced(expected, received),
            _shifted(expected, received),
            _shifted(received, expected, swap=True),
        )
        if skipped is not None
    ]
    if found:
        return min(found, key=max)
    return _searched(expected, received)


def _replaced(expected: bytes, received: bytes) -> tuple[int, int] | None:
    """As many bytes were replaced as are missing."""
    length = min(len(expected), len(received))
    for index in range(1, min(length, LOOKAHEAD)):
        if expected[index] == received[index]:
            end = index + min(MINIMUM_MATCH, length - index)
            if expected[index:end] == received[index:end]:
                return index, index
    return None


def _shifted(where: bytes, what: bytes, swap: bool = False) -> tuple[int, int] | None:
    """Bytes are only missing or, if the streams are swapped, only added."""
    key = what[:MINIMUM_MATCH]
    place = where.find(key) if len(key) == MINIMUM_MATCH else -1
    if place < 0:
        return None
    return (0, place) if swap else (place, 0)


def _searched(expected: bytes, received: bytes) -> tuple[int | None, int]:
    """Some bytes are missing, and others added."""
    received = received[:LOOKAHEAD]
    stride = SEARCH_STRIDE if len(received) > 2 * SEARCH_STRIDE else 1
    best: tuple[int | None, int] = None, len(received)
    end = min(len(expected), len(received) + LOOKBEHIND) - MINIMUM_MATCH + 1
    for place in range(0, end, stride):
        key = expected[place : place + MINIMUM_MATCH]
        found = received.find(key, 0, best[1] + MINIMUM_MATCH)
        if 0 <= found < best[1]:
            best = _firstMatch(expected, received, place, found)
    return best


def _firstMatch(expected: bytes, received: bytes, place: int, found: int) -> tuple[int, int]:
    """Extend a match to the left."""
    while place and found and expected[place - 1] == received[found - 1]:
        place, found = place - 1, found - 1
    return place, found
