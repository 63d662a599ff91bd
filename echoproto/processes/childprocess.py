"""
Child processes that run a module of ours: the parent's side. :mod:`.parentpipe` is the child's.

The parent sends messages to the child's standard input, which it keeps open: its end means that the
parent is gone. The child writes its reports, one per line, to :data:`REPORT_DESCRIPTOR`. The
server's workers and those of a load are such children.

A message is pickled, after its length in four bytes. A child takes orders by messages only: it
ignores all signals that a terminal, ``pkill`` or a service manager sends to every process of a
program, from its first instruction on.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EAGAIN, EBADF, EMFILE, ENFILE, ENOMEM
from typing import Any, cast

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import (
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from echoproto.processes.childcommand import childCommand
from echoproto.protocols.deadlines import DeadlineCall

#: The descriptor of the child to which it writes its reports.
REPORT_DESCRIPTOR = 3

#: Longest line of a report: the result of a load of a week has 52 MB, and a snapshot of a thousand
#: listeners 1 MB. A longer one is dropped.
MAX_REPORT_BYTES = 64_000_000

#: Seconds that a child has to end after its work should be done; then it is killed.
STOP_GRACE = 5.0

#: Signals that a child ignores; its parent handles them.
IGNORED_SIGNALS = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2),
)

#: The remedies of errors of starting a process; see fork(2).
_REMEDIES = {
    EAGAIN: "raise the limit of processes (ulimit -u, systemd's TasksMax=)",
    # posix_spawn(3) closes descriptors in the child, but only those below the limit.
    EBADF: "a descriptor that was open at the start is above the limit of open files",
    EMFILE: "raise the limit of open files (ulimit -n, systemd's LimitNOFILE=)",
    ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    ENOMEM: "use fewer processes, or raise the limit of memory",
}


def encodeMessage(message: object) -> bytes:
    """A message as the child receives it."""
    data = pickle.dumps(message)
    return struct.pack("!I", len(data)) + data


def explainStartError(error: OSError) -> str:
    """Why a process cannot be started, and the remedy."""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{error.strerror}; {remedy}" if remedy else f"{error.strerror}"


@contextmanager
def _blockedSignals() -> Iterator[None]:
    """
    Block :data:`IGNORED_SIGNALS`. A child that is started meanwhile inherits that, so none of them
    can end it before it ignores them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ChildProcess(ProcessProtocol):
    """
    The parent's side of one child process. Subclasses override the two methods at the end.

    :ivar hasEnded: whether the process has ended.
    """

    def __init__(self) -> None:
        self.hasEnded = False
        self._partialLine = b""
        self._kill: DeadlineCall | None = None

    def spawn(
        self,
        reactor: IReactorProcess,
        module: str,
        function: str,
        descriptors: Mapping[int, int] | None = None,
    ) -> None:
        """
        Start the process.

        :param module: see :func:`.childCommand`.
        :param function: likewise.
        :param descriptors: further descriptors that it inherits, by their numbers there.
        :raise OSError: there are too many processes or descriptors.
        """
        childFDs: dict[int, Any] = {0: "w", 1: 1, 2: 2, REPORT_DESCRIPTOR: "r"}
        command = childCommand(module, function)
        with _blockedSignals():
            reactor.spawnProcess(
                self,
                command[0],
                command,
                env=os.environ,
                childFDs={**childFDs, **(descriptors or {})},
            )

    def send(self, message: object) -> None:
        """Send a message, unless the pipe is closed."""
        # KeyError: the process ends just now, and its pipe is closed already.
        with suppress(KeyError):
            self._process.writeToChild(0, encodeMessage(message))

    def closeInput(self) -> None:
        """Close the child's standard input."""
        self._process.closeChildFD(0)

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessExitedAlready):
            self._process.signalProcess(number)

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        self.signal(signal.SIGKILL)

    def killAfter(self, clock: IReactorTime, seconds: float) -> None:
        """Kill the process if it has not ended after this time; the last call counts."""
        if self._kill is not None:
            self._kill.stop()
        self._kill = DeadlineCall(clock, seconds, self.kill)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """See ``ProcessProtocol``."""
        *lines, self._partialLine = (self._partialLine + data).split(b"\n")
        if len(self._partialLine) > MAX_REPORT_BYTES:
            self._partialLine = b""
        for line in lines:
            self.reportReceived(line)

    def processEnded(self, reason: Failure) -> None:
        """See ``ProcessProtocol``."""
        self.hasEnded = True
        if self._kill is not None:
            self._kill.stop()
        ended = cast(ProcessDone | ProcessTerminated, reason.value)
        if ended.signal:
            self.exited(f"was killed by signal {ended.signal}", isClean=False)
        else:
            self.exited(f"exited with status {ended.exitCode}", isClean=ended.exitCode == 0)

    @property
    def _process(self) -> IProcessTransport:
        return cast(IProcessTransport, self.transport)

    def reportReceived(self, line: bytes) -> None:
        """The child has sent a report."""
        raise NotImplementedError

    def exited(self, how: str, isClean: bool) -> None:
        """
        The process has ended.

        :param how: a predicate, such as ``exited with status 1``.
        :param isClean: whether its status is 0.
        """
        raise NotImplementedError
