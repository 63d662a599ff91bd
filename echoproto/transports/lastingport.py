"""
A UDP port that survives the errors of its socket: they are counted, a port that cannot receive
pauses, and what the network reports (ICMP) reaches the protocol of a connected port.
"""

from __future__ import annotations

import socket
from collections import Counter
from os import strerror
from typing import Any, cast

from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM, errnoName
from echoproto.transports.readpause import ReadPause
from echoproto.transports.scopedport import ScopedPort


class LastingPort(ScopedPort):
    """
    The part of :class:`~echoproto.transports.udp.DatagramPort` that handles errors; none of them
    closes it.

    :ivar networkError: while the protocol's ``connectionRefused`` is called, the errno that the
        network reported, or 0 if that is unknown.
    :ivar receiveErrors: failed receives and dropped datagrams so far, by name of the errno or
        fault.
    """

    _log = Logger()

    def __init__(
        self,
        port: int | None,
        proto: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = MAX_IPV6_DATAGRAM,
        reactor: IReactorFDSet | None = None,
    ) -> None:
        Port.__init__(self, port, proto, interface, maxPacketSize, reactor)
        self.networkError = 0
        self.receiveErrors: Counter[str] = Counter()
        self._pause = ReadPause(self, cast(IReactorTime, self.reactor))

    def _receiveFailed(self, error: OSError) -> None:
        """Count an error of a receive, and pause."""
        self._failed(error)
        # A connected port has errors of the network, which the kernel reports once.
        if not self._connectedAddr:
            self._pause.begin()

    def _failed(self, error: OSError) -> None:
        self.receiveErrors[f"receive {errnoName(error)}"] += 1
        if self._connectedAddr:
            self.networkError = error.errno or 0
            try:
                self.protocol.connectionRefused()
            except BaseException:  # noqa: BLE001 - logged for its author; the port must live on
                self._protocolFailed()
            self.networkError = 0

    def _protocolFailed(self) -> None:
        """Log the exception of a protocol."""
        self._log.failure("a datagram protocol failed")

    def readConnectionLost(self, reason: Failure) -> None:
        """
        Ignore it: a UDP port has no end of input. The epoll and poll reactors report every error
        that the network returns to the socket (ICMP) in this way, and the stock port closes.
        """
        Port.startReading(self)
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # A send may have met the error first; it is reported once.
        if number:
            self._failed(OSError(number, strerror(number)))

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The port is closed; nothing is left scheduled."""
        self._pause.cancel()
        Port.connectionLost(cast(Any, self), reason)
