"""
The document of ``echoproto load``, and its figures for assertions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from msgspec import Meta, field

from echoproto.measure.intervals import Count
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.load.ramp import RampStep
from echoproto.report.documents.document import Document, makeDocument
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.times import (
    TimesValues,
    decodeOtherTimes,
    decodeTimes,
    timeFigures,
)
from echoproto.report.documents.values import (
    ClientLimits,
    Dropped,
    Intervals,
    IntervalWidth,
    Number,
    Values,
    Width,
    checkWidth,
    plainValues,
    storedOf,
    valuesOf,
)
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND


class LoadConfiguration(Values, frozen=True, kw_only=True):
    """The options of a load."""

    connections: Count
    duration: Count | None
    count: Count | None
    window: Count
    reconnect: Annotated[bool, Meta(description="Whether each message has a connection.")] = False
    rate: Annotated[Number | None, Meta(description="Of an open loop; null for a closed loop.")]
    warmup: Count
    timeout: Count
    arrivals: Annotated[str | None, Meta(description="Of an open loop: fixed or poisson.")] = None
    workers: Annotated[Width, Meta(description="Number of processes.")] = 1
    minimumSize: Annotated[Count | None, Meta(description="Size of the messages.")] = field(
        default=None, name="min_size_bytes"
    )
    maximumSize: Count | None = field(default=None, name="max_size_bytes")


class RampStepValues(Values, frozen=True, kw_only=True):
    """A part of a load at one of several rising rates."""

    targetRate: Annotated[Number, Meta(description="Messages per second.")] = field(
        name="target_rate_per_second"
    )
    sent: Count
    received: Count
    times: TimesValues
    failures: Annotated[list[str], Meta(description="Why the rate was not held.")]


class LoadDocument(Document, frozen=True, kw_only=True, tag="load"):
    """A load."""

    target: str
    plan: LoadConfiguration
    duration: Annotated[Count, Meta(description="Without the warm-up.")]
    sent: Count
    received: Count
    lost: int
    wrong: Count
    duplicates: Annotated[Count, Meta(description="Duplicate datagrams.")]
    dropped: Dropped = 0
    bytesSent: Count
    bytesReceived: Count
    rate: Number
    response: Annotated[
        TimesValues,
        Meta(description="In an open loop, times from when messages were due to their replies."),
    ]
    service: Annotated[TimesValues, Meta(description="Times from sending to reply.")]
    late: Annotated[
        TimesValues,
        Meta(description="In an open loop, times from when messages were due to their sending."),
    ]
    connected: Annotated[Count, Meta(description="Opened connections or UDP ports.")] = 0
    connectFailures: Annotated[Count, Meta(description="Failed attempts to connect.")] = 0
    disconnects: Annotated[Count, Meta(description="Connections that ended early.")] = 0
    connecting: TimesValues
    errors: Annotated[
        dict[str, Count],
        Meta(description="Connections and messages that failed or were lost, by reason."),
    ]
    busy: Annotated[Number, Meta(description="The client's share of a CPU.")]
    limits: ClientLimits
    steps: Annotated[list[RampStepValues], Meta(description="Of rising rates.")] = []
    width: IntervalWidth = None
    intervals: Intervals = []

    def __post_init__(self) -> None:
        checkWidth(self.width, self.intervals)

    @property
    def _otherTimes(self) -> dict[str, TimesValues]:
        isOpen = self.plan.rate is not None
        service = {"service": self.service, "late": self.late} if isOpen else {}
        return {**service, "connect": self.connecting}

    def results(self, name: str) -> Iterator[StoredResult]:
        """The stored result, read from the file of this name."""
        measured = "service" if self.plan.rate is None else "response"
        yield storedOf(
            self,
            name,
            command="load",
            counts={"wrong": self.wrong, "dropped": self.dropped},
            measured=measured,
            times=decodeTimes(getattr(self, measured), measured),
            otherTimes=decodeOtherTimes("", **self._otherTimes),
            **self.source,
            options=plainValues(self.plan),
            reasons=self.errors,
        )


def loadDocument(
    result: LoadResult,
    origin: Origin | None = None,
    steps: Sequence[RampStep] = (),
) -> dict[str, Any]:
    """
    The document of a load.

    :param origin: where, when and how it was measured.
    :param steps: the parts of a load with rising rates.
    """
    plan = valuesOf(
        LoadConfiguration,
        result.plan,
        arrivals=result.plan.arrivals if result.plan.open else None,
        workers=len(result.workers) + len(result.failedWorkers) or 1,
        minimumSize=result.plan.sizes[0],
        maximumSize=result.plan.sizes[1],
    )
    return makeDocument(
        LoadDocument,
        result,
        origin=origin,
        plan=plan,
        errors=dict(result.errors),
        steps=[_stepValues(step) for step in steps],
        width=SECOND,
    )


def _stepValues(step: RampStep) -> RampStepValues:
    received = step.counts.service.count
    return valuesOf(RampStepValues, step, step.counts, targetRate=step.rate, received=received)


def loadFigures(result: LoadResult) -> dict[str, float]:
    """
    The figures of a load for assertions, by name.

    Times are response times, or service times in a closed loop; if there was no reply, there are
    none.
    """
    return {
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "corrupt": result.wrong,
        "duplicates": result.duplicates,
        "loss": result.lost / result.sent if result.sent else 0.0,
        "rate": result.rate,
        **timeFigures(result.times),
    }
