"""
The JSON documents of all commands, each defined once, as a msgspec struct.

Documents are written, decoded and validated with these structs, and
``python -m echoproto.report.schema COMMAND`` prints the JSON schema of one. Fields have their JSON
names: times end in ``_ns``, sizes in ``_bytes``. :data:`VERSION` changes if the meaning of a field
changes or a field is removed; new fields may be added, so readers ignore unknown ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from echoproto.conformance.results import CheckVerdict
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.measure.verify.integrity import FaultKind

FORMAT = "echoproto-measurement"
VERSION = 1

#: The largest integer in a document: histograms count with 62 bits.
MAX_INTEGER = (1 << 62) - 1

#: Limits for the lists of a document. A load has an interval for each second.
MAX_TARGETS = 10_000
MAX_STORED_INTERVALS = 1_000_000

Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Width = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Number = Annotated[float, Meta(ge=0, le=MAX_INTEGER)]
Ratio = Annotated[float, Meta(ge=0, le=1)]

# 60 digits are enough for the sum of the squares of the longest times.
Digits = Annotated[
    str,
    Meta(
        pattern="^[0-9]+$",
        max_length=60,
        description="Decimal digits, since JSON numbers of this size are not exact.",
    ),
]


Time = Annotated[
    str,
    Meta(description="Date and time (ISO 8601).", extra_json_schema={"format": "date-time"}),
]


class TimesValues(Struct, frozen=True, kw_only=True):
    """A distribution of times; the figures of an empty one are 0."""

    count: Count
    min_ns: Count
    mean_ns: Count
    max_ns: Count
    mdev_ns: Annotated[Count, Meta(description="The standard deviation.")]
    p50_ns: Count
    p90_ns: Count
    p99_ns: Count
    p999_ns: Count = field(name="p99.9_ns")
    sum_ns: Digits
    squares_ns2: Digits
    histogram: Annotated[
        str,
        Meta(
            description="An HdrHistogram of nanoseconds in the V2 encoding, compressed, in Base64."
        ),
    ]

    def __post_init__(self) -> None:
        total, squares = int(self.sum_ns), int(self.squares_ns2)
        if not (
            self.min_ns <= self.max_ns
            and self.count * self.min_ns <= total <= self.count * self.max_ns
            and total * total <= self.count * squares <= self.count * total * self.max_ns
        ):
            raise ValueError("the figures contradict each other")


class IntervalValues(Struct, frozen=True, kw_only=True):
    """A part of a run. Times are null if nothing was received."""

    at_ns: Annotated[Count, Meta(description="Its beginning, since that of the run.")]
    sent: Count
    received: Annotated[
        Count,
        Meta(
            description="Of a ping, how many of these probes were answered, whenever; of a load, "
            "the replies received in the interval."
        ),
    ]
    wrong: Annotated[Count | UnsetType, Meta(description="Of a load, the wrong replies.")] = UNSET
    min_ns: Count | None = None
    p50_ns: Count | None = None
    p99_ns: Count | None = None
    max_ns: Count | None = None

    def __post_init__(self) -> None:
        if self.received and None in (self.min_ns, self.p50_ns, self.p99_ns, self.max_ns):
            raise ValueError("replies without times")


Intervals = Annotated[
    list[IntervalValues],
    Meta(max_length=MAX_STORED_INTERVALS, description="The run in intervals, without gaps."),
]
IntervalWidth = Annotated[
    Width | None, Meta(description="Width of the intervals; null without intervals.")
]


class ProbeValues(Struct, frozen=True, kw_only=True):
    """The outcome of a probe, as a line of NDJSON."""

    target: str
    at_ns: Annotated[
        Count,
        Meta(
            description="When the probe was sent, since the start; of a foreign reply, when "
            "it was received."
        ),
    ]
    kind: OutcomeKind
    seq: Annotated[
        Count | None, Meta(description="Number of the probe, from 1; null for a foreign reply.")
    ]
    size_bytes: Count
    rtt_ns: Annotated[Count | None, Meta(description="Null for a loss or a foreign reply.")]
    detail: Annotated[str, Meta(description="The first difference, or the reason of a loss.")]
    time: Time | UnsetType = UNSET


class Versions(Struct, frozen=True, kw_only=True):
    """The versions of the software that wrote the document."""

    echoproto: str
    twisted: str
    python: str


class Document(Struct, frozen=True, kw_only=True, tag_field="command"):
    """The fields of all documents."""

    format: Literal["echoproto-measurement"]
    version: Literal[1]
    versions: Versions


class PingConfiguration(Struct, frozen=True, kw_only=True):
    """The options of a ping."""

    count: Count | None
    interval_ns: Count
    deadline_ns: Count | None
    wait_ns: Annotated[Count, Meta(description="Timeout of a reply.")]
    adaptive: bool
    reconnect: bool
    size_bytes: Count


class TargetValues(Struct, frozen=True, kw_only=True):
    """The result of a ping for one target; also the summary in NDJSON."""

    target: str
    configuration: PingConfiguration
    started: Annotated[Time | UnsetType, Meta(description="In NDJSON only.")] = UNSET
    reasons: Annotated[
        dict[str, Count], Meta(description="Losses by reason, those with a late reply included.")
    ] = {}
    duration_ns: Count
    sent: Count
    received: Count
    lost: Count
    corrupt: Count
    duplicates: Count
    reordered: Count
    late: Count
    foreign: Count
    dropped: Annotated[
        Count, Meta(description="Replies that were dropped by the client's full receive buffers.")
    ] = 0
    client_limits: Annotated[
        list[str], Meta(description="Reasons why the client may have limited the figures.")
    ] = []
    loss_ratio: Ratio
    bursts: Annotated[Count, Meta(description="Number of bursts of consecutive losses.")]
    longest_burst: Count
    rtt: TimesValues
    ipdv: Annotated[TimesValues, Meta(description="Absolute delay variation (RFC 3393).")]
    jitter_ns: Annotated[Count, Meta(description="Smoothed jitter (RFC 3550).")]
    connect: TimesValues
    handshake: TimesValues
    interval_ns: IntervalWidth = None
    intervals: Intervals = []


class PingDocument(Document, frozen=True, kw_only=True, tag="ping"):
    """A ping of one or more targets."""

    started: Time
    session: Annotated[
        str, Meta(pattern="^[0-9a-f]{8}$", description="Identifies the run in its payloads.")
    ]
    targets: Annotated[list[TargetValues], Meta(max_length=MAX_TARGETS)]


class LoadConfiguration(Struct, frozen=True, kw_only=True):
    """The options of a load."""

    connections: Count
    duration_ns: Count | None
    count: Count | None
    window: Count
    rate_per_second: Annotated[
        Number | None, Meta(description="Of an open loop; null for a closed loop.")
    ]
    warmup_ns: Count
    timeout_ns: Count
    arrivals: Annotated[str | None, Meta(description="Of an open loop: fixed or poisson.")] = None
    workers: Annotated[Width, Meta(description="Number of processes.")] = 1
    min_size_bytes: Annotated[Count | None, Meta(description="Size of the messages.")] = None
    max_size_bytes: Count | None = None


class LoadDocument(Document, frozen=True, kw_only=True, tag="load"):
    """A load."""

    target: str
    started: Time | UnsetType = UNSET
    configuration: LoadConfiguration
    duration_ns: Annotated[Count, Meta(description="Without the warm-up.")]
    sent: Count
    received: Count
    lost: int
    wrong: Count
    duplicates: Annotated[Count, Meta(description="Duplicate datagrams.")]
    dropped: Annotated[
        Count, Meta(description="Replies that were dropped by the client's full receive buffers.")
    ] = 0
    sent_bytes: Count
    received_bytes: Count
    rate_per_second: Number
    response: Annotated[
        TimesValues,
        Meta(description="In an open loop, times from when messages were due to their replies."),
    ]
    service: Annotated[TimesValues, Meta(description="Times from sending to reply.")]
    late: Annotated[
        TimesValues,
        Meta(description="In an open loop, times from when messages were due to their sending."),
    ]
    connect: TimesValues
    connection_errors: Annotated[
        dict[str, Count], Meta(description="Failed and lost connections, by reason.")
    ]
    busy_ratio: Annotated[Number, Meta(description="The client's share of a CPU.")]
    client_limits: Annotated[
        list[str], Meta(description="Reasons why the client may have limited the figures.")
    ]
    interval_ns: IntervalWidth = None
    intervals: Intervals = []


class FaultValues(Struct, frozen=True, kw_only=True):
    """A fault in an echoed stream."""

    kind: FaultKind
    offset_bytes: Annotated[Count, Meta(description="Its offset in the sent stream.")]
    length_bytes: Count
    sent: Annotated[str, Meta(description="The first expected bytes, in hexadecimal.")]
    received: Annotated[str, Meta(description="The first received bytes, in hexadecimal.")]


class VerifyConfiguration(Struct, frozen=True, kw_only=True):
    """The options of a verification."""

    size_bytes: Annotated[Count | None, Meta(description="Null if a duration was given.")]
    duration_ns: Count | None
    timeout_ns: Count


class VerifyDocument(Document, frozen=True, kw_only=True, tag="verify"):
    """A verification of an echoed stream."""

    target: str
    started: Time | UnsetType = UNSET
    configuration: VerifyConfiguration | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, description="Seed of the stream, which reproduces it.")]
    sent_bytes: Count
    received_bytes: Count
    duration_ns: Count
    rate_bytes_per_second: Count
    ending: Annotated[str, Meta(description="Why it ended early; empty if it did not.")]
    counts: Annotated[
        dict[FaultKind, Count], Meta(min_length=len(FaultKind), description="Faults by kind.")
    ]
    faults: Annotated[
        list[FaultValues], Meta(max_length=100, description="The first faults; all are counted.")
    ]


class CheckValues(Struct, frozen=True, kw_only=True):
    """The result of a conformance check."""

    carrier: Annotated[Literal["tcp", "udp"], Meta(description="tcp stands for any stream.")]
    name: str
    requirement: Annotated[str, Meta(min_length=1)]
    source: Annotated[str, Meta(min_length=1, description="Normative source.")]
    risky: Annotated[bool, Meta(description="Whether it could start a loop or a flood.")]
    verdict: CheckVerdict
    reason: Annotated[
        str, Meta(description="Why it failed or was skipped, or a remark; may be empty.")
    ]
    duration_ns: Count


class ConformanceDocument(Document, frozen=True, kw_only=True, tag="conformance"):
    """The results of the conformance suite."""

    target: str
    started: Time | UnsetType = UNSET
    answered: Annotated[bool, Meta(description="Whether the server answered at all.")]
    counts: Annotated[
        dict[CheckVerdict, Count],
        Meta(min_length=len(CheckVerdict), description="Checks by verdict."),
    ]
    checks: list[CheckValues]


Options = Annotated[
    dict[str, bool | int | float | str | None],
    Meta(description="The options of the run; of merged results, those that are equal in all."),
]


#: The times of a command, by its name.
MEASURED: Mapping[str, tuple[str, ...]] = {
    "ping": ("rtt",),
    "load": ("response", "service"),
    "verify": ("",),
}


class ResultValues(Struct, frozen=True, kw_only=True):
    """A stored result."""

    files: Annotated[list[str], Meta(description="Its files; several if results were merged.")]
    command: Annotated[Literal["ping", "load", "verify"], Meta(description="Its origin.")]
    target: str
    unit: Annotated[
        Literal["exchanges", "bytes"], Meta(description="Unit of sent, received and lost.")
    ]
    sent: Count
    received: Count
    lost: Count
    loss_ratio: Ratio
    counts: Annotated[
        dict[
            Literal["wrong", "corrupt", "duplicates", "reordered", "late", "foreign", "dropped"],
            Count,
        ],
        Meta(description="Kinds of replies; without those that the command does not count."),
    ]
    duration_ns: Annotated[Count, Meta(description="Of merged results, the longest.")]
    rate_per_second: Annotated[Number, Meta(description="Of merged results, the sum.")]
    measured: Annotated[
        Literal["rtt", "response", "service", ""],
        Meta(description="Kind of the times; empty without times."),
    ]
    times: TimesValues | None
    interval_ns: IntervalWidth
    intervals: Intervals
    started: Annotated[
        str, Meta(description="Date and time; of merged results, the first; may be empty.")
    ] = ""
    configuration: Options = {}
    client_limits: Annotated[
        list[str], Meta(description="Reasons why the client may have limited the figures.")
    ] = []
    reasons: Annotated[
        dict[str, Count], Meta(description="Losses or failed connections, by reason.")
    ] = {}
    remarks: Annotated[list[str], Meta(description="Doubts about merged results.")] = []

    def __post_init__(self) -> None:
        if self.measured not in MEASURED[self.command] or bool(self.measured) != bool(self.times):
            raise ValueError(f"times of {self.command} cannot be {self.measured!r}")


class ReportDocument(Document, frozen=True, kw_only=True, tag="report"):
    """A report of stored results."""

    results: Annotated[list[ResultValues], Meta(max_length=MAX_TARGETS)]


class SideValues(Struct, frozen=True, kw_only=True):
    """One side of a comparison."""

    files: list[str]
    command: Literal["ping", "load"]
    target: str
    measured: Literal["rtt", "response", "service"]
    sent: Count
    received: Count
    effective_samples: Annotated[
        Count, Meta(description="Effective sample size, estimated from the intervals.")
    ]
    started: str = ""
    configuration: Options = {}
    client_limits: list[str] = []
    reasons: dict[str, Count] = {}


class DifferenceValues(Struct, frozen=True, kw_only=True):
    """A figure on both sides: a percentile with its confidence intervals, or the loss ratio."""

    name: Literal["p50", "p90", "p99", "p99.9", "loss"]
    ratio: Annotated[Number | None, Meta(description="B divided by A; null if A is 0.")]
    a_ratio: Ratio | UnsetType = UNSET
    b_ratio: Ratio | UnsetType = UNSET
    p_value: Annotated[
        Ratio | UnsetType, Meta(description="Of equal loss ratios (Fisher's exact test).")
    ] = UNSET
    a_ns: Count | UnsetType = UNSET
    a_low_ns: Count | UnsetType = UNSET
    a_high_ns: Annotated[
        Count | UnsetType | None, Meta(description="Null if there are too few samples.")
    ] = UNSET
    b_ns: Count | UnsetType = UNSET
    b_low_ns: Count | UnsetType = UNSET
    b_high_ns: Count | UnsetType | None = UNSET
    verdict: Annotated[
        Literal["more", "less", "same", "unknown"],
        Meta(
            description="B compared to A: significantly more or less, not significantly different, "
            "or too few samples."
        ),
    ]
    text: Annotated[str, Meta(description="The verdict in words.")]


class ComparisonValues(Struct, frozen=True, kw_only=True):
    """A comparison of two stored results."""

    a: SideValues
    b: SideValues
    differences: list[DifferenceValues]
    different_options: Annotated[
        list[str], Meta(description="Names of options that have different values.")
    ] = []


class ComparisonDocument(Document, frozen=True, kw_only=True, tag="compare"):
    """Comparisons of stored results."""

    confidence: Annotated[Ratio, Meta(description="Confidence level of intervals and tests.")]
    comparisons: list[ComparisonValues]


#: The documents by command.
DOCUMENTS: Mapping[str, type[Document]] = {
    "ping": PingDocument,
    "load": LoadDocument,
    "verify": VerifyDocument,
    "conformance": ConformanceDocument,
    "report": ReportDocument,
    "compare": ComparisonDocument,
}


def jsonSchema(command: str) -> dict[str, Any]:
    """The JSON schema of the document of a command."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:echoproto:schema:{command}:{VERSION}",
        **msgspec.json.schema(DOCUMENTS[command]),
    }


def printSchema(arguments: Sequence[str]) -> None:
    """Print the JSON schema of the document of a command."""
    if len(arguments) != 1 or arguments[0] not in DOCUMENTS:
        raise SystemExit(f"usage: python -m echoproto.report.schema {{{'|'.join(DOCUMENTS)}}}")
    print(json.dumps(jsonSchema(arguments[0]), indent=2))


if __name__ == "__main__":  # pragma: no cover
    printSchema(sys.argv[1:])
