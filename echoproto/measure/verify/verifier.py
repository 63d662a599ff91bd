"""
What the verifications of streams and of datagrams have in common: the connection, and the faults.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.channels import openChannel
from echoproto.client.targets.interfaces import ITarget
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND

#: Faults that are kept for display; all are counted.
MAX_KEPT_FAULTS = 100

#: The ending if it was stopped.
STOPPED = "stopped"


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
    :ivar faults: the first :data:`MAX_KEPT_FAULTS` faults that are listed
        (:attr:`FaultKind.isListed`).
    :ivar ending: why it ended early; empty if it did not.
    :ivar hint: why it cannot succeed with this server, and what to try; empty if it may.
    """

    target: str
    seed: int
    sent: int
    received: int
    duration: int
    counts: Counter[FaultKind]
    faults: tuple[Fault, ...]
    ending: str
    hint: str = ""

    @property
    def rate(self) -> float:
        """Bytes received per second."""
        return self.received * SECOND / self.duration if self.duration else 0.0


class Verifier(ABC):
    """
    The verification of one target; a :class:`~echoproto.client.measurement.Measurement`. It is the
    :class:`~echoproto.client.targets.interfaces.IReplyReceiver` of its connection.

    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param timeout: nanoseconds without received data after which it ends; also limits connecting.
    :param onFault: called with each fault that is listed.
    :ivar target: the target.
    :ivar result: fires with a :class:`VerifyResult`; fails if no connection can be made. Cancelled,
        it fires with the figures so far.
    """

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        timeout: int,
        onFault: Callable[[Fault], None],
    ) -> None:
        self.result: Deferred[VerifyResult] = Deferred(lambda _: self.stop())
        self.target = target
        self._clock = clock
        self._monotonicNs = monotonicNs
        self._timeout = timeout
        self._onFault = onFault
        self._channel: Any = None
        self._opening: Deferred[Any] | None = None
        self._timer: DeadlineCall | None = None
        self._counts: Counter[FaultKind] = Counter()
        self._faults: list[Fault] = []
        self._isOver = False
        self._began = self._lastReceivedAt = monotonicNs()

    def start(self) -> None:
        """See :class:`~echoproto.client.measurement.Measurement`."""
        self._opening = openChannel(self.target, self, self._clock, self._timeout)
        self._opening.addCallbacks(self._opened, self._failed)

    @abstractmethod
    def snapshot(self, ending: str = "") -> VerifyResult:
        """The figures so far."""

    @abstractmethod
    def finish(self) -> None:
        """Stop sending, and end when what was sent is answered."""

    def stop(self) -> None:
        """End now; what is under way does not count as missing."""
        self._end(STOPPED)

    @abstractmethod
    def _begin(self) -> None:
        """Send; there is a channel since :attr:`_began`."""

    def _opened(self, channel: object) -> None:
        self._opening = None
        self._channel = channel
        self._began = self._lastReceivedAt = self._monotonicNs()
        self._begin()

    def _failed(self, failure: Failure) -> None:
        self._opening = None
        if not self._isOver:
            self._leave()
            self.result.errback(failure)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._timer = DeadlineCall(self._clock, delay, call)

    def _note(self, fault: Fault) -> None:
        self._counts[fault.kind] += 1
        if not fault.kind.isListed:
            return
        if len(self._faults) < MAX_KEPT_FAULTS:
            self._faults.append(fault)
        self._onFault(fault)

    def _result(
        self, seed: int, sent: int, received: int, duration: int, ending: str
    ) -> VerifyResult:
        counts, faults = +self._counts, tuple(self._faults)
        return VerifyResult(
            *(self.target.name, seed, sent, received, duration, counts, faults, ending),
            self.target.hint,
        )

    def _end(self, ending: str) -> None:
        if not self._isOver:
            snapshot = self.snapshot(ending)
            self._leave()
            self.result.callback(snapshot)

    def _leave(self) -> None:
        self._isOver = True
        if self._timer is not None:
            self._timer.stop()
        if self._opening is not None:
            self._opening.cancel()
        if self._channel is not None:
            self._close()

    def _close(self) -> None:
        self._channel.close()
