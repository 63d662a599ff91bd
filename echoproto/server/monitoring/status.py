"""
Liveness, readiness and metrics: three pages over HTTP for monitoring.

========== ==================================================================
/healthz   200 ``ok`` as long as the program answers at all
/readyz    200 ``ready``, or 503 and the reason
/metrics   metrics for Prometheus, or 501 and the extra to install
========== ==================================================================

Opened by :mod:`echoproto.server.application` if the operator wants it; the content comes from an
:class:`IState`. It is plain ``twisted.web``, limited to the needs of such pages: few and short
connections, no body, no log line for any input. The listener decides who can reach it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import Interface, implementer

from echoproto.protocols.deadlines import DeadlineCall

#: Connections at once: an orchestrator, some scrapers, an operator. A further one replaces the one
#: that has been idle longest, so that idle connections cannot make probes fail.
MAXIMUM_CONNECTIONS = 16

#: Requests on one connection, after which it is closed: 82 kB hold 2,500 of them, which took 2.3 s
#: to answer in one turn.
MAXIMUM_REQUESTS = 20

#: Seconds for a request, from the opening or the last answer on, and again to read the rest of an
#: answer. Prometheus asks every 15 s or less often, so no connection of it is kept.
TIMEOUT = 15

TEXT = b"text/plain; charset=utf-8"
EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


_ORIGIN = re.compile(rb"^https?://[^/]*", re.IGNORECASE)


class IState(Interface):
    """The state of the program."""

    def ready() -> bool:
        """Whether clients are served."""

    def notReadyReason() -> str:
        """Why they are not, in a word or two: ``starting``, ``draining``."""

    def metrics() -> bytes:
        """
        The metrics, as :func:`echoproto.server.monitoring.metrics.exposition` writes them.

        :raise ImportError: ``prometheus_client`` is not installed.
        """


@dataclass(frozen=True)
class _Answer:
    code: int
    body: bytes
    contentType: bytes = TEXT


def _described(request: http.Request, answer: _Answer) -> bytes:
    """Set status and header; returns the body, which HEAD does not get."""
    request.setResponseCode(answer.code)
    request.responseHeaders.removeHeader(b"Server")
    request.setHeader(b"Content-Type", answer.contentType)
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    request.setHeader(b"Cache-Control", b"no-store")
    return b"" if request.method == b"HEAD" else answer.body


def _pathOf(target: bytes) -> bytes:
    """The path of a request target, also of one in absolute form, as proxies send it (RFC 9112)."""
    return _ORIGIN.sub(b"", target)


class Status(Resource):
    """
    The three pages.

    :param state: their content.
    """

    isLeaf = True

    def __init__(self, state: IState) -> None:
        Resource.__init__(self)
        self._state = state
        self._pages: dict[bytes, Callable[[], _Answer]] = {
            b"/healthz": self._health,
            b"/readyz": self._readiness,
            b"/metrics": self._metrics,
        }

    def render(self, request: http.Request) -> bytes:
        """The body of the answer."""
        return _described(request, self._answer(request))

    def _answer(self, request: http.Request) -> _Answer:
        page = self._pages.get(_pathOf(request.path))
        if page is None:
            return _Answer(http.NOT_FOUND, b"there are /healthz, /readyz and /metrics\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return _Answer(http.NOT_ALLOWED, b"GET and HEAD only\n")
        return page()

    def _health(self) -> _Answer:
        return _Answer(http.OK, b"ok\n")

    def _readiness(self) -> _Answer:
        if self._state.ready():
            return _Answer(http.OK, b"ready\n")
        return _Answer(http.SERVICE_UNAVAILABLE, f"{self._state.notReadyReason()}\n".encode())

    def _metrics(self) -> _Answer:
        try:
            return _Answer(http.OK, self._state.metrics(), EXPOSITION)
        except ImportError:
            message = b"metrics need: pip install 'echoproto[metrics]'\n"
            return _Answer(http.NOT_IMPLEMENTED, message)


class _Request(Request):
    """
    A request whose body, if any, is dropped on arrival: Twisted would keep it, in a file if it is
    long.
    """

    _log = Logger()

    def gotLength(self, length: int | None) -> None:
        """Keep nothing, whatever its length."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Dropped."""

    def processingFailed(self, reason: Failure) -> Failure:
        """An internal error: it is logged, and answered in plain text."""
        self._log.failure("no answer to {path}", failure=reason, path=self.path)
        answer = _Answer(http.INTERNAL_SERVER_ERROR, b"internal error: see the log\n")
        Request.write(self, _described(self, answer))
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
    _requests = 0

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
        """The client's FIN: its requests are answered by now. Flush, then close."""
        self.loseConnection()

    def writeConnectionLost(self) -> None:
        """Never called: our FIN is sent only by closing."""


class StatusSite(Site):
    """The site; made by :func:`statusSite`."""

    noisy = False
    requestFactory = _Request
    protocol: Any = _Channel

    def __init__(self, clock: IReactorTime, state: IState) -> None:
        Site.__init__(self, Status(state), timeout=TIMEOUT, reactor=clock)
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
        if len(self._open) >= MAXIMUM_CONNECTIONS:
            idle = next(iter(self._open))
            self.closed(idle)
            transport: Any = idle.transport
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


def statusSite(clock: IReactorTime, state: IState) -> Site:
    """
    The site to listen with.

    :param clock: measures the timeouts; the reactor, or a ``Clock`` in tests.
    :param state: the content.
    """
    return StatusSite(clock, state)
