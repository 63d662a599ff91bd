"""
Saved results from the documents that ``ping``, ``load``, ``verify`` and ``report`` write (:mod:`echoproto.report.document`, :mod:`.export`).

Called by :mod:`.loader`; every value is checked as it is taken (:mod:`.validation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.verify.integrity import FaultKind
from echoproto.report.document import FORMAT, VERSION
from echoproto.report.result import StoredResult
from echoproto.report.validation import InvalidDocument, JSONObject
from echoproto.units import SECOND

#: Targets in a document at most, and seconds of a run: a load has all of them.
TARGETS = 10_000
INTERVALS = 1_000_000

# What each command's times may be.
_MEASURED = {"ping": ("rtt",), "load": ("response", "service"), "verify": ("",)}

_COUNTS = ("corrupt", "duplicates", "reordered", "late", "foreign")


def restored(document: JSONObject, name: str) -> Iterator[StoredResult]:
    """
    The results of a document.

    :param name: of its file.
    :raise Unfit: it is none of ours.
    """
    _checkFormat(document)
    command = document.text("command")
    read = _COMMANDS.get(command)
    if read is None:
        raise InvalidDocument(
            f"it is of {command!r}, which has no results to report", "give what was measured"
        )
    return read(document, name)


def _checkFormat(document: JSONObject) -> None:
    if not document.has("format") or document.text("format") != FORMAT:
        raise InvalidDocument("it is no measurement of echoproto")
    version = document.count("version")
    if version > VERSION:
        newer = f"it is of version {version}, and we read up to {VERSION}"
        raise InvalidDocument(newer, "pip install -U echoproto")


def _ping(document: JSONObject, name: str) -> Iterator[StoredResult]:
    for each in document.items("targets", TARGETS):
        yield restoredTarget(each, name)


def restoredTarget(target: JSONObject, name: str) -> StoredResult:
    """What became of one target of ``ping``."""
    counts = {each: target.count(each) for each in _COUNTS}
    return _saved(target, name, "ping", counts, "rtt", target.spread("rtt"))


def _load(document: JSONObject, name: str) -> Iterator[StoredResult]:
    # Of an open loop the times count from when messages should have been sent.
    isOpen = document.inner("configuration").has("rate_per_second")
    measured = "response" if isOpen else "service"
    counts = {"wrong": document.count("wrong")}
    yield _saved(document, name, "load", counts, measured, document.spread(measured))


def _verify(document: JSONObject, name: str) -> Iterator[StoredResult]:
    counts = document.inner("counts")
    # What was cut is lost, and not wrong.
    wrong = sum(counts.count(each.value) for each in FaultKind if each is not FaultKind.CUT)
    yield _saved(document, name, "verify", {"wrong": wrong}, "", LatencyHistogram(), "_bytes")


def _saved(
    fields: JSONObject,
    name: str,
    command: str,
    counts: dict[str, int],
    measured: str,
    times: LatencyHistogram,
    unit: str = "",
) -> StoredResult:
    received, duration = fields.count(f"received{unit}"), fields.count("duration_ns")
    return StoredResult(
        (name,),
        command,
        fields.text("target"),
        fields.count(f"sent{unit}"),
        received,
        duration,
        received * SECOND / duration if duration else 0.0,
        counts,
        measured,
        times,
        *_intervals(fields),
    )


def _intervals(fields: JSONObject) -> tuple[int, tuple[Interval, ...]]:
    found = fields.items("intervals", INTERVALS) if fields.has("intervals") else []
    if not found:
        return 0, ()
    width = fields.count("interval_ns")
    if not width:
        raise InvalidDocument("its intervals have no width")
    return width, tuple(restoredInterval(each) for each in found)


def restoredInterval(fields: JSONObject) -> Interval:
    """A second of a run."""
    at, sent, received = (fields.count(each) for each in ("at_ns", "sent", "received"))
    if not received:
        return Interval(at, sent, 0)
    times = (fields.count(each) for each in ("min_ns", "p50_ns", "p99_ns", "max_ns"))
    return Interval(at, sent, received, *times)


def _report(document: JSONObject, name: str) -> Iterator[StoredResult]:
    """What we have written ourselves."""
    for each in document.items("results", TARGETS):
        counts = each.inner("counts")
        command, measured = each.text("command"), each.text("measured")
        if measured not in _MEASURED.get(command, ()):
            raise InvalidDocument(f"nothing measures {measured!r} times by {command!r}")
        yield StoredResult(
            (name,),
            command,
            each.text("target"),
            each.count("sent"),
            each.count("received"),
            each.count("duration_ns"),
            each.number("rate_per_second"),
            {known: counts.count(known) for known in ("wrong", *_COUNTS) if counts.has(known)},
            measured,
            each.spread("times") if measured else LatencyHistogram(),
            *_intervals(each),
        )


_COMMANDS: dict[str, Callable[[JSONObject, str], Iterator[StoredResult]]] = {
    "ping": _ping,
    "load": _load,
    "verify": _verify,
    "report": _report,
}
