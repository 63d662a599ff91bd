"""
A child process that runs a function of this package, reads its input and reports in lines.

The server's workers and those of a load are such processes. A child imports from where its parent does, never from the
current folder: other users may be able to write there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

#: The descriptor on which a child reports.
REPORTS = 3

#: Maximum bytes of a line of a report; a snapshot of a thousand listeners is shorter.
MAX_LINE_BYTES = 10_000_000


def runFunction(module: str, function: str) -> list[str]:
    """The command that runs a function, whose result is the exit status, with the import path of this process."""
    path = [folder for folder in sys.path if folder]
    program = (
        f"import sys; sys.path[:] = {path!r}; "
        f"from {module} import {function}; sys.exit({function}())"
    )
    return [sys.executable, "-c", program]


class ChildProcess(ProcessProtocol):
    """
    One child; its standard input stays open as long as the parent lives.

    :ivar hasEnded: whether it has ended.
    """

    hasEnded = False
    _line = b""

    def spawn(
        self, reactor: Any, module: str, function: str, descriptors: Mapping[int, int] | None = None
    ) -> None:
        """
        Start it.

        :param reactor: an ``IReactorProcess``.
        :param descriptors: descriptors of this process to inherit, by their numbers in the child.
        :raise OSError: the system has no room for a process.
        """
        command = runFunction(module, function)
        files: dict[int, Any] = {0: "w", 1: 1, 2: 2, REPORTS: "r", **(descriptors or {})}
        reactor.spawnProcess(self, command[0], command, env=os.environ, childFDs=files)

    def send(self, data: bytes) -> None:
        """Write to its standard input, unless it has just ended."""
        transport: Any = self.transport
        with suppress(KeyError):
            transport.writeToChild(0, data)

    def closeInput(self) -> None:
        """Close its standard input."""
        transport: Any = self.transport
        transport.closeChildFD(0)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess(number)

    def lineReceived(self, line: bytes) -> None:
        """A line of a report arrived; implemented by subclasses."""
        raise NotImplementedError

    def ended(self, how: str, status: int | None) -> None:
        """
        It has ended; implemented by subclasses.

        :param how: ``status 1`` or ``signal 9``.
        :param status: the exit status; ``None`` after a signal.
        """
        raise NotImplementedError

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """See ``IProcessProtocol``."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > MAX_LINE_BYTES:
            self._line = b""
        for line in lines:
            self.lineReceived(line)

    def processEnded(self, reason: Failure) -> None:
        """See ``IProcessProtocol``."""
        self.hasEnded = True
        error: Any = reason.value
        self.ended(
            f"signal {error.signal}" if error.signal else f"status {error.exitCode}", error.exitCode
        )
