"""
Runs one measurement as a command: the reactor, signals, the progress bar and the output.
"""

from __future__ import annotations

import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO, TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from echoproto.cli.exitcodes import INTERRUPTED, LOCAL_ERROR, complain, statusOf
from echoproto.cli.output import LineOutput
from echoproto.client.targets.failures import describeFailure

if TYPE_CHECKING:
    from echoproto.cli.options import TargetOptions
    from echoproto.cli.progress import ProgressBar
    from echoproto.client.measurement import Measurement

_Measurement = TypeVar("_Measurement")
_Result = TypeVar("_Result")

#: Seconds between two drawings of the progress bar, each of which takes 0.3 ms.
REFRESH_INTERVAL = 0.25


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


class MeasurementRunner:
    """
    One run of a command. If its measurement has a method ``finish`` too, Ctrl-C calls that instead
    of ``stop``, and waits for the messages under way. SIGTERM and SIGHUP do the same as Ctrl-C.

    :param session: what to measure, and how to show the result.
    :param stream: receives the output.
    :ivar stream: receives the output.
    :ivar interrupted: whether it was stopped early.
    """

    def __init__(self, session: Session[Any, Any], stream: IO[str]) -> None:
        self.stream = stream
        self.interrupted = False
        self._session = session
        self._output = LineOutput(stream, self._outputFailed)
        self._preparing: Deferred[Any] | None = None
        self._measurement: Measurement[Any] | None = None
        self._status: int | None = None
        self._bar: ProgressBar | None = None
        self._repeated: list[LoopingCall] = []
        self._ended: Deferred[None] = Deferred()
        self._isStopped = False

    def run(self) -> int:
        """Run the reactor until there is a result, or until Ctrl-C; returns the exit status."""
        from echoproto.reactors.install import installClientReactor

        reactor = self._reactor = installClientReactor()

        def begin() -> None:
            # Again, in place of Twisted's handlers, which would stop it twice.
            self._handleSignals()
            self._preparing = maybeDeferred(self._session.prepare, reactor)
            ending = self._preparing.addCallback(self._start)
            ending.addCallbacks(self._session.show, self._fail).addErrback(self._internalError)
            ending.addCallback(self._end)

        reactor.callWhenRunning(begin)
        self._handleSignals()
        # Ctrl-C stops the reactor.
        reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        reactor.run()
        return INTERRUPTED if self._status is None else self._status

    def write(self, lines: Iterable[str]) -> None:
        """Write lines of output; if that fails, the measurement ends."""
        self._hideBar()
        self._output.write(lines)

    def writeResult(self, lines: Iterable[str], isEmpty: bool = False) -> None:
        """See :meth:`.LineOutput.writeResult`; the file is that of ``--out``."""
        self._hideBar()
        self._output.writeResult(lines, isEmpty)

    def complain(self, line: str) -> None:
        """Write an error to the standard error."""
        self._hideBar()
        complain(f"echoproto {self._session.command}: {line}")

    def localError(self, line: str) -> None:
        """Write an error of this machine; the exit status will be :data:`LOCAL_ERROR`."""
        self._status = LOCAL_ERROR
        self.complain(line)

    def _start(self, measurement: Measurement[Any]) -> Deferred[Any]:
        self._measurement = measurement
        self._session.begin(measurement, self._reactor)
        measurement.start()
        if self._session.hasBar and sys.stderr.isatty():
            from echoproto.cli.progress import ProgressBar

            self._bar = ProgressBar(self._session.command)
            self.repeat(REFRESH_INTERVAL, partial(self._draw, self._bar, measurement))
        return measurement.result

    def repeat(self, seconds: float, call: Callable[[], None]) -> None:
        """Call every so many seconds until the measurement has ended."""
        repeated = LoopingCall(call)
        repeated.clock = self._reactor
        repeated.start(seconds, now=False)
        self._repeated.append(repeated)

    def _draw(self, bar: ProgressBar, measurement: Measurement[Any]) -> None:
        session = self._session
        bar.show(session.share(measurement), ", ".join(session.figures(measurement)))

    def _hideBar(self) -> None:
        if self._bar is not None:
            self._bar.hide()

    def _handleSignals(self) -> None:
        """
        Handle the signals that would end the process with all that was measured. Those that the
        caller ignores stay ignored: SIGHUP of nohup(1), SIGINT in the background of a shell.
        """
        call = self._reactor.callFromThread
        signal.signal(signal.SIGQUIT, lambda *_: call(self.showFigures))
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._endSignals = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]
        self._onSignals(lambda *_: call(self._hangUp))

    def _hangUp(self) -> None:
        if not self._isStopped:
            self._isStopped = True
            self._reactor.stop()

    def showFigures(self) -> None:
        """Write the figures so far to the standard error."""
        figures: Iterable[str] = ("nothing was measured yet",)
        if self._measurement is not None:
            figures = self._session.figures(self._measurement)
        for line in figures:
            self.complain(line)

    def _fail(self, failure: Failure) -> int:
        if self.interrupted:
            self.complain("interrupted")
            return INTERRUPTED
        self.complain(describeFailure(failure, self._session.target.text))
        return statusOf(failure)

    def _internalError(self, failure: Failure) -> int:
        """Showing the result has failed, which must not keep the reactor running."""
        self.complain(f"internal error, please report: {failure.value!r}")
        return LOCAL_ERROR

    def _outputFailed(self, reason: str) -> None:
        if reason:
            self.localError(reason)
        self._reactor.callLater(0, self._interrupt)

    def _shutDown(self) -> Deferred[None] | None:
        """First Ctrl-C: end the measurement, whose messages or workers may take a while."""
        self._isStopped = True
        if self._ended.called:
            return None
        if (measurement := self._measurement) is not None:
            # Second Ctrl-C.
            self._onSignals(lambda *_: self._reactor.callFromThread(measurement.stop))
        self._interrupt()
        return None if self._preparing is None or self._ended.called else self._ended

    def _onSignals(self, action: signal.Handlers | Callable[..., None]) -> None:
        for number in self._endSignals:
            signal.signal(number, action)

    def _interrupt(self) -> None:
        """End the measurement early, but wait for messages under way if it can."""
        if self._status is None:
            self.interrupted = True
        if self._measurement is not None:
            getattr(self._measurement, "finish", self._measurement.stop)()
        elif self._preparing is not None:
            self._preparing.cancel()

    def _end(self, status: int) -> None:
        for repeated in self._repeated:
            repeated.stop()
        self._hideBar()
        status = self._status = status if self._status is None else self._status
        # The reactor may wait for a thread that looks up a name: Ctrl-C ends the process now.
        self._onSignals(lambda *_: os._exit(status))
        self._ended.callback(None)
        self._hangUp()
