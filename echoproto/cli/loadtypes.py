"""
The types of parameters that only ``echoproto load`` has.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from echoproto.cli.paramtypes import ParsedParamType, parseMessageRate
from echoproto.text.units import SECOND, parseDuration, parseInstant


@dataclass(frozen=True)
class RateRange:
    """
    Rising rates of a load.

    :ivar text: as written.
    """

    text: str
    first: float
    last: float


def _parseRates(text: str) -> float | RateRange:
    first, dots, last = text.partition("..")
    if not dots:
        return parseMessageRate(text)
    found = RateRange(text, parseMessageRate(first), parseMessageRate(last))
    if not found.first < found.last:
        raise ValueError(f"invalid range of rates {text!r} (such as 1k..50k)")
    return found


def _parseStep(text: str) -> int:
    step = parseDuration(text)
    if step < SECOND or step % SECOND:
        raise ValueError(f"invalid step {text!r} (whole seconds, such as 10s)")
    return step


def _parseShare(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    index, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not index < of:
        raise ValueError(f"invalid share {text!r} (I/N, from 0/N to N-1/N, such as 0/3)")
    return index, of


RATES = ParsedParamType("rate", _parseRates)
SHARE = ParsedParamType("i/n", _parseShare)
START_TIME = ParsedParamType("time", lambda text: parseInstant(text, time.time_ns()))
STEP = ParsedParamType("duration", _parseStep)
