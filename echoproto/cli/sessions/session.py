"""
The base of the runs that write a result in several formats.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Generic, TypeVar

from echoproto.cli.declarations import optionValues
from echoproto.cli.options import MeasurementOptions
from echoproto.cli.output import ResultView, ResultWriter, opened
from echoproto.cli.runner import MeasurementRunner, Session

if TYPE_CHECKING:
    from echoproto.measure.assertions import Assertion
    from echoproto.report.documents.origin import Origin

_Measurement = TypeVar("_Measurement")
_Event = TypeVar("_Event")
_Result = TypeVar("_Result")


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
        for hint in self.hints(result):
            self.runner.complain(hint)
        self.runner.writeResult(self.writer.result(result), self.isEmpty(result))
        failures = self.failures(result)
        for failure in failures:
            self.runner.complain(failure)
        return self.status(result, self.runner.interrupted, bool(failures))

    def beganAt(self, result: _Result) -> int:
        """When the measurement began, in nanoseconds of the monotonic clock."""
        return self.startedAt

    def hints(self, result: _Result) -> Iterable[str]:
        """A line for each target with a server that the command cannot measure."""
        hint = getattr(result, "hint", "")
        return (hint,) if hint else ()

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
