"""
The document of ``echoproto ping``, and its figures for assertions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from echoproto.measure.intervals import Count
from echoproto.measure.ping.echoplus import EchoPlusStatistics
from echoproto.measure.ping.plan import PingResult
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics
from echoproto.report.documents.document import (
    MAX_TARGETS,
    Document,
    MeasuredValues,
    makeDocument,
)
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.times import (
    TimesValues,
    decodeOtherTimes,
    decodeTimes,
    timeFigures,
    timesStruct,
)
from echoproto.report.documents.values import (
    ClientLimits,
    Dropped,
    Intervals,
    IntervalWidth,
    Ratio,
    Values,
    checkWidth,
    directionFigures,
    plainValues,
    storedOf,
    valuesOf,
)
from echoproto.report.result import StoredResult

#: The kinds of replies that a stored result has.
COUNTS = ("corrupt", "duplicates", "reordered", "late", "foreign", "dropped")


class PingConfiguration(Values, frozen=True, kw_only=True):
    """The options of a ping."""

    count: Count | None
    interval: Count
    deadline: Count | None
    timeout: Annotated[Count, Meta(description="Timeout of a reply.")] = field(name="wait_ns")
    adaptive: bool
    reconnect: bool
    mode: str = "echo"
    size: Count


class EchoPlusValues(Values, frozen=True, kw_only=True):
    """What the replies of a UDPEchoPlus server show."""

    up: Annotated[Count, Meta(description="Probes lost to the server.")] = field(name="lost_up")
    down: Annotated[Count, Meta(description="Replies lost from the server.")] = field(
        name="lost_down"
    )
    unsent: Annotated[Count, Meta(description="Replies that the server could not send.")] = field(
        name="lost_unsent", default=0
    )
    unknown: Annotated[Count, Meta(description="Losses in an unknown direction.")] = field(
        name="lost_unknown"
    )
    echoed: Annotated[Count, Meta(description="Replies without the fields of a server.")]
    impossible: Annotated[
        Count, Meta(description="Server times longer than the round trip, which are left out.")
    ] = 0
    serverTimes: TimesValues = field(name="server_time")
    networkTimes: Annotated[TimesValues, Meta(description="Round trips without it.")] = field(
        name="network_time"
    )

    @property
    def counts(self) -> dict[str, int]:
        """The losses by direction; none if no reply was that of a UDPEchoPlus server."""
        isAnswered = self.serverTimes.count or self.impossible
        counts = {"lost_up": self.up, "lost_down": self.down, "lost_unsent": self.unsent}
        return counts if isAnswered else {}

    @property
    def times(self) -> dict[str, TimesValues]:
        """The times, by their names in documents."""
        return {"server_time": self.serverTimes, "network_time": self.networkTimes}


class TargetValues(MeasuredValues, frozen=True, kw_only=True):
    """The result of a ping for one target; also the summary in NDJSON."""

    target: str
    plan: PingConfiguration
    reasons: Annotated[
        dict[str, Count], Meta(description="Losses by reason, those with a late reply included.")
    ] = {}
    duration: Count
    sent: Count
    received: Count
    lost: Count
    corrupt: Count
    duplicates: Count
    reordered: Count
    late: Count
    foreign: Count
    dropped: Dropped = 0
    limits: ClientLimits = []
    lossRatio: Ratio
    bursts: Annotated[Count, Meta(description="Number of bursts of consecutive losses.")]
    longest: Count
    rtt: TimesValues
    ipdv: Annotated[TimesValues, Meta(description="Absolute delay variation (RFC 3393).")]
    jitter: Annotated[Count, Meta(description="Smoothed jitter (RFC 3550).")]
    connecting: TimesValues
    securing: TimesValues
    width: IntervalWidth = None
    intervals: Intervals = []
    echoPlus: EchoPlusValues | UnsetType = field(default=UNSET, name="udp_plus")

    def __post_init__(self) -> None:
        checkWidth(self.width, self.intervals)

    def result(
        self, name: str, path: str = "", document: MeasuredValues | None = None
    ) -> StoredResult:
        """
        The stored result.

        :param name: the name of its file.
        :param path: its field in a document, for the message of an error.
        :param document: its document, if it is part of one.
        :raise ValueError: its histogram is invalid.
        """
        counts = {count: getattr(self, count) for count in COUNTS}
        otherTimes = {"connect": self.connecting, "handshake": self.securing}
        if self.echoPlus:
            counts |= self.echoPlus.counts
            otherTimes |= self.echoPlus.times
        return storedOf(
            self,
            name,
            command="ping",
            counts=counts,
            measured="rtt",
            times=decodeTimes(self.rtt, f"{path}rtt"),
            otherTimes=decodeOtherTimes(path, **otherTimes),
            **(document or self).source,
            options=plainValues(self.plan),
        )


class PingDocument(Document, frozen=True, kw_only=True, tag="ping"):
    """A ping of one or more targets."""

    session: Annotated[
        str, Meta(pattern="^[0-9a-f]{8}$", description="Identifies the run in its payloads.")
    ]
    targets: Annotated[list[TargetValues], Meta(max_length=MAX_TARGETS)]

    def results(self, name: str) -> Iterator[StoredResult]:
        """The stored results, read from the file of this name."""
        for index, target in enumerate(self.targets):
            yield target.result(name, f"targets[{index}].", self)


def pingDocument(
    results: Sequence[PingResult], origin: Origin | None, session: str
) -> dict[str, Any]:
    """
    The document of a ping.

    :param results: one for each target.
    :param origin: where, when and how it was measured.
    :param session: identifies the run; 8 hexadecimal digits.
    """
    targets = [_targetValues(result) for result in results]
    return makeDocument(PingDocument, origin=origin, session=session, targets=targets)


def _targetValues(result: PingResult) -> TargetValues:
    record = result.record
    echoPlus: EchoPlusValues | UnsetType = UNSET
    if isinstance(record, EchoPlusStatistics):
        echoPlus = valuesOf(EchoPlusValues, record, record.directions)
    width, intervals = record.intervals()
    bursts = record.bursts()
    return valuesOf(
        TargetValues,
        result,
        record,
        **_counts(record),
        plan=valuesOf(PingConfiguration, result.plan, size=record.probes.size),
        bursts=bursts.count,
        longest=bursts.longest,
        rtt=timesStruct(record.times),
        ipdv=timesStruct(record.variation),
        jitter=round(record.jitter),
        width=width,
        intervals=list(intervals),
        echoPlus=echoPlus,
    )


def pingFigures(record: PingStatistics) -> dict[str, float]:
    """The figures of a ping for assertions, by name; without times if there was no reply."""
    values = {**_counts(record), "loss": record.lossRatio, **timeFigures(record.times)}
    if isinstance(record, EchoPlusStatistics) and (record.serverTimes.count or record.impossible):
        values |= directionFigures(record.sent, record.directions)
    return {**values, "jitter": record.jitter} if record.times.count else values


def _counts(record: PingStatistics) -> dict[str, int]:
    counts = record.counts
    return {
        "sent": record.sent,
        "received": record.received,
        "lost": record.lost,
        "corrupt": counts[OutcomeKind.CORRUPT],
        "duplicates": counts[OutcomeKind.DUPLICATE],
        "reordered": counts[OutcomeKind.REORDERED],
        "late": counts[OutcomeKind.LATE],
        "foreign": counts[OutcomeKind.FOREIGN],
    }
