"""
A UDP port that is connected to nobody, so that it is seen where each reply comes from.

A connected port (:class:`~.probing.DatagramRoad`) gets only what comes from the address that it asks, as the kernel drops the
rest. Used by :mod:`echoproto.measure.suite`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import DatagramProtocol

from echoproto.datagramport import listenDatagrams


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
