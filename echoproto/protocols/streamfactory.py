"""
Builds the protocols of a stream service.

Admission (:mod:`echoproto.protocols.admission`) is decided before a protocol is built. The open
connections are kept and drained by :mod:`echoproto.protocols.connections`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from zope.interface import implementer

from echoproto.addresses import numericHost, peerUID
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.connections import DRAIN_TIMEOUT, ConnectionTracker, ITrackedConnection
from echoproto.protocols.observer import IObserver, NullObserver
from echoproto.protocols.sendqueue import unsentBytes
from echoproto.protocols.timeouts import Timeouts

#: Seconds of silence after which a draining connection counts as finished: longer than a round trip
#: around the world, shorter than an operator notices.
DRAIN_SILENCE = 0.5


@implementer(IAddress)
@dataclass(frozen=True)
class TrustedPeer:
    """
    A peer that is served whatever networks are allowed: a trusted proxy, which checks the server.

    :ivar address: its address.
    """

    address: IAddress | None


class StreamFactory(Factory):
    """
    Builds the protocols of one stream service on one listener, and drains them.

    :param clock: measures the timeouts; the reactor, or a ``Clock`` in tests.
    :param observer: receives openings, closings and refusals.
    :param admission: decides which clients are served; all of them by default.
    :param timeouts: the timeouts.
    :ivar unsentBytes: returns the unacknowledged bytes of a transport; replaced in tests.
    :ivar tracker: the protocols of open connections, and their drain.
    """

    noisy = False
    protocol: Any = None

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: ConnectionAdmission | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.clock = clock
        self.observer: IObserver = observer if observer is not None else NullObserver()
        self.admission = admission if admission is not None else ConnectionAdmission(clock.seconds)
        self.timeouts = timeouts if timeouts is not None else Timeouts()
        self.unsentBytes: Callable[[Any], int] = unsentBytes
        self.tracker = ConnectionTracker(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        A protocol for a new connection; ``None``, which closes it, while draining or if it is
        refused.

        :param addr: the client's address, that of the transport or the one announced by a trusted
            proxy; or a :class:`TrustedPeer`.
        """
        if self.tracker.draining:
            return None
        isTrusted = False
        if isinstance(addr, TrustedPeer):
            addr, isTrusted = addr.address, True
        host = numericHost(addr)
        refusal = self.admission.admit(host, None if host else peerUID(addr), isTrusted)
        if refusal is not None:
            self.observer.connectionRefused(addr, refusal.value)
            return None
        protocol: Any = super().buildProtocol(addr)
        protocol.peer = addr
        return protocol

    def closed(self, connection: ITrackedConnection, peer: IAddress | None) -> None:
        """Called by a protocol whose connection with ``peer`` has ended."""
        host = numericHost(peer)
        self.admission.release(host, None if host else peerUID(peer))
        self.tracker.remove(connection)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> Deferred[None]:
        """
        Refuse new connections and let the open ones finish: each is served until its client's FIN,
        or until it has been silent for :data:`DRAIN_SILENCE` seconds; then it gets our FIN.

        :param timeout: seconds after which the remaining connections are aborted.
        :return: fires with ``None`` when no connection is open; never fails.
        """
        return self.tracker.drain(timeout)
