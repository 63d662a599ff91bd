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
    "Time of an exchange, over the run",
    "Exchanges a second",
    "How the times are spread",
    "Percentiles by the number of nines",
]


def drawn(*results: StoredResult) -> dict[str, ET.Element]:
    """The pictures, by their titles."""
    found = svgPictures(results)
    # A page has the names of SVG without being told; here they are not resolved.
    return {each.title: ET.fromstring(each.svg.replace("xlink:href", "href")) for each in found}


def strokes(picture: ET.Element) -> str:
    return ET.tostring(picture, encoding="unicode")


class PictureTests(SynchronousTestCase):
    def test_all(self) -> None:
        """What was measured second by second has all four pictures, each with a size."""
        found = drawn(storedResult(1, 2, 400))
        self.assertEqual(list(found), TITLES)
        for each in found.values():
            _, _, width, height = (float(one) for one in each.attrib["viewBox"].split())
            self.assertTrue(width > 300 and height > 200)
            self.assertIn(COLOURS[0], strokes(each))

    def test_ink(self) -> None:
        """What is as the page's text has the page's colour, and there is no background."""
        for each in drawn(storedResult(1, 2)).values():
            self.assertIn("currentColor", strokes(each))
            self.assertNotIn("#ffffff", strokes(each))

    def test_closed(self) -> None:
        """A picture names no other place and nothing of a file, and has no name that another has."""
        for each in svgPictures([storedResult(1, 2, target="udp://secret:7")]):
            for foreign in ("http", "secret", "<metadata", "<?xml", 'id="axes_1"'):
                self.assertNotIn(foreign, each.svg)

    def test_few(self) -> None:
        """Without seconds only what the histogram tells is drawn; without any time nothing is."""
        few: dict[str, Any] = {"width": 0, "intervals": ()}
        self.assertEqual(list(drawn(storedResult(1, **few))), TITLES[2:])
        self.assertEqual(list(drawn(storedResult())), [TITLES[1]])
        self.assertEqual(drawn(storedVerification()), {})

    def test_colours(self) -> None:
        """Each result has a colour of its own, the same in each picture, whatever the others have to draw."""
        results = [storedResult(), storedVerification(), storedResult(1), storedResult(3, sent=5)]
        for title in TITLES:
            found = strokes(drawn(*results)[title])
            for number in (2, 3):
                self.assertIn(COLOURS[number], found)
            self.assertNotIn(COLOURS[1], found)

    def test_inlined(self) -> None:
        """An SVG document becomes an element, with what refers to its own parts."""
        text = (
            '<?xml version="1.0"?>\n<svg xmlns="http://x" xmlns:xlink="http://y"><metadata>\nm</metadata>'
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
        """All pictures are in one, two beside each other."""
        width, height = self.sizeOf([storedResult(1, 2)])
        _, less = self.sizeOf([storedResult(1, 2, intervals=())])
        self.assertTrue(width > 1500 and height > 1000 and less < 700)

    def test_names(self) -> None:
        """Names of targets are text, whatever they look like: no formula, nothing that the font lacks, and not too long."""
        for target in ("$x^$", "_hidden", "测试 \U0001f600", "long" * 100, "\\frac{"):
            self.sizeOf([storedResult(1, target=target), storedVerification()])

    def test_none(self) -> None:
        """Where there is nothing to draw there is no picture."""
        self.assertEqual(pngPicture([storedVerification()]), b"")
