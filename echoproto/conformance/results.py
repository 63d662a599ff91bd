"""Checks and their results, as values."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from errno import EMFILE, ENFILE
from typing import Any

from twisted.internet.defer import Deferred

from echoproto.text.units import counted

#: The reason of a check that fails for the limits of this program, not for the server.
FILE_LIMIT = "this program may not open enough files; raise the limit (ulimit -n)"

# Any: a check takes the tester of its carrier.
CheckFunction = Callable[[Any], Coroutine[Deferred[Any], Any, str | None]]


class CheckVerdict(Enum):
    """The result of a check in a word."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ReasonCode(Enum):
    """Why a check failed or was skipped, for programs."""

    NONCONFORMING = "nonconforming"
    NO_ANSWER = "no-answer"
    TIMEOUT = "timeout"
    NOT_POSSIBLE = "not-possible"
    SILENT_SERVER = "silent-server"
    STOPPED = "stopped"


class Failed(Exception):
    """The server does not have the property; the message is the reason, in one line."""


class NoAnswer(Failed):
    """The server did not answer at all."""


class Skipped(Exception):
    """The check cannot run here; the message is the reason, in one line."""


@dataclass(frozen=True)
class Check:
    """
    One property of a server.

    :ivar carrier: ``tcp`` (any stream) or ``udp``.
    :ivar name: a slug.
    :ivar description: one sentence.
    :ivar source: the normative source.
    :ivar function: runs the check; returns a remark or ``None``, or raises :class:`Failed` or
        :class:`Skipped`.
    :ivar risky: whether it could start a loop or a flood, so that it needs the owner's consent.
    :ivar last: whether a server may end because of it.
    """

    carrier: str
    name: str
    description: str
    source: str
    function: CheckFunction
    risky: bool = False
    last: bool = False


@dataclass(frozen=True)
class CheckResult:
    """
    The result of a check.

    :ivar check: the check.
    :ivar verdict: the verdict.
    :ivar reason: why it failed or was skipped, or a remark; may be empty if it passed.
    :ivar duration: nanoseconds.
    :ivar code: the kind of reason; ``None`` if it passed.
    """

    check: Check
    verdict: CheckVerdict
    reason: str
    duration: int
    code: ReasonCode | None = None


@dataclass(frozen=True)
class ConformanceResult:
    """
    The results of all checks.

    :ivar target: the server's name.
    :ivar results: one for each check, in order.
    :ivar answered: whether the server answered at all, right or wrong, on any carrier.
    """

    target: str
    results: Sequence[CheckResult]
    answered: bool

    def count(self, verdict: CheckVerdict) -> int:
        """Number of checks with this verdict."""
        return sum(result.verdict is verdict for result in self.results)

    @property
    def failed(self) -> list[CheckResult]:
        """The failed checks."""
        return [result for result in self.results if result.verdict is CheckVerdict.FAILED]


def faultsBySize(faults: Mapping[int, str]) -> str:
    """Faults at several sizes in one line: the smallest size in full."""
    (size, first), *more = sorted(faults.items())
    also = f"; also {', '.join(str(other) for other, _ in more)} bytes" if more else ""
    return f"{counted(size, 'byte')}: {first}{also}"


def isFileLimit(error: object) -> bool:
    """Whether an error reports that this program may open no more files."""
    return getattr(error, "errno", getattr(error, "osError", None)) in (EMFILE, ENFILE)
