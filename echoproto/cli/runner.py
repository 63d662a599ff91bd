"""
One measurement of one target as a command: runs the reactor until it has a result, or is interrupted.

Used by ``verify`` and ``load``.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import IO, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from echoproto.cli.exitcodes import INTERRUPTED, LOCAL_ERROR, complain, statusOf
from echoproto.cli.output import Guarded
from echoproto.cli.progress import Bar, Stage
from echoproto.targets.failures import describeFailure

#: Seconds between two looks at how far it has come: each takes 0.3 ms.
REFRESH = 0.25


class MeasurementRunner:
    """
    One run of a command.

    :param name: of the command.
    :param stream: where to write.
    :param begun: called with the measurement and the reactor before it starts.
    :param progress: tells how far the measurement has come, which is shown on a terminal.
    :param target: what it is called when there is something wrong with it.
    :ivar interrupted: whether it was stopped before its time.
    """

    def __init__(
        self,
        name: str,
        stream: IO[str],
        begun: Callable[[Any, Any], None] = lambda measurement, reactor: None,
        progress: Callable[[Any], Stage] | None = None,
        target: str = "",
    ) -> None:
        self._target = target
        self.interrupted = False
        self._name = name
        self._stream = stream
        self._begun = begun
        self._progress = progress
        self._write = Guarded(self._unwritable)
        self._preparing: Deferred[Any] | None = None
        self._measurement: Any = None
        self._status: int | None = None
        self._bar: Bar | None = None
        self._showing: LoopingCall | None = None
        self._ended: Deferred[None] = Deferred()
        # Whether the reactor is stopping already.
        self._down = False

    def run(self, prepare: Callable[[Any], Deferred[Any]], show: Callable[[Any], int]) -> int:
        """
        Run.

        :param prepare: makes a measurement that has ``start``, ``stop`` and a ``result``, of the reactor; where it has ``finish``,
            that is to begin nothing more, and to end when all that is under way has come.
        :param show: writes the result, and returns the exit status.
        :return: the exit status.
        """
        from echoproto.reactors.install import installReactor

        reactor = self._reactor = installReactor(None)

        def begin() -> None:
            self._preparing = prepare(reactor)
            ending = self._preparing.addCallback(self._start)
            ending.addCallbacks(show, self._fail).addErrback(self._broken).addCallback(self._end)

        reactor.callWhenRunning(begin)
        # Ctrl-C stops the reactor.
        reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        reactor.run()
        return INTERRUPTED if self._status is None else self._status

    def line(self, text: str) -> None:
        """Write a line; where that cannot be, it ends."""
        self._hide()
        self._write(lambda: print(text, file=self._stream, flush=True))

    def complain(self, line: str) -> None:
        """Say what is wrong."""
        self._hide()
        complain(f"echoproto {self._name}: {line}")

    def fault(self, line: str) -> None:
        """Say what is wrong on our side; the exit status will tell of it, too."""
        self._status = LOCAL_ERROR
        self.complain(line)

    def _start(self, measurement: Any) -> Any:
        self._measurement = measurement
        self._begun(measurement, self._reactor)
        measurement.start()
        if self._progress is not None and sys.stderr.isatty():
            self._bar = Bar(self._name)
            self._showing = LoopingCall(self._show, self._bar, self._progress)
            self._showing.clock = self._reactor
            self._showing.start(REFRESH, now=False)
        return measurement.result

    def _show(self, bar: Bar, progress: Callable[[Any], Stage]) -> None:
        bar.show(progress(self._measurement))

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.hide()

    def _fail(self, failure: Failure) -> int:
        if self.interrupted:
            return INTERRUPTED
        self.complain(describeFailure(failure, self._target))
        return statusOf(failure)

    def _broken(self, failure: Failure) -> int:
        """Whoever shows the result has failed, which would keep the reactor running."""
        self.complain(f"this is a fault of echoproto's, please report it: {failure.value!r}")
        return LOCAL_ERROR

    def _unwritable(self, reason: str) -> None:
        if reason:
            self.fault(reason)
        self._reactor.callLater(0, self._interrupt)

    def _shutDown(self) -> Deferred[None] | None:
        """
        The reactor stops when the measurement has ended, which may take a while: what is under way is awaited, and other processes
        are. Another Ctrl-C ends it at once.
        """
        self._down = True
        self._interrupt()
        self._onSignals(None if self._measurement is None else self._measurement.stop)
        return None if self._preparing is None or self._ended.called else self._ended

    def _onSignals(self, stop: Callable[[], None] | None) -> None:
        """What another Ctrl-C does: stop, or the kernel ends us while a name is looked up, which has a thread that is waited for."""

        def again(number: int, frame: object) -> None:
            self._reactor.callFromThread(stop)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL if stop is None else again)

    def _interrupt(self) -> None:
        if self._status is None:
            self.interrupted = True
        if self._measurement is not None:
            getattr(self._measurement, "finish", self._measurement.stop)()
        elif self._preparing is not None:
            self._preparing.cancel()

    def _end(self, status: int) -> None:
        if self._showing is not None:
            self._showing.stop()
            self._hide()
        self._status = status if self._status is None else self._status
        self._ended.callback(None)
        if not self._down:
            self._reactor.stop()
