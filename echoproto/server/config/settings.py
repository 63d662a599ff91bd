"""
What an operator may set of the running server, as one value. Pure.

Made by :mod:`echoproto.server.options`; read by :mod:`echoproto.server.builder` and
:mod:`echoproto.server.listening`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from echoproto.addresses import AddressFilter
from echoproto.errors import StartupError
from echoproto.protocols.admission import DATAGRAM_RATE, LOOPING_PORTS
from echoproto.protocols.connections import DRAIN_TIMEOUT
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.config.listeners import Listener

#: File descriptors that are kept from clients: the standard ones, the log, the reactor's own (some 10), those of the
#: status listener, and one for a connection that is accepted to be refused. Each listener has one
#: besides.
RESERVED_DESCRIPTORS = 32

#: Seconds for TCP_USER_TIMEOUT. Longer than :attr:`~echoproto.protocols.timeouts.Timeouts.stall`, so that what the sweep can
#: see has its name in the log.
USER_TIMEOUT = 90.0


@dataclass(frozen=True)
class Settings:
    """
    :ivar groups: what to listen on: for each option, or whatever asked, its listeners.
    :ivar greeting: what the greeting service answers.
    :ivar maxConnections: at once; ``None`` for as many as the descriptors allow.
    :ivar maxPerSource: connections at once from one source; ``None`` for half of all, ``inf`` for no limit.
    :ivar connectionRate: connections per second that one source may make.
    :ivar connectionBurst: how many of these at once; 0 for as many as in a second.
    :ivar waitWhenFull: whether a full server leaves connections waiting in the kernel; it refuses them otherwise.
    :ivar networks: who is served at all.
    :ivar datagramRate: datagrams per second that one source may have answered; 0 for no limit.
    :ivar refusedPorts: source ports whose datagrams are not answered.
    :ivar deadlines: how long a connection may take for what.
    :ivar userTimeout: seconds for TCP_USER_TIMEOUT.
    :ivar drain: seconds that open connections have to finish when the server is stopped.
    """

    groups: Sequence[Sequence[Listener]]
    greeting: bytes = SERVER_GREETING
    maxConnections: int | None = None
    maxPerSource: float | None = None
    connectionRate: float = inf
    connectionBurst: float = 0.0
    waitWhenFull: bool = False
    networks: AddressFilter = field(default_factory=AddressFilter)
    datagramRate: float = DATAGRAM_RATE
    refusedPorts: frozenset[int] = LOOPING_PORTS
    deadlines: Timeouts = field(default_factory=Timeouts)
    userTimeout: float = USER_TIMEOUT
    drain: float = DRAIN_TIMEOUT

    def connectionLimit(self, descriptors: int) -> int:
        """
        Connections at once, in all.

        :param descriptors: how many the process may have open.
        :raise StartupError: they do not suffice.
        """
        listeners = [each for group in self.groups for each in group]
        # A socket that systemd passed is open twice: it is kept, to be adopted again after a stop.
        twice = [each for each in listeners if each.passed is not None]
        reserve = RESERVED_DESCRIPTORS + len(listeners) + len(twice)
        remedy = "raise the limit (ulimit -n, LimitNOFILE=)"
        if descriptors <= reserve:
            raise StartupError(
                f"{descriptors} file descriptors are too few, {reserve} are kept in reserve: {remedy}"
            )
        if self.maxConnections is None:
            return descriptors - reserve
        if self.maxConnections > descriptors - reserve:
            raise StartupError(
                f"--max-connections {self.maxConnections}: {descriptors} file descriptors less a reserve of "
                f"{reserve} leave {descriptors - reserve}: {remedy}"
            )
        return self.maxConnections

    def perSourceLimit(self, connections: int) -> float:
        """
        Connections at once from one source.

        :param connections: the limit of all.
        """
        return max(connections // 2, 1) if self.maxPerSource is None else self.maxPerSource
