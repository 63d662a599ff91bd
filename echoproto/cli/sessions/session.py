"""
What :class:`~echoproto.cli.runner.MeasurementRunner` runs: the base of the runs of all commands.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.declarations import optionValues
from echoproto.cli.options import MeasurementOptions, TargetOptions
from echoproto.cli.output import ResultView, ResultWriter, opened
from echoproto.cli.runner import MeasurementRunner

if TYPE_CHECKING:
    from echoproto.measure.assertions import Assertion
    from echoproto.report.documents.origin import Origin

_Measurement = TypeVar("_Measurement")
_Event = TypeVar("_Event")
_Result = TypeVar("_Result")


class Session(ABC, Generic[_Measurement, _Result]):
    """
    One run of a command.

    :cvar command: name of the command.
    :ivar options: those of the command.
    :ivar target: its target, the first if there are several.
    :ivar hasBar: whether its progress is shown on a terminal.
    :ivar runner: runs it.
    """

    command: ClassVar[str]
    hasBar = False
    runner: MeasurementRunner

    def __init__(self, options: TargetOptions) -> None:
        self.options = options
        self.target = options.allTargets[0]

    def run(self) -> int:
        """Run it on the reactor, with its output on the standard output; returns the status."""
        self.runner = MeasurementRunner(self, sys.stdout)
        return self.runner.run()

    @abstractmethod
    def prepare(self, reactor: IReactorTime) -> Deferred[_Measurement]:
        """Prepare the measurement, which the runner starts."""

    def begin(self, measurement: _Measurement, reactor: IReactorTime) -> None:
        """Called before the measurement starts."""

    def share(self, measurement: _Measurement) -> float:
        """How much is done, from 0 to 1."""
        return 0.0

    @abstractmethod
    def figures(self, measurement: _Measurement) -> Iterable[str]:
        """The figures so far, for Ctrl-\\ (SIGQUIT) and the progress bar."""

    @abstractmethod
    def show(self, result: _Result) -> int:
        """Write the result; returns the exit status."""


class ReportedSession(
    ResultView[_Event, _Result],
    Session[_Measurement, _Result],
    Generic[_Measurement, _Event, _Result],
):
    """
    One run of a command that writes its result in several formats, perhaps to a file.

    :ivar startedAt: when the command began, in nanoseconds of the monotonic clock.
    :ivar origin: where, when and how the result was measured; set before it is shown.
    :ivar writer: makes lines of events and of the result.
    """

    options: MeasurementOptions
    origin: Origin

    def __init__(self, options: MeasurementOptions) -> None:
        super().__init__(options)
        self.startedAt = time.monotonic_ns()
        self.writer = ResultWriter(options.output, self)

    def run(self) -> int:
        """See :class:`Session`; the output may be a file."""
        with opened(self.options.out) as stream:
            self.runner = MeasurementRunner(self, stream)
            return self.runner.run()

    def write(self, event: _Event) -> None:
        """Write an event."""
        self.runner.write(self.writer.event(event))

    def show(self, result: _Result) -> int:
        """See :class:`Session`; failed assertions are reported too."""
        # Imported only here, because greetings need no report.
        from echoproto.report.documents.origin import originOf

        self.origin = originOf(
            self.beganAt(result),
            time.monotonic_ns(),
            datetime.now(timezone.utc),
            optionValues(self.options),
            dict(self.options.labels),
        )
        self.runner.writeResult(self.writer.result(result), self.isEmpty(result))
        failures = self.failures(result)
        for failure in failures:
            self.runner.complain(failure)
        return self.status(result, self.runner.interrupted, bool(failures))

    def beganAt(self, result: _Result) -> int:
        """When the measurement began, in nanoseconds of the monotonic clock."""
        return self.startedAt

    def failures(self, result: _Result) -> Sequence[str]:
        """A line for each failed assertion."""
        return ()

    @abstractmethod
    def isEmpty(self, result: _Result) -> bool:
        """Whether nothing was measured, so that a file of an earlier result must stay."""

    @abstractmethod
    def status(self, result: _Result, interrupted: bool, hasFailed: bool) -> int:
        """
        The exit status: of several that fit, the most important one.

        :param interrupted: whether the run was stopped early.
        :param hasFailed: whether an assertion has failed.
        """


def failedAssertions(
    assertions: Sequence[Assertion], figures: Mapping[str, float]
) -> Sequence[str]:
    """A line for each assertion that does not hold for these figures."""
    return [failure for assertion in assertions if (failure := assertion.failure(figures))]
