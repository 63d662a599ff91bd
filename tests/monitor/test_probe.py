from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import DNSLookupError

from echoproto.monitor import probe as module
from echoproto.monitor.probe import MAX_REQUESTS, TIMEOUT_HEADER, ProbePage
from echoproto.status.pages import Page
from tests.monitor.fakes import EchoTarget, ProberTestCase


class Request:
    """A request for a path, perhaps with a timeout of Prometheus."""

    def __init__(self, uri: str, timeout: str | None) -> None:
        self.uri = uri.encode()
        self.timeout = timeout

    def getHeader(self, name: str) -> str | None:
        return self.timeout if name == TIMEOUT_HEADER else None


class ProbePageTests(ProberTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(module, "makeTarget", self.makeNow)
        self.page = ProbePage(self.clock, self.now, b"test")

    def makeNow(self, *arguments: object, lookupTime: int) -> Deferred[Any]:
        self.lookupTime = lookupTime
        return self.makeTarget()

    def ask(self, query: str, timeout: str | None = None) -> Any:
        request: Any = Request(f"/probe?{query}", timeout)
        return self.page(request)

    def figures(self, page: Page) -> dict[str, float]:
        return {
            sample.name + sample.labels.get("figure", ""): sample.value
            for family in text_string_to_metric_families(page.body.decode())
            for sample in family.samples
        }

    def test_probed(self) -> None:
        """The target is probed so many times, and the page has the figures."""
        making = self.ask("target=udp://lab1:7&count=5&interval=200ms&wait=1s&size=32")
        self.assertNoResult(making)
        self.advance(2)
        found = self.figures(self.successResultOf(making))
        self.assertEqual((found["probe_success"], found["echoproto_probe_sent"]), (1, 5))
        self.assertEqual((found["echoproto_probe_received"], found["echoproto_probe_lost"]), (5, 0))
        self.assertAlmostEqual(found["probe_duration_seconds"], 0.8, 1)
        self.assertIn("echoproto_probe_rtt_secondsmean", found)

    def test_unanswered(self) -> None:
        """Without a reply it is no success, and there is no round-trip time."""
        self.target.answers = False
        making = self.ask("target=lab1&reconnect=true")
        self.advance(5)
        found = self.figures(self.successResultOf(making))
        self.assertEqual((found["probe_success"], found["echoproto_probe_lost"]), (0, 3))
        self.assertNotIn("echoproto_probe_rtt_secondsmean", found)

    def test_unreachable(self) -> None:
        """A name that is not found is no success."""
        self.makings = [fail(DNSLookupError("no such host"))]
        found = self.figures(self.successResultOf(self.ask("target=lab1")))
        self.assertEqual((found["probe_success"], found["echoproto_probe_sent"]), (0, 0))

    def test_timeout(self) -> None:
        """The answer is sent before the timeout of Prometheus."""
        self.target = EchoTarget()
        self.target.answers = False
        making = self.ask("target=lab1&count=1000&wait=1m", "2")
        self.advance(1.4)
        self.assertNoResult(making)
        self.advance(0.2)
        self.successResultOf(making)
        self.assertEqual(self.lookupTime, 1_500_000_000)

    def test_left(self) -> None:
        """If the client leaves, the probes end."""
        making = self.ask("target=lab1&count=1000")
        making.cancel()
        self.successResultOf(making)

    def test_many(self) -> None:
        """Of too many requests at once the last are refused; one that ends makes room."""
        makings = [self.ask("target=lab1&count=1000") for _ in range(MAX_REQUESTS)]
        refused = self.ask("target=lab1")
        self.assertEqual((refused.code, refused.body.count(b"\n")), (503, 1))
        makings.pop().cancel()
        makings.append(self.ask("target=lab1&count=1000"))
        for making in makings:
            making.cancel()
            self.successResultOf(making)

    def test_invalid(self) -> None:
        """An invalid request is answered by one line."""
        for query, timeout, message in (
            ("count=5", None, "missing target"),
            ("target=lab1&x=1", None, "unknown parameter 'x' (known: target, count, "),
            ("target=lab1&count=0", None, "invalid count '0' (1 to 1000)"),
            ("target=lab1&count=x", None, "invalid number 'x'"),
            ("target=lab1&size=99999", None, "invalid size 99999"),
            ("target=lab1&reconnect=1", None, "invalid value '1' (true or false)"),
            ("target=lab1&wait=x", None, "invalid duration 'x'"),
            ("target=lab1&target=lab2", None, "target: a request has only one"),
            ("count=2&target=lab1&count=3", None, "count: a request has only one"),
            ("target=unix:///x", None, "a client cannot probe UNIX sockets"),
            ("target=lab1", "soon", "invalid number 'soon'"),
            ("target=lab1", "nan", "invalid number 'nan'"),
        ):
            page = self.ask(query, timeout)
            self.assertEqual(page.code, 400)
            self.assertIn(message, page.body.decode())
