"""
Liveness, readiness and metrics: three pages over HTTP for monitoring.

========== ==================================================================
/healthz   200 ``ok`` as long as the program answers at all
/readyz    200 ``ready``, or 503 and the reason
/metrics   metrics for Prometheus
========== ==================================================================

Opened by :mod:`echoproto.server.application` if the operator wants it; the content comes from an
:class:`IState`. :mod:`.statussite` serves them. The listener decides who can reach them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from twisted.web import http
from twisted.web.resource import Resource

from echoproto.server.monitoring.state import IState

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
        self._pages: dict[bytes, Callable[[], Page]] = {
            b"/healthz": self._health,
            b"/readyz": self._readiness,
            b"/metrics": self._metrics,
        }

    def render(self, request: http.Request) -> bytes:
        """The body of the answer."""
        return self._answer(request).bodyFor(request)

    def _answer(self, request: http.Request) -> Page:
        page = self._pages.get(_pathOf(request.path))
        if page is None:
            return Page(http.NOT_FOUND, b"there are /healthz, /readyz and /metrics\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            return Page(http.NOT_ALLOWED, b"GET and HEAD only\n")
        return page()

    def _health(self) -> Page:
        return Page(http.OK, b"ok\n")

    def _readiness(self) -> Page:
        if self._state.ready():
            return Page(http.OK, b"ready\n")
        return Page(http.SERVICE_UNAVAILABLE, f"{self._state.notReadyReason()}\n".encode())

    def _metrics(self) -> Page:
        return Page(http.OK, self._state.metrics(), EXPOSITION)
