"""The page for Prometheus, from :mod:`echoproto.server.monitoring.counters`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from echoproto import __version__
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.status.exposition import Labels, familyText
from echoproto.status.histogram import Histogram


@dataclass(frozen=True)
class WorkerCounts:
    """
    The processes of a program with several.

    :ivar running: number of ready ones.
    :ivar restarts: number of replacements.
    """

    running: int
    restarts: int


_PREFIX = "echoproto_"


@dataclass(frozen=True)
class _Family:
    """
    A metric of every listener.

    :ivar name: without the prefix.
    :ivar read: its value: of a :class:`.counters.MonitoredListener`, or of its ``DatagramTotals``.
    :ivar label: the label of values that are a mapping.
    """

    name: str
    text: str
    read: Callable[[Any], float | Mapping[str, int] | Histogram]  # Any: one of two types
    label: str = ""
    kind: str = "counter"

    def lines(self, sources: Iterable[tuple[Labels, object]]) -> str:
        """The lines of this metric, with a sample of every source."""
        samples: list[tuple[Labels, float | Histogram]] = []
        for labels, source in sources:
            value = self.read(source)
            if isinstance(value, Mapping):
                samples += [({**labels, self.label: name}, value[name]) for name in value]
            else:
                samples.append((labels, value))
        return familyText(_PREFIX + self.name, self.kind, self.text, samples)


_STREAMS = (
    _Family("connections_open", "Connections open now.", attrgetter("counts.open"), kind="gauge"),
    _Family("connections_accepted_total", "Connections opened.", attrgetter("counts.accepted")),
    _Family(
        "connections_refused_total",
        "Connections refused, by reason.",
        attrgetter("counts.refused"),
        "reason",
    ),
    _Family(
        "connections_ended_total",
        "Connections ended, by close reason.",
        attrgetter("counts.ended"),
        "ending",
    ),
    _Family(
        "stream_received_bytes_total", "Bytes received from clients.", attrgetter("bytesReceived")
    ),
    _Family("stream_sent_bytes_total", "Bytes sent to clients.", attrgetter("bytesSent")),
    _Family(
        "connection_seconds",
        "How long connections were open.",
        attrgetter("counts.seconds"),
        kind="histogram",
    ),
)

_DATAGRAMS = (
    _Family("datagrams_received_total", "Datagrams received.", attrgetter("received")),
    _Family("datagrams_answered_total", "Datagrams answered.", attrgetter("answered")),
    _Family(
        "datagram_received_bytes_total",
        "Payload bytes received in datagrams.",
        attrgetter("bytesReceived"),
    ),
    _Family(
        "datagram_sent_bytes_total", "Payload bytes sent in datagrams.", attrgetter("bytesSent")
    ),
    _Family(
        "datagrams_refused_total",
        "Datagrams not answered, by reason.",
        attrgetter("refused"),
        "reason",
    ),
    _Family("datagrams_dropped_total", "Datagrams dropped by the kernel.", attrgetter("dropped")),
    _Family("errors_total", "Failed sends and receives, by error.", attrgetter("errors"), "error"),
)

_GREETINGS = _Family("greetings_total", "Clients greeted.", attrgetter("counts.greetings"))

_FAULTS = _Family(
    "faults_total", "Faults on purpose, by kind.", attrgetter("counts.faults"), "kind"
)


def exposition(
    watched: Iterable[MonitoredListener],
    draining: bool,
    delay: Histogram,
    logErrors: int = 0,
    workers: WorkerCounts | None = None,
) -> bytes:
    """
    The page with all metrics, in the text format of Prometheus.

    :param watched: the listeners.
    :param draining: whether the program is stopping.
    :param delay: the lag of the event loop.
    :param logErrors: writes of the log that have failed.
    :param workers: the workers, if there are any.
    """
    listeners = [(listener.labels, listener) for listener in watched]
    streams = [source for source in listeners if source[1].datagrams is None]
    datagrams = [
        (labels, listener.datagrams())
        for labels, listener in listeners
        if listener.datagrams is not None
    ]
    greeting = [source for source in listeners if source[1].service == "greeting"]
    text = [
        *_program(draining, delay, logErrors, workers),
        *(family.lines(streams) for family in _STREAMS),
        *(family.lines(datagrams) for family in _DATAGRAMS),
        _GREETINGS.lines(greeting),
    ]
    faulty = [source for source in listeners if source[1].counts.faults]
    if faulty:
        text.append(_FAULTS.lines(faulty))
    return "".join(text).encode()


def _program(
    draining: bool, delay: Histogram, logErrors: int, workers: WorkerCounts | None
) -> Sequence[str]:
    failed = "Failed attempts to write a line of the log."
    rows: list[tuple[str, str, str, Labels, float | Histogram]] = [
        ("info", "gauge", "The program.", {"version": __version__}, 1),
        ("draining", "gauge", "1 while draining, else 0.", {}, draining),
        ("event_loop_delay_seconds", "histogram", "Delay of calls by the event loop.", {}, delay),
        ("log_errors_total", "counter", failed, {}, logErrors),
    ]
    if workers is not None:
        restarts = "Worker processes started to replace one that had died."
        rows += [
            ("workers", "gauge", "Worker processes that are ready.", {}, workers.running),
            ("worker_restarts_total", "counter", restarts, {}, workers.restarts),
        ]
    return [
        familyText(_PREFIX + name, kind, text, [(labels, value)])
        for name, kind, text, labels, value in rows
    ]
