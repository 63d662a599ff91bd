"""
Targets and channels on UDP.

A connected port (:class:`UDPChannel`) receives from the server's address only, because the kernel
drops other datagrams; an unconnected one (:class:`UnconnectedUDPChannel`) shows the source of every
reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from echoproto.errors import ConnectionClosed, DatagramTooLong
from echoproto.targets.interfaces import IChannel, IReplyReceiver, ITarget
from echoproto.transports.udp import listenDatagrams


class _UDPChannel(DatagramProtocol):
    """A UDP port that can be closed."""

    noisy = False
    _closed = False

    def close(self) -> None:
        """Close the port; no further reply is reported."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport


class UnconnectedUDPChannel(_UDPChannel):
    """
    Sends to any address, and reports datagrams from any address.

    :param replyReceived: called with each datagram, its numeric source address and source port.
    """

    def __init__(self, replyReceived: Callable[[bytes, str, int], None]) -> None:
        self._replyReceived = replyReceived

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
    source: str = "",
    port: int = 0,
) -> UnconnectedUDPChannel:
    """
    Open an unconnected port.

    :param reactor: has UDP.
    :param replyReceived: see :class:`UnconnectedUDPChannel`.
    :param host: a numeric address, which decides the family.
    :param source: the numeric local address; empty for the kernel's choice.
    :param port: the local port; 0 for any free one.
    :raise twisted.internet.error.CannotListenError: the address or the port cannot be bound.
    """
    channel = UnconnectedUDPChannel(replyReceived)
    listenDatagrams(reactor, port, channel, source or _anyAddress(host))
    return channel


def _anyAddress(host: str) -> str:
    """The local address for the kernel's choice, in the family of ``host``."""
    return "::" if isIPv6Address(host) else ""


def openConnectedPort(
    reactor: IReactorUDP, protocol: DatagramProtocol, host: str, port: int, source: str = ""
) -> None:
    """
    Open a UDP port that is connected to one address.

    :param reactor: has UDP.
    :param protocol: receives the datagrams from that address.
    :param host: its numeric address.
    :param port: its port.
    :param source: the numeric local address; empty for the kernel's choice.
    :raise ConnectionClosed: the address has no route.
    :raise twisted.internet.error.CannotListenError: the local address cannot be bound.
    """
    listening: Any = listenDatagrams(reactor, 0, protocol, source or _anyAddress(host))
    try:
        listening.connect(host, port)
    except BaseException as error:
        listening.stopListening()
        if isinstance(error, OSError):
            raise ConnectionClosed(f"no route to {host}: {error.strerror}") from error
        raise


@implementer(IChannel)
class UDPChannel(_UDPChannel):
    """
    A UDP port that is connected to one address.

    :param receiver: receives the replies.
    """

    ordered = False
    connectionless = True
    connectTime: int | None = None
    handshakeTime: int | None = None

    def __init__(self, receiver: IReplyReceiver) -> None:
        self._receiver = receiver

    def send(self, probe: bytes) -> None:
        """See :class:`IChannel`."""
        try:
            self._transport.write(probe)
        except MessageLengthError:
            raise DatagramTooLong(f"{len(probe)} bytes do not fit into a datagram") from None

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """Pass a reply on."""
        if not self._closed:
            self._receiver.replyReceived(datagram)

    def connectionRefused(self) -> None:
        """The network reports the target as unreachable (ICMP)."""
        if not self._closed:
            self._receiver.connectionLost("refused: nothing listens there")


@implementer(ITarget)
class UDPTarget:
    """
    A server on UDP.

    :param name: its name for people.
    :param reactor: has UDP.
    :param host: its numeric address.
    :param port: its port.
    :param size: bytes of a probe.
    :param source: the numeric local address; empty for the kernel's choice.
    """

    ordered = False

    def __init__(
        self, name: str, reactor: IReactorUDP, host: str, port: int, size: int, source: str = ""
    ) -> None:
        self.name = name
        self.size = size
        self._reactor = reactor
        self.address = host
        self._port = port
        self._source = source

    def open(self, receiver: IReplyReceiver) -> Deferred[UDPChannel]:
        """See :class:`ITarget`."""
        return maybeDeferred(self._open, receiver)

    def _open(self, receiver: IReplyReceiver) -> UDPChannel:
        channel = UDPChannel(receiver)
        openConnectedPort(self._reactor, channel, self.address, self._port, self._source)
        return channel
