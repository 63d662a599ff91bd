"""The picture of the page: what an echo costs, by size and by server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Measured

_TITLE = "Server CPU time per echo on TCP, 50 connections"


def plot(all_: Sequence[Measured], path: Path) -> bool:
    """
    Draw it as SVG.

    :return: whether there was anything to draw, and something to draw with (matplotlib).
    """
    drawn = [
        each for each in all_ if each.row.name.endswith(", 50 connections") and each.row.promises
    ]
    try:
        import matplotlib
    except ImportError:
        print("no picture: pip install matplotlib")
        return False
    if not drawn:
        return False
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure: Any
    figure, axes = pyplot.subplots(1, len(drawn), figsize=(3.2 * len(drawn), 3.6), sharey=True)
    for axis, each in zip([axes] if len(drawn) == 1 else axes, drawn, strict=True):
        _bars(axis, each)
    figure.suptitle(_TITLE)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    return True


def _bars(axis: Any, measured: Measured) -> None:
    figures = measured.figures()
    names = list(figures)[::-1]
    medians = [figures[name].median for name in names]
    bars = axis.barh(
        names, medians, color=["#3465a4" if each == "echoproto" else "#b0b4ba" for each in names]
    )
    axis.bar_label(bars, [f"{each:.1f}" for each in medians], padding=2, fontsize=7)
    axis.set_title(measured.row.name.split(",")[0], fontsize=9)
    axis.set_xlabel("µs", fontsize=8)
    axis.set_xlim(0, max(medians) * 1.18)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
