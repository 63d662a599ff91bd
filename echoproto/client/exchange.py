"""
One exchange: a message, the Deferred of its echo, and its time limit. The clients of both carriers make them.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.client.matching import Expected
from echoproto.errors import EchoprotoError, ExchangeCancelled, ExchangeError, ExchangeTimeout


class Exchange(Expected):
    """
    One message, its Deferred and its time limit.

    :param data: the message.
    :param clock: keeps the time limit.
    :param timeout: the limit, in seconds.
    :param giveUp: called with this exchange and the error when the caller cancels it or its time is over; calls
        :meth:`end` in its turn.
    :ivar result: fires with the echo, or fails with an ``ExchangeError``.
    :ivar written: bytes handed to the transport so far.
    """

    def __init__(
        self,
        data: bytes,
        clock: IReactorTime,
        timeout: float,
        giveUp: Callable[[Exchange, ExchangeError], None],
    ) -> None:
        super().__init__(data)
        self.written = 0
        self.result: Deferred[bytes] = Deferred(
            lambda _: giveUp(self, ExchangeCancelled("cancelled"))
        )
        self._timer = clock.callLater(timeout, lambda: giveUp(self, self._timedOut(timeout)))

    def end(self, error: EchoprotoError | None = None) -> None:
        """Fire the Deferred, with the message or with ``error``; only the first call counts."""
        if self.result.called:
            return
        stop(self._timer)
        if error is None:
            # What came back is equal to what was sent, so it was not kept a second time.
            self.result.callback(self.data)
        else:
            self.result.errback(error)

    def _timedOut(self, timeout: float) -> ExchangeTimeout:
        return ExchangeTimeout(
            f"{self.matched} of {len(self.data)} bytes came back in {timeout:g} s"
        )


def checkBytes(data: object) -> None:
    """Raise ``TypeError`` for what cannot be sent, before anything is done with it."""
    if not isinstance(data, bytes):
        raise TypeError(f"bytes can be sent, not {type(data).__name__}")


def stop(timer: IDelayedCall) -> None:
    """Cancel ``timer`` unless it has run."""
    if timer.active():
        timer.cancel()
