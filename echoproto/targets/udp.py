"""
Targets and channels on UDP.

A connected port (:class:`UDPChannel`) receives from the server's address only, because the kernel
drops other datagrams; an unconnected one (:class:`UnconnectedUDPChannel`) shows the source of every
reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from echoproto.errors import ConnectionClosed, DatagramTooLong
from echoproto.targets.interfaces import IChannel, IReplyReceiver, ITarget
from echoproto.transports.udp import listenDatagrams


class UnconnectedUDPChannel(DatagramProtocol):
    """
    Sends to any address, and reports datagrams from any address.

    :param heard: called with each datagram, its numeric source address and source port.
    """

    noisy = False

    def __init__(self, heard: Callable[[bytes, str, int], None]) -> None:
        self._heard = heard
        self._closed = False

    def send(self, probe: bytes, host: str, port: int) -> None:
        """Send a datagram; raises ``OSError`` if the kernel does not accept it."""
        self._transport.write(probe, (host, port))

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Pass a datagram on."""
        if not self._closed:
            self._heard(datagram, addr[0], addr[1])

    def close(self) -> None:
        """Close the port; ``heard`` is not called any more."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport


def openUnconnectedChannel(
    reactor: Any,
    heard: Callable[[bytes, str, int], None],
    host: str,
    source: str = "",
    port: int = 0,
) -> UnconnectedUDPChannel:
    """
    Open an unconnected port.

    :param heard: see :class:`UnconnectedUDPChannel`.
    :param host: a numeric address, which decides the family.
    :param source: the numeric local address; empty for the kernel's choice.
    :param port: the local port; 0 for any free one.
    :raise twisted.internet.error.CannotListenError: the address or the port cannot be bound.
    """
    channel = UnconnectedUDPChannel(heard)
    listenDatagrams(reactor, port, channel, source or ("::" if isIPv6Address(host) else ""))
    return channel


@implementer(IChannel)
class UDPChannel(DatagramProtocol):
    """
    A UDP port that is connected to one address.

    :param receiver: receives the replies.
    """

    noisy = False
    ordered = False
    connectionless = True
    connectTime: int | None = None
    handshakeTime: int | None = None

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._closed = False

    def send(self, probe: bytes) -> None:
        """See :class:`IChannel`."""
        try:
            self._transport.write(probe)
        except MessageLengthError:
            raise DatagramTooLong(f"{len(probe)} bytes do not fit into a datagram") from None

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Pass a reply on."""
        if not self._closed:
            self._receiver.replyReceived(datagram)

    def connectionRefused(self) -> None:
        """The network reports the target as unreachable (ICMP)."""
        if not self._closed:
            self._receiver.connectionLost("refused: nothing listens there")

    def close(self) -> None:
        """See :class:`IChannel`."""
        self._closed = True
        maybeDeferred(self._transport.stopListening)

    @property
    def _transport(self) -> Any:
        return self.transport


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
        self, name: str, reactor: Any, host: str, port: int, size: int, source: str = ""
    ) -> None:
        self.name = name
        self.size = size
        self._reactor = reactor
        self.address = host
        self._port = port
        self._source = source or ("::" if isIPv6Address(host) else "")

    def open(self, receiver: IReplyReceiver) -> Deferred[UDPChannel]:
        """See :class:`ITarget`."""
        return maybeDeferred(self._open, receiver)

    def _open(self, receiver: IReplyReceiver) -> UDPChannel:
        channel = UDPChannel(receiver)
        listening = listenDatagrams(self._reactor, 0, channel, self._source)
        try:
            cast(Any, channel.transport).connect(self.address, self._port)
        except OSError as error:
            listening.stopListening()
            raise ConnectionClosed(f"no route to {self.address}: {error.strerror}") from error
        return channel
