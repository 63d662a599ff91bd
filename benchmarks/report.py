"""
The results as text, as JSON and as the page ``docs/performance.md``.

Pure, except that it reads the machine's description and the versions of the competitors.
"""

from __future__ import annotations

import platform
import re
import ssl
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Any

from benchmarks.competitors import OURS
from benchmarks.measurement import MISSED, PromiseResult, Row, RowResult

_PACKAGES = ("Twisted", "pyOpenSSL", "uvloop", "rloop", "aiofastnet", "gevent")

_PROGRAMS = (
    ("Node", "node", "--version"),
    ("Go", "go", "version"),
    ("cc", "cc", "--version"),
)


def asText(result: RowResult) -> str:
    """The result as a paragraph for the terminal."""
    lines = [f"{result.row.name} [{result.row.unit}]"]
    lines += [f"  {name:26} {figure}" for name, figure in result.figures().items()]
    lines += [f"  {name:26} not measured: {why}" for name, why in result.missing.items()]
    lines += [f"  ratio {_promiseText(promise)}" for promise in result.promises()]
    return "\n".join(lines)


def _promiseText(result: PromiseResult) -> str:
    other = f" of {result.promise.to}" if result.promise.to else ""
    return f"{result.ratio}{other}, at most {result.promise.bound:g}: {_verdict(result)}"


def _verdict(result: PromiseResult) -> str:
    missed = result.verdict == MISSED and result.promise.reason
    return f"{MISSED}: {result.promise.reason}" if missed else result.verdict


def asJSON(results: Sequence[RowResult], command: str) -> dict[str, Any]:
    """The results as a document for programs; ``command`` has measured them."""
    return {
        "date": date.today().isoformat(),
        "command": command,
        "machine": machine(),
        "versions": versions(),
        "rows": [
            {
                "name": result.row.name,
                "unit": result.row.unit,
                "rounds": list(result.rounds),
                "missing": dict(result.missing),
                "promises": [
                    {
                        "to": outcome.promise.to,
                        "bound": outcome.promise.bound,
                        "ratio": outcome.ratio.median,
                        "least": outcome.ratio.least,
                        "greatest": outcome.ratio.greatest,
                        "verdict": _verdict(outcome),
                    }
                    for outcome in result.promises()
                ],
            }
            for result in results
        ],
    }


def fromJSON(document: Mapping[str, Any], rows: Iterable[Row]) -> list[RowResult]:
    """The results of those rows that the document has."""
    stored = {result["name"]: result for result in document["rows"]}
    return [
        RowResult(row, stored[row.name]["rounds"], stored[row.name]["missing"])
        for row in rows
        if row.name in stored
    ]


def machine() -> str:
    """The processor model, the number of processors, and the kernel."""
    information = Path("/proc/cpuinfo").read_text()
    match = re.search(r"model name\s*: (.*)", information)
    model = match[1] if match else platform.machine()
    count = information.count("processor\t")
    return f"{model}, {count} processors, Linux {platform.release()}"


def versions() -> dict[str, str]:
    """The versions of the compared programs."""
    found = {"Python": platform.python_version(), "OpenSSL": ssl.OPENSSL_VERSION.split()[1]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    for name, *command in _PROGRAMS:
        if which(command[0]):
            output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            found[name] = output.splitlines()[0]
    return found


_INTRODUCTION = """\
The echoproto server is `echoproto serve` as shipped, with admission, counters and timeouts. The
echoproto client is `echoproto load`, which compares every byte and measures every round trip; a
bare client does neither.

![The six measurements beside other servers](performance.svg)

## How it is measured

`python -m benchmarks --quick` measures the six rows above in about two minutes, and `python -m
benchmarks` everything on this page. Servers run one after the other, the next round in reverse
order, on one processor; the load generator has another one and never sleeps. CPU is that of the
server's process, read from `/proc`. A ratio compares two figures of the same round; figures are
medians of the rounds, with the least and the greatest. A promise is kept or missed if all rounds
agree on it; otherwise the verdict is that it is unclear.

Every server is warm: before it is measured, it serves two rounds of connections of the same kind,
which then end, half of them by FIN and half by a reset. Without that, glibc maps and unmaps memory
for every large buffer until one has been freed, and TLS on uvloop looks twice as expensive as it
is. Starts are measured when all files have been read and compiled before; memory, after one
connection; clients, from their first exchange on."""


def asPage(results: Sequence[RowResult], command: str) -> str:
    """The results as the page ``docs/performance.md``."""
    headlines = [result for result in results if result.row.headline]
    lines = [
        "# Performance",
        "",
        f"Measured on {date.today().isoformat()} with `{command}`: {machine()}.",
        "",
        *_promiseTable(headlines),
        "",
        _INTRODUCTION,
        "",
        "Versions: " + ", ".join(f"{name} {text}" for name, text in versions().items()) + ".",
        "",
        "## Appendix: all promises",
        "",
        *_promiseTable(results),
        *_missingList(results),
        "",
        "## Appendix: all figures",
        "",
    ]
    for result in results:
        lines += [f"### {result.row.name}", "", f"| | {result.row.unit} |", "| --- | --- |"]
        lines += [f"| {name} | {figure} |" for name, figure in result.figures().items()]
        lines.append("")
    return "\n".join(lines)


def _promiseTable(results: Iterable[RowResult]) -> list[str]:
    lines = [
        "| measured | echoproto | | ratio | promised | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        lines += [_promiseRow(result, promise) for promise in result.promises()]
    return lines


def _promiseRow(result: RowResult, outcome: PromiseResult) -> str:
    figures, promise, unit = result.figures(), outcome.promise, result.row.unit
    figure = f"{figures[OURS].median:.2f} {unit}"
    bound, verdict = f"at most {promise.bound:g}", _verdict(outcome).replace(MISSED, "**missed**")
    if not promise.to:
        return f"| {result.row.name} | {figure} | | | {bound} {unit} | {verdict} |"
    other = f"{promise.to} {figures[promise.to].median:.2f}"
    return f"| {result.row.name} | {figure} | {other} | {outcome.ratio} | {bound} | {verdict} |"


def _missingList(results: Iterable[RowResult]) -> list[str]:
    """The competitors that were not measured, with the rows and the reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, why in result.missing.items():
            rows.setdefault((name, why), []).append(result.row.name)
    lines = [f"- {name} ({why}): {'; '.join(names)}" for (name, why), names in rows.items()]
    return ["", "Not measured:", "", *lines] if lines else []
