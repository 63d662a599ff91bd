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

#: What requests are made of, and what makes trouble in them.
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
    """Tells what the test has set."""

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
    """A site in memory, and the log, in which nothing may be written."""

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

    def answers(self, data: bytes) -> bytes:
        """
        All that comes back for ``data`` on a connection of its own, which the client then
        half-closes.
        """
        pair, client = self.connect()
        client.link.write(data)
        client.link.loseWriteConnection()
        pair.pump()
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        client.link.loseConnection()
        pair.pump()
        return client.received

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Status, header and body of the answer to one request."""
        received = self.answers(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
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
        """It is a site of Twisted's; the state of these tests is what it asks for."""
        self.assertIsInstance(self.site, Site)
        verifyObject(IState, self.state)
        verifyObject(IHalfCloseableProtocol, self.site.buildProtocol(None))

    def test_health(self) -> None:
        """``/healthz`` is 200 as long as anything answers, ready or not."""
        self.state.unready = "draining"
        self.assertEqual(self.ask("/healthz")[::2], (200, b"ok\n"))
        self.assertQuiet()

    def test_absoluteForm(self) -> None:
        """A target in absolute form, as a proxy sends it, is the page of its path."""
        for target, status in (
            ("http://127.0.0.1:9100/healthz", 200),
            ("HTTPS://[::1]/healthz?x", 200),
            ("http://a", 404),
            ("http://a?/healthz", 404),
            ("http://a/http://a/healthz", 404),
            ("ftp://a/healthz", 404),
        ):
            self.assertEqual(self.ask(target)[0], status, target)
        self.assertQuiet()

    def test_ready(self) -> None:
        """
        ``/readyz`` is 200 while clients are served, and 503 with the reason while they are not.
        """
        self.assertEqual(self.ask("/readyz")[::2], (200, b"ready\n"))
        self.state.unready = "starting"
        self.assertEqual(self.ask("/readyz")[::2], (503, b"starting\n"))
        self.assertQuiet()

    def test_metrics(self) -> None:
        """
        ``/metrics`` is what the state says, in the type that Prometheus knows, whatever the query.
        """
        status, header, body = self.ask("/metrics?name=x")
        self.assertEqual((status, body), (200, METRICS))
        self.assertEqual(header["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertQuiet()

    def test_extraIsMissing(self) -> None:
        """Without ``prometheus_client`` the answer is 501 and says what to install."""
        self.state.fault = ImportError("prometheus_client")
        status, header, body = self.ask("/metrics")
        self.assertEqual(status, 501)
        self.assertEqual(body, b"metrics need: pip install 'echoproto[metrics]'\n")
        self.assertEqual(header["content-type"], "text/plain; charset=utf-8")
        self.assertQuiet()

    def test_fault(self) -> None:
        """A fault of ours is logged, and answered with 500 in plain text; the next page comes."""
        self.state.fault = RuntimeError("broken")
        status, header, body = self.ask("/metrics")
        self.assertEqual((status, body), (500, b"internal error: see the log\n"))
        self.assertEqual(header["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.ask("/healthz")[0], 200)

    def test_elsewhere(self) -> None:
        """Any other path is 404, and the line says which there are."""
        for path in ("/", "/healthz/", "/metrics/x", "/%2e%2e/metrics", "x"):
            status, _, body = self.ask(path)
            self.assertEqual((status, body), (404, b"there are /healthz, /readyz and /metrics\n"))
        self.assertQuiet()

    def test_methods(self) -> None:
        """Any other method than GET and HEAD is 405, and the header says which there are."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            status, header, body = self.ask("/metrics", method)
            self.assertEqual((status, body), (405, b"GET and HEAD only\n"))
            self.assertEqual(header["allow"], "GET, HEAD")
        self.assertQuiet()

    def test_head(self) -> None:
        """HEAD has the status and the header of GET, its length included, and no body."""
        self.state.unready = "starting"
        for path in ("/healthz", "/readyz", "/metrics", "/nothing"):
            status, header, _ = self.ask(path)
            header.pop("date")
            withoutBody = self.ask(path, "HEAD")
            withoutBody[1].pop("date")
            self.assertEqual(withoutBody, (status, header, b""))
        self.assertQuiet()

    def test_header(self) -> None:
        """No answer may be stored, and none says which software gave it."""
        for path in ("/healthz", "/readyz", "/metrics", "/nothing"):
            header = self.ask(path)[1]
            self.assertEqual(header["cache-control"], "no-store")
            self.assertNotIn("server", header)
            self.assertIn("date", header)


class RequestTests(SiteTestCase):
    def test_keptAlive(self) -> None:
        """One connection takes several requests, one after the other or all at once."""
        pair, client = self.connect()
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        client.link.write(request)
        pair.pump()
        client.link.write(request * 2)
        pair.pump()
        self.assertEqual(client.received.count(b"\r\n\r\nok\n"), 3)
        self.assertNotIn("readLost", client.events)

    def test_many(self) -> None:
        """
        Of more requests than one connection may make, those are answered that it may; the last says
        so.
        """
        pair, client = self.connect()
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3 * MAXIMUM_REQUESTS)
        pair.pump()
        self.assertEqual(client.received.count(b"\r\n\r\nok\n"), MAXIMUM_REQUESTS)
        self.assertEqual(client.received.count(b"Connection: close"), 1)
        self.assertIn("readLost", client.events)

    def test_oldVersion(self) -> None:
        """A request in HTTP/1.0 is answered, then the connection is closed."""
        pair, client = self.connect()
        client.link.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        pair.pump()
        self.assertTrue(client.received.endswith(b"\r\n\r\nok\n"))
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        self.assertQuiet()

    def test_body(self) -> None:
        """A body is dropped, however long, however sent, and whatever it says that it is."""
        length = 1_000_000
        form = b"Content-Type: multipart/form-data; boundary=x\r\n"
        plain = b"POST /healthz HTTP/1.1\r\nContent-Length: %d\r\n%b\r\n" % (length, form)
        self.assertTrue(self.answers(plain + b"-" * length).startswith(b"HTTP/1.1 405 "))
        chunked = b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (length, b"-" * length)
        self.assertTrue(self.answers(chunked + body).endswith(b"\r\n\r\nok\n"))
        self.assertQuiet()

    def test_pieces(self) -> None:
        """A request that comes byte by byte is answered as one that comes whole."""
        pair, client = self.connect()
        pair.cut = lambda size: 1
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        pair.pump()
        self.assertTrue(client.received.endswith(b"\r\n\r\nok\n"))

    def test_notHTTP(self) -> None:
        """
        What is no request, or has an endless header, ends the connection, and no line is logged.
        """
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
        """
        Whatever is sent, the connection ends in order, its place is free again and nothing is
        logged.
        """
        self.answers(data)
        self.assertQuiet()


class ConnectionTests(SiteTestCase):
    def test_places(self) -> None:
        """
        Beyond the limit a new connection is answered in place of the one that has been idle
        longest; each that ends makes room for one.
        """
        pairs = [self.connect() for _ in range(MAXIMUM_CONNECTIONS)]
        first, client = pairs[0]
        client.link.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        first.pump()
        self.assertEqual(self.ask("/healthz")[0], 200)
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
        """A client that says nothing, or nothing more, is closed in order after the time limit."""
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
        """A client that sends a byte now and then has no more time than any other."""
        pair, client = self.connect()
        for _ in range(TIMEOUT):
            client.link.write(b"G")
            pair.pump()
            self.assertNotIn("readLost", client.events)
            self.clock.advance(1)
        pair.pump()
        self.assertIn("readLost", client.events)
        self.assertQuiet()

    def test_eachRequestHasTheTime(self) -> None:
        """The time counts from the last answer: who asks often enough is never closed."""
        pair, client = self.connect()
        for _ in range(10):
            client.link.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            pair.pump()
            self.clock.advance(TIMEOUT - 1)
        self.assertEqual(client.received.count(b"ready\n"), 10)
        self.assertNotIn("readLost", client.events)

    def test_neverTaken(self) -> None:
        """A client that does not take its answer is cut when the time for that is over."""
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
        """A client that sends its FIN with its request gets the whole answer."""
        self.assertTrue(self.answers(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").endswith(METRICS))
        self.assertQuiet()
