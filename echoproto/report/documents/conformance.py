"""
The document of ``echoproto conformance``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from echoproto.conformance.results import CheckVerdict, ConformanceResult, ReasonCode
from echoproto.measure.intervals import Count
from echoproto.report.documents.document import Document, makeDocument
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.values import Values, valuesOf


class CheckValues(Values, frozen=True, kw_only=True):
    """The result of a conformance check."""

    carrier: Annotated[Literal["tcp", "udp"], Meta(description="tcp stands for any stream.")]
    name: str
    description: Annotated[str, Meta(min_length=1)] = field(name="requirement")
    source: Annotated[str, Meta(min_length=1, description="Normative source.")]
    risky: Annotated[bool, Meta(description="Whether it could start a loop or a flood.")]
    verdict: CheckVerdict
    reason: Annotated[
        str, Meta(description="Why it failed or was skipped, or a remark; may be empty.")
    ]
    code: Annotated[
        ReasonCode | None, Meta(description="The kind of reason; null if the check passed.")
    ] = field(name="reason_code", default=None)
    duration: Count


class ConformanceDocument(Document, frozen=True, kw_only=True, tag="conformance"):
    """The results of the conformance suite."""

    target: str
    answered: Annotated[bool, Meta(description="Whether the server answered at all.")]
    counts: Annotated[
        dict[CheckVerdict, Count],
        Meta(min_length=len(CheckVerdict), description="Checks by verdict."),
    ]
    checks: list[CheckValues]


def conformanceDocument(result: ConformanceResult, origin: Origin | None = None) -> dict[str, Any]:
    """
    The document of the conformance suite.

    :param origin: where, when and how it was measured.
    """
    checks = [valuesOf(CheckValues, found, found.check) for found in result.results]
    counts = {verdict: result.count(verdict) for verdict in CheckVerdict}
    return makeDocument(ConformanceDocument, result, origin=origin, counts=counts, checks=checks)
