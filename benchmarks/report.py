"""
Medians, spread and ratios of what was measured; as text, as JSON and as a page. Pure, save that it asks what machine this is.
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
class Spread:
    """The median of some figures, and the least and the most of them."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def spread(figures: Iterable[float]) -> Spread:
    """The spread of at least one figure."""
    found = list(figures)
    return Spread(median(found), min(found), max(found))


@dataclass(frozen=True)
class Kept:
    """
    A promise and what became of it.

    :ivar ratio: ours to the other's, of each round.
    """

    promise: Promise
    ratio: Spread

    @property
    def kept(self) -> bool:
        """Whether the median keeps it."""
        if self.promise.least:
            return self.ratio.median >= self.promise.bound
        return self.ratio.median <= self.promise.bound

    def __str__(self) -> str:
        promise = self.promise
        bound = f"{'at least' if promise.least else 'at most'} {promise.bound:g}"
        other = f" of {promise.to}" if promise.to else ""
        return f"{self.ratio}{other}, {bound}: {'kept' if self.kept else 'MISSED'}"


@dataclass(frozen=True)
class Measured:
    """A row and its rounds."""

    row: Row
    rounds: Sequence[Round]

    def figures(self) -> dict[str, Spread]:
        """The spread of each competitor's figures."""
        return {name: spread(each[name] for each in self.rounds) for name in self.rounds[0]}

    def kept(self) -> list[Kept]:
        """What became of the promises; of those to competitors that are not here, nothing."""
        return [
            Kept(promise, spread(each[OURS] / each.get(promise.to, 1.0) for each in self.rounds))
            for promise in self.row.promises
            if not promise.to or promise.to in self.rounds[0]
        ]


def asText(measured: Measured) -> str:
    """A paragraph for the terminal."""
    lines = [f"{measured.row.name} [{measured.row.unit}]"]
    lines += [f"  {name:24} {each}" for name, each in measured.figures().items()]
    lines += [f"  ratio {each}" for each in measured.kept()]
    return "\n".join(lines)


def asJSON(all_: Sequence[Measured]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "rows": [
            {
                "name": each.row.name,
                "unit": each.row.unit,
                "rounds": list(each.rounds),
                "promises": [
                    {
                        "to": one.promise.to,
                        "bound": one.promise.bound,
                        "least": one.promise.least,
                        "ratio": one.ratio.median,
                        "kept": one.kept,
                    }
                    for one in each.kept()
                ],
            }
            for each in all_
        ],
    }


def machine() -> str:
    """Processor, how many of it, and the kernel."""
    information = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", information)
    count = information.count("processor\t")
    return f"{model[1] if model else platform.machine()}, {count} processors, Linux {platform.release()}"


def versions() -> dict[str, str]:
    """What was compared."""
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
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            found[name] = said.splitlines()[0]
    return found


def asPage(all_: Sequence[Measured], command: str) -> str:
    """The page ``docs/performance.md``."""
    lines = [
        "# Performance",
        "",
        f"Measured on {date.today().isoformat()} by `{command}`, which anyone can repeat.",
        "It starts every competitor in turn, round after round, pinned to a processor, with the load on another; a",
        "ratio is of two figures of one round. Figures are medians of the rounds, with the least and the most.",
        "",
        f"Machine: {machine()}.",
        "",
        "Versions: " + ", ".join(f"{name} {each}" for name, each in versions().items()) + ".",
        "",
        "![CPU time per echo](performance.svg)",
        "",
        "## What is promised",
        "",
        "Ours is `twistd --reactor=direct echoproto` as shipped: admission, counters and deadlines on. Of a client it is",
        "`echoproto load`, which compares every byte and takes every time; a bare client does neither.",
        "",
        "| measured | ratio | to | promised | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in all_:
        lines += [_promised(each.row, one) for one in each.kept()]
    lines += ["", "## What was measured", ""]
    for each in all_:
        lines += [f"### {each.row.name}", "", f"| | {each.row.unit} |", "| --- | --- |"]
        lines += [f"| {name} | {one} |" for name, one in each.figures().items()]
        lines.append("")
    return "\n".join(lines)


def _promised(row: Row, one: Kept) -> str:
    how = "at least" if one.promise.least else "at most"
    to = one.promise.to or f"({row.unit})"
    return f"| {row.name} | {one.ratio} | {to} | {how} {one.promise.bound:g} | {'kept' if one.kept else '**missed**'} |"
