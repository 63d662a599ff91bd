"""
What a target and the roads to it are, for who asks, and who hears what comes.

:mod:`.stream` has them for streams and datagrams; tests have their own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

#: What is told of a connection that ended in order, by the server's FIN and without a reset.
SERVER_CLOSED = "the server closed the connection"


class IReplyReceiver(Interface):
    """Who is told what comes from a target."""

    def replyReceived(reply: bytes) -> None:
        """A datagram has come; on a stream, as many bytes as a probe has."""

    def connectionLost(reason: str) -> None:
        """The connection has ended, or the network says that nobody is there."""


class IChannel(Interface):
    """An open way to a target."""

    ordered = Attribute("Whether replies come in the order of the probes, as on a stream.")
    connectionless = Attribute("Whether it still leads there after ``gone``, as a datagram's does.")
    connectTime = Attribute("Nanoseconds until it was connected; ``None`` where nothing is.")
    handshakeTime = Attribute("Nanoseconds of the TLS handshake; ``None`` without TLS.")

    def send(probe: bytes) -> None:
        """Send a probe; raises ``OSError`` or ``ExchangeError`` where it cannot be."""

    def close() -> None:
        """Nothing more is sent, and nobody told what comes."""


class ITarget(Interface):
    """What can be asked."""

    name = Attribute("For people.")
    address = Attribute("Its numeric address; empty where there is none to tell.")
    size = Attribute("Bytes of a probe.")
    ordered = Attribute("Whether replies come in the order of the probes, as on a stream.")

    def open(receiver: IReplyReceiver) -> Deferred[Any]:
        """
        Connect.

        :return: fires with an :class:`IChannel`; fails with ``ConnectError``, ``ExchangeError``, or what tells that it can
            never be, such as ``DNSLookupError``.
        """
