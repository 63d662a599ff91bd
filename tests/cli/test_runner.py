from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError

from echoproto.cli.output import opened
from echoproto.cli.progress import ProgressStage
from echoproto.cli.runner import MeasurementRunner
from echoproto.errors import TargetError
from tests.cli.commandcase import BrokenPipe, CommandTestCase, RunningReactor, Terminal

#: Erases the bar: shows the cursor, moves it up, and erases the line (ECMA-48: CUU, EL).
ERASED = "\x1b[?25h\r\x1b[1A\x1b[2K"


class StoppableMeasurement:
    """Ends when it is stopped."""

    def __init__(self) -> None:
        self.result: Deferred[Any] = Deferred()
        self.started = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        if not self.result.called:
            self.result.callback("stopped")


class MeasurementRunnerTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})

    def newReactor(self) -> None:
        super().newReactor()
        self.measurement = StoppableMeasurement()
        self.stream: io.StringIO = io.StringIO()
        self.errors: io.StringIO = io.StringIO()

    def run_(
        self, prepared: Any = None, status: int = 0, **named: Any
    ) -> tuple[int, MeasurementRunner[Any]]:
        """The exit status of a runner whose result has that status, and the runner."""
        runner = MeasurementRunner[Any]("x", self.stream, **named)

        def show(result: Any) -> int:
            runner.write([str(result)])
            return status

        prepared = succeed(self.measurement) if prepared is None else prepared
        with redirect_stderr(self.errors):
            return runner.run(lambda reactor: prepared, show), runner

    def finish(self, turn: int) -> None:
        """The measurement is done after three turns."""
        if turn == 3:
            self.measurement.result.callback("done")

    def interrupt(self, turn: int) -> None:
        """Ctrl-C at the first turn."""
        if turn == 1:
            self.reactor.interrupt()

    def assertDefaultActions(self) -> None:
        """The signals that end a process do so at once."""
        del self.signals[signal.SIGQUIT]
        self.assertEqual(self.signals, {1: signal.SIG_DFL, 2: signal.SIG_DFL, 15: signal.SIG_DFL})

    def test_done(self) -> None:
        """The result is shown, and the status is that of showing it."""
        started: list[Any] = []
        self.reactor.act = self.finish
        status, runner = self.run_(status=3, onStart=lambda *what: started.append(what))
        self.assertEqual((status, self.stream.getvalue()), (3, "done\n"))
        self.assertEqual(started, [(self.measurement, self.reactor)])
        self.assertFalse(runner.interrupted)
        self.assertEqual(set(self.signals), {signal.SIGHUP, signal.SIGQUIT})

    def test_internalError(self) -> None:
        """An error of ours while the result is shown is one line, and status 2."""
        runner = MeasurementRunner[Any]("x", self.stream)
        self.reactor.act = self.finish
        with redirect_stderr(self.errors):
            status = runner.run(lambda reactor: succeed(self.measurement), lambda result: 1 // 0)
        self.assertEqual((status, len(self.errors.getvalue().splitlines())), (2, 1))
        self.assertIn("internal error, please report: ZeroDivisionError", self.errors.getvalue())

    def test_interrupted(self) -> None:
        """Ctrl-C shows the result so far."""
        self.reactor.act = self.interrupt
        status, runner = self.run_(status=3)
        self.assertEqual(
            (status, self.stream.getvalue(), runner.interrupted), (3, "stopped\n", True)
        )

    def test_interruptedEarly(self) -> None:
        """Ctrl-C during the preparation is status 130, without a line; another ends the process."""
        self.reactor.act = self.interrupt
        self.assertEqual(self.run_(Deferred())[0], 130)
        self.assertEqual(self.errors.getvalue(), "")
        self.assertDefaultActions()
        self.newReactor()
        self.patch(RunningReactor, "callWhenRunning", lambda *_: None)
        self.reactor.act = self.interrupt
        self.assertEqual(self.run_()[0], 130)

    def test_finished(self) -> None:
        """Ctrl-C waits for messages under way if the measurement can; another stops it."""
        finished: list[bool] = []
        self.measurement.finish = lambda: finished.append(True)  # type: ignore[attr-defined]

        def act(turn: int) -> None:
            self.interrupt(turn)
            if turn == 3:
                self.assertEqual((finished, self.stream.getvalue()), ([True], ""))
                self.signals[signal.SIGINT](signal.SIGINT, None)

        self.reactor.act = act
        self.assertEqual(self.run_(status=3)[0], 3)
        self.assertEqual(self.stream.getvalue(), "stopped\n")
        # All that may remain now is a thread.
        self.assertDefaultActions()

    def test_slow(self) -> None:
        """After Ctrl-C the reactor runs until the measurement has ended."""

        def act(turn: int) -> None:
            self.interrupt(turn)
            if turn == 3:
                self.assertFalse(self.reactor.stopped)
                self.measurement.result.callback("ended")

        self.measurement.stop = lambda: None  # type: ignore[method-assign]
        self.reactor.act = act
        self.assertEqual(self.run_(status=3)[0], 3)
        self.assertEqual((self.reactor.turns, self.stream.getvalue()), (3, "ended\n"))

    def test_localError(self) -> None:
        """An error of this machine is status 2, whatever the result is."""
        self.reactor.act = self.finish
        runner = MeasurementRunner[Any](
            "x", self.stream, onStart=lambda measurement, reactor: runner.localError("it broke")
        )
        with redirect_stderr(self.errors):
            status = runner.run(lambda reactor: succeed(self.measurement), lambda result: 3)
        self.assertEqual((status, self.errors.getvalue()), (2, "echoproto x: it broke\n"))

    def test_failed(self) -> None:
        """A failure is one line that names the target: status 1 if the server is absent, or 2."""
        for error, status, message in (
            (ConnectionRefusedError(), 1, "refused: nothing listens there"),
            (TargetError("what it is"), 2, "what it is"),
        ):
            self.newReactor()
            self.assertEqual(self.run_(fail(error), target="lab1")[0], status)
            self.assertEqual(self.errors.getvalue(), f"echoproto x: lab1: {message}\n")

    def test_snapshot(self) -> None:
        """Ctrl-\\ prints a snapshot."""

        def act(turn: int) -> None:
            if turn == 2:
                self.signals[signal.SIGQUIT](signal.SIGQUIT, None)
            self.finish(turn)

        self.reactor.act = act
        self.run_(snapshot=lambda measurement: [f"started: {measurement.started}"])
        self.assertEqual(self.errors.getvalue(), "echoproto x: started: True\n")

    def test_snapshots(self) -> None:
        """By default it has the figures of the progress; before a measurement it says so."""

        def act(turn: int) -> None:
            if turn == 2:
                self.signals[signal.SIGQUIT](signal.SIGQUIT, None)
            if turn == 3:
                self.reactor.interrupt()

        def progress(measurement: Any) -> ProgressStage:
            return ProgressStage(0.5, "some")

        cases: tuple[tuple[Any, dict[str, Any], str], ...] = (
            (None, {"progress": progress}, "some"),
            (None, {}, "nothing was measured yet"),
            (Deferred(), {"progress": progress}, "nothing was measured yet"),
        )
        for prepared, named, line in cases:
            self.newReactor()
            self.reactor.act = act
            self.run_(prepared, **named)
            self.assertEqual(self.errors.getvalue(), f"echoproto x: {line}\n")

    def test_hangUp(self) -> None:
        """SIGHUP ends the run as Ctrl-C does, once; unless the caller ignores it."""

        def act(turn: int) -> None:
            if turn == 2:
                hangUp = self.signals[signal.SIGHUP]
                for _ in range(2):
                    hangUp(signal.SIGHUP, None)

        self.reactor.act = act
        stops: list[int] = []

        def stop() -> None:
            stops.append(self.reactor.turns)
            self.reactor.interrupt()

        self.patch(self.reactor, "stop", stop)
        self.patch(RunningReactor, "stop", lambda reactor: setattr(reactor, "stopped", True))
        self.patch(self.reactor, "interrupt", partial(self.shutDown, self.reactor))
        self.assertEqual(self.run_(status=3)[0], 3)
        self.assertEqual((stops, self.stream.getvalue()), ([2], "stopped\n"))
        self.newReactor()
        self.signals.clear()
        self.reactor.act = self.finish
        self.patch(signal, "getsignal", lambda number: signal.SIG_IGN)
        self.run_()
        self.assertEqual(set(self.signals), {signal.SIGQUIT})

    def shutDown(self, reactor: RunningReactor) -> None:
        for call, arguments, named in reactor.triggers["before"]["shutdown"]:
            call(*arguments, **named)
        reactor.stopped = True

    def test_kept(self) -> None:
        """A result replaces an earlier file unless nothing was measured."""
        path = Path(self.mktemp())
        for isEmpty, text in ((True, "earlier"), (False, "done\n")):
            path.write_text("earlier")
            self.newReactor()
            self.reactor.act = self.finish
            with opened(str(path)) as stream:
                runner = MeasurementRunner[Any]("x", stream)

                def show(result: Any) -> int:
                    runner.writeResult([result], isEmpty)  # noqa: B023 - called in this round
                    return 0

                runner.run(lambda reactor: succeed(self.measurement), show)
            self.assertEqual(path.read_text(), text)

    def test_progress(self) -> None:
        """On a terminal a bar is drawn four times per second, and erased at the end."""
        turns: list[int] = []

        def progress(measurement: Any) -> ProgressStage:
            turns.append(self.reactor.turns)
            return ProgressStage(0.5, "some")

        def finish(turn: int) -> None:
            if turn == 80:
                self.measurement.result.callback("done")

        for errors, hasBar, times in (
            (Terminal(), True, 3),
            (Terminal(), False, 0),
            (io.StringIO(), True, 0),
        ):
            self.newReactor()
            turns.clear()
            self.errors = errors
            self.reactor.act = finish
            self.run_(progress=progress, hasBar=hasBar)
            self.assertEqual(len(turns), times)
            self.assertEqual("some" in errors.getvalue(), bool(times))
            self.assertTrue(not times or errors.getvalue().endswith(ERASED))

    def test_lines(self) -> None:
        """The bar is erased before a line is written."""
        written: list[str] = []

        def progress(measurement: Any) -> ProgressStage:
            written.append(self.errors.getvalue())
            return ProgressStage(0.5, "some")

        def act(turn: int) -> None:
            if turn == 30:
                runner.complain("an error")
                written.append(self.errors.getvalue())
                runner.write(["a line"])
            if turn == 80:
                self.measurement.result.callback("done")

        self.errors = Terminal()
        self.reactor.act = act
        runner = MeasurementRunner[Any]("x", self.stream, progress=progress)
        with redirect_stderr(self.errors):
            runner.run(lambda reactor: succeed(self.measurement), lambda result: 0)
        self.assertIn(f"{ERASED}echoproto x: an error\n", written[1])
        self.assertEqual(self.stream.getvalue(), "a line\n")

    def test_unwritable(self) -> None:
        """A write error ends the run with status 2, unless the reader is gone."""
        self.stream = BrokenPipe()
        self.reactor.act = self.finish
        self.assertEqual(self.run_(status=5)[0], 5)
        self.newReactor()
        self.reactor.act = self.finish
        with opened("/dev/full") as full:
            self.stream = full  # type: ignore[assignment]
            self.assertEqual(self.run_()[0], 2)
        self.assertIn("No space left", self.errors.getvalue())

    def test_unwritableEarly(self) -> None:
        """If the heading cannot be written, the measurement is stopped at once."""
        runner = MeasurementRunner[Any](
            "x", BrokenPipe(), onStart=lambda measurement, reactor: runner.write(["heading"])
        )
        status = runner.run(lambda reactor: succeed(self.measurement), lambda result: 5)
        self.assertEqual((status, runner.interrupted, self.reactor.turns), (5, True, 1))
