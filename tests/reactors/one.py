"""
Runs one of Twisted's test modules on one reactor and prints what became of each test, as JSON on
the last line.

``python -m tests.reactors.one stock|direct MODULE FOLDER``, by :mod:`tests.reactors.__main__`. The
reactor that is tested becomes the process's own, and the one of Twisted's builders of reactors;
both under the name of the stock one, by which some tests know what epoll(7) cannot do.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from twisted.internet import epollreactor
from twisted.trial.reporter import Reporter
from twisted.trial.runner import TestLoader, TrialRunner


class Recorder(Reporter):
    """Notes each test's outcome and its reason."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.outcomes: dict[str, list[str]] = {}

    def _note(self, test: Any, outcome: str, reason: object = "") -> None:
        # A test that fails and then does not clean up has failed.
        if self.outcomes.get(test.id(), ["passed"])[0] in ("passed", "skipped"):
            self.outcomes[test.id()] = [outcome, str(reason)[-2000:]]

    def addSuccess(self, test: Any) -> None:
        self._note(test, "passed")

    def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
        self._note(test, "passed")

    def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: Any) -> None:
        self._note(test, "skipped", reason)

    def addFailure(self, test: Any, fail: Any) -> None:
        self._note(test, "failed", self._text(fail))

    def addError(self, test: Any, error: Any) -> None:
        self._note(test, "error", self._text(error))

    def _text(self, failure: Any) -> str:
        return str(failure.getTraceback() if hasattr(failure, "getTraceback") else failure)


def main(which: str, module: str, folder: str) -> None:
    if which == "direct":
        from echoproto.reactors.direct import DirectReactor

        placed = {"__module__": DirectReactor.__module__}
        stock: Any = epollreactor
        stock.EPollReactor = type("EPollReactor", (DirectReactor,), placed)
    epollreactor.install()
    from twisted.internet.test.reactormixins import ReactorBuilder

    ReactorBuilder._reactors = ["twisted.internet.epollreactor.EPollReactor"]
    made: list[Recorder] = []

    def record(*arguments: Any, **named: Any) -> Recorder:
        made.append(Recorder(io.StringIO(), *arguments[1:], **named))
        return made[0]

    runner = TrialRunner(record, workingDirectory=f"{folder}/trial", stream=io.StringIO())
    runner.run(TestLoader().loadByName(module, recurse=True))
    print(json.dumps(made[0].outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
