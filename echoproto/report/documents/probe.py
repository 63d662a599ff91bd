"""
The outcome of a probe of ``echoproto ping``: a line of its NDJSON or CSV.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from echoproto.measure.intervals import Count
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report.documents.times import Time
from echoproto.report.documents.values import Values, plainValues, valuesOf


class ProbeValues(Values, frozen=True, kw_only=True):
    """The outcome of a probe, as a line of NDJSON."""

    target: str
    at: Annotated[
        Count,
        Meta(
            description="When the probe was sent, since the start; of a foreign reply, when "
            "it was received."
        ),
    ]
    kind: OutcomeKind
    sequence: Annotated[
        Count | None, Meta(description="Number of the probe, from 1; null for a foreign reply.")
    ] = field(name="seq")
    size: Count
    time: Annotated[Count | None, Meta(description="Null for a loss or a foreign reply.")] = field(
        name="rtt_ns"
    )
    detail: Annotated[str, Meta(description="The first difference, or the reason of a loss.")]
    dateTime: Time | UnsetType = field(default=UNSET, name="time")


def probeValues(
    target: str, at: int, outcome: ProbeOutcome, time: datetime | None = None
) -> dict[str, Any]:
    """
    The outcome of a probe, as a line of NDJSON or CSV.

    :param at: nanoseconds from the start to when the probe was sent.
    :param time: date and time of the outcome, if it is to be shown.
    """
    difference = "" if outcome.difference is None else str(outcome.difference)
    return plainValues(
        valuesOf(
            ProbeValues,
            outcome,
            target=target,
            at=at,
            sequence=None if outcome.sequence is None else outcome.sequence + 1,
            detail=outcome.reason or difference,
            dateTime=UNSET if time is None else time.isoformat(timespec="microseconds"),
        )
    )
