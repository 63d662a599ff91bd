"""
Targets and channels on UDP.

A connected port (:class:`UDPChannel`) receives from the server's address only, because the kernel
drops other datagrams; until its first reply, replies from other addresses are reported. An
unconnected one (:class:`UnconnectedUDPChannel`) shows the source of every reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from socket import socket
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from echoproto.errors import ConnectionClosed, DatagramTooLong, EchoprotoError
from echoproto.targets.host import ResolvedHost
from echoproto.targets.interfaces import IChannel, IReplyReceiver, ITarget
from echoproto.transports.receivebuffer import droppedDatagrams, enlargeReceiveBuffer, waitedTime
from echoproto.transports.udp import listenDatagrams

#: Datagrams that a channel remembers until its first reply.
MAX_UNANSWERED = 16

#: Channels of a target that report replies from other addresses, which takes a second socket.
MAX_WATCHED = 16


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
    reactor: IReactorUDP,
    protocol: DatagramProtocol,
    hosts: Sequence[str],
    port: int,
    source: str = "",
) -> str:
    """
    Open a UDP port that is connected to the first of several addresses that has a route.

    :param reactor: has UDP.
    :param protocol: receives the datagrams from that address.
    :param hosts: numeric addresses.
    :param port: the server's port.
    :param source: the numeric local address; empty for the kernel's choice.
    :return: the address.
    :raise ConnectionClosed: no address has a route.
    :raise twisted.internet.error.CannotListenError: the local address cannot be bound.
    """
    errors = []
    for host in hosts:
        listening: Any = listenDatagrams(reactor, 0, protocol, source or _anyAddress(host))
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
            return host
    raise ConnectionClosed("; ".join(errors))


class _ConnectedPort(DatagramProtocol):
    """The port of a channel, which has another one after the address was changed."""

    noisy = False
    # The channel's own method, because a further call would cost a load CPU time.
    datagramReceived: Any

    def __init__(self, channel: UDPChannel) -> None:
        self._channel = channel
        self.datagramReceived = channel.datagramReceived

    def connectionRefused(self) -> None:
        """The network reports the target as unreachable (ICMP)."""
        self._channel.connectionRefused(self)


@implementer(IChannel)
class UDPChannel:
    """
    A UDP port that is connected to one address.

    If that refuses before the first reply, and the host has another address, the datagrams sent so
    far are sent there.

    :param receiver: receives the replies.
    :param target: opens the ports.
    :param isWatched: whether to report replies from other addresses.
    """

    ordered = False
    connectionless = True
    connectTime: int | None = None
    handshakeTime: int | None = None

    def __init__(self, receiver: IReplyReceiver, target: UDPTarget, isWatched: bool) -> None:
        self._receiver = receiver
        self._target = target
        self._closed = False
        self._dropped = 0
        self._others = list(target.addresses[1:])
        self._unanswered: deque[bytes] | None = None
        if self._others or isWatched:
            self._unanswered = deque(maxlen=MAX_UNANSWERED)
        self._isWatched = isWatched
        self._port: _ConnectedPort
        self._connect(target.addresses)

    def _connect(self, hosts: Sequence[str]) -> None:
        opened = _ConnectedPort(self)
        self._address = self._target.connect(opened, hosts)
        self._port = opened
        self._others = [host for host in self._others if host != self._address]
        self._write: Callable[[bytes], None] = self._transport.write
        if self._isWatched:
            self._transport.reportOthers(self._otherReceived)

    def send(self, probe: bytes) -> None:
        """See :class:`IChannel`."""
        if self._unanswered is not None:
            self._unanswered.append(probe)
        try:
            self._write(probe)
        except MessageLengthError:
            raise DatagramTooLong(f"{len(probe)} bytes do not fit into a datagram") from None

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """Pass a reply on."""
        if self._unanswered is not None:
            self._answered()
        if not self._closed:
            self._receiver.replyReceived(datagram)

    def _answered(self) -> None:
        """The address is right: neither change it nor watch others any more."""
        self._unanswered = None
        self._others = []
        self._ignoreOthers()

    def _ignoreOthers(self) -> None:
        if self._isWatched:
            self._isWatched = False
            self._transport.reportOthers(None)
            self._target.watched -= 1

    def _otherReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram from another address: report it if it is the reply to one of ours."""
        if self._unanswered and datagram in self._unanswered:
            self._unanswered.remove(datagram)
            self._receiver.connectionLost(
                f"the reply is from {addr[0]} port {addr[1]}, not from {self._address}"
            )

    def connectionRefused(self, port: _ConnectedPort) -> None:
        """The network reports the target as unreachable (ICMP)."""
        # Not of a port that was replaced.
        if self._closed or port is not self._port:
            return
        if self._others and self._unanswered is not None:
            self._changeAddress(self._unanswered)
        else:
            self._receiver.connectionLost("refused: nothing listens there")

    def _changeAddress(self, unanswered: deque[bytes]) -> None:
        refused = self._transport
        try:
            self._connect(self._others)
        except EchoprotoError as error:
            self._others = []
            self._receiver.connectionLost(
                f"{self._address} refused: nothing listens there; {error}"
            )
            return
        maybeDeferred(refused.stopListening)
        self._target.prefer(self._address)
        for probe in unanswered:
            self._write(probe)

    def waited(self) -> int:
        """See :class:`IChannel`."""
        receiver = self._socket
        return 0 if receiver is None else waitedTime(receiver)

    def dropped(self) -> int:
        """See :class:`IChannel`."""
        if (receiver := self._socket) is not None:
            self._dropped = droppedDatagrams(receiver)
        return self._dropped

    @property
    def _socket(self) -> socket | None:
        """The open socket; a port in memory has none."""
        return None if self._closed else getattr(self._transport, "socket", None)

    def close(self) -> None:
        """See :class:`IChannel`."""
        if not self._closed:
            self.dropped()
            self._closed = True
            self._ignoreOthers()
            maybeDeferred(self._transport.stopListening)

    #: A datagram under way holds no port.
    abort = close

    @property
    def _transport(self) -> Any:
        return self._port.transport


