"""Opening a :class:`~echoproto.transports.udp.DatagramPort` on any reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from echoproto.protocols.datagram import IReactorDatagrams
from echoproto.transports.serversocket import setServerOptions
from echoproto.transports.udp import DatagramPort


def listenDatagrams(
    reactor: Any,
    port: int,
    protocol: DatagramProtocol,
    interface: str = "",
    setOptions: Callable[[socket.socket], None] = setServerOptions,
) -> IListeningPort:
    """
    Listen for datagrams, as ``reactor.listenUDP`` does, on a :class:`DatagramPort`.

    :param reactor: any reactor of Twisted with file descriptors, or an :class:`IReactorDatagrams`.
    :param port: port number; 0 picks one.
    :param interface: the numeric address to bind; empty for all IPv4 addresses, ``::`` for all
        IPv6.
    :param setOptions: sets the options of the socket before it is bound; a port in memory has none.
    :raise twisted.internet.error.CannotListenError: the address cannot be bound.
    """
    if IReactorDatagrams.providedBy(reactor):
        own: IListeningPort = reactor.listenDatagrams(port, protocol, interface)
        return own
    made: Any = DatagramPort(port, protocol, interface, reactor=reactor)
    made.setOptions = setOptions
    made.startListening()
    return cast(IListeningPort, made)
