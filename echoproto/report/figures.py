"""
Figures of stored results: SVG for each chart of a page, or a PNG with all charts.

Needs matplotlib (extra ``plot``), and leaves its global state alone. The SVG contains no text of a
file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from echoproto.report.charts import COLOURS, Numbered, histogram, overTime, percentiles, rates
from echoproto.report.result import StoredResult

# On a page this becomes the colour of its text.
_INK = "#1a1b1e"

# Size in inches; text is readable on a phone as wide as the figure.
_SIZE = (5.6, 3.5)

_PNG_DPI = 150


@dataclass(frozen=True)
class Picture:
    """
    A chart for a page.

    :ivar title: its title.
    :ivar svg: an element for HTML, in the colour of the page's text, without a background.
    """

    title: str
    svg: str


def svgPictures(results: Sequence[StoredResult]) -> list[Picture]:
    """The charts of these results."""
    return [Picture(title, _svg(draw, drawn)) for title, draw, drawn in _charts(results)]


def pngPicture(results: Sequence[StoredResult]) -> bytes:
    """All charts in one PNG with a legend; ``b""`` without charts."""
    charts = _charts(results)
    if not charts:
        return b""
    rows = -(-len(charts) // 2)
    width, height = _SIZE
    figure = Figure((2 * width, rows * height + 0.4), layout="constrained")
    for place, (title, draw, drawn) in enumerate(charts, 1):
        axes = figure.add_subplot(rows, 2, place)
        axes.set_title(title, loc="left", fontsize="medium", color=_INK)
        _prepare(axes)
        draw(axes, drawn)
    _addLegend(figure, results)
    return _saved(figure, "png", _PNG_DPI)


def _charts(
    results: Sequence[StoredResult],
) -> list[tuple[str, Callable[[Axes, Numbered], None], Numbered]]:
    """The title, the function and the results of each chart."""
    numbered = list(enumerate(results[: len(COLOURS)]))
    timed = [(number, result) for number, result in numbered if result.times.count]
    divided = [(number, result) for number, result in numbered if result.intervals]
    known = [(number, result) for number, result in timed if result.intervals or result.probes]
    charts = (
        ("Times over the run", overTime, known),
        ("Exchanges per second", rates, divided),
        ("Distribution of times", histogram, timed),
        ("Percentiles by the number of nines", percentiles, timed),
    )
    return [chart for chart in charts if chart[2]]


def _prepare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.grid(color=_INK, alpha=0.14, linewidth=0.8)
    axes.tick_params(colors=_INK, which="both")
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)


def _addLegend(figure: Figure, results: Sequence[StoredResult]) -> None:
    drawn = [pair for pair in zip(COLOURS, results, strict=False) if pair[1].measured]
    handles = [Patch(color=colour) for colour, _ in drawn]
    names = [_name(result) for _, result in drawn]
    legend = figure.legend(handles, names, loc="outside upper left", frameon=False, ncols=2)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(_INK)


def _name(result: StoredResult) -> str:
    # With a space before it, since matplotlib hides names that begin with "_"; in ASCII, since the
    # font may lack other characters.
    text = f" {result.target} ({result.source})"
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _svg(draw: Callable[[Axes, Numbered], None], results: Numbered) -> str:
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.add_subplot()
    _prepare(axes)
    draw(axes, results)
    figure.patch.set_visible(False)
    return inlined(_saved(figure, "svg").decode("utf-8"))


def inlined(text: str) -> str:
    """
    An SVG document as an element for HTML: without metadata, namespaces and names that other charts
    have too, and in the colour of the page's text.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r' id="[a-z_]+\d*_\d+"', "", text)
    return text.replace(_INK, "currentColor")


def _saved(figure: Figure, form: str, dpi: float | Literal["figure"] = "figure") -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=dpi)
    return stream.getvalue()
