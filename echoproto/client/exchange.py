"""One exchange: a message, the Deferred of its echo, and its time limit."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.client.matching import Expected
from echoproto.errors import EchoprotoError, ExchangeCancelled, ExchangeError, ExchangeTimeout
from echoproto.protocols.deadlines import DeadlineCall


class Exchange(Expected):
    """
    One message, its Deferred and its time limit.

    :param data: the message.
    :param clock: measures the time limit.
    :param timeout: the limit, in seconds.
    :param giveUp: called with this exchange and the error when it is cancelled or its time is over;
        it must call :meth:`end`.
    :ivar result: fires with the echo, or fails with an ``ExchangeError``.
    :ivar written: bytes given to the transport so far.
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
        self._timer = DeadlineCall(clock, timeout, lambda: giveUp(self, self._timedOut(timeout)))

    def end(self, error: EchoprotoError | None = None) -> None:
        """Fire the Deferred, with the message or with ``error``; only the first call counts."""
        if self.result.called:
            return
        self._timer.stop()
        if error is None:
            # The echo equals the message, so it was not stored a second time.
            self.result.callback(self.data)
        else:
            self.result.errback(error)

    def _timedOut(self, timeout: float) -> ExchangeTimeout:
        return ExchangeTimeout(
            f"{self.matched} of {len(self.data)} bytes received within {timeout:g} s"
        )


def checkBytes(data: object) -> None:
    """Raise ``TypeError`` for data that is not bytes."""
    if not isinstance(data, bytes):
        raise TypeError(f"data must be bytes, not {type(data).__name__}")
