"""
Pictures of saved results: one by one for a page, all in one as a PNG. What they show is drawn by :mod:`.charts`.

Called by ``echoproto report``. Needs matplotlib (extra ``plot``), of which it uses figures of its own and nothing that programs share. No
text of a file is in a picture for a page, which has it beside.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from echoproto.report.charts import (
    COLOURS,
    Numbered,
    histogram,
    overTime,
    percentiles,
    rates,
)
from echoproto.report.result import StoredResult

# What is drawn in this becomes the colour of the page's text.
_INK = "#1a1b1e"

# A figure's inches. Text is readable on a phone, on which it is as wide as the screen.
_SIZE = (5.6, 3.5)


@dataclass(frozen=True)
class Picture:
    """
    :ivar title: what it shows.
    :ivar svg: an element for HTML, without a colour for what is as the page's text, and without a background.
    """

    title: str
    svg: str


def svgPictures(results: Sequence[StoredResult]) -> list[Picture]:
    """What there is to draw of these results, for a page."""
    return [Picture(title, _svg(draw, drawn)) for title, draw, drawn in _drawings(results)]


def pngPicture(results: Sequence[StoredResult]) -> bytes:
    """All of it in one PNG, with the names of the targets; ``b""`` where there is nothing to draw."""
    drawings = _drawings(results)
    if not drawings:
        return b""
    rows = -(-len(drawings) // 2)
    width, height = _SIZE
    figure = Figure((2 * width, rows * height + 0.4), layout="constrained")
    for place, (title, draw, drawn) in enumerate(drawings, 1):
        axes = figure.add_subplot(rows, 2, place)
        axes.set_title(title, loc="left", fontsize="medium", color=_INK)
        _prepare(axes)
        draw(axes, drawn)
    _nameColours(figure, results)
    return _saved(figure, "png", dpi=150)


def _drawings(
    results: Sequence[StoredResult],
) -> list[tuple[str, Callable[[Any, Numbered], None], Numbered]]:
    """Each with its title, and with the results of which it can tell something."""
    numbered = list(enumerate(results[: len(COLOURS)]))
    timed = [each for each in numbered if each[1].times.count]
    lasting = [each for each in numbered if each[1].intervals]
    known = [each for each in timed if each[1].intervals or each[1].probes]
    found = (
        ("Time of an exchange, over the run", overTime, known),
        ("Exchanges a second", rates, lasting),
        ("How the times are spread", histogram, timed),
        ("Percentiles by the number of nines", percentiles, timed),
    )
    return [each for each in found if each[2]]


def _prepare(axes: Any) -> None:
    for each in ("top", "right"):
        axes.spines[each].set_visible(False)
    for each in axes.spines.values():
        each.set_color(_INK)
    axes.grid(color=_INK, alpha=0.14, linewidth=0.8)
    axes.tick_params(colors=_INK, which="both")
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)


def _nameColours(figure: Figure, results: Sequence[StoredResult]) -> None:
    """Which colour is whose."""
    drawn = [each for each in zip(COLOURS, results, strict=False) if each[1].measured]
    handles = [Patch(color=colour) for colour, _ in drawn]
    names = [_name(each) for _, each in drawn]
    legend = figure.legend(handles, names, loc="outside upper left", frameon=False, ncols=2)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(_INK)


def _name(result: StoredResult) -> str:
    # A space before it, as matplotlib hides what begins with "_"; and nothing that the font may lack.
    text = f" {result.target} ({result.origin})"
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _svg(draw: Callable[[Any, Numbered], None], results: Numbered) -> str:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.add_subplot()
    _prepare(axes)
    draw(axes, results)
    figure.patch.set_visible(False)
    text = _saved(figure, "svg").decode("utf-8")
    return inlined(text)


def inlined(text: str) -> str:
    """
    An SVG document as an element of HTML: without what names other places, such as its types and its licence, and in the colour of
    the page's text.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    # Other pictures of the page have such names as well.
    text = re.sub(r' id="[a-z_]+\d*_\d+"', "", text)
    return text.replace(_INK, "currentColor")


def _saved(figure: Figure, form: str, **named: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=form, **named)
    return stream.getvalue()
