"""Stops reading from a TLS peer that requests answers of OpenSSL, and does not read them."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

#: Bytes of OpenSSL's own answers in a full queue above which a peer is not read.
ANSWER_LIMIT = 2**16


@implementer(IPushProducer)
class ReadPauser:
    """
    The producer of a transport after our close_notify, if the wrapped protocol has none.

    Answers are counted only: what was written before may be long, and an echo server sends it back
    before it reads on.

    :param reading: the producer of received data.
    """

    def __init__(self, reading: IPushProducer) -> None:
        self._reading = reading
        self._isFull = self._hasPaused = False
        self._answers = 0

    def add(self, size: int) -> None:
        """Count bytes of answers."""
        self._answers += size
        if self._isFull and self._answers > ANSWER_LIMIT and not self._hasPaused:
            self._hasPaused = True
            self._reading.pauseProducing()

    def pauseProducing(self) -> None:
        """The queue is full."""
        self._isFull = True
        self.add(0)

    def resumeProducing(self) -> None:
        """The queue is empty."""
        self._isFull, self._answers = False, 0
        if self._hasPaused:
            self._hasPaused = False
            self._reading.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone, or closes."""
