"""The figure of the page: CPU time per echo, by size and by server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import RowResult

_TITLE = "Server CPU time per echo on TCP, 50 connections"


def plot(results: Sequence[RowResult], path: Path) -> bool:
    """
    Draw it as SVG.

    :return: whether it was drawn; it needs matplotlib and a row with 50 connections.
    """
    drawn = [
        result
        for result in results
        if result.row.name.endswith(", 50 connections") and result.row.promises
    ]
    try:
        import matplotlib
    except ImportError:
        print("no figure; it needs matplotlib: pip install matplotlib")
        return False
    if not drawn:
        return False
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure: Any
    figure, axes = pyplot.subplots(1, len(drawn), figsize=(3.2 * len(drawn), 3.6), sharey=True)
    for axis, result in zip([axes] if len(drawn) == 1 else axes, drawn, strict=True):
        _bars(axis, result)
    figure.suptitle(_TITLE)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    return True


def _bars(axis: Any, result: RowResult) -> None:
    figures = result.figures()
    names = list(figures)[::-1]
    medians = [figures[name].median for name in names]
    colors = ["#3465a4" if name == "echoproto" else "#b0b4ba" for name in names]
    bars = axis.barh(names, medians, color=colors)
    axis.bar_label(bars, [f"{median:.1f}" for median in medians], padding=2, fontsize=7)
    axis.set_title(result.row.name.split(",")[0], fontsize=9)
    axis.set_xlabel("µs", fontsize=8)
    axis.set_xlim(0, max(medians) * 1.18)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
