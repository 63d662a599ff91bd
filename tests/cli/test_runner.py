from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.output import opened
from echoproto.cli.progress import Stage
from echoproto.cli.runner import MeasurementRunner
from echoproto.errors import TargetError
from echoproto.reactors import install as foreground
from tests.cli.lab import Lab, Terminal, Unwritten

#: What leaves a terminal as it was: the cursor is shown, and the bar's line erased (ECMA-48: CUU, EL).
GONE = "\x1b[?25h\r\x1b[1A\x1b[2K"


class Measurement:
    """Is done when it is stopped, or after some turns."""

    def __init__(self) -> None:
        self.result: Deferred[Any] = Deferred()
        self.started = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        if not self.result.called:
            self.result.callback("stopped")


class OnceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = Lab()
        self.patch(foreground, "installReactor", lambda name: self.lab)
        self.measurement = Measurement()
        self.stream: io.StringIO = io.StringIO()
        self.errors: io.StringIO = io.StringIO()

    def once(
        self, prepared: Any = None, status: int = 0, **named: Any
    ) -> tuple[int, MeasurementRunner]:
        made = MeasurementRunner("x", self.stream, **named)

        def show(result: Any) -> int:
            made.line(str(result))
            return status

        prepared = succeed(self.measurement) if prepared is None else prepared
        with redirect_stderr(self.errors):
            return made.run(lambda reactor: prepared, show), made

    def finish(self, turn: int) -> None:
        """The measurement is done after three turns."""
        if turn == 3:
            self.measurement.result.callback("done")

    def interrupt(self, turn: int) -> None:
        """Ctrl-C."""
        for call, arguments, named in self.lab.triggers["before"]["shutdown"]:
            call(*arguments, **named)
        self.lab.stop()

    def test_done(self) -> None:
        """The result is shown, and what that returns is the exit status."""
        begun: list[Any] = []
        self.lab.act = self.finish
        status, made = self.once(status=3, begun=lambda *what: begun.append(what))
        self.assertEqual((status, self.stream.getvalue()), (3, "done\n"))
        self.assertEqual(begun, [(self.measurement, self.lab)])
        self.assertFalse(made.interrupted)

    def test_broken(self) -> None:
        """A fault of ours when the result is shown ends it all the same, with one line and status 2."""
        made = MeasurementRunner("x", self.stream)
        self.lab.act = self.finish
        with redirect_stderr(self.errors):
            status = made.run(lambda reactor: succeed(self.measurement), lambda result: 1 // 0)
        self.assertEqual((status, len(self.errors.getvalue().splitlines())), (2, 1))
        self.assertIn("please report it: ZeroDivisionError", self.errors.getvalue())

    def test_interrupted(self) -> None:
        """Ctrl-C shows what there is."""
        self.lab.act = self.interrupt
        status, made = self.once(status=3)
        self.assertEqual((status, self.stream.getvalue(), made.interrupted), (3, "stopped\n", True))

    def test_interruptedEarly(self) -> None:
        """Ctrl-C before it is prepared is status 130, and nothing is said; another is the kernel's to obey."""
        handlers: dict[int, Any] = {}
        self.patch(signal, "signal", handlers.__setitem__)
        self.lab.act = self.interrupt
        self.assertEqual(self.once(Deferred())[0], 130)
        self.assertEqual(self.errors.getvalue(), "")
        self.assertEqual(handlers, {2: signal.SIG_DFL, 15: signal.SIG_DFL})
        self.setUp()
        self.patch(Lab, "callWhenRunning", lambda *_: None)
        self.lab.act = self.interrupt
        self.assertEqual(self.once()[0], 130)

    def test_finished(self) -> None:
        """After Ctrl-C what is under way is awaited, where a measurement can; after another it ends at once."""
        handlers: dict[int, Any] = {}
        self.patch(signal, "signal", handlers.__setitem__)
        finished: list[bool] = []
        self.measurement.finish = lambda: finished.append(True)  # type: ignore[attr-defined]

        def interrupt(turn: int) -> None:
            if turn == 1:
                [(call, _, _)] = self.lab.triggers["before"]["shutdown"]
                call()
            else:
                self.assertEqual((finished, self.stream.getvalue()), ([True], ""))
                handlers[signal.SIGINT](signal.SIGINT, None)
                self.lab.stop()

        self.lab.act = interrupt
        self.assertEqual(self.once(status=3)[0], 3)
        self.assertEqual((self.stream.getvalue(), set(handlers)), ("stopped\n", {2, 15}))

    def test_slow(self) -> None:
        """After Ctrl-C the reactor waits for a measurement that takes a while to end."""
        waited: list[Any] = []

        def interrupt(turn: int) -> None:
            if turn == 1:
                [(call, _, _)] = self.lab.triggers["before"]["shutdown"]
                waited.append(call())
            if turn == 3:
                self.assertNoResult(waited[0])
                self.measurement.result.callback("ended")
                self.lab.stop()

        self.measurement.stop = lambda: None  # type: ignore[method-assign]
        self.lab.act = interrupt
        status, _ = self.once(status=3)
        self.assertEqual((status, self.stream.getvalue()), (3, "ended\n"))
        self.successResultOf(waited[0])

    def test_fault(self) -> None:
        """What goes wrong on our side is told, and the status is 2 whatever else there is."""
        self.lab.act = self.finish
        made = MeasurementRunner(
            "x", self.stream, lambda measurement, reactor: made.fault("it broke")
        )
        with redirect_stderr(self.errors):
            status = made.run(lambda reactor: succeed(self.measurement), lambda result: 3)
        self.assertEqual((status, self.errors.getvalue()), (2, "echoproto x: it broke\n"))

    def test_failed(self) -> None:
        """What cannot be is told: nobody there is status 1, an error of ours status 2."""
        for error, status, says in (
            (ConnectionRefusedError(), 1, "refused: nothing listens there"),
            (TargetError("what it is"), 2, "what it is"),
        ):
            self.setUp()
            self.assertEqual(self.once(fail(error))[0], status)
            self.assertEqual(self.errors.getvalue(), f"echoproto x: {says}\n")

    def test_progress(self) -> None:
        """On a terminal a bar tells four times a second how far it has come, and is gone at the end; elsewhere there is none."""
        asked: list[int] = []

        def progress(measurement: Any) -> Stage:
            asked.append(self.lab.turns)
            return Stage(0.5, "some")

        def finish(turn: int) -> None:
            if turn == 80:
                self.measurement.result.callback("done")

        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        for errors, times in ((Terminal(), 3), (io.StringIO(), 0)):
            self.setUp()
            asked.clear()
            self.errors = errors
            self.lab.act = finish
            self.once(progress=progress)
            self.assertEqual(len(asked), times)
            self.assertEqual("some" in errors.getvalue(), bool(times))
            self.assertTrue(not times or errors.getvalue().endswith(GONE))

    def test_lines(self) -> None:
        """Where a line is written, or told, the bar makes room for it."""
        written: list[str] = []

        def progress(measurement: Any) -> Stage:
            written.append(self.errors.getvalue())
            return Stage(0.5, "some")

        def act(turn: int) -> None:
            if turn == 30:
                made.complain("a fault")
                written.append(self.errors.getvalue())
                made.line("a line")
            if turn == 80:
                self.measurement.result.callback("done")

        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        self.errors = Terminal()
        self.lab.act = act
        made = MeasurementRunner("x", self.stream, progress=progress)
        with redirect_stderr(self.errors):
            made.run(lambda reactor: succeed(self.measurement), lambda result: 0)
        self.assertIn(f"{GONE}echoproto x: a fault\n", written[1])
        self.assertEqual(self.stream.getvalue(), "a line\n")

    def test_unwritable(self) -> None:
        """Where nothing can be written it ends: status 2, unless nobody reads any more."""
        self.stream = Unwritten()
        self.lab.act = self.finish
        self.assertEqual(self.once(status=5)[0], 5)
        self.setUp()
        self.lab.act = self.finish
        with opened("/dev/full") as full:
            self.stream = full  # type: ignore[assignment]
            self.assertEqual(self.once()[0], 2)
        self.assertIn("No space left", self.errors.getvalue())
