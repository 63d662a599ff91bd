"""A reactor in memory that runs, for tests of commands."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from echoproto.testing import DatagramWire


class Lab(DatagramWire):
    """A wire that runs until it is stopped; a test acts at each turn."""

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


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class Unwritten(io.StringIO):
    """Nobody reads it any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError
