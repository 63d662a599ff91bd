"""Commands in memory: a reactor that runs, streams to write to, and a test case that has them."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import greet
from echoproto.cli.declarations import command
from echoproto.cli.main import run
from echoproto.cli.options import EventOptions
from echoproto.cli.sessions import greet as sessions
from echoproto.reactors import install
from echoproto.testing import DatagramWire, StreamPair, endpointTo

#: Reported if the output is ``/dev/full``.
DISK_FULL = "cannot write: No space left on device; the rest of the output is lost"

#: The same of the file of ``--out``.
FILE_FULL = "cannot write: No space left on device; the result is on the standard output instead"


class RunningReactor(DatagramWire):
    """A reactor in memory that runs until it is stopped; a test may act at each turn."""

    stopped = False

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.act: Callable[[int], None] = lambda turn: None

    def run(self, installSignalHandlers: bool = True) -> None:
        for call, arguments, named in self.whenRunningHooks:
            call(*arguments, **named)
        while not self.stopped:
            assert self.turns < 10_000
            self.turns += 1
            self.act(self.turns)
            self.deliverAll()
            self.advance(0.01)

    def stop(self) -> None:
        self.stopped = True

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        call(*arguments)

    def interrupt(self) -> None:
        """Do as a real reactor does at Ctrl-C: call the triggers, and stop once they are done."""
        for call, arguments, named in self.triggers["before"]["shutdown"]:
            waited = call(*arguments, **named)
            if waited is not None:
                waited.addCallback(lambda _: self.stop())
                return
        self.stop()


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class Counting:
    """A measurement whose result is a number."""

    def __init__(self) -> None:
        self.result: Deferred[int] = Deferred()

    def start(self) -> None:
        self.result.callback(5)

    def stop(self) -> None:
        """It has ended already."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output."""
        return self.output.splitlines()


class CommandTestCase(SynchronousTestCase):
    """
    A test case whose commands run on a :class:`RunningReactor`.

    :cvar command: the subcommand.
    :ivar signals: the signal handlers that were set.
    """

    command = ""

    #: Steps of a pair at each turn of the reactor.
    stepsPerTurn = 40

    def setUp(self) -> None:
        self.pairs: Sequence[StreamPair] = ()
        self.signals: dict[int, Any] = {}
        self.patch(signal, "signal", self.signals.__setitem__)
        self.newReactor()

    def newReactor(self) -> None:
        """The next command has a reactor of its own."""
        self.reactor = reactor = RunningReactor()
        self.patch(install, "installClientReactor", lambda: reactor)

    def serve(self, makeFactory: Callable[[RunningReactor], Any]) -> None:
        """The next command has a new reactor, on which all TCP endpoints lead to this server."""
        self.newReactor()
        endpoint, self.pairs = endpointTo(makeFactory(self.reactor))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: endpoint.connect(factory))
        self.reactor.act = self.pump

    def pump(self, turn: int) -> None:
        """Deliver some of the data that is under way: an endless stream never rests."""
        for pair in self.pairs:
            for _ in range(self.stepsPerTurn):
                pair.step()

    def ended(
        self,
        *words: str,
        output: io.StringIO | None = None,
        errors: io.StringIO | None = None,
    ) -> Ended:
        """Run the command to its end."""
        output = output if output is not None else io.StringIO()
        errors = errors if errors is not None else io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run((self.command, *words))
        for pair in self.pairs:
            pair.client.abortConnection()
            pair.pump()
        return Ended(status, output.getvalue(), errors.getvalue())

    def ran(self, kind: Any, *words: str) -> Ended:
        """How a command ends that makes such a session."""
        self.command = "greet"
        self.patch(greet, "greetCommand", command("greet", EventOptions, "", ""))
        self.patch(sessions, "runGreet", lambda options: kind(options).run())
        self.newReactor()
        return self.ended(*words)

    def assertRefused(self, message: str, *words: str) -> None:
        """The command prints one error line with the message, no output, and is status 2."""
        ended = self.ended(*words)
        self.assertEqual((ended.status, ended.output), (2, ""))
        self.assertIn(message, ended.errors)
        self.assertTrue(ended.errors.startswith(f"echoproto {self.command}: "), ended.errors)
        self.assertEqual(len(ended.errors.splitlines()), 1, ended.errors)
        self.newReactor()
