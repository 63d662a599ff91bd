"""
Sends a known stream to one target, and checks the echo.

A window limits the bytes under way, so memory is bounded whatever the server does. Faults are
found by :mod:`.integrity`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.measure.verify.integrity import Fault, FaultKind, IntegrityChecker
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.targets.interfaces import IReplyReceiver
from echoproto.units import SECOND, seconds

#: Maximum number of bytes under way, and bytes per write.
WINDOW_SIZE = 1 << 20
WRITE_SIZE = 1 << 18

#: Bytes received in excess of those sent after which the server is not an echo server.
MAX_EXCESS_BYTES = 1 << 22

#: Faults that are kept for display; all are counted.
MAX_KEPT_FAULTS = 100

#: The ending if it was stopped.
STOPPED = "stopped"

#: Checks for received data within the timeout.
TIMEOUT_CHECKS = 4


@dataclass(frozen=True)
class VerifyResult:
    """
    The result of a verification.

    :ivar target: name of the target.
    :ivar seed: seed of the stream.
    :ivar sent: bytes sent.
    :ivar received: bytes received.
    :ivar duration: nanoseconds from the first byte to the end; for datagrams that were all sent,
        to the last one or the last reply.
    :ivar counts: numbers of faults, by kind.
    :ivar faults: the first :data:`MAX_KEPT_FAULTS` faults.
    :ivar ending: why it ended early; empty if it did not.
    """

    target: str
    seed: int
    sent: int
    received: int
    duration: int
    counts: Counter[FaultKind]
    faults: tuple[Fault, ...]
    ending: str

    @property
    def rate(self) -> float:
        """Bytes received per second."""
        return self.received * SECOND / self.duration if self.duration else 0.0


@implementer(IReplyReceiver)
class StreamVerifier:
    """
    The verification of one target.

    :param target: a :class:`~echoproto.targets.stream.StreamTarget` without a size.
    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param integrity: checks the echo.
    :param size: bytes to send; ``None`` to send until stopped.
    :param timeout: nanoseconds without received data after which it ends; also limits connecting.
    :param onFault: called with each fault.
    :ivar target: the target.
    :ivar result: fires with a :class:`VerifyResult`; fails if no connection can be made. Cancelled,
        it fires with the figures so far.
    """

    def __init__(
        self,
        target: Any,  # an ITarget; tests have simpler ones
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        integrity: IntegrityChecker,
        size: int | None,
        timeout: int,
        onFault: Callable[[Fault], None] = lambda fault: None,
    ) -> None:
        self.result: Deferred[VerifyResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._clock = clock
        self._monotonicNs = monotonicNs
        self._integrity = integrity
        self._source = integrity.source
        self._size = size
        self._timeout = timeout
        self._onFault = onFault
        self._channel: Any = None
        self._opening: Deferred[Any] | None = None
        self._timer: DeadlineCall | None = None
        self._counts: Counter[FaultKind] = Counter()
        self._faults: list[Fault] = []
        self._finished = self._over = False
        self._began = self._lastReceivedAt = monotonicNs()

    def start(self) -> None:
        """See :class:`~echoproto.measure.measurement.Measurement`."""
        self._began = self._lastReceivedAt = self._monotonicNs()
        self._checkTimeout()
        self._opening = self.target.open(self)
        self._opening.addCallbacks(self._opened, self._failed)

    def snapshot(self, ending: str = "") -> VerifyResult:
        """The figures so far."""
        integrity = self._integrity
        return VerifyResult(
            self.target.name,
            integrity.source.seed,
            integrity.sent,
            integrity.received,
            self._monotonicNs() - self._began,
            Counter(self._counts),
            tuple(self._faults),
            ending,
        )

    def finish(self) -> None:
        """Stop sending, and end when all sent bytes have been received, or now if not connected."""
        self._size = self._integrity.sent
        if self._channel is None:
            self.stop()
        else:
            self._send()

    def stop(self) -> None:
        """End now; bytes under way do not count as missing."""
        self._end(STOPPED)

    def _opened(self, channel: object) -> None:
        self._opening = None
        self._channel = channel
        self._began = self._lastReceivedAt = self._monotonicNs()
        self._send()

    def _failed(self, failure: Failure) -> None:
        self._opening = None
        if not self._over:
            self._leave()
            self.result.errback(failure)

    def _send(self) -> None:
        integrity = self._integrity
        while not self._over and integrity.sent - integrity.offset <= WINDOW_SIZE - WRITE_SIZE:
            left = WRITE_SIZE if self._size is None else self._size - integrity.sent
            size = min(WRITE_SIZE, left)
            if size == 0:
                self._finish()
                return
            data = self._source.read(integrity.sent, size)
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
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._lastReceivedAt = self._monotonicNs()
        for fault in self._integrity.receive(reply):
            self._note(fault)
        if self._integrity.received - self._integrity.sent > MAX_EXCESS_BYTES:
            self._end("the server sends more than it receives")
        else:
            self._send()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._channel = None
        self._checkRest()
        complete = self._finished and not self._counts[FaultKind.CUT]
        self._end("" if complete else reason)

    def _checkTimeout(self) -> None:
        if self._monotonicNs() - self._lastReceivedAt < self._timeout:
            self._timer = DeadlineCall(
                self._clock, self._timeout / SECOND / TIMEOUT_CHECKS, self._checkTimeout
            )
            return
        self._checkRest()
        self._end(f"no data received for {seconds(self._timeout)}")

    def _checkRest(self) -> None:
        for fault in self._integrity.end():
            self._note(fault)

    def _note(self, fault: Fault) -> None:
        self._counts[fault.kind] += 1
        if len(self._faults) < MAX_KEPT_FAULTS:
            self._faults.append(fault)
        self._onFault(fault)

    def _end(self, ending: str) -> None:
        if not self._over:
            snapshot = self.snapshot(ending)
            self._leave()
            self.result.callback(snapshot)

    def _leave(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._channel is not None:
            isComplete = self._integrity.received == self._integrity.sent
            (self._channel.close if isComplete else self._channel.abort)()
