"""
Sends a known stream to one target, and checks the echo.

A window limits the bytes under way, so memory is bounded whatever the server does. Faults are
found by :mod:`.integrity`.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from echoproto.client.targets.interfaces import IReplyReceiver, ITarget
from echoproto.measure.verify.integrity import Fault, FaultKind, IntegrityChecker
from echoproto.measure.verify.verifier import Verifier, VerifyResult
from echoproto.text.units import SECOND, seconds

#: Maximum number of bytes under way, and bytes per write.
WINDOW_SIZE = 1 << 20
WRITE_SIZE = 1 << 18

#: Bytes received in excess of those sent after which the server is not an echo server.
MAX_EXCESS_BYTES = 1 << 22

#: Checks for received data within the timeout.
TIMEOUT_CHECKS = 4


@implementer(IReplyReceiver)
class StreamVerifier(Verifier):
    """
    The verification of one target over a stream; see :class:`.Verifier`.

    :param target: a :class:`~echoproto.client.targets.stream.StreamTarget` without a size.
    :param integrity: checks the echo.
    :param size: bytes to send; ``None`` to send until stopped.
    """

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        integrity: IntegrityChecker,
        size: int | None,
        timeout: int,
        onFault: Callable[[Fault], None],
    ) -> None:
        super().__init__(target, clock, monotonicNs, timeout, onFault)
        self._integrity = integrity
        self._size = size
        self._finished = False

    def snapshot(self, ending: str = "") -> VerifyResult:
        """The figures so far."""
        integrity, duration = self._integrity, self._monotonicNs() - self._began
        return self._result(
            integrity.source.seed, integrity.sent, integrity.received, duration, ending
        )

    def finish(self) -> None:
        """Stop sending, and end when all sent bytes have been received, or now if not connected."""
        self._size = self._integrity.sent
        if self._channel is None:
            self.stop()
        else:
            self._send()

    def _begin(self) -> None:
        self._checkTimeout()
        self._send()

    def _send(self) -> None:
        integrity = self._integrity
        while not self._isOver and integrity.sent - integrity.offset <= WINDOW_SIZE - WRITE_SIZE:
            left = WRITE_SIZE if self._size is None else self._size - integrity.sent
            size = min(WRITE_SIZE, left)
            if size == 0:
                self._finish()
                return
            data = integrity.source.read(integrity.sent, size)
            integrity.sent += size
            self._channel.send(data)

    def _finish(self) -> None:
        """All is sent: half-close, and end with the server's FIN or, without one, the last byte."""
        if not self._finished:
            self._finished = True
            self._canFinish = self._channel.loseWriteConnection()
        if not self._canFinish and self._integrity.offset == self._size:
            self._end("")

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._lastReceivedAt = self._monotonicNs()
        for fault in self._integrity.receive(reply):
            self._note(fault)
        if self._integrity.received - self._integrity.sent > MAX_EXCESS_BYTES:
            self._end("the server sends more than it receives")
        else:
            self._send()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._channel = None
        self._checkRest()
        complete = self._finished and not self._counts[FaultKind.CUT]
        self._end("" if complete else reason)

    def _checkTimeout(self) -> None:
        if self._monotonicNs() - self._lastReceivedAt < self._timeout:
            self._later(self._timeout / SECOND / TIMEOUT_CHECKS, self._checkTimeout)
            return
        self._checkRest()
        self._end(f"no data received for {seconds(self._timeout)}")

    def _checkRest(self) -> None:
        for fault in self._integrity.end():
            self._note(fault)

    def _close(self) -> None:
        isComplete = self._integrity.received == self._integrity.sent
        (self._channel.close if isComplete else self._channel.abort)()
