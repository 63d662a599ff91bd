"""
The HTTP server of the pages in :mod:`.pages`.

It is plain ``twisted.web``, limited to the needs of such pages: few and short connections, no body,
no log line for any input.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site
from zope.interface import implementer

from echoproto.protocols.deadlines import DeadlineCall
from echoproto.status.pages import MakePage, Page, Status
from echoproto.status.state import MAXIMUM_CONNECTIONS, IState

#: Requests on one connection, after which it is closed: 82 kB hold 2,500 of them, which took 2.3 s
#: to answer in one turn.
MAXIMUM_REQUESTS = 20

#: Seconds for a request, from the opening or the last answer on, and again to read the rest of an
#: answer. Prometheus asks every 15 s or less often, so no connection of it is kept.
TIMEOUT = 15


class _Request(Request):
    """
    A request whose body, if any, is dropped on arrival: Twisted would keep it, in a file if it is
    long.
    """

    _log = Logger()
    isReceived = False

    def process(self) -> None:
        """It is complete: until its answer is made, its connection is not idle."""
        self.isReceived = True
        if self.path == b"*":
            # Twisted would answer it by itself, with its version.
            self.path = b"/"
        Request.process(self)

    def gotLength(self, length: int | None) -> None:
        """Keep nothing, whatever its length."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Dropped."""

    def processingFailed(self, reason: Failure) -> Failure:
        """An internal error: it is logged, and answered in plain text."""
        self._log.failure("no answer to {path}", failure=reason, path=self.path)
        page = Page(http.INTERNAL_SERVER_ERROR, b"internal error: see the log\n")
        Request.write(self, page.bodyFor(self))
        Request.finish(self)
        return reason


@implementer(IHalfCloseableProtocol)
class _Channel(HTTPChannel):
    """
    A connection that is answered in spite of a half-close, and limited to :data:`TIMEOUT` at every
    stage.
    """

    factory: StatusSite
    _closing = False
    _inputEnded = False
    _requests = 0

    @property
    def isIdle(self) -> bool:
        """Whether no answer is being made."""
        return not any(request.isReceived for request in self.requests)

    def connectionMade(self) -> None:
        """Take a place."""
        self.factory.used(self)
        HTTPChannel.connectionMade(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give it back."""
        self.factory.closed(self)
        HTTPChannel.connectionLost(self, reason)

    def resetTimeout(self) -> None:
        """
        Data does not extend the timeout: a client that sends a byte now and then would keep its
        place for ever.
        """

    def loseConnection(self) -> None:
        """Close when all is sent; :data:`TIMEOUT` seconds are left for that."""
        self._closing = True
        HTTPChannel.setTimeout(self, TIMEOUT)
        HTTPChannel.loseConnection(self)

    def timeoutConnection(self) -> None:
        """Close, or abort if that was not enough; Twisted would log either."""
        transport: Any = self.transport
        if self._closing:
            transport.abortConnection()
        else:
            self.loseConnection()

    def headerReceived(self, line: bytes) -> bool:
        """A header is complete; a length with more digits than Python converts is refused."""
        channel: Any = self  # Any: its methods are not typed
        try:
            return bool(HTTPChannel.headerReceived(self, line))
        except ValueError:
            channel._respondToBadRequestAndDisconnect()
            return False

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """
        Otherwise one piece of pipelined requests could hold thousands and block the program for
        seconds.
        """
        self.factory.used(self)
        self._requests += 1
        if self._requests < MAXIMUM_REQUESTS:
            return bool(HTTPChannel.checkPersistence(self, request, version))
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def readConnectionLost(self) -> None:
        """The client's FIN: close when its requests are answered."""
        self._inputEnded = True
        self._closeAtTheEnd()

    def requestDone(self, request: http.Request) -> None:
        """A request is answered, and the next one, if there is one, is being answered."""
        HTTPChannel.requestDone(self, request)
        self._closeAtTheEnd()

    def _closeAtTheEnd(self) -> None:
        if self._inputEnded and self.isIdle:
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """Never called: our FIN is sent only by closing."""


class StatusSite(Site):
    """
    The site to listen with.

    :param clock: measures the timeouts; the reactor, or a ``Clock`` in tests.
    :param state: the content of the pages.
    :param pages: makes further pages, by their paths.
    """

    noisy = False
    requestFactory = _Request
    protocol: Any = _Channel

    def __init__(
        self, clock: IReactorTime, state: IState, pages: Mapping[bytes, MakePage] | None = None
    ) -> None:
        Site.__init__(self, Status(state, pages), timeout=TIMEOUT, reactor=clock)
        # Ordered by their last request, or their opening; the values mean nothing.
        self._open: dict[_Channel, None] = {}

    def used(self, channel: _Channel) -> None:
        """A connection was opened, or has sent a request."""
        self._open.pop(channel, None)
        self._open[channel] = None

    def closed(self, channel: _Channel) -> None:
        """A connection was closed."""
        self._open.pop(channel, None)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection; if there are too many, the one that has been idle longest is reset."""
        idle = [channel for channel in self._open if channel.isIdle]
        if len(idle) >= MAXIMUM_CONNECTIONS:
            self.closed(idle[0])
            transport: Any = idle[0].transport
            transport.abortConnection()
        channel: Any = Site.buildProtocol(self, addr)
        # Its timeouts; Twisted would use the reactor's method.
        channel.callLater = partial(DeadlineCall, self.reactor)
        return channel

    # There is no access log, so neither its file nor the timer for the date of its lines.

    def startFactory(self) -> None:
        """Nothing to open."""

    def stopFactory(self) -> None:
        """Nothing to close."""
