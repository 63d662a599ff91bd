from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from echoproto.server.monitoring.status import (
    MAXIMUM_CONNECTIONS,
    MAXIMUM_REQUESTS,
    TIMEOUT,
    IState,
    statusSite,
)
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS

METRICS = b"# HELP echoproto_draining 1 while stopping, else 0.\n"

#: Parts of requests, valid and invalid.
PIECES = [
    *(
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"OPTIONS ",
        b" ",
        b"/metrics",
        b"*",
        b"/%",
        b"?a=%ff;",
        b"\xff",
    ),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9", b"\r\n", b"\r\n\r\n", b"\n", b"\x00"),
    *(
        b"GET /healthz HTTP/1.1\r\n",
        b"POST * HTTP/1.1\r\n",
        b"Connection: close",
        b"Range: bytes=0-",
    ),
    *(b"Content-Length: 3", b"Content-Length: x", b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
    *(b"Expect: 100-continue", b"Cookie: =;a", b"If-None-Match: *", b"Accept-Encoding: gzip"),
]


@implementer(IState)
class State:
    """A state set by the test."""

    def __init__(self) -> None:
        self.unready = ""
        self.fault: Exception | None = None

    def ready(self) -> bool:
        return not self.unready

    def notReadyReason(self) -> str:
        return self.unready

    def metrics(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        return METRICS


class SiteTestCase(SynchronousTestCase):
    """A test case with a site in memory, and the log, which must stay empty."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.state = State()
        self.site = statusSite(self.clock, self.state)
        self.site.doStart()
        self.addCleanup(self.site.doStop)
        self.log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)

    def connect(self) -> tuple[StreamPair, RecordingProtocol]:
        client = RecordingProtocol()
        return StreamPair(client, self.site.buildProtocol(CLIENT_ADDRESS)), client

    def response(self, data: bytes) -> bytes:
        """Send ``data`` and a FIN on a new connection, and return the response."""
        pair, client = self.connect()
        client.link.write(data)
        client.link.loseWriteConnection()
        pair.pump()
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        client.link.loseConnection()
        pair.pump()
        return client.received

    def request(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the response to a request."""
        received = self.response(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        header = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): header[name] for name in header}, body

    def assertQuiet(self) -> None:
        """Nothing was logged, and nothing is scheduled."""
        self.assertEqual(list(self.log), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


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

    def test_extraIsMissing(self) -> None:
        """Without ``prometheus_client`` the response is 501 and names the extra to install."""
        self.state.fault = ImportError("prometheus_client")
        status, header, body = self.request("/metrics")
        self.assertEqual(status, 501)
        self.assertEqual(body, b"metrics need: pip install 'echoproto[metrics]'\n")
        self.assertEqual(header["content-type"], "text/plain; charset=utf-8")
        self.assertQuiet()

    def test_fault(self) -> None:
        """An internal error is logged and answered with 500 in plain text; later requests work."""
        self.state.fault = RuntimeError("broken")
        status, header, body = self.request("/metrics")
        self.assertEqual((status, body), (500, b"internal error: see the log\n"))
        self.assertEqual(header["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.request("/healthz")[0], 200)

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


class RequestTests(SiteTestCase):
    def test_keptAlive(self) -> None:
        """A connection accepts several requests, sequential or pipelined."""
        pair, client = self.connect()
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        client.link.write(request)
        pair.pump()
        client.link.write(request * 2)
        pair.pump()
        self.assertEqual(client.received.count(b"\r\n\r\nok\n"), 3)
        self.assertNotIn("readLost", client.events)

    def test_many(self) -> None:
        """Requests over the limit of a connection are not answered; the last response closes it."""
        pair, client = self.connect()
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3 * MAXIMUM_REQUESTS)
        pair.pump()
        self.assertEqual(client.received.count(b"\r\n\r\nok\n"), MAXIMUM_REQUESTS)
        self.assertEqual(client.received.count(b"Connection: close"), 1)
        self.assertIn("readLost", client.events)

    def test_oldVersion(self) -> None:
        """An HTTP/1.0 request is answered, and the connection closed."""
        pair, client = self.connect()
        client.link.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        pair.pump()
        self.assertTrue(client.received.endswith(b"\r\n\r\nok\n"))
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        self.assertQuiet()

    def test_body(self) -> None:
        """A request body of any length and encoding is ignored."""
        length = 1_000_000
        form = b"Content-Type: multipart/form-data; boundary=x\r\n"
        plain = b"POST /healthz HTTP/1.1\r\nContent-Length: %d\r\n%b\r\n" % (length, form)
        self.assertTrue(self.response(plain + b"-" * length).startswith(b"HTTP/1.1 405 "))
        chunked = b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (length, b"-" * length)
        self.assertTrue(self.response(chunked + body).endswith(b"\r\n\r\nok\n"))
        self.assertQuiet()

    def test_pieces(self) -> None:
        """A request received byte by byte is answered."""
        pair, client = self.connect()
        pair.cut = lambda size: 1
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        pair.pump()
        self.assertTrue(client.received.endswith(b"\r\n\r\nok\n"))

    def test_notHTTP(self) -> None:
        """Data other than HTTP, or endless headers, end the connection without a log line."""
        for data in (
            b"\x16\x03\x01\x00\xa5\x01\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000,
            b"G" * 100_000,
        ):
            pair, client = self.connect()
            client.link.write(data)
            pair.pump()
            self.assertIsNotNone(pair.server.closed)
        self.assertQuiet()

    @given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
    def test_garbage(self, data: bytes) -> None:
        """For any data, the connection ends normally, without a log line."""
        self.response(data)
        self.assertQuiet()


class ConnectionTests(SiteTestCase):
    def test_connectionLimit(self) -> None:
        """Over the limit, a new connection replaces the one idle longest; closed ones make room."""
        pairs = [self.connect() for _ in range(MAXIMUM_CONNECTIONS)]
        first, client = pairs[0]
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        first.pump()
        self.assertEqual(self.request("/healthz")[0], 200)
        for pair, _ in pairs:
            pair.pump()
        self.assertIsInstance(pairs[1][0].server.closed, ConnectionAborted)
        self.assertIsNone(first.server.closed)
        # The answered client has closed, so there is room for one.
        for expected in (None, ConnectionAborted):
            self.connect()
            pairs[2][0].pump()
            self.assertEqual(type(pairs[2][0].server.closed), expected or type(None))
        self.assertIsInstance(pairs[2][0].server.closed, ConnectionAborted)
        for pair, _ in pairs[3:]:
            pair.client.abortConnection()
            pair.pump()
        self.connect()
        self.assertIsNone(first.server.closed)

    def test_silent(self) -> None:
        """A silent client is closed normally after the timeout, before or after a request."""
        for data in (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"):
            pair, client = self.connect()
            client.link.write(data)
            pair.pump()
            self.clock.advance(TIMEOUT - 1)
            pair.pump()
            self.assertNotIn("readLost", client.events)
            self.clock.advance(1)
            pair.pump()
            self.assertIsInstance(pair.server.closed, ConnectionDone)
            self.assertQuiet()

    def test_heldUp(self) -> None:
        """A request that arrived while the process was stopped is answered."""
        pair, client = self.connect()
        self.clock.advance(10 * TIMEOUT)
        client.link.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        pair.pump()
        self.assertIn(b"200 OK", client.received)

    def test_trickle(self) -> None:
        """A client that sends single bytes does not extend its timeout."""
        pair, client = self.connect()
        for _ in range(TIMEOUT):
            client.link.write(b"G")
            pair.pump()
            self.assertNotIn("readLost", client.events)
            self.clock.advance(1)
        pair.pump()
        self.assertIn("readLost", client.events)
        self.assertQuiet()

    def test_timeoutRestarts(self) -> None:
        """The timeout restarts with every response."""
        pair, client = self.connect()
        for _ in range(10):
            client.link.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            pair.pump()
            self.clock.advance(TIMEOUT - 1)
        self.assertEqual(client.received.count(b"ready\n"), 10)
        self.assertNotIn("readLost", client.events)

    def test_neverRead(self) -> None:
        """A client that does not read its response is aborted at the timeout."""
        pair, client = self.connect()
        client.link.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        client.link.pauseProducing()
        pair.pump()
        self.clock.advance(TIMEOUT - 1)
        pair.pump()
        self.assertIsNone(pair.server.closed)
        self.clock.advance(1)
        pair.pump()
        self.assertIsInstance(pair.server.closed, ConnectionAborted)
        self.assertQuiet()

    def test_halfClose(self) -> None:
        """A client that half-closes after its request gets the whole response."""
        self.assertTrue(
            self.response(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").endswith(METRICS)
        )
        self.assertQuiet()
