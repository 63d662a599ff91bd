"""
Reports and comparisons as documents for JSON (:mod:`.schema`), and as rows for CSV.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from echoproto.measure.latency import PERCENTILES
from echoproto.report.compare import CONFIDENCE, Comparison, MetricDifference
from echoproto.report.document import documentHead, intervalStructs, plainValues, timesStruct
from echoproto.report.notes import differentOptions
from echoproto.report.result import StoredResult
from echoproto.report.schema import (
    ComparisonDocument,
    ComparisonValues,
    DifferenceValues,
    ReportDocument,
    ResultValues,
    SideValues,
)


def reportDocument(results: Sequence[StoredResult]) -> dict[str, Any]:
    """The document of stored results, merged or not; :mod:`.loader` reads it."""
    return plainValues(
        ReportDocument(**documentHead(), results=[_resultStruct(result) for result in results])
    )


def _resultStruct(result: StoredResult) -> ResultValues:
    values: dict[str, Any] = {
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
        "times": timesStruct(result.times) if result.measured else None,
        "interval_ns": result.width or None,
        "intervals": intervalStructs(result.intervals),
        **_description(result),
        "remarks": list(result.remarks),
    }
    return ResultValues(**values)


def _description(result: StoredResult) -> dict[str, Any]:
    """When and how a result was measured, and its notes."""
    return {
        "started": result.started,
        "configuration": dict(result.options),
        "client_limits": list(result.limits),
        "reasons": dict(result.reasons),
    }


def comparisonDocument(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The document of comparisons."""
    return plainValues(
        ComparisonDocument(
            **documentHead(),
            confidence=CONFIDENCE,
            comparisons=[
                ComparisonValues(
                    a=_sideStruct(comparison.a, comparison.effectiveSizes[0]),
                    b=_sideStruct(comparison.b, comparison.effectiveSizes[1]),
                    differences=[_differenceStruct(found) for found in comparison.differences],
                    different_options=differentOptions((comparison.a, comparison.b)),
                )
                for comparison in comparisons
            ],
        )
    )


def _sideStruct(result: StoredResult, effectiveSize: int) -> SideValues:
    values: dict[str, Any] = {
        "files": list(result.files),
        "command": result.command,
        "target": result.target,
        "measured": result.measured,
        "sent": result.sent,
        "received": result.received,
        "effective_samples": effectiveSize,
        **_description(result),
    }
    return SideValues(**values)


def _differenceStruct(difference: MetricDifference) -> DifferenceValues:
    a, b = difference.a, difference.b
    values: dict[str, Any] = {
        "name": difference.name,
        "ratio": difference.ratio,
        "verdict": difference.verdict.value,
        "text": str(difference),
    }
    if difference.pValue is not None:
        values.update(a_ratio=a.value, b_ratio=b.value, p_value=difference.pValue)
    else:
        values.update(a_ns=a.value, a_low_ns=a.low, a_high_ns=a.high)
        values.update(b_ns=b.value, b_low_ns=b.low, b_high_ns=b.high)
    return DifferenceValues(**values)


def resultRows(results: Sequence[StoredResult]) -> list[dict[str, Any]]:
    """A row for each result. All have the same columns; those that do not apply are empty."""
    return [_row(plainValues(_resultStruct(result))) for result in results]


def _row(values: dict[str, Any]) -> dict[str, Any]:
    plain = ("command", "target", "unit", "sent", "received", "lost", "loss_ratio")
    counts = ("wrong", "corrupt", "duplicates", "reordered", "late", "foreign")
    figures = ("count", "min_ns", "mean_ns", *(f"{name}_ns" for name in PERCENTILES), "max_ns")
    times = values["times"]
    known = times if times and times["count"] else {}
    return {
        "files": " ".join(values["files"]),
        **{name: values[name] for name in plain},
        **{name: values["counts"].get(name) for name in counts},
        "duration_ns": values["duration_ns"],
        "rate_per_second": values["rate_per_second"],
        "measured": values["measured"],
        **{name: known.get(name) for name in figures},
        "started": values["started"],
        "notes": "; ".join(_rowNotes(values)),
    }


def _rowNotes(values: dict[str, Any]) -> list[str]:
    reasons = (f"{count} times: {reason}" for reason, count in values["reasons"].items())
    return [*values["client_limits"], *reasons, *values["remarks"]]


def comparisonRows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """A row for each figure of each comparison. All have the same columns."""
    blank = dict.fromkeys(("a", "b", *DifferenceValues.__struct_fields__))
    return [
        {
            **blank,
            "a": comparison.a.target,
            "b": comparison.b.target,
            **plainValues(_differenceStruct(difference)),
        }
        for comparison in comparisons
        for difference in comparison.differences
    ]
