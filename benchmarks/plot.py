"""The picture of the page: the headline rows, by server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.competitors import OURS
from benchmarks.measurement import RowResult

_COLUMNS = 2


def plot(results: Sequence[RowResult], path: Path) -> bool:
    """
    Draw it as SVG.

    :return: whether it was drawn; it needs matplotlib and a headline row.
    """
    drawn = [result for result in results if result.row.headline and result.figures()]
    try:
        import matplotlib
    except ImportError:
        print("no picture; it needs matplotlib: pip install matplotlib")
        return False
    if not drawn:
        return False
    matplotlib.use("svg")
    # Text as text: a fifth of the size of text as paths.
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    lines = -(-len(drawn) // _COLUMNS)
    figure: Any
    figure, axes = pyplot.subplots(lines, _COLUMNS, figsize=(9, 2.9 * lines), squeeze=False)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    for axis, result in zip(axes.flat, drawn, strict=False):
        _bars(axis, result)
    figure.suptitle("Less is better")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    return True


def _bars(axis: Any, result: RowResult) -> None:
    figures = result.figures()
    names = sorted(figures, key=lambda name: -figures[name].median)
    medians = [figures[name].median for name in names]
    colors = ["#3465a4" if name == OURS else "#b0b4ba" for name in names]
    bars = axis.barh(names, medians, color=colors)
    axis.bar_label(bars, [f"{median:.1f}" for median in medians], padding=2, fontsize=7)
    axis.set_title(f"{result.row.name}: {result.row.unit}", fontsize=9)
    axis.set_xlim(0, max(medians) * 1.18)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
