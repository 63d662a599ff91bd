"""
The addresses of a target's host, and connections to the first of them that accepts one.

A second address is attempted as soon as the first one fails, or if it has not answered after
:data:`ATTEMPT_DELAY` (Happy Eyeballs, RFC 8305). The address that accepted a connection is
attempted first from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.connectoptions import LOOKUP_LIFETIME
from echoproto.client.targets.failures import failureReason
from echoproto.errors import ConnectionClosed

#: Seconds until the next address is attempted (RFC 8305 section 5: "Connection Attempt Delay").
ATTEMPT_DELAY = 0.25


class ResolvedHost:
    """
    A host with its addresses, which are looked up again while connections are opened.

    The lookup runs in the background: the connection that causes it still uses the old addresses,
    so that it costs no measured time, and that a failing name server ends nothing.

    :param addresses: its numeric addresses, the preferred one first; none if it is a socket
        of this machine.
    :param clock: the time of lookups; needed with ``lookUp`` only.
    :param lookUp: looks the name up; ``None`` for a numeric host.
    :param lifetime: seconds for which the addresses are used without looking it up again.
    :ivar addresses: its numeric addresses, the one in use first.
    :ivar failedLookups: number of lookups that failed.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        clock: IReactorTime | None = None,
        lookUp: Callable[[], Deferred[Sequence[str]]] | None = None,
        lifetime: float = LOOKUP_LIFETIME,
    ) -> None:
        self.failedLookups = 0
        self._lifetime = lifetime
        self.addresses = tuple(addresses)
        self._clock = clock
        self._lookUp = lookUp
        self._resolvedAt = clock.seconds() if clock is not None else 0.0

    @property
    def address(self) -> str:
        """The address in use; empty if it has none."""
        return self.addresses[0] if self.addresses else ""

    def take(self) -> Sequence[str]:
        """The addresses to attempt for a new connection, in this order."""
        return self.addresses

    def prefer(self, address: str) -> None:
        """An address has answered: use it from now on."""
        others = (other for other in self.addresses if other != address)
        self.addresses = (address, *others)

    def refresh(self) -> None:
        """Look the name up again, unless that was done within its lifetime."""
        if self._lookUp is None or self._clock is None:
            return
        now = self._clock.seconds()
        if now - self._resolvedAt >= self._lifetime:
            self._resolvedAt = now
            self._lookUp().addCallbacks(self._resolved, self._notResolved)

    def _notResolved(self, failure: Failure) -> None:
        # The old addresses remain.
        self.failedLookups += 1

    def _resolved(self, addresses: Sequence[str]) -> None:
        if set(addresses) != set(self.addresses):
            self.addresses = tuple(addresses)


class RotatedHost(ResolvedHost):
    """
    A host whose connections use its addresses in turn; see :class:`ResolvedHost` for the others.

    :param turn: index of the address of the first connection.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        clock: IReactorTime | None = None,
        lookUp: Callable[[], Deferred[Sequence[str]]] | None = None,
        turn: int = 0,
    ) -> None:
        super().__init__(addresses, clock, lookUp)
        self._turn = turn

    def take(self) -> Sequence[str]:
        """See :class:`ResolvedHost`; the address whose turn it is is the first."""
        first = self._turn % len(self.addresses)
        self._turn += 1
        return self.addresses[first:] + self.addresses[:first]

    def prefer(self, address: str) -> None:
        """See :class:`ResolvedHost`; the order stays."""


class HostTarget:
    """
    The name and the address of a target, as :class:`.ITarget` has them.

    :param name: its name for people.
    :param rename: its name by the address in use; ``None`` if that is always ``name``.
    :ivar hint: see :class:`.ITarget`.
    """

    hint = ""

    def __init__(
        self, name: str, host: ResolvedHost, rename: Callable[[str], str] | None = None
    ) -> None:
        self.host = host
        self._name = name
        self._rename = rename

    @property
    def name(self) -> str:
        """See :class:`.ITarget`."""
        return self._name if self._rename is None else self._rename(self.address)

    @property
    def address(self) -> str:
        """See :class:`.ITarget`."""
        return self.host.address


@implementer(IStreamClientEndpoint)
class HostEndpoint:
    """
    Connects to one of the addresses of a host.

    :param clock: calls later.
    :param endpointTo: makes the endpoint of an address.
    """

    def __init__(
        self,
        clock: IReactorTime,
        host: ResolvedHost,
        endpointTo: Callable[[str], IStreamClientEndpoint],
    ) -> None:
        self._clock = clock
        self._host = host
        self._endpointTo = endpointTo

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """
        See ``IStreamClientEndpoint``. If all addresses fail for different reasons, it fails with
        ``ConnectionClosed``, which has each of them; otherwise as the first address did.
        """
        self._host.refresh()
        attempts = _Attempts(self._clock, self._host, self._endpointTo, protocolFactory)
        attempts.next()
        return attempts.connected


class _Attempts:
    """The attempts to make one connection."""

    def __init__(
        self,
        clock: IReactorTime,
        host: ResolvedHost,
        endpointTo: Callable[[str], IStreamClientEndpoint],
        factory: IProtocolFactory,
    ) -> None:
        self.connected: Deferred[Any] = Deferred(lambda _: self._end())
        self._clock = clock
        self._host = host
        self._endpointTo = endpointTo
        self._factory = factory
        self._waiting = deque(host.take())
        self._pending: dict[str, Deferred[Any]] = {}
        self._failures: dict[str, Failure] = {}
        self._timer: IDelayedCall | None = None

    def next(self) -> None:
        """Attempt the next address."""
        self._stopTimer()
        address = self._waiting.popleft()
        if self._waiting:
            self._timer = self._clock.callLater(ATTEMPT_DELAY, self.next)
        attempt = self._pending[address] = self._endpointTo(address).connect(self._factory)
        attempt.addCallbacks(
            self._succeeded, self._failed, callbackArgs=(address,), errbackArgs=(address,)
        )

    def _succeeded(self, protocol: object, address: str) -> None:
        del self._pending[address]
        self._host.prefer(address)
        self._end()
        self.connected.callback(protocol)

    def _failed(self, failure: Failure, address: str) -> None:
        # Without an entry it was cancelled.
        if self._pending.pop(address, None) is None:
            return
        self._failures[address] = failure
        if self._waiting:
            self.next()
        elif not self._pending:
            self.connected.errback(_summary(self._failures))

    def _end(self) -> None:
        self._stopTimer()
        pending, self._pending = self._pending, {}
        for attempt in pending.values():
            attempt.cancel()

    def _stopTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _summary(failures: dict[str, Failure]) -> Failure:
    reasons = {address: failureReason(failure) for address, failure in failures.items()}
    unexpected = [failure for failure in failures.values() if not failure.check(ConnectError)]
    if unexpected or len(set(reasons.values())) == 1:
        return (unexpected or list(failures.values()))[0]
    text = "; ".join(f"{address}: {reason}" for address, reason in reasons.items())
    return Failure(ConnectionClosed(text))
