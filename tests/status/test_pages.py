from __future__ import annotations

import re

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from echoproto.status.pages import Page
from echoproto.status.site import StatusSite
from echoproto.status.state import IState
from echoproto.status.turns import TooManyRequests
from echoproto.testing import RecordingProtocol, StreamPair
from tests.status.sitecase import METRICS, SiteTestCase


class PageTests(SiteTestCase):
    def test_interface(self) -> None:
        """The site is a Twisted Site, and the test's state provides IState."""
        self.assertIsInstance(self.site, Site)
        verifyObject(IState, self.state)
        verifyObject(IHalfCloseableProtocol, self.site.buildProtocol(None))

    def test_health(self) -> None:
        """``/healthz`` is 200 whether ready or not."""
        self.state.unready = "draining"
        self.assertEqual(self.request("/healthz")[::2], (200, b"ok\n"))
        self.assertQuiet()

    def test_absoluteForm(self) -> None:
        """A target in absolute form, as sent by a proxy, selects the page of its path."""
        for target, status in (
            ("http://127.0.0.1:9100/healthz", 200),
            ("HTTPS://[::1]/healthz?x", 200),
            ("http://a", 404),
            ("http://a?/healthz", 404),
            ("http://a/http://a/healthz", 404),
            ("ftp://a/healthz", 404),
        ):
            self.assertEqual(self.request(target)[0], status, target)
        self.assertQuiet()

    def test_ready(self) -> None:
        """``/readyz`` is 200 while clients are served, and otherwise 503 with the reason."""
        self.assertEqual(self.request("/readyz")[::2], (200, b"ready\n"))
        self.state.unready = "starting"
        self.assertEqual(self.request("/readyz")[::2], (503, b"starting\n"))
        self.assertQuiet()

    def test_metrics(self) -> None:
        """``/metrics`` returns the metrics in the Prometheus content type, for any query."""
        status, header, body = self.request("/metrics?name=x")
        self.assertEqual((status, body), (200, METRICS))
        self.assertEqual(header["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertQuiet()

    def test_laterMetrics(self) -> None:
        """Metrics that are made later are the same page."""
        for result, expected in (
            (METRICS, b"HTTP/1.1 200 .*version=0.0.4.*\r\n\r\n# HELP echoproto_draining"),
            (Failure(TooManyRequests()), b"HTTP/1.1 503 .*\r\n\r\ntoo many requests at once"),
        ):
            making: Deferred[bytes] = Deferred()
            self.patch(self.state, "metrics", lambda making=making: making)
            pair, client = self.connect()
            client.link.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            pair.pump()
            self.assertEqual(client.received, b"")
            making.callback(result)
            pair.pump()
            self.assertRegex(client.received, re.compile(expected, re.DOTALL))
            client.link.abortConnection()
            pair.pump()
        self.assertQuiet()

    def test_otherPaths(self) -> None:
        """Any other path is 404, and the body lists the paths."""
        for path in ("/", "/healthz/", "/metrics/x", "/%2e%2e/metrics", "x"):
            status, _, body = self.request(path)
            self.assertEqual((status, body), (404, b"there are /healthz, /readyz and /metrics\n"))
        self.assertQuiet()

    def test_methods(self) -> None:
        """Any other method than GET and HEAD is 405, and the Allow header lists both."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            status, header, body = self.request("/metrics", method)
            self.assertEqual((status, body), (405, b"GET and HEAD only\n"))
            self.assertEqual(header["allow"], "GET, HEAD")
        self.assertQuiet()

    def test_head(self) -> None:
        """HEAD has the status and headers of GET, including the length, and no body."""
        self.state.unready = "starting"
        for path in ("/healthz", "/readyz", "/metrics", "/nothing"):
            status, header, _ = self.request(path)
            header.pop("date")
            withoutBody = self.request(path, "HEAD")
            withoutBody[1].pop("date")
            self.assertEqual(withoutBody, (status, header, b""))
        self.assertQuiet()

    def test_header(self) -> None:
        """Responses are not cacheable, and do not name the server software."""
        for path in ("/healthz", "/readyz", "/metrics", "/nothing"):
            header = self.request(path)[1]
            self.assertEqual(header["cache-control"], "no-store")
            self.assertNotIn("server", header)
            self.assertIn("date", header)


class FurtherPageTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.made: Deferred[Page] = Deferred()
        self.site = StatusSite(self.clock, self.state, {b"/later": lambda request: self.made})

    def test_listed(self) -> None:
        """A program has further pages, which are listed with the others."""
        _, _, body = self.request("/")
        self.assertEqual(body, b"there are /healthz, /readyz, /metrics and /later\n")

    def ask(self) -> tuple[StreamPair, RecordingProtocol]:
        pair, client = self.connect()
        client.link.write(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        pair.pump()
        self.assertEqual(client.received, b"")
        return pair, client

    def test_later(self) -> None:
        """A page that is made later is sent then."""
        pair, client = self.ask()
        self.made.callback(Page(200, b"made\n"))
        pair.pump()
        self.assertTrue(client.received.endswith(b"\r\n\r\nmade\n"))
        client.link.abortConnection()
        pair.pump()
        self.assertQuiet()

    def test_left(self) -> None:
        """If the client leaves, the page is not made."""
        pair, client = self.ask()
        client.link.abortConnection()
        pair.pump()
        self.assertTrue(self.made.called)
        self.assertQuiet()

    def test_leftInTime(self) -> None:
        """A page that is made in spite of the cancellation is dropped if the client has left."""
        self.made = Deferred(lambda making: making.callback(Page(200, b"made\n")))
        pair, client = self.ask()
        client.link.abortConnection()
        pair.pump()
        self.assertTrue(self.made.called)
        self.assertQuiet()

    def test_fault(self) -> None:
        """If it cannot be made, the answer is 500 and the log has the fault."""
        pair, client = self.ask()
        self.made.errback(ZeroDivisionError("fault"))
        pair.pump()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
