"""
Services with faults on purpose (:mod:`echoproto.protocols.faults.faultplan`).

The faults happen to received data before the service sees it, as on a bad network between client
and server: so they are the same for every service, and backpressure, closing and timeouts are
those of the service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.protocols.faults.delayqueue import DelayedTotal, DelayQueue
from echoproto.protocols.faults.faultplan import DatagramFaults, FaultPlan, StreamFaults
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory

#: Delayed bytes of a connection above which nothing is read: at a delay of 20 ms they still pass
#: 50 MB per second.
MAX_DELAYED_BYTES = 1 << 20

#: Delayed bytes of all connections of a listener above which nothing is read from those that have
#: any.
MAX_DELAYED_LISTENER_BYTES = 64 << 20

#: Bytes of the datagrams of one listener that may be delayed at a time; others are dropped, and
#: counted as errors.
MAX_DELAYED_DATAGRAM_BYTES = 16 << 20


class FaultyStreamProtocol(StreamProtocol):
    """A connection with faults; the first base of a class whose second is a service."""

    faults: StreamFaults
    delayedTotal: DelayedTotal
    _isHolding = False

    def connectionMade(self) -> None:
        """See :class:`StreamProtocol`."""
        # ``None`` stands for the client's FIN.
        self._delayed: DelayQueue[bytes | None] = DelayQueue(
            self.factory.clock, self._arrived, self.delayedTotal
        )
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Delay the data."""
        if not self.faults.plan.delay:
            self._arrived(data)
            return
        self._delayed.add(data, self.faults.delay(), len(data), inOrder=True)
        if self._isFull():
            self._isHolding = True
            self.transport.pauseProducing()

    def _isFull(self) -> bool:
        isShort = self.delayedTotal.size > MAX_DELAYED_LISTENER_BYTES
        return self._delayed.size > (0 if isShort else MAX_DELAYED_BYTES)

    def readConnectionLost(self) -> None:
        """Delay the client's FIN too: it follows the data before it."""
        if self._delayed:
            self._delayed.add(None, 0.0, 0, inOrder=True)
        else:
            super().readConnectionLost()

    def _arrived(self, data: bytes | None) -> None:
        if data is None:
            super().readConnectionLost()
            return
        if self.discarding:
            super().dataReceived(data)
        else:
            self._served(data)
        if self._isHolding and not self._isFull():
            self._isHolding = False
            if not self._paused:
                self.transport.resumeProducing()

    def _served(self, data: bytes) -> None:
        """Change some bytes, and close the connection if it is time."""
        faults = self.faults
        end = int(min(faults.untilClose, len(data)))
        faults.untilClose -= end
        super().dataReceived(faults.damage(data[:end]))
        if not faults.untilClose:
            faults.counts["close-after"] += 1
            self.finish()
            super().dataReceived(data[end:])

    def resumeProducing(self) -> None:
        """Read again, unless too much is delayed."""
        self._paused = False
        if not self._isHolding:
            super().resumeProducing()

    def checkTimeouts(self, now: float) -> None:
        """A connection with delayed data is not quiet."""
        if self._delayed:
            self._quietSince = now
        super().checkTimeouts(now)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Delayed data is lost with the connection."""
        self._delayed.clear()
        super().connectionLost(reason)


def addStreamFaults(
    factory: StreamFactory, plan: FaultPlan, seed: int, counts: Counter[str]
) -> None:
    """
    Give every connection of ``factory`` faults.

    :param plan: the faults.
    :param seed: of the decisions.
    :param counts: the faults are counted here, by kind.
    """
    base = factory.protocol
    kind: Any = type(f"Faulty{base.__name__}", (FaultyStreamProtocol, base), {})
    numbers, total = count(), DelayedTotal()
    counts.update(dict.fromkeys(sorted(plan.kinds), 0))

    def build() -> StreamProtocol:
        protocol: FaultyStreamProtocol = kind()
        protocol.faults = StreamFaults(plan, seed, next(numbers), counts)
        protocol.delayedTotal = total
        return protocol

    factory.protocol = build


@dataclass
class _Delayed:
    """A datagram that will arrive once or twice."""

    data: bytes
    addr: tuple[Any, ...]
    number: int
    # Calls what answers it.
    reply: Callable[..., object]
    hasArrived: bool = False


def _call(function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


class FaultyDatagramProtocol(DatagramServerProtocol):
    """
    A datagram service with faults; the first base of a class whose second is a service.

    :param clock: delays; the reactor, or a ``Clock`` in tests.
    :param faults: decides on the faults.
    """

    def __init__(
        self, clock: IReactorTime, *arguments: Any, faults: DatagramFaults, **named: Any
    ) -> None:
        super().__init__(clock, *arguments, **named)
        self._faults = faults
        self._delayed: DelayQueue[_Delayed] = DelayQueue(clock, self._arrived)
        self._admitted = 0
        # For each source with delayed datagrams their count, and the highest number that arrived.
        self._delayedSources: dict[tuple[Any, ...], list[int]] = {}

    def startProtocol(self) -> None:
        """See :class:`DatagramServerProtocol`."""
        super().startProtocol()
        # Only our own port answers from the address that a datagram was sent to.
        self._laterReply = getattr(self.transport, "laterReply", lambda: _call)

    def answer(self, request: bytes, addr: tuple[Any, ...], /) -> object:
        """Answer an admitted datagram, as often and as late as the faults want it."""
        copies = self._faults.copies(request)
        if not self._faults.plan.delay:
            for _, data in copies:
                super().answer(data, addr)
            return None
        self._admitted += 1
        if copies:
            delayed = _Delayed(copies[0][1], addr, self._admitted, self._laterReply())
            for delay, data in copies:
                self._delay(delayed, delay, len(data))
        return None

    def _delay(self, delayed: _Delayed, delay: float, size: int) -> None:
        if self._delayed.size > MAX_DELAYED_DATAGRAM_BYTES:
            self._errors["too many delayed"] += 1
            return
        self._delayedSources.setdefault(delayed.addr, [0, 0])[0] += 1
        self._delayed.add(delayed, delay, size)

    def _arrived(self, delayed: _Delayed) -> None:
        source = self._delayedSources[delayed.addr]
        source[0] -= 1
        if not source[0]:
            del self._delayedSources[delayed.addr]
        if not delayed.hasArrived and delayed.number < source[1]:
            self._faults.counts["reorder"] += 1
        delayed.hasArrived = True
        source[1] = max(source[1], delayed.number)
        delayed.reply(super().answer, delayed.data, delayed.addr)

    def stopProtocol(self) -> None:
        """The port is closed: delayed datagrams are not answered."""
        if self._delayed:
            self._errors["delayed at the stop"] += len(self._delayed)
            self._delayed.clear()
        self._delayedSources.clear()
        super().stopProtocol()


def withDatagramFaults(
    service: type[DatagramServerProtocol], plan: FaultPlan, seed: int, counts: Counter[str]
) -> Callable[..., DatagramServerProtocol]:
    """
    ``service`` with faults, to be called as it is.

    :param plan: the faults.
    :param seed: of the decisions.
    :param counts: the faults are counted here, by kind.
    """
    kind: Any = type(f"Faulty{service.__name__}", (FaultyDatagramProtocol, service), {})
    kinds = plan.kinds | {"reorder"} if plan.jitter else plan.kinds
    counts.update(dict.fromkeys(sorted(kinds), 0))
    return partial(kind, faults=DatagramFaults(plan, seed, counts))
