"""
A UDP port that is connected to nobody, so that it is seen where each reply comes from.

A connected port (:class:`~.stream.DatagramRoad`) gets only what comes from the address that it asks, as the kernel drops the
rest. Used by :mod:`echoproto.conformance`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from echoproto.errors import ConnectionGone, DatagramTooLong
from echoproto.targets.interfaces import IEars, IRoad, ITarget
from echoproto.transports.udp import listenDatagrams


class UnconnectedRoad(DatagramProtocol):
    """
    Sends anywhere, and tells what comes from anywhere.

    :param heard: called with each datagram, and with the numeric address and the port that it came from.
    """

    noisy = False

    def __init__(self, heard: Callable[[bytes, str, int], None]) -> None:
        self._heard = heard
        self._closed = False

    def send(self, probe: bytes, host: str, port: int) -> None:
        """Send a datagram; raises ``OSError`` where the kernel does not take it."""
        self._transport.write(probe, (host, port))

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Something has come."""
        if not self._closed:
            self._heard(datagram, addr[0], addr[1])

    def close(self) -> None:
        """Nothing more is sent, and nobody told what comes."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport


def openUnconnected(
    reactor: Any,
    heard: Callable[[bytes, str, int], None],
    host: str,
    source: str = "",
    port: int = 0,
) -> UnconnectedRoad:
    """
    Open a port from which a host can be asked.

    :param heard: see :class:`UnconnectedRoad`.
    :param host: its numeric address, for the family.
    :param source: the numeric address to send from; empty for the kernel's choice.
    :param port: the port to send from; 0 for any that is free.
    :raise twisted.internet.error.CannotListenError: that address or port cannot be had.
    """
    road = UnconnectedRoad(heard)
    listenDatagrams(reactor, port, road, source or ("::" if isIPv6Address(host) else ""))
    return road


@implementer(IRoad)
class DatagramRoad(DatagramProtocol):
    """
    A UDP port that is connected to one address.

    :param ears: hears what comes.
    """

    noisy = False
    ordered = False
    lasting = True
    connectTime: int | None = None
    handshakeTime: int | None = None

    def __init__(self, ears: Any) -> None:
        self._ears = ears
        self._closed = False

    def send(self, probe: bytes) -> None:
        """See :class:`IRoad`."""
        try:
            self._transport.write(probe)
        except MessageLengthError:
            raise DatagramTooLong(f"{len(probe)} bytes do not fit into a datagram") from None

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A reply."""
        if not self._closed:
            self._ears.heard(datagram)

    def connectionRefused(self) -> None:
        """The network says that nobody is there (ICMP)."""
        if not self._closed:
            self._ears.gone("refused: the network says that nobody is there")

    def close(self) -> None:
        """See :class:`IRoad`."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport


@implementer(ITarget)
class DatagramTarget:
    """
    A server on UDP.

    :param name: for people.
    :param reactor: has UDP.
    :param host: its numeric address.
    :param port: its port.
    :param size: bytes of a probe.
    :param source: the numeric address to send from; empty for the kernel's choice.
    """

    ordered = False

    def __init__(
        self, name: str, reactor: Any, host: str, port: int, size: int, source: str = ""
    ) -> None:
        self.name = name
        self.size = size
        self._reactor = reactor
        self.address = host
        self._port = port
        self._source = source or ("::" if isIPv6Address(host) else "")

    def open(self, ears: IEars) -> Deferred[DatagramRoad]:
        """See :class:`ITarget`."""
        return maybeDeferred(self._open, ears)

    def _open(self, ears: IEars) -> DatagramRoad:
        road = DatagramRoad(ears)
        listening = listenDatagrams(self._reactor, 0, road, self._source)
        try:
            cast(Any, road.transport).connect(self.address, self._port)
        except OSError as error:
            listening.stopListening()
            raise ConnectionGone(f"no way to {self.address}: {error.strerror}") from error
        return road
