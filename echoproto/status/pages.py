"""
Liveness, readiness and metrics: three pages over HTTP for monitoring, and those of a program.

========== ==================================================================
/healthz   200 ``ok`` as long as the program answers at all
/readyz    200 ``ready``, or 503 and the reason
/metrics   metrics for Prometheus
========== ==================================================================

The content comes from an :class:`IState`. :mod:`.site` serves them. The listener decides who can
reach them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from echoproto.status.recent import RecentMetrics
from echoproto.status.state import IState
from echoproto.status.turns import TooManyRequests

TEXT = b"text/plain; charset=utf-8"
EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


_ORIGIN = re.compile(rb"^https?://[^/]*", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """The response to a request."""

    code: int
    body: bytes
    contentType: bytes = TEXT

    def bodyFor(self, request: http.Request) -> bytes:
        """Set status and header of ``request``; returns the body, which HEAD does not get."""
        request.setResponseCode(self.code)
        request.responseHeaders.removeHeader(b"Server")
        request.setHeader(b"Content-Type", self.contentType)
        request.setHeader(b"Content-Length", b"%d" % len(self.body))
        request.setHeader(b"Cache-Control", b"no-store")
        return b"" if request.method == b"HEAD" else self.body


#: Makes a page, perhaps later; if the client leaves, the Deferred is cancelled, and its result is
#: dropped.
MakePage = Callable[[http.Request], Page | Deferred[Page]]


def _pathOf(target: bytes) -> bytes:
    """The path of a request target, also of one in absolute form, as proxies send it (RFC 9112)."""
    return _ORIGIN.sub(b"", target)


class Status(Resource):
    """
    The pages.

    :param state: the content of the three that every program has.
    :param pages: makes further ones, by their paths.
    """

    isLeaf = True

    def __init__(self, state: IState, pages: Mapping[bytes, MakePage] | None = None) -> None:
        Resource.__init__(self)
        self._state = state
        self._recentMetrics = RecentMetrics(state)
        self._pages: dict[bytes, MakePage] = {
            b"/healthz": lambda request: Page(http.OK, b"ok\n"),
            b"/readyz": self._readiness,
            b"/metrics": self._metrics,
            **(pages or {}),
        }

    def render(self, request: Request) -> bytes | int:
        """The body of the answer, or ``NOT_DONE_YET``."""
        answer = self._answer(request)
        if isinstance(answer, Page):
            return answer.bodyFor(request)
        making: Deferred[Page] = answer
        ending = request.notifyFinish().addErrback(lambda _: making.cancel())
        making.addErrback(_refuse).addCallback(_finish, request, ending).addErrback(_fail, request)
        return NOT_DONE_YET

    def _answer(self, request: http.Request) -> Page | Deferred[Page]:
        make = self._pages.get(_pathOf(request.path))
        if make is None:
            *paths, last = (path.decode() for path in self._pages)
            return Page(http.NOT_FOUND, f"there are {', '.join(paths)} and {last}\n".encode())
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return Page(http.NOT_ALLOWED, b"GET and HEAD only\n")
        return make(request)

    def _metrics(self, request: http.Request) -> Page | Deferred[Page]:
        found = self._recentMetrics()
        if isinstance(found, Deferred):
            return found.addCallback(lambda text: Page(http.OK, text, EXPOSITION))
        return Page(http.OK, found, EXPOSITION)

    def _readiness(self, request: http.Request) -> Page:
        if self._state.ready():
            return Page(http.OK, b"ready\n")
        return Page(http.SERVICE_UNAVAILABLE, f"{self._state.notReadyReason()}\n".encode())


def _refuse(failure: Failure) -> Page:
    failure.trap(TooManyRequests)
    return Page(http.SERVICE_UNAVAILABLE, b"too many requests at once; try again later\n")


def _finish(page: Page, request: http.Request, ending: Deferred[None]) -> None:
    """Write a page that was made later, unless the request has ended: its client has left."""
    if not ending.called:
        request.write(page.bodyFor(request))
        request.finish()


def _fail(failure: Failure, request: Request) -> None:
    """Report that a page could not be made, unless its client has left."""
    if not failure.check(CancelledError):
        request.processingFailed(failure)
