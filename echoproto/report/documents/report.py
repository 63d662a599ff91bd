"""
The document of ``echoproto report``: stored results, merged or not; and their rows for CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from echoproto.measure.intervals import Count
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.report.documents.document import MAX_TARGETS, Document, makeDocument
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
    Intervals,
    IntervalWidth,
    Number,
    Options,
    Ratio,
    Values,
    checkWidth,
    directionFigures,
    plainValues,
    storedOf,
    valuesOf,
)
from echoproto.report.result import StoredResult
from echoproto.text.units import counted

#: The kinds of times of a command, by its name.
MEASURED: Mapping[str, tuple[str, ...]] = {
    "ping": ("rtt",),
    "load": ("response", "service"),
    "verify": ("",),
}

_COUNTS = ("wrong", "corrupt", "duplicates", "reordered", "late", "foreign")

#: The losses of UDPEchoPlus.
_LOSSES = ("lost_up", "lost_down", "lost_unsent")


class ResultValues(Values, frozen=True, kw_only=True):
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
    lossRatio: Ratio
    counts: Annotated[
        dict[
            Literal[
                "wrong",
                "corrupt",
                "duplicates",
                "reordered",
                "late",
                "foreign",
                "dropped",
                "lost_up",
                "lost_down",
                "lost_unsent",
            ],
            Count,
        ],
        Meta(
            description="Kinds of replies, and losses by direction; without those that the "
            "command does not count."
        ),
    ]
    duration: Annotated[
        Count, Meta(description="Of merged results, from the first beginning to the last end.")
    ]
    rate: Annotated[
        Number,
        Meta(
            description="Of merged results, the sum, or that of the whole time if they did not "
            "overlap."
        ),
    ]
    measured: Annotated[
        Literal["rtt", "response", "service", ""],
        Meta(description="Kind of the times; empty without times."),
    ]
    times: TimesValues | None
    otherTimes: Annotated[
        dict[
            Literal["service", "late", "connect", "handshake", "server_time", "network_time"],
            TimesValues,
        ],
        Meta(description="Further times; service times of a load whose times are response times."),
    ] = field(name="other_times", default={})
    width: IntervalWidth
    intervals: Intervals
    started: Annotated[
        str, Meta(description="Date and time; of merged results, the first; may be empty.")
    ] = ""
    origins: Annotated[
        list[Origin], Meta(description="Where, when and how it was measured, if it is known.")
    ] = []
    options: Options = {}
    limits: ClientLimits = []
    reasons: Annotated[
        dict[str, Count], Meta(description="Losses or failed connections, by reason.")
    ] = {}
    remarks: Annotated[list[str], Meta(description="Doubts about merged results.")] = []

    def __post_init__(self) -> None:
        if self.measured not in MEASURED[self.command] or bool(self.measured) != bool(self.times):
            raise ValueError(f"times of {self.command} cannot be {self.measured!r}")
        checkWidth(self.width, self.intervals)

    def result(self, name: str, path: str) -> StoredResult:
        """
        The stored result.

        :param name: the name of its file.
        :param path: its field in a document, for the message of an error.
        :raise ValueError: its histogram is invalid.
        """
        times = self.times
        return storedOf(
            self,
            name,
            # Of merged results, it is a sum.
            rate=self.rate,
            origins=tuple(self.origins),
            parts=tuple(self.files) if len(self.files) > 1 else (),
            otherTimes=decodeOtherTimes(f"{path}other_times.", **dict(self.otherTimes)),
            times=LatencyHistogram() if times is None else decodeTimes(times, f"{path}times"),
        )


class ReportDocument(Document, frozen=True, kw_only=True, tag="report"):
    """A report of stored results."""

    entries: Annotated[list[ResultValues], Meta(max_length=MAX_TARGETS)] = field(name="results")

    def results(self, name: str) -> Iterator[StoredResult]:
        """The stored results, read from the file of this name."""
        for index, result in enumerate(self.entries):
            yield result.result(name, f"results[{index}].")


def reportDocument(results: Sequence[StoredResult]) -> dict[str, Any]:
    """The document of stored results; :mod:`echoproto.report.loader` reads it."""
    entries = [_resultValues(result) for result in results]
    return makeDocument(ReportDocument, entries=entries)


def _resultValues(result: StoredResult) -> ResultValues:
    more = {} if result.measured else {"times": None}
    return valuesOf(
        ResultValues,
        result,
        files=list(result.parts or result.files),
        unit="bytes" if result.inBytes else "exchanges",
        width=result.width or None,
        otherTimes={name: timesStruct(times) for name, times in result.otherTimes.items()},
        **more,
    )


def resultFigures(result: StoredResult) -> dict[str, float]:
    """The figures of a stored result for assertions, by name."""
    counts = {name: count for name, count in result.counts.items() if name in _COUNTS}
    wrong = {"corrupt": counts.pop("wrong")} if "wrong" in counts else {}
    directions = {}
    if (lost := result.directions) is not None:
        directions = directionFigures(result.sent, lost)
    return {
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "loss": result.lossRatio,
        "rate": result.rate,
        **counts,
        **wrong,
        **directions,
        **timeFigures(result.times),
    }


def resultRows(results: Sequence[StoredResult]) -> list[dict[str, Any]]:
    """A row for each result. All have the same columns; those that do not apply are empty."""
    return [_row(plainValues(_resultValues(result))) for result in results]


def _row(values: dict[str, Any]) -> dict[str, Any]:
    plain = ("command", "target", "unit", "sent", "received", "lost", "loss_ratio")
    figures = ("count", "min_ns", "mean_ns", *(f"{name}_ns" for name in PERCENTILES), "max_ns")
    times = values["times"]
    known = times if times and times["count"] else {}
    return {
        "files": " ".join(values["files"]),
        **{name: values[name] for name in plain},
        **{name: values["counts"].get(name) for name in (*_COUNTS, *_LOSSES)},
        "duration_ns": values["duration_ns"],
        "rate_per_second": values["rate_per_second"],
        "measured": values["measured"],
        **{name: known.get(name) for name in figures},
        "started": values["started"],
        "notes": "; ".join(_rowNotes(values)),
    }


def _rowNotes(values: dict[str, Any]) -> list[str]:
    reasons = (f"{counted(count, 'time')}: {reason}" for reason, count in values["reasons"].items())
    return [*values["client_limits"], *reasons, *values["remarks"]]
