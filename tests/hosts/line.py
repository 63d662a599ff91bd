"""One direction of a wire, without a network or a clock: which packets are lost, doubled, late."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from random import Random

#: Bytes of each packet that are recorded: the headers of IPv4 and UDP, and 100 bytes of data.
RECORDED = 128


@dataclass(frozen=True)
class Impairment:
    """
    What one direction of a wire does to packets. Each packet is treated on its own.

    :ivar delay: seconds that every packet takes.
    :ivar jitter: seconds by which a delay differs from that at most, evenly distributed.
    :ivar loss: the share of packets that are lost.
    :ivar duplicates: the share of the other packets that arrive twice.
    :ivar reordering: the share of the other packets that are held back.
    :ivar holdback: seconds that these take longer, so that later ones overtake them.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0
    holdback: float = 0.02

    def delays(self, random: Random) -> list[float]:
        """The delays of all copies of the next packet, in seconds; none if it is lost."""
        isLost, isDoubled, isHeld = (
            random.random() < share for share in (self.loss, self.duplicates, self.reordering)
        )
        if isLost:
            return []
        jitter = random.uniform(-self.jitter, self.jitter)
        delay = max(0.0, self.delay + jitter) + isHeld * self.holdback
        return [delay] * (1 + isDoubled)


@dataclass(frozen=True)
class Delivery:
    """
    A packet at the far end.

    :ivar data: its first :data:`RECORDED` bytes.
    :ivar entered: when it entered the line, in seconds.
    :ivar left: when it left the line.
    """

    data: bytes
    entered: float
    left: float


class Line:
    """
    One direction of a wire, and the record of what it did.

    :param random: decides what happens to a packet: equal seeds decide equally.
    :ivar impairment: how it treats packets from now on.
    :ivar entered: the number of packets that entered.
    :ivar lost: the beginnings of those that were lost.
    :ivar delivered: those that left, in the order in which they did.
    """

    def __init__(self, impairment: Impairment, random: Random) -> None:
        self.impairment = impairment
        self.entered = 0
        self.lost: list[bytes] = []
        self.delivered: list[Delivery] = []
        self._random = random
        # Packets that leave at the same time do so in their order.
        self._order = count()
        self._held: list[tuple[float, int, bytes, float]] = []

    def enter(self, packet: bytes, now: float) -> None:
        """A packet enters at a time in seconds."""
        self.entered += 1
        delays = self.impairment.delays(self._random)
        if not delays:
            self.lost.append(packet[:RECORDED])
        for delay in delays:
            heapq.heappush(self._held, (now + delay, next(self._order), packet, now))

    def leave(self, now: float) -> list[bytes]:
        """Take the packets that have to leave by now."""
        packets = []
        while self._held and self._held[0][0] <= now:
            _, _, packet, entered = heapq.heappop(self._held)
            self.delivered.append(Delivery(packet[:RECORDED], entered, now))
            packets.append(packet)
        return packets

    def due(self) -> float:
        """The time at which the next packet has to leave; infinite without any."""
        return self._held[0][0] if self._held else float("inf")
