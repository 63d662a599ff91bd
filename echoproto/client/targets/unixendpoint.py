"""
Connections to UNIX sockets, which wait while the server's queue of connections is full.

connect(2) of a non-blocking UNIX socket then fails with EAGAIN, and nothing tells when there is
room. Twisted takes it for EINPROGRESS, and reports the connection as closed.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

#: Seconds until the second attempt; the time doubles until it is the longest one.
FIRST_RETRY = 0.005
LONGEST_RETRY = 0.1

#: Why there is no connection when the caller waits no longer.
QUEUE_FULL = "the server does not accept the connection: its queue is full"


@implementer(IStreamClientEndpoint)
class PatientUNIXEndpoint:
    """
    An endpoint that attempts again while the server's queue is full, until it is cancelled.

    :param clock: calls later; the reactor.
    :param endpoint: that of a UNIX socket.
    """

    def __init__(self, clock: IReactorTime, endpoint: IStreamClientEndpoint) -> None:
        self._clock = clock
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``."""
        return _Attempts(self._clock, self._endpoint, protocolFactory).connected


class _Attempts:
    """The attempts to make one connection."""

    _attempt: Deferred[Any]
    _retry: IDelayedCall | None = None

    def __init__(
        self, clock: IReactorTime, endpoint: IStreamClientEndpoint, factory: IProtocolFactory
    ) -> None:
        self.connected: Deferred[Any] = Deferred(self._cancel)
        self._clock = clock
        self._endpoint = endpoint
        self._factory = factory
        self._interval = FIRST_RETRY
        self._connect()

    def _connect(self) -> None:
        self._attempt = self._endpoint.connect(self._factory)
        self._attempt.addCallbacks(self.connected.callback, self._failed)

    def _failed(self, failure: Failure) -> None:
        if self.connected.called:
            return
        if not _isQueueFull(failure):
            self.connected.errback(failure)
            return
        self._retry = self._clock.callLater(self._interval, self._connect)
        self._interval = min(2 * self._interval, LONGEST_RETRY)

    def _cancel(self, connected: Deferred[Any]) -> None:
        if self._retry is None:
            self._attempt.cancel()
            return
        connected.errback(CancelledError(QUEUE_FULL))
        if self._retry.active():
            self._retry.cancel()
        else:
            self._attempt.cancel()


def _isQueueFull(failure: Failure) -> bool:
    """Whether an attempt has failed with EAGAIN, as Twisted reports that."""
    cause = failure.value.args[:1] if failure.check(ConnectError) and failure.value else ()
    return any(isinstance(found, Failure) and found.check(ConnectionDone) for found in cause)
