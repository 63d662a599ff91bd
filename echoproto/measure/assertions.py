"""
What must hold of a measurement: ``p99<5ms``, ``loss<=1%``, ``received>=100``.

Used by the command line; it knows names and values, and nothing of how they were measured.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from echoproto.units import milliseconds, parseDuration

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_ASSERTION = re.compile(r"\s*([a-z0-9.]+)\s*(<=|>=|==|<|>)\s*(\S+)\s*")

#: What can be asserted of times, of shares and of counts.
TIMES = ("min", "avg", "max", "mdev", "p50", "p90", "p99", "p99.9", "jitter")
SHARES = ("loss",)
COUNTS = (
    "sent",
    "rate",
    "received",
    "lost",
    "corrupt",
    "duplicates",
    "reordered",
    "late",
    "foreign",
)


@dataclass(frozen=True)
class Assertion:
    """
    :ivar text: as it was written.
    :ivar name: what it is about.
    :ivar bound: nanoseconds for a time, a part of 1 for a share.
    """

    text: str
    name: str
    comparison: str
    bound: float

    def failure(self, values: Mapping[str, float]) -> str:
        """
        Why it does not hold, for people; empty where it does.

        :param values: by name; a value that could not be measured is missing, and nothing holds of it.
        """
        if self.name not in values:
            return f"{self.text}: that was not measured"
        value = values[self.name]
        if _COMPARISONS[self.comparison](value, self.bound):
            return ""
        return f"{self.text}: {self.name} is {self._shown(value)}"

    def _shown(self, value: float) -> str:
        if self.name in TIMES:
            return f"{milliseconds(value)}ms"
        return f"{value * 100:.2f}%" if self.name in SHARES else f"{value:g}"


def parseAssertion(text: str) -> Assertion:
    """
    Read an assertion.

    :raise ValueError: it is none; the message says so in one line.
    """
    found = _ASSERTION.fullmatch(text)
    if found is None or found[1] not in TIMES + SHARES + COUNTS:
        known = ", ".join(TIMES + SHARES + COUNTS)
        raise ValueError(
            f"{text!r} is no assertion such as 'p99<5ms' or 'loss<=1%' (known: {known})"
        )
    name, comparison, bound = found.groups()
    if name in TIMES:
        return Assertion(text, name, comparison, parseDuration(bound))
    share = bound.endswith("%")
    try:
        number = float(bound.rstrip("%")) / (100 if share else 1)
    except ValueError:
        raise ValueError(f"{text!r}: {bound!r} is no number") from None
    if share and name not in SHARES:
        raise ValueError(f"{text!r}: {name} is a count, not a share")
    return Assertion(text, name, comparison, number)
