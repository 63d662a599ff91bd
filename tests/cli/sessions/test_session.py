from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.options import EventOptions
from echoproto.cli.output import Values
from echoproto.cli.sessions.session import ReportedSession, failedAssertions
from echoproto.measure.assertions import parseAssertion
from tests.cli.commandcase import CommandTestCase, Counting


class CountSession(ReportedSession[Counting, str, int]):
    """Has an event at the start."""

    command = "count"

    def prepare(self, reactor: IReactorTime) -> Deferred[Counting]:
        self.write("started")
        return succeed(Counting())

    def figures(self, measurement: Counting) -> Iterable[str]:
        return ("counting",)

    def isEmpty(self, result: int) -> bool:
        return False

    def status(self, result: int, interrupted: bool, hasFailed: bool) -> int:
        return 4 if hasFailed else result

    def eventLines(self, event: str) -> Iterable[str]:
        return (event,)

    def resultLines(self, result: int) -> Iterable[str]:
        return (f"counted to {result}",)

    def document(self, result: int) -> Values:
        return {"number": result}


class CheckedSession(CountSession):
    """Its assertions are checked."""

    options: EventOptions

    def failures(self, result: int) -> Sequence[str]:
        return failedAssertions(self.options.assertions, {"sent": result})


class HintedResult(int):
    """A number with a hint."""

    hint = "wait"


class HintedSession(CountSession):
    """Its result has a hint."""

    def hints(self, result: int) -> Iterable[str]:
        return super().hints(HintedResult(result))


class ReportedSessionTests(CommandTestCase):
    def test_reported(self) -> None:
        """A result has events and a form, and may be written to a file."""
        ended = self.ran(CountSession, "lab1")
        self.assertEqual((ended.status, ended.lines), (5, ["started", "counted to 5"]))
        path = Path(self.mktemp())
        ended = self.ran(CountSession, "-o", "json", "--out", str(path), "lab1")
        self.assertEqual((ended.status, ended.output), (5, ""))
        self.assertEqual(json.loads(path.read_text()), {"number": 5})

    def test_assertions(self) -> None:
        """Failed assertions are reported after the result."""
        ended = self.ran(CheckedSession, "--assert", "sent==5", "--assert", "sent>5", "lab1")
        self.assertEqual((ended.status, ended.lines[-1]), (4, "counted to 5"))
        self.assertEqual(ended.errors, "echoproto count: sent>5: sent is 5\n")

    def test_hints(self) -> None:
        """A result whose server cannot be measured has a hint, on the standard error."""
        ended = self.ran(HintedSession, "lab1")
        self.assertEqual(
            (ended.lines[-1], ended.errors), ("counted to 5", "echoproto count: wait\n")
        )

    def test_failedAssertions(self) -> None:
        """The assertions that do not hold have a line."""
        assertions = [parseAssertion("lost==0"), parseAssertion("lost<2")]
        self.assertEqual(failedAssertions(assertions, {"lost": 1}), ["lost==0: lost is 1"])
