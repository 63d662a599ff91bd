"""
Assertions about the result of a measurement: ``p99<5ms``, ``loss<=1%``, ``received>=100``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, nan

from echoproto.text.units import milliseconds, parseDuration

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_ASSERTION = re.compile(r"\s*([a-z0-9.-]+)\s*(<=|>=|==|<|>)\s*(\S+)\s*")

#: Names of the times, shares and counts that can be asserted.
TIMES = ("min", "avg", "max", "mdev", "p50", "p90", "p95", "p99", "p99.9", "jitter")
SHARES = ("loss", "loss-up", "loss-down")
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
    "lost-up",
    "lost-down",
    "lost-unsent",
    "lost-unknown",
)

#: Those of UDPEchoPlus: losses to the server, from the server, in the server, which could not send
#: the reply, and in an unknown direction.
DIRECTIONS = ("loss-up", "loss-down", "lost-up", "lost-down", "lost-unsent", "lost-unknown")

#: Names of all values.
NAMES = TIMES + SHARES + COUNTS


@dataclass(frozen=True)
class Assertion:
    """
    A condition on one value of a result.

    :ivar text: the assertion as written.
    :ivar name: name of the value.
    :ivar comparison: the operator.
    :ivar bound: nanoseconds for a time, a fraction for a share; not a number if the name is
        unknown, as only a command knows the names of what it measures.
    """

    text: str
    name: str
    comparison: str
    bound: float

    def failure(self, values: Mapping[str, float]) -> str:
        """
        Check it.

        :param values: the values by name; those that were not measured are missing, and no
            assertion about them holds.
        :return: why it does not hold, for people; empty if it does.
        """
        if self.name not in values:
            return f"{self.text}: not measured"
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
    Parse an assertion.

    :raise ValueError: the text is invalid; the message is one line.
    """
    found = _ASSERTION.fullmatch(text)
    if found is None:
        raise ValueError(f"invalid assertion {text!r} (examples: 'p99<5ms', 'loss<=1%')")
    name, comparison, bound = found.groups()
    if name not in NAMES:
        return Assertion(text, name, comparison, nan)
    if name in TIMES:
        if re.fullmatch(r"[\d.]+", bound):
            raise ValueError(f"{text!r}: a time needs a unit, such as {bound}ms")
        return Assertion(text, name, comparison, parseDuration(bound))
    share = bound.endswith("%")
    try:
        number = float(bound.rstrip("%")) / (100 if share else 1)
        if not isfinite(number):
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r}: invalid number {bound!r}") from None
    if share and name not in SHARES:
        raise ValueError(f"{text!r}: {name} is a count, not a share")
    return Assertion(text, name, comparison, number)
