"""
Run one of Twisted's test modules on one reactor and print every test's outcome as JSON.

``python -m tests.reactors.one stock|direct MODULE FOLDER`` is started by
:mod:`tests.reactors.__main__`. The tested reactor becomes the global one and the one of Twisted's
reactor builders, under the name of the stock reactor: some tests depend on that name to skip
features that epoll(7) lacks.
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
    """Records every test's outcome and its reason."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.outcomes: dict[str, list[str]] = {}

    def _record(self, test: Any, outcome: str, reason: object = "") -> None:
        # A test that fails and then leaves the reactor dirty has failed.
        if self.outcomes.get(test.id(), ["passed"])[0] in ("passed", "skipped"):
            self.outcomes[test.id()] = [outcome, str(reason)[-2000:]]

    def addSuccess(self, test: Any) -> None:
        self._record(test, "passed")

    def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
        self._record(test, "passed")

    def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
        self._record(test, "passed")

    def addSkip(self, test: Any, reason: Any) -> None:
        self._record(test, "skipped", reason)

    def addFailure(self, test: Any, fail: Any) -> None:
        self._record(test, "failed", self._text(fail))

    def addError(self, test: Any, error: Any) -> None:
        self._record(test, "error", self._text(error))

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
    recorders: list[Recorder] = []

    def record(*arguments: Any, **options: Any) -> Recorder:
        recorders.append(Recorder(io.StringIO(), *arguments[1:], **options))
        return recorders[0]

    runner = TrialRunner(record, workingDirectory=f"{folder}/trial", stream=io.StringIO())
    runner.run(TestLoader().loadByName(module, recurse=True))
    print(json.dumps(recorders[0].outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
