"""
What ``report`` writes, as plain values for JSON and CSV. What they mean is told by ``report.schema.json`` and ``comparison.schema.json``
beside the other schemas; :mod:`.loader` reads the first again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from echoproto.measure.latency import PERCENTILES
from echoproto.report.compare import CONFIDENCE, Comparison, MetricDifference
from echoproto.report.document import FORMAT, VERSION, versions
from echoproto.report.result import StoredResult


def reportDocument(results: Sequence[StoredResult]) -> dict[str, Any]:
    """All of them, merged or not."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "report",
        "versions": versions(),
        "results": [savedValues(each) for each in results],
    }


def savedValues(result: StoredResult) -> dict[str, Any]:
    """One of them."""
    return {
        "files": list(result.files),
        "command": result.command,
        "target": result.target,
        "unit": "bytes" if result.inBytes else "exchanges",
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "loss_ratio": result.lossRatio,
        "counts": dict(result.counts),
        "duration_ns": result.duration,
        "rate_per_second": result.rate,
        "measured": result.measured,
        "times": result.times.state() if result.measured else None,
        "interval_ns": result.width or None,
        "intervals": [each.values() for each in result.intervals],
    }


def comparisonDocument(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What differs, of each pair."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "compare",
        "versions": versions(),
        "confidence": CONFIDENCE,
        "comparisons": [
            {
                "a": _side(each.a, each.independent[0]),
                "b": _side(each.b, each.independent[1]),
                "differences": [_differenceValues(one) for one in each.differences],
            }
            for each in comparisons
        ],
    }


def _side(result: StoredResult, independent: int) -> dict[str, Any]:
    return {
        "files": list(result.files),
        "command": result.command,
        "target": result.target,
        "measured": result.measured,
        "sent": result.sent,
        "received": result.received,
        "independent": independent,
    }


def _differenceValues(difference: MetricDifference) -> dict[str, Any]:
    common = {"name": difference.name, "ratio": difference.ratio}
    said = {"verdict": difference.verdict.value, "said": str(difference)}
    a, b = difference.a, difference.b
    if difference.chance is not None:
        return {
            **common,
            "a_ratio": a.value,
            "b_ratio": b.value,
            "chance": difference.chance,
            **said,
        }
    return {
        **common,
        "a_ns": a.value,
        "a_low_ns": a.low,
        "a_high_ns": a.high,
        "b_ns": b.value,
        "b_low_ns": b.low,
        "b_high_ns": b.high,
        **said,
    }


def resultRows(results: Sequence[StoredResult]) -> list[dict[str, Any]]:
    """A row for each, with the same columns whatever they are of; what there is not is empty."""
    return [_row(savedValues(each)) for each in results]


def _row(values: dict[str, Any]) -> dict[str, Any]:
    plain = ("command", "target", "unit", "sent", "received", "lost", "loss_ratio")
    counts = ("wrong", "corrupt", "duplicates", "reordered", "late", "foreign")
    figures = ("count", "min_ns", "mean_ns", *(f"{name}_ns" for name in PERCENTILES), "max_ns")
    times = values["times"]
    # A time of nothing is none.
    known = times if times and times["count"] else {}
    return {
        "files": " ".join(values["files"]),
        **{name: values[name] for name in plain},
        **{name: values["counts"].get(name) for name in counts},
        "duration_ns": values["duration_ns"],
        "rate_per_second": values["rate_per_second"],
        "measured": values["measured"],
        **{name: known.get(name) for name in figures},
    }


def comparisonRows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """A row for each figure that was compared."""
    columns = ("a_ns", "a_low_ns", "a_high_ns", "b_ns", "b_low_ns", "b_high_ns")
    blank = dict.fromkeys(("a", "b", "name", *columns, "a_ratio", "b_ratio", "chance", "ratio"))
    return [
        {**blank, "a": each.a.target, "b": each.b.target, **_differenceValues(one)}
        for each in comparisons
        for one in each.differences
    ]
