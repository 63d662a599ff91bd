"""
Sends a known stream to one target and has every byte that comes back checked.

Called by :func:`echoproto.measure.verify`. It keeps a window of bytes under way, so that memory is bounded whatever the server
does, and the time by a clock that is passed in; what is wrong with the bytes is decided in :mod:`.integrity`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.measure.verify.integrity import Fault, FaultKind, IntegrityChecker
from echoproto.targets.interfaces import IReplyReceiver
from echoproto.units import SECOND, seconds

#: Bytes under way at most, and those that are handed to the connection at once.
WINDOW = 1 << 20
PIECE = 1 << 18

#: Bytes more than were sent, after which it is no echo that comes.
EXCESS = 1 << 22

#: Faults that are kept to be shown; all are counted.
KEPT = 100

#: How it ended where somebody stopped it.
STOPPED = "stopped"

#: How often silence is looked for in the time that it may last.
_LOOKS = 4


@dataclass(frozen=True)
class VerifyResult:
    """
    What became of it.

    :ivar target: its name.
    :ivar seed: of the stream.
    :ivar sent: bytes that were sent.
    :ivar received: bytes that came.
    :ivar duration: nanoseconds from the first byte to the end.
    :ivar counts: faults, by kind.
    :ivar faults: the first :data:`KEPT` of them.
    :ivar ending: why it ended before its time; empty where it did not.
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
        """Bytes per second that came back."""
        return self.received * SECOND / self.duration if self.duration else 0.0


@implementer(IReplyReceiver)
class StreamVerifier:
    """
    A stream to one target.

    :param target: a :class:`~echoproto.targets.stream.StreamTarget` without a size.
    :param clock: calls later.
    :param now: the time in nanoseconds, which never goes back.
    :param integrity: knows the stream, and checks it.
    :param size: bytes to send; ``None`` for any number, until it is stopped.
    :param timeout: nanoseconds without a byte, after which it is over; also for connecting.
    :param tell: called with each fault.
    :ivar result: fires with a :class:`VerifyResult`; fails with why there is no connection. Cancelled, it ends and fires with what
        there is.
    """

    def __init__(
        self,
        target: Any,
        clock: IReactorTime,
        now: Callable[[], int],
        integrity: IntegrityChecker,
        size: int | None,
        timeout: int,
        tell: Callable[[Fault], None] = lambda fault: None,
    ) -> None:
        self.result: Deferred[VerifyResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._clock = clock
        self._now = now
        self._integrity = integrity
        self._source = integrity.source
        self._size = size
        self._timeout = timeout
        self._tell = tell
        self._channel: Any = None
        self._opening: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._counts: Counter[FaultKind] = Counter()
        self._faults: list[Fault] = []
        self._finished = self._over = False
        self._began = now()

    def start(self) -> None:
        """Connect, and send."""
        self._began = self._heardAt = self._now()
        self._look()
        self._opening = self.target.open(self)
        self._opening.addCallbacks(self._opened, self._failed)

    def snapshot(self, ending: str = "") -> VerifyResult:
        """What there is so far."""
        integrity = self._integrity
        return VerifyResult(
            self.target.name,
            integrity.source.seed,
            integrity.sent,
            integrity.received,
            self._now() - self._began,
            Counter(self._counts),
            tuple(self._faults),
            ending,
        )

    def finish(self) -> None:
        """Send no more, and end when all has come that was sent; now where nothing could be."""
        self._size = self._integrity.sent
        if self._channel is None:
            self.stop()
        else:
            self._send()

    def stop(self) -> None:
        """End now; what is under way is nobody's fault."""
        self._end(STOPPED)

    def _opened(self, channel: Any) -> None:
        self._opening = None
        self._channel = channel
        self._began = self._heardAt = self._now()
        self._send()

    def _failed(self, failure: Failure) -> None:
        self._opening = None
        if not self._over:
            self._leave()
            self.result.errback(failure)

    def _send(self) -> None:
        integrity = self._integrity
        while not self._over and integrity.sent - integrity.offset <= WINDOW - PIECE:
            piece = PIECE if self._size is None else min(PIECE, self._size - integrity.sent)
            if piece == 0:
                self._finish()
                return
            data = self._source.read(integrity.sent, piece)
            integrity.sent += piece
            self._channel.send(data)

    def _finish(self) -> None:
        """All is sent: the server's FIN tells that nothing more comes, or where there is none the last byte."""
        if not self._finished:
            self._finished = True
            self._canFinish = self._channel.loseWriteConnection()
        if not self._canFinish and self._integrity.offset == self._size:
            self._end("")

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._heardAt = self._now()
        for fault in self._integrity.receive(reply):
            self._note(fault)
        if self._integrity.received - self._integrity.sent > EXCESS:
            self._end("the server sends what nobody has sent")
        else:
            self._send()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._channel = None
        self._judge()
        complete = self._finished and not self._counts[FaultKind.CUT]
        self._end("" if complete else reason)

    def _look(self) -> None:
        """Whether it has been silent for too long."""
        if self._now() - self._heardAt < self._timeout:
            self._timer = self._clock.callLater(self._timeout / SECOND / _LOOKS, self._look)
            return
        self._judge()
        self._end(f"no byte in {seconds(self._timeout)}")

    def _judge(self) -> None:
        for fault in self._integrity.end():
            self._note(fault)

    def _note(self, fault: Fault) -> None:
        self._counts[fault.kind] += 1
        if len(self._faults) < KEPT:
            self._faults.append(fault)
        self._tell(fault)

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
            self._channel.close()
