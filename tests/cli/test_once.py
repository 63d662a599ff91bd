from __future__ import annotations

import io
from contextlib import redirect_stderr
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.once import Once
from echoproto.cli.output import opened
from echoproto.errors import CannotAsk
from echoproto.server import foreground
from tests.cli.lab import Lab, Unwritten


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


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

    def once(self, prepared: Any = None, status: int = 0, **named: Any) -> tuple[int, Once]:
        made = Once("x", self.stream, **named)

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

    def test_interrupted(self) -> None:
        """Ctrl-C shows what there is."""
        self.lab.act = self.interrupt
        status, made = self.once(status=3)
        self.assertEqual((status, self.stream.getvalue(), made.interrupted), (3, "stopped\n", True))

    def test_interruptedEarly(self) -> None:
        """Ctrl-C before it is prepared is status 130."""
        self.lab.act = self.interrupt
        self.assertEqual(self.once(Deferred())[0], 130)

    def test_failed(self) -> None:
        """What cannot be is told: nobody there is status 1, an error of ours status 2."""
        for error, status, says in (
            (ConnectionRefusedError(), 1, "refused: nothing listens there"),
            (CannotAsk("what it is"), 2, "what it is"),
        ):
            self.setUp()
            self.assertEqual(self.once(fail(error))[0], status)
            self.assertEqual(self.errors.getvalue(), f"echoproto x: {says}\n")

    def test_progress(self) -> None:
        """On a terminal it tells each second how far it has come; elsewhere not."""

        def finish(turn: int) -> None:
            if turn == 250:
                self.measurement.result.callback("done")

        for errors, says in ((Terminal(), "\rsome  \rsome  \n"), (io.StringIO(), "")):
            self.setUp()
            self.errors = errors
            self.lab.act = finish
            self.once(progress=lambda measurement: "some")
            self.assertEqual(errors.getvalue(), says)

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
