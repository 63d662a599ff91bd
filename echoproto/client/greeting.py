"""The greeting client, on streams and on datagrams."""

from __future__ import annotations

import ssl
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.exchange import checkBytes
from echoproto.client.targets.failures import (
    CLOSED_HANDSHAKE,
    NO_HANDSHAKE,
    closedHint,
    endReason,
)
from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.client.targets.udp import UDPTarget
from echoproto.client.timelimit import limitTime
from echoproto.errors import (
    ConnectionClosed,
    EmptyReply,
    ExchangeCancelled,
    ExchangeError,
    ExchangeTimeout,
    ReplyTooLong,
)
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.protocols.echoplus import isAnswer
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING
from echoproto.protocols.lifecycle import canHalfClose

#: Default time limit of a greeting, in seconds, including the connection.
GREETING_TIMEOUT = 10.0

#: Maximum length of a reply, in bytes.
LONGEST_REPLY = 65_536


def otherService(message: bytes, reply: bytes, isDatagram: bool) -> str:
    """The service that has returned a message instead of greeting; empty if none has."""
    if reply == message:
        return "this is an echo service: it returned the greeting; try echoproto ping"
    if isDatagram and isAnswer(message, reply):
        return "this is a UDPEchoPlus service: it returned the greeting; try ping --mode udp-plus"
    return ""


@implementer(IHandshakeListener)
class _GreetingClient(Protocol):
    """One greeting exchange: connects, sends ``message``, collects data until the server closes."""

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        message: bytes,
        timeout: float,
        maximum: int,
    ) -> None:
        self.result: Deferred[bytes] = Deferred(lambda _: self.end(ExchangeCancelled("cancelled")))
        self._message = message
        self._maximum = maximum
        self._received = b""
        self._isSecured = False
        self._timer = DeadlineCall(clock, timeout, self._timedOut, timeout)
        self._connecting: Deferred[Any] = connectProtocol(endpoint, self)
        self._connecting.addErrback(self.end)

    def connectionMade(self) -> None:
        """Send the message, unless the exchange has ended."""
        transport: Any = self.transport
        if self.result.called:
            transport.abortConnection()
        else:
            transport.write(self._message)

    def handshakeCompleted(self) -> None:
        """See ``IHandshakeListener``."""
        self._isSecured = True

    def dataReceived(self, data: bytes) -> None:
        """Keep the reply, up to the maximum."""
        self._received += data
        if self._received == self._message and canHalfClose(self.transport):
            # An echo service: it closes after this, instead of at the time limit.
            cast(Any, self.transport).loseWriteConnection()
        if len(self._received) > self._maximum:
            self.end(ReplyTooLong(f"the reply is longer than {self._maximum} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server has closed: the collected data is the reply."""
        if reason.check(ssl.SSLError):
            self.end(reason)
            return
        if self._isInHandshake:
            self.end(ConnectionClosed(CLOSED_HANDSHAKE))
            return
        hint = "" if self._received else closedHint(self.transport)
        if not reason.check(ConnectionDone):
            self.end(ConnectionClosed(f"the connection ended: {endReason(reason)}{hint}"))
        elif not self._received:
            self.end(EmptyReply(f"the server closed without a reply{hint}"))
        else:
            self.end()

    def end(self, error: ExchangeError | Failure | None = None) -> None:
        """Fire the result, with the reply or with ``error``, and close the connection."""
        if self.result.called:
            return
        self._timer.stop()
        if error is None:
            self.result.callback(self._received)
            return
        self.result.errback(error)
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()
        else:
            self._connecting.cancel()

    @property
    def _isInHandshake(self) -> bool:
        return ISSLTransport.providedBy(self.transport) and not self._isSecured

    def _timedOut(self, timeout: float) -> None:
        if self.transport is None:
            self.end(ExchangeTimeout(f"no connection in {timeout:g} s"))
            return
        if self._isInHandshake:
            cause = NO_HANDSHAKE
        else:
            service = otherService(self._message, self._received, isDatagram=False)
            cause = service or f"received so far: {self._received[:64]!r}"
        self.end(ExchangeTimeout(f"the reply did not end within {timeout:g} s; {cause}"))


def greet(
    endpoint: IStreamClientEndpoint,
    clock: IReactorTime,
    message: bytes = CLIENT_GREETING,
    timeout: float = GREETING_TIMEOUT,
    maximum: int = LONGEST_REPLY,
) -> Deferred[bytes]:
    """
    Greet a greeting service on a stream: connect, send ``message``, collect the reply until the
    server closes. That of an echo service is the message.

    :param endpoint: any client endpoint of Twisted.
    :param clock: measures the time limit; the reactor.
    :param message: the client's text.
    :param timeout: time limit in seconds, including the connection.
    :param maximum: maximum length of the reply, in bytes.
    :return: fires with the reply. Fails with ``EmptyReply``, ``ReplyTooLong``, ``ExchangeTimeout``,
        ``ExchangeCancelled``, ``ConnectionClosed`` (a reset cut the reply), or with the endpoint's
        failure.
    """
    checkBytes(message)
    return _GreetingClient(endpoint, clock, message, timeout, maximum).result


@implementer(IReplyReceiver)
class _FirstReply:
    """Keeps the first datagram and closes its channel."""

    def __init__(self) -> None:
        self.reply: Deferred[bytes] = Deferred()

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self.reply.callback(reply)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self.reply.errback(ConnectionClosed(reason))


def greetDatagram(
    target: UDPTarget,
    clock: IReactorTime,
    message: bytes = CLIENT_GREETING,
    timeout: float = GREETING_TIMEOUT,
) -> Deferred[bytes]:
    """
    Greet a greeting service on datagrams: send ``message``, wait for the first reply.

    :param target: the server.
    :param clock: measures the time limit; the reactor.
    :param message: the client's text, in one datagram.
    :param timeout: time limit in seconds.
    :return: fires with the reply. Fails with ``ExchangeTimeout``, ``ExchangeCancelled``,
        ``ConnectionClosed`` (refused, or the network did not accept it), or ``DatagramTooLong``.
    """
    checkBytes(message)
    first = _FirstReply()

    def tooLate(result: object, seconds: float) -> Failure:
        isShort = len(message) < len(SERVER_GREETING)
        hint = "; over UDP a server answers no message shorter than its reply" if isShort else ""
        return Failure(ExchangeTimeout(f"no reply in {seconds:g} s{hint}"))

    async def exchange() -> bytes:
        channel = await target.open(first)
        try:
            channel.send(message)
            return await limitTime(first.reply, timeout, clock, tooLate)
        except CancelledError:
            raise ExchangeCancelled("cancelled") from None
        except OSError as error:
            raise ConnectionClosed(f"not sent: {error.strerror}") from error
        finally:
            channel.close()

    return ensureDeferred(exchange())
