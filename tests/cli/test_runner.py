from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterable
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.output import opened
from echoproto.cli.runner import MeasurementRunner, Session
from echoproto.client.targets.target import Target
from echoproto.errors import TargetError
from tests.cli.commandcase import BrokenPipe, CommandTestCase, Counting, RunningReactor, Terminal

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


class PlainSession(Session[Counting, int]):
    """Prints the number."""

    command = "count"

    def prepare(self, reactor: IReactorTime) -> Deferred[Counting]:
        return succeed(Counting())

    def figures(self, measurement: Counting) -> Iterable[str]:
        return ("counting",)

    def show(self, result: int) -> int:
        self.runner.write([f"{result} of {self.target.text}"])
        return 3


class FakeSession:
    """
    A session of this measurement, whose result has the status ``status``.

    :param named: attributes in the place of the usual ones.
    """

    command = "x"
    hasBar = True
    status = 0
    runner: MeasurementRunner

    def __init__(self, prepared: Any, **named: Any) -> None:
        self.target = Target("lab1", "tcp")
        self.prepare = lambda reactor: prepared
        self.begin = lambda measurement, reactor: None
        self.share = lambda measurement: 0.5
        self.figures = lambda measurement: ["some", "more"]
        self.show = self.write
        for name, value in named.items():
            setattr(self, name, value)

    def write(self, result: Any) -> int:
        self.runner.write([str(result)])
        return self.status


class MeasurementRunnerTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})

    def newReactor(self) -> None:
        super().newReactor()
        self.measurement = StoppableMeasurement()
        self.stream: io.StringIO = io.StringIO()
        self.errors: io.StringIO = io.StringIO()

    def made(self, prepared: Any = None, **named: Any) -> MeasurementRunner:
        """The runner of a session; by default that of the test's measurement."""
        prepared = succeed(self.measurement) if prepared is None else prepared
        session: Any = FakeSession(prepared, **named)
        session.runner = runner = MeasurementRunner(session, self.stream)
        return runner

    def run_(self, prepared: Any = None, **named: Any) -> tuple[int, MeasurementRunner]:
        """The exit status of a runner, and the runner."""
        runner = self.made(prepared, **named)
        with redirect_stderr(self.errors):
            return runner.run(), runner

    def finish(self, turn: int) -> None:
        """The measurement is done after three turns."""
        if turn == 3:
            self.measurement.result.callback("done")

    def interrupt(self, turn: int) -> None:
        """Ctrl-C at the first turn."""
        if turn == 1:
            self.reactor.interrupt()

    def assertExits(self, status: int) -> None:
        """The signals that end a process do so at once, with this status."""
        statuses: list[int] = []
        self.patch(os, "_exit", statuses.append)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.signals[number](number, None)
        self.assertEqual(statuses, [status] * 3)

    def test_done(self) -> None:
        """The result is shown, and the status is that of showing it."""
        started: list[Any] = []
        self.reactor.act = self.finish
        status, runner = self.run_(status=3, begin=lambda *what: started.append(what))
        self.assertEqual((status, self.stream.getvalue()), (3, "done\n"))
        self.assertEqual(started, [(self.measurement, self.reactor)])
        self.assertFalse(runner.interrupted)
        self.assertExits(3)

    def test_internalError(self) -> None:
        """An error of ours while the result is shown is one line, and status 2."""
        self.reactor.act = self.finish
        status, _ = self.run_(show=lambda result: 1 // 0)
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
        """Ctrl-C during the preparation is status 130, and one line; another ends the process."""
        self.reactor.act = self.interrupt
        self.assertEqual(self.run_(Deferred())[0], 130)
        self.assertEqual(self.errors.getvalue(), "echoproto x: interrupted\n")
        self.assertExits(130)
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
        self.assertExits(3)

    def test_together(self) -> None:
        """Several signals at once stop the reactor once, which must not be stopped again."""
        stops: list[int] = []
        self.patch(self.reactor, "stop", lambda: stops.append(self.reactor.turns))

        def act(turn: int) -> None:
            if turn == 2:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    self.signals[number](number, None)
                self.measurement.result.callback("done")
                self.reactor.stopped = True

        self.reactor.act = act
        self.assertEqual(self.run_(status=3)[0], 3)
        self.assertEqual(stops, [2])

    def test_late(self) -> None:
        """A signal of another handler after the end changes nothing."""
        self.reactor.act = self.finish
        self.assertEqual(self.run_(status=3)[0], 3)
        self.reactor.interrupt()
        self.assertExits(3)

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
        runner: MeasurementRunner = self.made(
            status=3, begin=lambda *_: runner.localError("it broke")
        )
        with redirect_stderr(self.errors):
            status = runner.run()
        self.assertEqual((status, self.errors.getvalue()), (2, "echoproto x: it broke\n"))

    def test_failed(self) -> None:
        """A failure is one line that names the target: status 1 if the server is absent, or 2."""
        for error, status, message in (
            (ConnectionRefusedError(), 1, "refused: nothing listens there"),
            (TargetError("what it is"), 2, "what it is"),
        ):
            self.newReactor()
            self.assertEqual(self.run_(fail(error))[0], status)
            self.assertEqual(self.errors.getvalue(), f"echoproto x: lab1: {message}\n")

    def test_unprepared(self) -> None:
        """An error of the preparation is one line too, if it is raised at once."""

        def prepare(reactor: Any) -> Deferred[Any]:
            raise TargetError("what it is")

        self.assertEqual(self.run_(prepare=prepare)[0], 2)
        self.assertEqual(self.errors.getvalue(), "echoproto x: lab1: what it is\n")

    def test_figures(self) -> None:
        """Ctrl-\\ prints the figures so far; before a measurement it says that there are none."""

        def act(turn: int) -> None:
            if turn == 2:
                self.signals[signal.SIGQUIT](signal.SIGQUIT, None)
            if turn == 3:
                self.reactor.interrupt()

        for prepared, lines in (
            (None, ["some", "more"]),
            (Deferred(), ["nothing was measured yet", "interrupted"]),
        ):
            self.newReactor()
            self.reactor.act = act
            self.run_(prepared)
            self.assertEqual(
                self.errors.getvalue().splitlines(), [f"echoproto x: {line}" for line in lines]
            )

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
        self.assertNotIn(signal.SIGHUP, self.signals)

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
                self.stream = stream  # type: ignore[assignment]

                def show(result: Any) -> int:
                    runner.writeResult([result], isEmpty)  # noqa: B023 - called in this round
                    return 0

                runner = self.made(show=show)
                runner.run()
            self.assertEqual(path.read_text(), text)

    def test_progress(self) -> None:
        """On a terminal a bar is drawn four times per second, and erased at the end."""
        turns: list[int] = []

        def share(measurement: Any) -> float:
            turns.append(self.reactor.turns)
            return 0.5

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
            self.run_(share=share, hasBar=hasBar)
            self.assertEqual(len(turns), times)
            self.assertEqual("some, more" in errors.getvalue(), bool(times))
            self.assertTrue(not times or errors.getvalue().endswith(ERASED))

    def test_lines(self) -> None:
        """The bar is erased before a line is written."""
        written: list[str] = []

        def share(measurement: Any) -> float:
            written.append(self.errors.getvalue())
            return 0.5

        def act(turn: int) -> None:
            if turn == 30:
                runner.complain("an error")
                written.append(self.errors.getvalue())
                runner.write(["a line"])
            if turn == 80:
                self.measurement.result.callback("done")

        self.errors = Terminal()
        self.reactor.act = act
        runner = self.made(share=share)
        with redirect_stderr(self.errors):
            runner.run()
        self.assertIn(f"{ERASED}echoproto x: an error\n", written[1])
        self.assertEqual(self.stream.getvalue(), "a line\ndone\n")

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
        self.stream = BrokenPipe()
        runner: MeasurementRunner = self.made(status=5, begin=lambda *_: runner.write(["heading"]))
        status = runner.run()
        self.assertEqual((status, runner.interrupted, self.reactor.turns), (5, True, 1))


class SessionTests(CommandTestCase):
    def test_plain(self) -> None:
        """A session writes to the standard output, and has no progress by default."""
        ended = self.ran(PlainSession, "lab1")
        self.assertEqual((ended.status, ended.lines), (3, ["5 of tcp://lab1:12345"]))
        session = PlainSession.__new__(PlainSession)
        self.assertEqual(session.share(Counting()), 0.0)
