from __future__ import annotations

from html.parser import HTMLParser

from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.charts import COLOURS
from echoproto.report.compare import compare
from echoproto.report.figures import Picture
from echoproto.report.html import page
from tests.report.sampleresults import sampleOrigin, storedResult, storedVerification


class Reader(HTMLParser):
    """The tags of a page, which must be balanced, with their attributes and texts."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.setdefault(self.open[-1], []).append(data.strip())


class PageTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """The page has a title, rows and charts, and its tags are balanced."""
        found = Reader(
            page([storedResult(1, 2)], [Picture("Spread", '<svg viewBox="0 0 1 1"></svg>')])
        )
        self.assertEqual(found.open, [])
        self.assertEqual(found.texts["title"], ["Echo of udp://lab1:7"])
        self.assertEqual(found.texts["figcaption"], ["Spread"])
        self.assertIn(("svg", "viewbox", "0 0 1 1"), found.attributes)
        for cell in ("udp://lab1:7", "2.000", "1 (10.00 %)"):
            self.assertIn(cell, found.texts["td"])
        self.assertIn(("html", "lang", "en"), found.attributes)
        self.assertIn(("meta", "content", "width=device-width, initial-scale=1"), found.attributes)

    def test_alone(self) -> None:
        """The page loads no files and no scripts, and its policy forbids them."""
        text = page([storedResult(1)], [])
        found = Reader(text)
        links = [name for _, name, _ in found.attributes if name in ("src", "href", "srcset")]
        self.assertEqual(links, [])
        self.assertNotIn("script", found.texts)
        for link in ("http:", "https:", "//cdn", "url(", "@import"):
            self.assertNotIn(link, text)
        self.assertIn("default-src 'none'", text)

    def test_escaped(self) -> None:
        """All text of a file is escaped."""
        evil = "<script>alert('1')</script>\"&$title"
        results = [storedResult(1, target=evil, files=(evil,)), storedResult(1)]
        text = page(results, [], [compare(*results)])
        self.assertNotIn("<script", text)
        found = Reader(text)
        self.assertEqual(found.texts["td"].count(evil), 4)
        self.assertIn(evil, found.texts["title"][0])
        self.assertIn(f"A: {evil}, rtt of 1 exchanges ({evil})", found.texts["p"])

    def test_notes(self) -> None:
        """The notes on a result are on the page."""
        result = storedResult(1, reasons={"Too many open files": 45}, limits=("<busy>",))
        text = page([result], [])
        self.assertIn("<p>udp://lab1:7: 45 times: Too many open files</p>", text)
        self.assertIn("limited by the client: &lt;busy&gt;", text)

    def test_descriptions(self) -> None:
        """The page has the start, the host and the labels of a result, and how sure it is."""
        result = storedResult(1, started="2026-01-01", origins=(sampleOrigin("<lab>", site="x"),))
        text = page([result], [], [compare(result, result)])
        self.assertIn("<p>udp://lab1:7: 2026-01-01; by &lt;lab&gt;; echoproto ", text)
        self.assertIn("site=x</p>", text)
        self.assertIn("<p>95% sure", text)

    def test_title(self) -> None:
        """The title names the first of many targets."""
        for names, title in (("ab", "a and b"), ("abc", "a and 2 more"), ("aa", "a")):
            text = page([storedResult(target=name) for name in names], [])
            self.assertIn(f"<title>Echo of {title}</title>", text)

    def test_marks(self) -> None:
        """A result has a mark in the colour of its charts."""
        text = page([storedVerification(), *[storedResult(1)] * 9], [])
        for number, colour in enumerate(COLOURS):
            # Once in each table; the first has no times.
            self.assertEqual(text.count(colour), 2 if number else 0)
        self.assertIn("The charts show the first 8 of 10 results.", text)

    def test_bytes(self) -> None:
        """Without times there is no table of them, and no note on charts."""
        text = page([storedVerification()], [])
        self.assertNotIn("p99", text)
        self.assertNotIn("over the run", text)
        self.assertNotIn("<figure", text)

    def test_compared(self) -> None:
        """A comparison has a table, with the verdict before the figures."""
        found = Reader(page([storedResult(1)] * 2, [], [compare(storedResult(1), storedResult(1))]))
        self.assertIn("Comparison", found.texts["h2"])
        at = found.texts["td"].index("p50")
        self.assertEqual(found.texts["td"][at + 1], "too few samples")
