"""
The settings of the server, as one value.

Made by :mod:`echoproto.server.commandline.options`; used by :mod:`echoproto.server.listeners`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from echoproto.errors import StartupError
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.datagramadmission import DATAGRAM_RATE, LOOPING_PORTS
from echoproto.protocols.connections import DRAIN_TIMEOUT
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.config.listener import Listener
from echoproto.status.state import MAXIMUM_CONNECTIONS

#: File descriptors in reserve: the standard ones, the log, the reactor's own (about 10), and that
#: of a connection that is accepted to be refused. Each listener may need two besides, and status
#: listeners need those of their connections.
RESERVED_DESCRIPTORS = 32

#: Bytes of memory in reserve: the program itself, and one connection with full buffers.
RESERVED_MEMORY = 64 << 20

#: Bytes of memory that a connection may need: its TLS state, and the queue of a client that does
#: not read (:class:`~echoproto.protocols.stream.StreamProtocol`).
CONNECTION_MEMORY = 128 << 10

#: Connections that are permitted however little memory there is.
MIN_CONNECTIONS = 64

#: Seconds for TCP_USER_TIMEOUT. Longer than :attr:`~echoproto.protocols.timeouts.Timeouts.stall`,
#: so that the more precise reason is logged.
USER_TIMEOUT = 90.0


@dataclass(frozen=True)
class Settings:
    """
    The settings of a server.

    :ivar groups: the listeners, in a group for each option value.
    :ivar greeting: the text of the greeting service.
    :ivar maxConnections: maximum number of connections; ``None`` for as many as the descriptors
        and the memory allow.
    :ivar processes: number of processes that share the memory.
    :ivar maxPerSource: maximum number of connections from one source; ``None`` for half of all,
        ``inf`` for no limit.
    :ivar connectionRate: connections per second from one source.
    :ivar connectionBurst: connections at once within the rate; 0 for as many as in a second.
    :ivar waitWhenFull: whether a full server leaves connections in the listen backlog; otherwise it
        refuses them.
    :ivar networks: the allowed networks.
    :ivar datagramRate: datagrams per second answered to one source; 0 for no limit.
    :ivar refusedPorts: source ports whose datagrams are not answered.
    :ivar deadlines: the timeouts of connections.
    :ivar userTimeout: seconds for TCP_USER_TIMEOUT.
    :ivar drain: seconds for open connections to finish when the server stops.
    :ivar lameDuck: seconds before that in which new clients are still served.
    :ivar statusLinger: seconds after that in which the status listener is still open.
    :ivar faultSeed: seed of the faults that happen on purpose.
    :ivar notice: a line for the log at the start, about an option without effect.
    """

    groups: Sequence[Sequence[Listener]]
    greeting: bytes = SERVER_GREETING
    maxConnections: int | None = None
    processes: int = 1
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
    lameDuck: float = 0.0
    statusLinger: float = 0.0
    faultSeed: int = 0
    notice: str = ""

    @property
    def usesTLS(self) -> bool:
        """Whether a listener has certificates."""
        return any(listener.layers.tls is not None for group in self.groups for listener in group)

    @property
    def hasStatus(self) -> bool:
        """Whether there is a status listener."""
        return any(group[0].service == "status" for group in self.groups)

    def connectionsInMemory(self, memory: float) -> float:
        """
        Number of connections of a process for which memory suffices in any case.

        :param memory: see :meth:`connectionLimit`.
        """
        share = (memory / self.processes - RESERVED_MEMORY) / CONNECTION_MEMORY
        return max(share, MIN_CONNECTIONS)

    def connectionLimit(self, descriptors: int, memory: float = inf) -> int:
        """
        Maximum number of connections, all listeners together.

        :param descriptors: the limit of file descriptors of the process.
        :param memory: the limit of memory in bytes, for all processes.
        :raise StartupError: there are too few.
        """
        # A socket passed by systemd, or to a worker, is open twice: the original is kept, to be
        # adopted again after a stop.
        reserve = RESERVED_DESCRIPTORS + 2 * sum(map(len, self.groups))
        reserve += MAXIMUM_CONNECTIONS * self.hasStatus
        remedy = "raise the limit (ulimit -n, LimitNOFILE=)"
        if descriptors <= reserve:
            raise StartupError(
                f"{descriptors} file descriptors are too few, the reserve is {reserve}; {remedy}"
            )
        if self.maxConnections is None:
            return int(min(descriptors - reserve, self.connectionsInMemory(memory)))
        if self.maxConnections > descriptors - reserve:
            raise StartupError(
                f"--max-connections {self.maxConnections}: {descriptors} file descriptors "
                f"less a reserve of {reserve} leave {descriptors - reserve}; {remedy}"
            )
        return self.maxConnections

    def perSourceLimit(self, connections: int) -> float:
        """
        Maximum number of connections from one source.

        :param connections: the limit for all sources.
        """
        return max(connections // 2, 1) if self.maxPerSource is None else self.maxPerSource
