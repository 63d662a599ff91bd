"""
What a check is, and what comes of it. Pure values, which the checks make and :mod:`.runner` collects.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred


class CheckVerdict(Enum):
    """What is said of a server."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Failed(Exception):
    """The server does not do what a check asks; the message is the reason, in one line."""


class NoAnswer(Failed):
    """Nothing came at all."""


class Skipped(Exception):
    """It could not be asked; the message says why, in one line."""


@dataclass(frozen=True)
class Check:
    """
    One thing that is asked.

    :ivar carrier: what it is asked over, ``tcp`` (any stream) or ``udp``.
    :ivar name: a word or two.
    :ivar asks: one sentence.
    :ivar source: where it stands that it must be so.
    :ivar ask: asks it, of :class:`~.streamclient.Streams` or :class:`~.udpclient.Datagrams`; returns what may be of interest where it is
        passed, or raises :class:`Failed` or :class:`Skipped`.
    :ivar risky: whether it could start a loop or a flood, so that it is asked only of who is ours.
    """

    carrier: str
    name: str
    asks: str
    source: str
    ask: Callable[[Any], Coroutine[Deferred[Any], Any, str]]
    risky: bool = False


@dataclass(frozen=True)
class CheckResult:
    """
    What came of a check.

    :ivar check: which.
    :ivar verdict: in a word.
    :ivar reason: why it failed or was skipped, or what was seen; may be empty where it is passed.
    :ivar duration: nanoseconds.
    """

    check: Check
    verdict: CheckVerdict
    reason: str
    duration: int


@dataclass(frozen=True)
class ConformanceResult:
    """
    What came of all.

    :ivar target: the server's name.
    :ivar grades: one for each check, in order.
    :ivar answered: whether anything came at all, right or wrong, on any carrier.
    """

    target: str
    grades: Sequence[CheckResult]
    answered: bool

    def count(self, verdict: CheckVerdict) -> int:
        """Checks with this verdict."""
        return sum(each.verdict is verdict for each in self.grades)

    @property
    def failed(self) -> list[CheckResult]:
        """What the server does not do."""
        return [each for each in self.grades if each.verdict is CheckVerdict.FAILED]


def toldBySize(faults: Mapping[int, str]) -> str:
    """What went wrong at some sizes, in one line: at the smallest in full."""
    (size, first), *more = sorted(faults.items())
    also = f"; also {', '.join(str(each) for each, _ in more)} bytes" if more else ""
    return f"{size} bytes: {first}{also}"