@implementer(ITarget)
class UDPTarget:
    """
    A server on UDP.

    :param name: its name for people.
    :param reactor: has UDP.
    :param host: its host.
    :param port: its port.
    :param size: bytes of a probe.
    :param source: the numeric local address; empty for the kernel's choice.
    :param rename: its name by the address in use; ``None`` if that is always ``name``.
    :ivar watched: number of channels that report replies from other addresses.
    """

    ordered = False

    def __init__(
        self,
        name: str,
        reactor: IReactorUDP,
        host: ResolvedHost,
        port: int,
        size: int,
        source: str = "",
        rename: Callable[[str], str] | None = None,
    ) -> None:
        self.size = size
        self.watched = 0
        self._name = name
        self._reactor = reactor
        self._host = host
        self._port = port
        self._source = source
        self._rename = rename

    @property
    def name(self) -> str:
        """See :class:`ITarget`."""
        return self._name if self._rename is None else self._rename(self.address)

    @property
    def addresses(self) -> Sequence[str]:
        """Its numeric addresses, the one in use first."""
        return self._host.addresses

    @property
    def address(self) -> str:
        """See :class:`ITarget`."""
        return self._host.address

    def open(self, receiver: IReplyReceiver) -> Deferred[UDPChannel]:
        """See :class:`ITarget`."""
        self._host.refresh()
        return maybeDeferred(self._open, receiver)

    def _open(self, receiver: IReplyReceiver) -> UDPChannel:
        isWatched = self.watched < MAX_WATCHED
        channel = UDPChannel(receiver, self, isWatched)
        self.watched += isWatched
        return channel

    def connect(self, protocol: DatagramProtocol, hosts: Sequence[str]) -> str:
        """Open a port that is connected to one of these addresses; returns that address."""
        return openConnectedPort(self._reactor, protocol, hosts, self._port, self._source)

    def prefer(self, address: str) -> None:
        """Use this address from now on."""
        self._host.prefer(address)
