"""A reactor that spawns no processes and notes which it should have."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure


class FakeProcess:
    """One process: its command, and what was done to it."""

    def __init__(self, protocol: Any, command: list[str], childFDs: dict[int, Any]) -> None:
        self.protocol = protocol
        self.command = command
        self.childFDs = childFDs
        self.orders = b""
        self.signals: list[int] = []
        self.over = self.isClosed = False
        protocol.makeConnection(self)

    def closeChildFD(self, descriptor: int) -> None:
        self.isClosed = True

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        if self.isClosed:
            raise KeyError(descriptor)
        self.orders += data

    def signalProcess(self, number: int) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(number)

    def report(self, **report: Any) -> None:
        """Tell the supervisor."""
        self.protocol.childDataReceived(3, json.dumps(report).encode() + b"\n")

    def end(self, status: int | None = 0, signal: int | None = None) -> None:
        """Be over."""
        self.over = True
        error = ProcessTerminated(status, signal) if status or signal else ProcessDone(0)
        self.protocol.processEnded(Failure(error))


class FakeProcesses(Clock):
    """The reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []
        self.stopped = False

    def spawnProcess(
        self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Any
    ) -> FakeProcess:
        self.spawned.append(FakeProcess(protocol, list(args), dict(childFDs)))
        return self.spawned[-1]

    def callWhenRunning(self, call: Any) -> None:
        call()

    def stop(self) -> None:
        self.stopped = True
