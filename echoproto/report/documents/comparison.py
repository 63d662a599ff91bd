"""
The document of ``echoproto report --compare``, and its rows for CSV.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from echoproto.measure.intervals import Count
from echoproto.report.compare import CONFIDENCE, Comparison, ComparisonVerdict, MetricDifference
from echoproto.report.documents.document import Document, makeDocument
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.values import (
    Number,
    Options,
    Ratio,
    Values,
    plainValues,
    valuesOf,
)
from echoproto.report.notes import differenceNotes, differentOptions
from echoproto.report.table import certaintyNotes


class SideValues(Values, frozen=True, kw_only=True):
    """One side of a comparison."""

    files: list[str]
    command: Literal["ping", "load"]
    target: str
    measured: Literal["rtt", "response", "service"]
    sent: Count
    received: Count
    effectiveSize: Annotated[
        Count, Meta(description="Effective sample size, estimated from the intervals.")
    ] = field(name="effective_samples")
    started: str = ""
    origins: list[Origin] = []
    options: Options = {}
    limits: list[str] = []
    reasons: dict[str, Count] = {}


class DifferenceValues(Values, frozen=True, kw_only=True):
    """A figure on both sides: a percentile with its confidence intervals, or the loss ratio."""

    name: Literal["p50", "p90", "p95", "p99", "p99.9", "loss"]
    ratio: Annotated[
        Number | None, Meta(description="B divided by A; null if A is 0 or one is missing.")
    ]
    a_ratio: Ratio | UnsetType = UNSET
    b_ratio: Ratio | UnsetType = UNSET
    p_value: Annotated[
        Ratio | UnsetType, Meta(description="Of equal loss ratios (Fisher's exact test).")
    ] = UNSET
    a_ns: Annotated[
        Count | UnsetType, Meta(description="Missing if A has no times, as its bounds are.")
    ] = UNSET
    a_low_ns: Count | UnsetType = UNSET
    a_high_ns: Annotated[
        Count | UnsetType | None, Meta(description="Null if there are too few samples.")
    ] = UNSET
    b_ns: Count | UnsetType = UNSET
    b_low_ns: Count | UnsetType = UNSET
    b_high_ns: Count | UnsetType | None = UNSET
    verdict: Annotated[
        ComparisonVerdict,
        Meta(
            description="B compared to A: significantly more or less, not significantly different, "
            "or too few samples."
        ),
    ]
    text: Annotated[str, Meta(description="The verdict in words.")]


class ComparisonValues(Values, frozen=True, kw_only=True):
    """A comparison of two stored results."""

    a: SideValues
    b: SideValues
    differences: list[DifferenceValues]
    different_options: Annotated[
        list[str], Meta(description="Names of options that have different values.")
    ] = []
    warnings: Annotated[
        list[str], Meta(description="Differences between the runs other than their times.")
    ] = []
    certainty: Annotated[list[str], Meta(description="How sure the verdicts are, in words.")] = []


class ComparisonDocument(Document, frozen=True, kw_only=True, tag="compare"):
    """Comparisons of stored results."""

    confidence: Annotated[Ratio, Meta(description="Confidence level of intervals and tests.")]
    comparisons: list[ComparisonValues]


def comparisonDocument(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The document of comparisons."""
    values = [_comparisonValues(comparison) for comparison in comparisons]
    return makeDocument(ComparisonDocument, confidence=CONFIDENCE, comparisons=values)


def _comparisonValues(comparison: Comparison) -> ComparisonValues:
    a, b = comparison.a, comparison.b
    sizes = comparison.effectiveSizes
    return ComparisonValues(
        a=valuesOf(SideValues, a, effectiveSize=sizes[0]),
        b=valuesOf(SideValues, b, effectiveSize=sizes[1]),
        differences=[_differenceValues(found) for found in comparison.differences],
        different_options=differentOptions((a, b)),
        warnings=differenceNotes((a, b)),
        certainty=certaintyNotes(comparison),
    )


def _differenceValues(difference: MetricDifference) -> DifferenceValues:
    a, b = difference.a, difference.b
    values: dict[str, Any]
    if difference.pValue is not None:
        values = {"a_ratio": a.value, "b_ratio": b.value, "p_value": difference.pValue}
    else:
        values = {}
        for side, found in (("a", a), ("b", b)):
            if found.value is not None:
                values[f"{side}_ns"] = found.value
                values.update({f"{side}_low_ns": found.low, f"{side}_high_ns": found.high})
    return valuesOf(DifferenceValues, difference, text=str(difference), **values)


def comparisonRows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """A row for each figure of each comparison. All have the same columns."""
    blank = dict.fromkeys(("a", "b", *DifferenceValues.__struct_fields__))
    return [
        {
            **blank,
            "a": comparison.a.target,
            "b": comparison.b.target,
            **plainValues(_differenceValues(difference)),
        }
        for comparison in comparisons
        for difference in comparison.differences
    ]
