from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.charts import COLOURS
from echoproto.report.figures import inlined, pngPicture, svgPictures
from echoproto.report.result import StoredResult
from tests.report.sampleresults import storedResult, storedVerification

TITLES = [
    "Times over the run",
    "Exchanges per second",
    "Distribution of times",
    "Percentiles by the number of nines",
]


def drawn(*results: StoredResult) -> dict[str, ET.Element]:
    """The charts by title."""
    found = svgPictures(results)
    # HTML needs no namespaces for SVG, but XML does.
    return {chart.title: ET.fromstring(chart.svg.replace("xlink:href", "href")) for chart in found}


def strokes(picture: ET.Element) -> str:
    return ET.tostring(picture, encoding="unicode")


class PictureTests(SynchronousTestCase):
    def test_all(self) -> None:
        """A result with intervals has all four charts, each with a size."""
        found = drawn(storedResult(1, 2, 400))
        self.assertEqual(list(found), TITLES)
        for chart in found.values():
            _, _, width, height = map(float, chart.attrib["viewBox"].split())
            self.assertTrue(width > 300 and height > 200)
            self.assertIn(COLOURS[0], strokes(chart))

    def test_ink(self) -> None:
        """Text and axes have the colour of the page's text, and there is no background."""
        for chart in drawn(storedResult(1, 2)).values():
            self.assertIn("currentColor", strokes(chart))
            self.assertNotIn("#ffffff", strokes(chart))

    def test_closed(self) -> None:
        """A chart has no links, no text of a file, and no identifier that other charts have."""
        for chart in svgPictures([storedResult(1, 2, target="udp://secret:7")]):
            for foreign in ("http", "secret", "<metadata", "<?xml", 'id="axes_1"'):
                self.assertNotIn(foreign, chart.svg)

    def test_few(self) -> None:
        """Without intervals only the charts of the histogram are drawn, without times none."""
        few: dict[str, Any] = {"width": 0, "intervals": ()}
        self.assertEqual(list(drawn(storedResult(1, **few))), TITLES[2:])
        self.assertEqual(list(drawn(storedResult())), [TITLES[1]])
        self.assertEqual(drawn(storedVerification()), {})

    def test_colours(self) -> None:
        """A result has the same colour in each chart, and no other result has it."""
        results = [storedResult(), storedVerification(), storedResult(1), storedResult(3, sent=5)]
        for title in TITLES:
            found = strokes(drawn(*results)[title])
            for number in (2, 3):
                self.assertIn(COLOURS[number], found)
            self.assertNotIn(COLOURS[1], found)

    def test_inlined(self) -> None:
        """An SVG document becomes an element that keeps its internal references."""
        text = (
            '<?xml version="1.0"?>\n<svg xmlns="http://x" xmlns:xlink="http://y">'
            "<metadata>\nm</metadata>"
            '<g id="axes_1"><use xlink:href="#m1" fill="#1a1b1e"/></g></svg>'
        )
        self.assertEqual(
            inlined(text), '<svg><g><use xlink:href="#m1" fill="currentColor"/></g></svg>'
        )


class PNGTests(SynchronousTestCase):
    def sizeOf(self, results: Sequence[StoredResult]) -> tuple[int, int]:
        picture = pngPicture(results)
        self.assertEqual(picture[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", picture[16:24])
        return width, height

    def test_one(self) -> None:
        """All charts are in one picture, in two columns."""
        width, height = self.sizeOf([storedResult(1, 2)])
        _, less = self.sizeOf([storedResult(1, 2, intervals=())])
        self.assertTrue(width > 1500 and height > 1000 and less < 700)

    def test_names(self) -> None:
        """Any name can be drawn: formulas, characters missing in the font, long names."""
        for target in ("$x^$", "_hidden", "测试 \U0001f600", "long" * 100, "\\frac{"):
            self.sizeOf([storedResult(1, target=target), storedVerification()])

    def test_none(self) -> None:
        """Without charts there is no picture."""
        self.assertEqual(pngPicture([storedVerification()]), b"")
