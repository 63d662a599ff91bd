"""
Medians, ranges and ratios of the results, as text, as JSON and as a page.

Pure, except that it reads the machine's description and the versions of the competitors.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

from benchmarks.competitors import OURS
from benchmarks.rows import Promise, Round, Row


@dataclass(frozen=True)
class MedianRange:
    """The median of some figures, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


def medianRange(figures: Iterable[float]) -> MedianRange:
    """The median and the range of at least one figure."""
    values = list(figures)
    return MedianRange(median(values), min(values), max(values))


@dataclass(frozen=True)
class PromiseResult:
    """
    A promise and the measured ratio.

    :ivar ratio: our figure to the other's, over the rounds.
    """

    promise: Promise
    ratio: MedianRange

    @property
    def kept(self) -> bool:
        """Whether the median ratio is within the bound."""
        if self.promise.isMinimum:
            return self.ratio.median >= self.promise.bound
        return self.ratio.median <= self.promise.bound

    def __str__(self) -> str:
        other = f" of {self.promise.to}" if self.promise.to else ""
        return f"{self.ratio}{other}, {_bound(self.promise)}: {'kept' if self.kept else 'MISSED'}"


def _bound(promise: Promise) -> str:
    return f"{'at least' if promise.isMinimum else 'at most'} {promise.bound:g}"


@dataclass(frozen=True)
class RowResult:
    """A row and the figures of its rounds."""

    row: Row
    rounds: Sequence[Round]

    def figures(self) -> dict[str, MedianRange]:
        """The median and the range of each competitor's figures."""
        return {
            name: medianRange(figures[name] for figures in self.rounds) for name in self.rounds[0]
        }

    def promises(self) -> list[PromiseResult]:
        """The results of the promises whose other competitor was measured."""
        return [
            PromiseResult(promise, self._ratio(promise.to))
            for promise in self.row.promises
            if not promise.to or promise.to in self.rounds[0]
        ]

    def _ratio(self, other: str) -> MedianRange:
        return medianRange(figures[OURS] / figures.get(other, 1.0) for figures in self.rounds)


def asText(result: RowResult) -> str:
    """The result as a paragraph for the terminal."""
    lines = [f"{result.row.name} [{result.row.unit}]"]
    lines += [f"  {name:24} {figure}" for name, figure in result.figures().items()]
    lines += [f"  ratio {promise}" for promise in result.promises()]
    return "\n".join(lines)


def asJSON(results: Sequence[RowResult]) -> dict[str, Any]:
    """The results as a document for programs."""
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "rows": [
            {
                "name": result.row.name,
                "unit": result.row.unit,
                "rounds": list(result.rounds),
                "promises": [
                    {
                        "to": outcome.promise.to,
                        "bound": outcome.promise.bound,
                        "least": outcome.promise.isMinimum,
                        "ratio": outcome.ratio.median,
                        "kept": outcome.kept,
                    }
                    for outcome in result.promises()
                ],
            }
            for result in results
        ],
    }


def machine() -> str:
    """The processor model, the number of processors, and the kernel."""
    information = Path("/proc/cpuinfo").read_text()
    match = re.search(r"model name\s*: (.*)", information)
    model = match[1] if match else platform.machine()
    count = information.count("processor\t")
    return f"{model}, {count} processors, Linux {platform.release()}"


def versions() -> dict[str, str]:
    """The versions of the compared programs."""
    found = {"Python": platform.python_version()}
    for package in ("Twisted", "uvloop", "gevent", "pyOpenSSL"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    for name, *command in (
        ("Node", "node", "--version"),
        ("Go", "go", "version"),
        ("cc", "cc", "--version"),
    ):
        if which(command[0]):
            output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            found[name] = output.splitlines()[0]
    return found


def asPage(results: Sequence[RowResult], command: str) -> str:
    """The results as the page ``docs/performance.md``."""
    lines = [
        "# Performance",
        "",
        f"Measured on {date.today().isoformat()} with `{command}`, which you can run yourself.",
        "It starts the servers one after the other, several rounds of all of them, each pinned to",
        "a processor and the load generator to another. A ratio compares two figures of the same",
        "round. Figures are medians of the rounds, with the least and the greatest.",
        "",
        f"Machine: {machine()}.",
        "",
        "Versions: " + ", ".join(f"{name} {text}" for name, text in versions().items()) + ".",
        "",
        "![CPU time per echo](performance.svg)",
        "",
        "## Promises",
        "",
        "The echoproto server is `twistd --reactor=direct echoproto` as shipped, with admission,",
        "counters and timeouts. The echoproto client is `echoproto load`, which compares every",
        "byte and measures every round trip; a bare client does neither.",
        "",
        "| measured | ratio | to | promised | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results:
        lines += [_promiseRow(result.row, promise) for promise in result.promises()]
    lines += ["", "## Results", ""]
    for result in results:
        lines += [f"### {result.row.name}", "", f"| | {result.row.unit} |", "| --- | --- |"]
        lines += [f"| {name} | {figure} |" for name, figure in result.figures().items()]
        lines.append("")
    return "\n".join(lines)


def _promiseRow(row: Row, result: PromiseResult) -> str:
    other = result.promise.to or f"({row.unit})"
    outcome = "kept" if result.kept else "**missed**"
    return f"| {row.name} | {result.ratio} | {other} | {_bound(result.promise)} | {outcome} |"
