"""
The document of ``echoproto verify``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from echoproto.measure.intervals import Count
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.documents.document import Document, makeDocument
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.values import Values, plainValues, storedOf, valuesOf
from echoproto.report.result import StoredResult


class FaultValues(Values, frozen=True, kw_only=True):
    """A fault in an echoed stream."""

    kind: FaultKind
    offset: Annotated[Count, Meta(description="Its offset in the sent stream.")]
    length: Count
    sent: Annotated[str, Meta(description="The first expected bytes, in hexadecimal.")]
    received: Annotated[str, Meta(description="The first received bytes, in hexadecimal.")]
    reason: Annotated[
        str, Meta(description="Why a datagram is lost; empty if that is unknown.")
    ] = ""


class VerifyConfiguration(Values, frozen=True, kw_only=True):
    """The options of a verification."""

    size: Annotated[Count | None, Meta(description="Null if a duration was given.")]
    duration: Count | None
    timeout: Count


class VerifyDocument(Document, frozen=True, kw_only=True, tag="verify"):
    """A verification of an echoed stream."""

    target: str
    options: VerifyConfiguration | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, description="Seed of the stream, which reproduces it.")]
    sent: Count = field(name="sent_bytes")
    received: Count = field(name="received_bytes")
    duration: Count
    rate: Count = field(name="rate_bytes_per_second")
    ending: Annotated[str, Meta(description="Why it ended early; empty if it did not.")]
    counts: Annotated[dict[FaultKind, Count], Meta(description="Faults by kind.")]
    faults: Annotated[
        list[FaultValues], Meta(max_length=100, description="The first faults; all are counted.")
    ]

    def results(self, name: str) -> Iterator[StoredResult]:
        """The stored result, read from the file of this name."""
        wrong = sum(count for kind, count in self.counts.items() if kind.isWrong)
        yield storedOf(
            self,
            name,
            command="verify",
            counts={"wrong": wrong},
            measured="",
            times=LatencyHistogram(),
            **self.source,
            options=plainValues(self.options) if self.options else {},
        )


def verifyDocument(
    result: VerifyResult,
    origin: Origin | None = None,
    configuration: VerifyConfiguration | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    The document of a verification.

    :param origin: where, when and how it was measured.
    :param configuration: its options.
    """
    faults = [
        valuesOf(FaultValues, fault, sent=fault.sent.hex(), received=fault.received.hex())
        for fault in result.faults
    ]
    return makeDocument(
        VerifyDocument,
        result,
        origin=origin,
        options=configuration,
        rate=round(result.rate),
        counts={kind: result.counts[kind] for kind in FaultKind},
        faults=faults,
    )
