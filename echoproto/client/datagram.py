"""The echo client on datagrams: exchanges matched by content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol

from echoproto.client.exchange import Exchange, checkBytes
from echoproto.client.matching import DatagramMatcher
from echoproto.errors import (
    Closed,
    ConnectionClosed,
    DatagramTooLong,
    EchoprotoError,
    ExchangeCancelled,
    ExchangeError,
)
from echoproto.targets.resolver import resolve
from echoproto.targets.udpports import openConnectedPort

#: Default time limit of an exchange, in seconds; a lost datagram has no reply.
DATAGRAM_TIMEOUT = 5.0


class EchoDatagramClient(DatagramProtocol):
    """
    A client of an echo service on datagrams; made by :func:`connectEchoDatagram`.

    Any number of exchanges may be outstanding; they are matched by content. Datagrams from any
    other address than the server's are ignored, except that before the first reply one with the
    content of a message fails its exchange: the error has that address.

    :ivar matcher: counts replies to no outstanding message: ``duplicates``, ``late``, ``foreign``.
        They fail no exchange, because networks duplicate and delay.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, timeout: float = DATAGRAM_TIMEOUT) -> None:
        self.matcher: DatagramMatcher[Exchange] = DatagramMatcher()
        self._clock = clock
        self._timeout = timeout
        self._closed: Deferred[None] | None = None
        self._stopped = self._hasReply = False

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
            self._transport.write(data)
        except MessageLengthError:
            self._giveUp(exchange, DatagramTooLong(f"{len(data)} bytes do not fit into a datagram"))
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

    def stopProtocol(self) -> None:
        """The port was closed, by this client or by the reactor."""
        self._stopped = True
        self._giveUpAll(ConnectionClosed("the port was closed"))

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """Match a datagram, and end the exchange that it answers."""
        if not self._hasReply:
            self._hasReply = True
            self._transport.reportOthers(None)
        for outcome in self.matcher.receive(datagram):
            if outcome.expected is not None:
                outcome.expected.end(outcome.error)
        self._closeIfDone()

    def otherReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram from another address; it answers an exchange if it has its content."""
        for exchange in self.matcher.outstanding:
            if exchange.data == datagram:
                reason = f"the reply is from {addr[0]} port {addr[1]}, not from the server"
                self._giveUp(exchange, ConnectionClosed(reason))
                return

    def connectionRefused(self) -> None:
        """The network reports the server's host or port as unreachable (ICMP)."""
        self._giveUpAll(ConnectionClosed("connection refused"))

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
        maybeDeferred(self._transport.stopListening).addBoth(self._closedNow, self._closed)

    def _closedNow(self, result: None, closed: Deferred[None]) -> None:
        # Unless it was cancelled.
        if not closed.called:
            closed.callback(result)

    def _closeCancelled(self, closed: Deferred[None]) -> None:
        error = ExchangeCancelled("close was cancelled")
        closed.errback(error)
        self._giveUpAll(error)

    @property
    def _transport(self) -> Any:
        return self.transport


def connectEchoDatagram(
    reactor: Any, host: str, port: int, timeout: float = DATAGRAM_TIMEOUT
) -> Deferred[EchoDatagramClient]:
    """
    Prepare a client of an echo service on datagrams. Nothing is sent: the first exchange shows
    whether the server answers.

    :param reactor: has UDP, a clock and, for names, a resolver.
    :param host: a numeric address or a name; the first address with a route is used.
    :param port: the port number.
    :param timeout: default time limit of an exchange, in seconds.
    :return: fires with a client, ready for :meth:`EchoDatagramClient.echo`. Fails with
        ``DNSLookupError``, or with ``ConnectionClosed`` without a route to that address.
    """

    def connect(addresses: Sequence[str]) -> EchoDatagramClient:
        client = EchoDatagramClient(reactor, timeout)
        openConnectedPort(reactor, client, addresses, port)
        transport: Any = client.transport
        transport.reportOthers(client.otherReceived)
        return client

    return resolve(reactor, host).addCallback(connect)
