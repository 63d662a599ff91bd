"""The echo client on datagrams: exchanges matched by content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from echoproto.client.exchange import Exchange, checkBytes
from echoproto.client.matching import DatagramMatcher
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.client.targets.resolver import resolve
from echoproto.client.targets.udp import UDPChannel, UDPTarget
from echoproto.errors import (
    Closed,
    ConnectionClosed,
    DatagramTooLong,
    EchoprotoError,
    ExchangeCancelled,
    ExchangeError,
)

#: Default time limit of an exchange, in seconds; a lost datagram has no reply.
DATAGRAM_TIMEOUT = 5.0


@implementer(IReplyReceiver)
class EchoDatagramClient:
    """
    A client of an echo service on datagrams; made by :func:`connectEchoDatagram`.

    Any number of exchanges may be outstanding; they are matched by content. Datagrams from any
    other address than the server's are ignored, with one exception: if the content of a message
    comes from another address before the first reply, the outstanding exchanges fail, and the
    error has that address.

    :ivar matcher: counts replies to no outstanding message: ``duplicates``, ``late``, ``foreign``.
        They fail no exchange, because networks duplicate and delay.
    """

    _channel: UDPChannel

    def __init__(self, clock: IReactorTime, timeout: float = DATAGRAM_TIMEOUT) -> None:
        self.matcher: DatagramMatcher[Exchange] = DatagramMatcher()
        self._clock = clock
        self._timeout = timeout
        self._closed: Deferred[None] | None = None
        self._stopped = False

    def opened(self, channel: UDPChannel) -> EchoDatagramClient:
        """Use a channel; returns this client."""
        self._channel = channel
        channel.closedByOthers = self._closedByOthers
        return self

    def echo(self, data: bytes, timeout: float | None = None) -> Deferred[bytes]:
        """
        Send ``data`` as one datagram and wait for its echo.

        :param data: 0 to 65,507 bytes on IPv4, 65,527 on IPv6.
        :param timeout: time limit in seconds; by default the client's.
        :return: fires with ``data`` when it was returned. Fails with ``EchoMismatch``,
            ``ExchangeTimeout``, ``ExchangeCancelled``, ``ConnectionClosed`` (refused, or the
            network did not accept it), ``DatagramTooLong`` or ``Closed``.
        """
        checkBytes(data)
        if self._closed is not None:
            return fail(Closed("this client was closed"))
        if self._stopped:
            return fail(ConnectionClosed("the port was closed"))
        seconds = self._timeout if timeout is None else timeout
        exchange = Exchange(data, self._clock, seconds, self._giveUp)
        self.matcher.expect(exchange)
        try:
            self._channel.send(data)
        except DatagramTooLong as error:
            self._giveUp(exchange, error)
        except OSError as error:
            self._giveUp(exchange, ConnectionClosed(f"not sent: {error.strerror}"))
        return exchange.result

    def close(self) -> Deferred[None]:
        """
        Wait for the outstanding exchanges, each until its own time limit, then close the port.

        :return: fires with ``None``; fails with ``Closed`` if it was closed before. If cancelled,
            it fails with ``ExchangeCancelled``, as do the outstanding exchanges, and the port is
            closed at once.
        """
        if self._closed is not None:
            return fail(Closed("this client was closed"))
        closed: Deferred[None] = Deferred(self._closeCancelled)
        self._closed = closed
        if self._stopped:
            closed.callback(None)
        self._closeIfDone()
        return closed

    def _closedByOthers(self) -> None:
        self._stopped = True
        self._giveUpAll(ConnectionClosed("the port was closed"))

    def replyReceived(self, reply: bytes) -> None:
        """Match a datagram, and end the exchange that it answers."""
        for outcome in self.matcher.receive(reply):
            if outcome.expected is not None:
                outcome.expected.end(outcome.error)
        self._closeIfDone()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`; the port stays open."""
        self._giveUpAll(ConnectionClosed(reason))

    def _giveUpAll(self, error: ExchangeError) -> None:
        for exchange in list(self.matcher.outstanding):
            self._giveUp(exchange, error)

    def _giveUp(self, exchange: Exchange, error: EchoprotoError) -> None:
        # A Deferred that failed may have cancelled this one just before.
        if exchange in self.matcher.outstanding:
            self.matcher.withdraw(exchange)
        exchange.end(error)
        self._closeIfDone()

    def _closeIfDone(self) -> None:
        if self._closed is None or self._stopped or self.matcher.outstanding:
            return
        self._stopped = True
        self._channel.close()
        # Unless it was cancelled.
        if not self._closed.called:
            self._closed.callback(None)

    def _closeCancelled(self, closed: Deferred[None]) -> None:
        error = ExchangeCancelled("close was cancelled")
        closed.errback(error)
        self._giveUpAll(error)


def connectEchoDatagram(
    reactor: Any, host: str, port: int, timeout: float = DATAGRAM_TIMEOUT
) -> Deferred[EchoDatagramClient]:
    """
    Prepare a client of an echo service on datagrams. Nothing is sent: the first exchange shows
    whether the server answers.

    :param reactor: has UDP, a clock and, for names, a resolver.
    :param host: a numeric address or a name. The first address with a route is used; if it refuses
        before the first reply, the next one.
    :param port: the port number.
    :param timeout: default time limit of an exchange, in seconds.
    :return: fires with a client, ready for :meth:`EchoDatagramClient.echo`. Fails with
        ``DNSLookupError``, or with ``ConnectionClosed`` without a route to that address.
    """

    def connect(addresses: Sequence[str]) -> Deferred[EchoDatagramClient]:
        client = EchoDatagramClient(reactor, timeout)
        target = UDPTarget(host, reactor, ResolvedHost(addresses), port, size=0)
        return target.open(client).addCallback(client.opened)

    return resolve(reactor, host).addCallback(connect)
