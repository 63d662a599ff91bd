"""
Targets and channels on UDP.

The port of a channel is connected: it receives from the server's address only, because the kernel
drops other datagrams. Until the first reply, replies from other addresses are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from errno import EMSGSIZE
from socket import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from echoproto.client.targets.clientsocket import pathMTU
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.failures import networkErrorReason
from echoproto.client.targets.host import HostTarget, ResolvedHost
from echoproto.client.targets.interfaces import IChannel, IReplyReceiver, ITarget
from echoproto.client.targets.udpports import openConnectedPort
from echoproto.client.targets.unanswered import UnansweredDatagrams
from echoproto.errors import DatagramTooLong, EchoprotoError
from echoproto.transports.receivebuffer import droppedDatagrams, waitedTime

#: Channels of a target that report replies from other addresses, which takes a second socket.
MAX_WATCHED = 16


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

    def stopProtocol(self) -> None:
        """The port was closed, by its channel or by other code."""
        self._channel.portClosed(self)


@implementer(IChannel)
class UDPChannel:
    """
    A UDP port that is connected to one address.

    If that refuses before the first reply, and the host has another address, the datagrams sent so
    far are sent there.

    :param receiver: receives the replies.
    :param target: opens the ports.
    :param isWatched: whether to report replies from other addresses.
    :ivar closedByOthers: called if other code, such as a reactor that stops, closes the port.
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
        addresses = target.host.take()
        self._others = list(addresses[1:])
        isUndecided = bool(self._others or isWatched)
        self._unanswered = UnansweredDatagrams() if isUndecided else None
        self._isWatched = isWatched
        self.closedByOthers: Callable[[], None] = lambda: None
        self._port: Any = None  # a _ConnectedPort, once one is open
        self._connect(addresses)

    def _connect(self, hosts: Sequence[str]) -> None:
        self._address, self._port = self._target.connect(lambda: _ConnectedPort(self), hosts)
        self._others = [host for host in self._others if host != self._address]
        self._write: Callable[[bytes], None] = self._transport.write
        if self._isWatched:
            self._transport.reportOthers(self._otherReceived)

    def send(self, probe: bytes) -> None:
        """See :class:`IChannel`."""
        if self._unanswered is not None:
            self._unanswered.add(probe)
        try:
            self._write(probe)
        except MessageLengthError:
            limit = "a datagram"
            if self._socket is not None and self._target.connectOptions.dontFragment:
                limit = f"a packet; the MTU of the path is {pathMTU(self._socket)}"
            raise DatagramTooLong(f"{len(probe)} bytes do not fit into {limit}") from None

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """Pass a reply on."""
        if self._unanswered is not None:
            self._answered(datagram, self._unanswered)
        if not self._closed:
            self._receiver.replyReceived(datagram)

    def _answered(self, reply: bytes, unanswered: UnansweredDatagrams) -> None:
        """The address is right: neither change it nor watch others any more."""
        self._target.hint = unanswered.hint(reply) or self._target.hint
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
        if self._unanswered is not None and self._unanswered.discard(datagram):
            self._receiver.connectionLost(
                f"the reply is from {addr[0]} port {addr[1]}, not from {self._address} "
                f"port {self._target.port}"
            )

    def connectionRefused(self, port: _ConnectedPort) -> None:
        """The network reports the target as unreachable (ICMP)."""
        # Not of a port that was replaced.
        if self._closed or port is not self._port:
            return
        number = getattr(self._transport, "networkError", 0)
        reason = networkErrorReason(number)
        if number == EMSGSIZE and self._socket is not None:
            reason = f"{reason}, whose MTU is {pathMTU(self._socket)}"
        if self._others and self._unanswered is not None:
            self._changeAddress(self._unanswered, reason)
        else:
            self._receiver.connectionLost(reason)

    def portClosed(self, port: _ConnectedPort) -> None:
        """A port was closed."""
        if not self._closed and port is self._port:
            self._closed = True
            self.closedByOthers()

    def _changeAddress(self, unanswered: UnansweredDatagrams, reason: str) -> None:
        refused = self._transport
        try:
            self._connect(self._others)
        except EchoprotoError as error:
            self._others = []
            self._receiver.connectionLost(f"{self._address} {reason}; {error}")
            return
        maybeDeferred(refused.stopListening)
        self._target.host.prefer(self._address)
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
class UDPTarget(HostTarget):
    """
    A server on UDP; see :class:`.HostTarget` for other parameters.

    :param reactor: has UDP.
    :param size: bytes of a probe.
    :param connectOptions: the local address, and the options of the sockets.
    :ivar port: port number of the server.
    :ivar connectOptions: the local address, and the options of the sockets.
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
        connectOptions: ConnectOptions = ConnectOptions(),
        rename: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(name, host, rename)
        self.size = size
        self.watched = 0
        self._reactor = reactor
        self.port = port
        self.connectOptions = connectOptions

    def open(self, receiver: IReplyReceiver) -> Deferred[UDPChannel]:
        """See :class:`ITarget`."""
        self.host.refresh()
        return maybeDeferred(self._open, receiver)

    def _open(self, receiver: IReplyReceiver) -> UDPChannel:
        isWatched = self.watched < MAX_WATCHED
        channel = UDPChannel(receiver, self, isWatched)
        self.watched += isWatched
        return channel

    def connect(
        self, makeProtocol: Callable[[], _ConnectedPort], hosts: Sequence[str]
    ) -> tuple[str, _ConnectedPort]:
        """See :func:`.openConnectedPort`."""
        options = self.connectOptions
        return openConnectedPort(self._reactor, makeProtocol, hosts, self.port, options)
