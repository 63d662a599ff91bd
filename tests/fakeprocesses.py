"""A reactor whose child processes are fakes."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from errno import EMFILE
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.error import (
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
    ReactorNotRunning,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from echoproto.processes.childprocess import REPORT_DESCRIPTOR, encodeMessage


def standardInput(*messages: object, end: bytes = b"") -> Any:
    """A ``sys.stdin`` from which a child receives these messages, then ``end``."""
    data = b"".join(map(encodeMessage, messages)) + end
    return mock.Mock(buffer=mock.Mock(raw=io.BytesIO(data)))


class FakeProcess:
    """
    The transport of a child process, which records calls.

    :ivar command: its command.
    :ivar childFDs: its inherited descriptors, as for ``spawnProcess``.
    :ivar signals: the signals sent to it.
    :ivar inputClosed: whether its standard input is closed.
    """

    def __init__(self, protocol: Any, command: Sequence[str], childFDs: Mapping[int, Any]) -> None:
        self.protocol = protocol
        self.command = list(command)
        self.childFDs = dict(childFDs)
        self.signals: list[int] = []
        self.hasEnded = False
        self.inputClosed = False
        self._input = b""
        protocol.makeConnection(self)

    @property
    def messages(self) -> list[Any]:
        """The messages sent to it."""
        stream, messages = io.BytesIO(self._input), []
        while header := stream.read(4):
            messages.append(pickle.loads(stream.read(*struct.unpack("!I", header))))
        return messages

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        if self.inputClosed:
            raise KeyError(descriptor)
        self._input += data

    def closeChildFD(self, descriptor: int) -> None:
        self.inputClosed = True

    def signalProcess(self, number: int) -> None:
        if self.hasEnded:
            raise ProcessExitedAlready
        self.signals.append(number)

    def report(self, line: bytes) -> None:
        """Send a line to the parent, in two pieces."""
        line += b"\n"
        for piece in (line[:5], line[5:]):
            self.protocol.childDataReceived(REPORT_DESCRIPTOR, piece)

    def end(self, status: int | None = 0, signal: int | None = None) -> None:
        """End with a status, or by a signal."""
        self.hasEnded = True
        error = ProcessTerminated(status, signal) if status or signal else ProcessDone(0)
        self.protocol.processEnded(Failure(error))


class FakeProcessReactor(Clock):
    """
    A clock that starts fake processes.

    :param isRunning: whether it runs from the start; else from :meth:`run` on.
    :ivar spawned: the processes, in the order of their starts.
    :ivar failures: number of further starts that fail.
    :ivar stopped: whether the reactor was stopped.
    """

    def __init__(self, isRunning: bool = True) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []
        self.failures = 0
        self.stopped = False
        self._isRunning = isRunning
        self._waiting: list[Callable[[], object]] = []

    def spawnProcess(
        self, protocol: Any, executable: str, args: Sequence[str], env: object, childFDs: Any
    ) -> FakeProcess:
        if self.failures:
            self.failures -= 1
            raise OSError(EMFILE, "Too many open files")
        self.spawned.append(FakeProcess(protocol, args, childFDs))
        return self.spawned[-1]

    def run(self) -> None:
        self._isRunning = True
        for call in self._waiting:
            call()

    def callWhenRunning(self, call: Any, *arguments: object) -> None:
        if self._isRunning:
            call(*arguments)
        else:
            self._waiting.append(partial(call, *arguments))

    def stop(self) -> None:
        if self.stopped or not self._isRunning:
            raise ReactorNotRunning
        self.stopped = True
