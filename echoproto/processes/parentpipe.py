"""The child's side of a child process (:mod:`.childprocess`): its pipes to the parent."""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.processes.childprocess import IGNORED_SIGNALS, MAX_REPORT_BYTES, REPORT_DESCRIPTOR


@implementer(IHalfCloseableProtocol)
class ParentPipe(Int32StringReceiver):
    """
    The child's side: its pipes to the parent.

    :param reactor: stopped when the parent is gone.
    :ivar onMessage: called with each message that the parent sends while the reactor runs.
    """

    MAX_LENGTH = MAX_REPORT_BYTES

    def __init__(self, reactor: Any) -> None:  # an IReactorCore
        self._reactor = reactor
        self._written: Deferred[None] = Deferred()
        self.onMessage: Callable[[Any], object] = lambda message: None

    def stringReceived(self, string: bytes) -> None:
        """See ``Int32StringReceiver``."""
        self.onMessage(pickle.loads(string))

    def sendReport(self, line: bytes) -> None:
        """Send one line, without its end."""
        transport: Any = self.transport
        transport.write(line + b"\n")

    def finish(self) -> Deferred[None]:
        """Send no more reports; fires when the last one is written, or the parent is gone."""
        transport: Any = self.transport
        transport.loseWriteConnection()
        return self._written

    def readConnectionLost(self) -> None:
        """The parent has closed our standard input, or is gone."""
        self.stop()

    def writeConnectionLost(self) -> None:
        """All reports are written, or the parent reads no more."""
        if not self._written.called:
            self._written.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Both pipes are closed."""
        self.writeConnectionLost()
        self.stop()

    def stop(self) -> None:
        """Stop the reactor, unless it does not run, or stops already."""
        with suppress(ReactorNotRunning):
            self._reactor.stop()


def receiveMessage() -> Any:
    """
    Wait for the next message of the parent, before the reactor runs.

    :return: the message, of any type.
    :raise EOFError: the parent is gone.
    """
    # Unbuffered, as the next message may be for ParentPipe.
    (length,) = struct.unpack("!I", _readExactly(4))
    return pickle.loads(_readExactly(length))


def _hasInput(seconds: float) -> bool:
    return bool(select.select([sys.stdin], (), (), seconds)[0])


def awaitMessage(
    interval: float,
    report: bytes,
    hasInput: Callable[[float], bool] = _hasInput,
    write: Callable[[int, bytes], object] = os.write,
) -> Any:
    """
    Wait for the next message as :func:`receiveMessage` does, and report meanwhile.

    :param interval: seconds between two reports.
    :param report: a line, without its end.
    :param hasInput: waits at most this many seconds, and returns whether a message has arrived or
        the parent is gone.
    :param write: see :func:`os.write`.
    """
    while not hasInput(interval):
        # If the parent is gone just now, there is input: its end.
        with suppress(BrokenPipeError):
            write(REPORT_DESCRIPTOR, report + b"\n")
    return receiveMessage()


def _readExactly(length: int) -> bytes:
    stream = cast(BufferedReader, sys.stdin.buffer).raw
    data = b""
    while len(data) < length:
        piece = stream.read(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def openParentPipe(pipe: ParentPipe, reactor: object) -> ITransport:
    """Connect ``pipe`` to the parent: to standard input and :data:`REPORT_DESCRIPTOR`."""
    # Here, as it imports the reactor.
    from twisted.internet import stdio

    standardIO: Any = stdio.StandardIO  # Any: its parameters are not typed
    transport: ITransport = standardIO(pipe, stdin=0, stdout=REPORT_DESCRIPTOR, reactor=reactor)
    return transport


def ignoreSignals() -> None:
    """Ignore :data:`IGNORED_SIGNALS`; a child calls it first."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
