"""
UDP ports of clients: connected to the first address that has a route, or connected to none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol

from echoproto.client.targets.clientsocket import setClientOptions
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.errors import ConnectionClosed
from echoproto.transports.datagramreactor import listenDatagrams
from echoproto.transports.receivebuffer import enlargeReceiveBuffer

_Protocol = TypeVar("_Protocol", bound=DatagramProtocol)


class UnconnectedUDPChannel(DatagramProtocol):
    """
    Sends to any address, and reports datagrams from any address.

    :param replyReceived: called with each datagram, its numeric source address and source port.
    """

    noisy = False

    def __init__(self, replyReceived: Callable[[bytes, str, int], None]) -> None:
        self._replyReceived = replyReceived
        self._closed = False

    def close(self) -> None:
        """Close the port; no further reply is reported."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport

    def send(self, probe: bytes, host: str, port: int) -> None:
        """Send a datagram; raises ``OSError`` if the kernel does not accept it."""
        self._transport.write(probe, (host, port))

    def datagramReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a datagram on."""
        if not self._closed:
            self._replyReceived(datagram, addr[0], addr[1])


def openUnconnectedChannel(
    reactor: IReactorUDP,
    replyReceived: Callable[[bytes, str, int], None],
    host: str,
    connect: ConnectOptions = ConnectOptions(),
    port: int = 0,
) -> UnconnectedUDPChannel:
    """
    Open an unconnected port.

    :param reactor: has UDP.
    :param replyReceived: see :class:`UnconnectedUDPChannel`.
    :param host: a numeric address, which decides the family.
    :param connect: the local address, and the options of the socket.
    :param port: the local port; 0 for any free one.
    :raise twisted.internet.error.CannotListenError: the address or the port cannot be bound.
    """
    channel = UnconnectedUDPChannel(replyReceived)
    _listen(reactor, port, channel, host, connect)
    return channel


def _listen(
    reactor: IReactorUDP, port: int, protocol: DatagramProtocol, host: str, connect: ConnectOptions
) -> Any:
    """Open a port in the family of ``host``, by default at the address of the kernel's choice."""
    interface = connect.source or ("::" if isIPv6Address(host) else "")
    options = partial(setClientOptions, connect=connect)
    return listenDatagrams(reactor, port, protocol, interface, options)


def openConnectedPort(
    reactor: IReactorUDP,
    makeProtocol: Callable[[], _Protocol],
    hosts: Sequence[str],
    port: int,
    connect: ConnectOptions = ConnectOptions(),
) -> tuple[str, _Protocol]:
    """
    Open a UDP port that is connected to the first of several addresses that has a route.

    :param reactor: has UDP.
    :param makeProtocol: makes what receives the datagrams from that address. A protocol is not used
        again, as its port is closed in a later turn.
    :param hosts: numeric addresses.
    :param port: the server's port.
    :param connect: the local address, and the options of the socket.
    :return: the address and its protocol.
    :raise ConnectionClosed: no address has a route.
    :raise twisted.internet.error.CannotListenError: the local address cannot be bound.
    """
    errors = []
    for host in hosts:
        protocol = makeProtocol()
        listening = _listen(reactor, 0, protocol, host, connect)
        try:
            listening.connect(host, port)
        except BaseException as error:
            listening.stopListening()
            if not isinstance(error, OSError):
                raise
            errors.append(f"no route to {host}: {error.strerror}")
        else:
            # A port in memory has no socket.
            if (receiver := getattr(listening, "socket", None)) is not None:
                enlargeReceiveBuffer(receiver)
            return host, protocol
    raise ConnectionClosed("; ".join(errors))
