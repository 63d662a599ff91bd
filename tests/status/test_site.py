from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone

from echoproto.status.pages import Page
from echoproto.status.site import MAXIMUM_REQUESTS, TIMEOUT, StatusSite
from echoproto.status.state import MAXIMUM_CONNECTIONS
from tests.status.sitecase import METRICS, SiteTestCase

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

    def test_noVersion(self) -> None:
        """No answer has the version of the server, not even that to OPTIONS for all pages."""
        for request, code in (
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
            (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
            (b"GET /%zz HTTP/9\r\n\r\n", b"400"),
        ):
            answer = self.response(request)
            self.assertIn(b" " + code + b" ", answer)
            self.assertNotIn(b"Server", answer)

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

    def test_longNumber(self) -> None:
        """A length with more digits than Python converts is a bad request, and logs nothing."""
        request = b"GET /healthz HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000)
        self.assertTrue(self.response(request).startswith(b"HTTP/1.1 400 "))
        self.assertQuiet()

    def test_fault(self) -> None:
        """An internal error is logged and answered with 500 in plain text; later requests work."""
        self.state.fault = RuntimeError("broken")
        status, header, body = self.request("/metrics")
        self.assertEqual((status, body), (500, b"internal error: see the log\n"))
        self.assertEqual(header["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.request("/healthz")[0], 200)


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

    def test_answering(self) -> None:
        """A connection whose answer is being made is never replaced, and takes no place."""
        makings: list[Deferred[Page]] = []

        def make(request: object) -> Deferred[Page]:
            makings.append(Deferred())
            return makings[-1]

        self.site = StatusSite(self.clock, self.state, {b"/later": make})
        answering = []
        for _ in range(2 * MAXIMUM_CONNECTIONS):
            pair, client = self.connect()
            answering.append((pair, client))
            client.link.write(b"GET /later HTTP/1.0\r\n\r\n")
            pair.pump()
        idle = [self.connect() for _ in range(MAXIMUM_CONNECTIONS + 1)]
        self.assertEqual(self.request("/healthz")[0], 200)
        for making in makings:
            making.callback(Page(200, b"made\n"))
        for pair, client in answering:
            pair.pump()
            self.assertTrue(client.received.endswith(b"\r\n\r\nmade\n"))
        for pair, _ in idle:
            pair.pump()
        closed = [pair.server.closed is not None for pair, _ in idle]
        self.assertEqual(closed, [True] * 2 + [False] * (MAXIMUM_CONNECTIONS - 1))

    def test_halfCloseBefore(self) -> None:
        """
        A client that half-closes before its answers are made gets all of them, and then the
        connection is closed; what is left of a request is not waited for.
        """
        makings: list[Deferred[Page]] = []

        def make(request: object) -> Deferred[Page]:
            makings.append(Deferred())
            return makings[-1]

        self.site = StatusSite(self.clock, self.state, {b"/later": make})
        pair, client = self.connect()
        client.link.write(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n" * 2 + b"GET /la")
        client.link.loseWriteConnection()
        pair.pump()
        for answers in (0, 1):
            self.assertEqual(client.received.count(b"made\n"), answers)
            self.assertIsNone(pair.server.closed)
            makings[answers].callback(Page(200, b"made\n"))
            pair.pump()
        self.assertEqual(client.received.count(b"made\n"), 2)
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        self.assertQuiet()

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
