"""
Opens a channel to a target in bounded time, and notes whether a stream accepts data.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.interfaces import ITarget
from echoproto.errors import ConnectionClosed
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND, seconds


def openChannel(
    target: ITarget,
    receiver: Any,  # an IReplyReceiver
    clock: IReactorTime,
    timeout: int,
) -> Deferred[Any]:
    """
    Open a channel. A connection that is made just in time counts, even if it is read late.

    :param timeout: nanoseconds.
    :return: see :meth:`~echoproto.client.targets.interfaces.ITarget.open`; fails with
        ``ConnectionClosed`` after ``timeout``, and with the reason of its ``CancelledError`` if
        that has one.
    """
    opening: Deferred[Any] = target.open(receiver)
    timer = DeadlineCall(clock, timeout / SECOND, opening.cancel)

    def opened(result: object) -> object:
        if timer.active():
            timer.cancel()
        elif isinstance(result, Failure):
            isExplained = result.check(CancelledError) and result.getErrorMessage()
            reason = isExplained or f"no connection in {seconds(timeout)}"
            return Failure(ConnectionClosed(reason))
        return result

    return opening.addBoth(opened)


@implementer(IPushProducer)
class WriteControl:
    """
    Whether a stream accepts data; registered as its producer.

    :ivar isPaused: whether it has enough data that the server has not read.
    """

    isPaused = False

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self.isPaused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self.isPaused = False

    def stopProducing(self) -> None:
        """See ``IPushProducer``; the end of the connection is reported elsewhere."""
