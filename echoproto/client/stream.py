"""The echo client on streams: pipelined exchanges, matched by position, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.exchange import Exchange, checkBytes
from echoproto.client.matching import StreamMatcher
from echoproto.client.targets.failures import endReason
from echoproto.errors import (
    Closed,
    ConnectionClosed,
    ExchangeCancelled,
    ExchangeError,
    ExchangeTimeout,
)
from echoproto.protocols.deadlines import DeadlineCall
from echoproto.protocols.lifecycle import canHalfClose

#: Default time limit of an exchange, in seconds.
STREAM_TIMEOUT = 30.0

#: Bytes given to the transport at a time, so that a large message is never copied whole.
WRITE_SIZE = 65_536


@implementer(IHalfCloseableProtocol, IPushProducer)
class EchoClient(Protocol):
    """
    A connection to an echo service on a stream; made by :func:`connectEcho`.

    Any number of exchanges may be outstanding. They are sent in order and matched by position;
    writing and reading interleave, so a message may be larger than all buffers on the path.
    """

    def __init__(self, clock: IReactorTime, timeout: float = STREAM_TIMEOUT) -> None:
        self._clock = clock
        self._timeout = timeout
        self._matcher: StreamMatcher[Exchange] = StreamMatcher()
        self._unsent: deque[Exchange] = deque()
        self._paused = False
        self._halfClosed = False
        self._closed: Deferred[None] | None = None
        self._gone: ExchangeError | None = None

    def echo(self, data: bytes, timeout: float | None = None) -> Deferred[bytes]:
        """
        Send ``data`` and wait for its echo.

        :param data: any number of bytes; an empty message is answered at once.
        :param timeout: time limit in seconds; by default the connection's.
        :return: fires with ``data`` when every byte of it was returned. Fails with ``EchoMismatch``
            at the first wrong byte, ``ExchangeTimeout``, ``ExchangeCancelled`` (after these two the
            rest is still sent, and its echo received, so that later exchanges keep their position),
            ``ConnectionClosed``, ``UnexpectedReply`` (data without a message arrived: positions are
            unknown), or ``Closed``.
        """
        checkBytes(data)
        if self._closed is not None:
            return fail(Closed("this client was closed"))
        if self._gone is not None:
            return fail(self._gone)
        if not data:
            return succeed(b"")
        seconds = self._timeout if timeout is None else timeout
        exchange = Exchange(data, self._clock, seconds, self._giveUp)
        self._matcher.expect(exchange)
        self._unsent.append(exchange)
        self._write()
        return exchange.result

    def close(self, timeout: float | None = None) -> Deferred[None]:
        """
        Send our FIN after the unsent data, and wait for outstanding replies and for the server's
        FIN.

        Over a transport without half-close, such as Twisted's own TLS, the outstanding replies are
        awaited first.

        :param timeout: seconds after which the connection is aborted.
        :return: fires with ``None`` when the connection has ended in order. Fails with
            ``ExchangeTimeout``, ``UnexpectedReply``, ``ConnectionClosed`` (the connection ended
            before the last reply, or by a reset), or ``Closed`` if it was closed before.
        """
        if self._closed is not None:
            return fail(Closed("this client was closed"))
        if self._gone is not None:
            return fail(self._gone)
        seconds = self._timeout if timeout is None else timeout
        timer = DeadlineCall(self._clock, seconds, self._closeTimedOut, seconds)
        closed: Deferred[None] = Deferred(self._closeCancelled)
        self._closed = closed
        self._write()

        def over(result: object) -> Any:
            timer.stop()
            return result

        return closed.addBoth(over)

    # IProtocol and IHalfCloseableProtocol: called by the transport.

    def connectionMade(self) -> None:
        """Register as the producer of the transport."""
        self._transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Match received data, and end the completed exchanges."""
        # All outcomes first: a Deferred that fires may send more, which this data does not answer.
        for outcome in list(self._matcher.receive(data)):
            if outcome.expected is None:
                self._abandon(cast(ExchangeError, outcome.error))
            else:
                outcome.expected.end(outcome.error)
        self._closeIfDone()

    def readConnectionLost(self) -> None:
        """The server's FIN: no more data will arrive."""
        self._transport.unregisterProducer()
        if self._matcher.outstanding:
            self._abandon(
                ConnectionClosed("the server closed the connection before the last reply")
            )
        else:
            self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our FIN has been sent."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the outstanding exchanges, and end :meth:`close`."""
        unanswered = list(self._matcher.outstanding)
        orderly = reason.check(ConnectionDone) and not unanswered
        why = self._gone or ConnectionClosed(f"the connection ended: {endReason(reason)}")
        self._gone = why
        self._unsent.clear()
        self._matcher.outstanding.clear()
        for exchange in unanswered:
            exchange.end(why)
        if self._closed is not None and not self._closed.called:
            if orderly:
                self._closed.callback(None)
            else:
                self._closed.errback(why)

    # IPushProducer: called by the transport as its queue fills and empties.

    def pauseProducing(self) -> None:
        """Stop writing until the queue is sent."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Continue to write."""
        self._paused = False
        self._write()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    def _write(self) -> None:
        while self._unsent and not self._paused:
            exchange = self._unsent[0]
            piece = exchange.data[exchange.written : exchange.written + WRITE_SIZE]
            exchange.written += len(piece)
            if exchange.written == len(exchange.data):
                self._unsent.popleft()
            self._transport.write(piece)
        self._closeIfDone()

    def _closeIfDone(self) -> None:
        if self._closed is None or self._unsent or self._halfClosed or self._gone:
            return
        if canHalfClose(self._transport):
            close = self._transport.loseWriteConnection
        elif not self._matcher.outstanding:
            close = self._transport.loseConnection
        else:
            return
        self._halfClosed = True
        self._transport.unregisterProducer()
        close()

    def _giveUp(self, exchange: Exchange, error: ExchangeError) -> None:
        if not exchange.written and exchange in self._unsent:
            self._unsent.remove(exchange)
            self._matcher.withdraw(exchange)
        exchange.end(error)

    def _closeTimedOut(self, seconds: float) -> None:
        self._abandon(ExchangeTimeout(f"the server did not close within {seconds:g} s"))

    def _closeCancelled(self, closed: Deferred[None]) -> None:
        error = ExchangeCancelled("close was cancelled")
        self._abandon(error)
        closed.errback(error)

    def _abandon(self, error: ExchangeError) -> None:
        """
        No further exchange can succeed: abort the connection; ``connectionLost`` ends the open
        exchanges.
        """
        self._gone = self._gone or error
        self._transport.abortConnection()

    @property
    def _transport(self) -> Any:
        return self.transport


def connectEcho(
    endpoint: IStreamClientEndpoint, clock: IReactorTime, timeout: float = STREAM_TIMEOUT
) -> Deferred[EchoClient]:
    """
    Connect to an echo service on a stream.

    :param endpoint: any client endpoint of Twisted.
    :param clock: measures the time limits; the reactor.
    :param timeout: default time limit of an exchange, in seconds.
    :return: fires with a client, ready for :meth:`EchoClient.echo`; fails with the endpoint's
        failure.
    """
    client: Deferred[EchoClient] = connectProtocol(endpoint, EchoClient(clock, timeout))
    return client
