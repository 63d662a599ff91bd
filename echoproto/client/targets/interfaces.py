"""
Interfaces between measurements and the network: a target, an open channel to it, and the receiver
of its replies.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import Attribute, Interface

#: The reason of a connection that ended in order, by the server's FIN.
SERVER_CLOSED = "the server closed the connection"


class IReplyReceiver(Interface):
    """Receives the replies of a target."""

    def replyReceived(reply: bytes) -> None:
        """A datagram, or on a stream as many bytes as a probe has."""

    def connectionLost(reason: str) -> None:
        """The connection has ended, or the network reports the target as unreachable."""


class IChannel(Interface):
    """An open channel to a target."""

    ordered = Attribute("Whether replies arrive in the order of the probes, as on a stream.")
    connectionless = Attribute(
        "Whether it can still be used after ``connectionLost``, as a datagram channel can."
    )
    connectTime = Attribute("Nanoseconds until it was connected; ``None`` for datagrams.")
    handshakeTime = Attribute("Nanoseconds of the TLS handshake; ``None`` without TLS.")

    def send(probe: bytes) -> None:
        """Send a probe; raises ``OSError`` or ``ExchangeError`` if that fails."""

    def waited() -> int:
        """
        Nanoseconds that the reply that is being received has waited in our receive buffer; 0 if
        that is unknown, as on a UNIX socket. The first call starts the kernel's timestamps.
        """

    def dropped() -> int:
        """Number of replies that were dropped because our receive buffer was full."""

    def close() -> None:
        """
        Close it in order, on a stream by our FIN, when no reply is awaited any more; the receiver
        is not called any more.
        """

    def abort() -> None:
        """Close it at once, on a stream by a reset; the receiver is not called any more."""


class IStreamChannel(IChannel):
    """An open channel on a stream, which can be half-closed and has flow control."""

    unread = Attribute("Bytes that were received and not yet passed on.")

    def loseWriteConnection() -> bool:
        """
        Send our FIN; nothing more will be sent. Returns false if that is not possible, as over TLS.
        """

    def pauseProducing() -> None:
        """Stop reading for now."""

    def resumeProducing() -> None:
        """Read again."""

    def unregisterProducer() -> None:
        """See ``IConsumer``."""

    def registerProducer(producer: IPullProducer | IPushProducer, streaming: bool) -> None:
        """See ``IConsumer``."""


class ITarget(Interface):
    """A server to be measured."""

    name = Attribute("Its name for people.")
    address = Attribute("The numeric address in use; empty if it has none.")
    host = Attribute("The :class:`~.host.ResolvedHost` with all its addresses.")
    size = Attribute("Bytes of a probe.")
    ordered = Attribute("Whether replies arrive in the order of the probes, as on a stream.")
    hint = Attribute("Why an echo cannot be expected, and what to try; empty if it can.")

    def open(receiver: IReplyReceiver) -> Deferred[Any]:
        """
        Connect.

        :return: fires with an :class:`IChannel`, on a stream with an :class:`IStreamChannel`; fails
            with ``ConnectError`` or ``ExchangeError``, or with a lasting fault such as
            ``DNSLookupError``.
        """
