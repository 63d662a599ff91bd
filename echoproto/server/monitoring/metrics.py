"""
The page for Prometheus, from :mod:`echoproto.server.monitoring.counters`.

It is written by ``prometheus_client``, an extra (``echoproto[metrics]``), which is imported when
the first page is made. Its own module for Twisted is not used: it installs a reactor and answers in
threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

from echoproto import __version__
from echoproto.protocols.observer import DatagramTotals
from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.histogram import Histogram


@dataclass(frozen=True)
class WorkerCounts:
    """
    The processes of a program with several.

    :ivar running: number of ready ones.
    :ivar restarts: number of replacements.
    """

    running: int
    restarts: int


def exposition(
    watched: Iterable[MonitoredListener],
    draining: bool,
    delay: Histogram,
    workers: WorkerCounts | None = None,
) -> bytes:
    """
    The page with all metrics, in the text format of Prometheus, version 0.0.4.

    :param watched: the listeners.
    :param draining: whether the program is stopping.
    :param delay: the lag of the event loop.
    :param workers: the workers, if there are any.
    :raise ImportError: ``prometheus_client`` is not installed.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(list(watched), draining, delay, workers))
    return generate_latest(registry)


#: The labels of every metric of a listener.
LABELS = ("service", "listener")

_Source = TypeVar("_Source")
_Rows = Iterable[tuple[tuple[str, ...], float]]


def _one(number: float) -> _Rows:
    return [((), number)]


def _byLabel(numbers: Mapping[str, int]) -> _Rows:
    return [((name,), number) for name, number in numbers.items()]


@dataclass(frozen=True)
class _Family(Generic[_Source]):
    """
    The metrics of one name: reads them from a listener, with the values of the further label, if
    any.
    """

    name: str
    text: str
    read: Callable[[_Source], _Rows]
    label: tuple[str, ...] = ()


_OPEN: _Family[MonitoredListener] = _Family(
    "echoproto_connections_open",
    "Connections open now.",
    lambda listener: _one(listener.counts.open),
)

_STREAMS: Sequence[_Family[MonitoredListener]] = (
    _Family(
        "echoproto_connections_accepted_total",
        "Connections opened.",
        lambda listener: _one(listener.counts.accepted),
    ),
    _Family(
        "echoproto_connections_refused_total",
        "Connections refused, by reason.",
        lambda listener: _byLabel(listener.counts.refused),
        ("reason",),
    ),
    _Family(
        "echoproto_connections_ended_total",
        "Connections ended, by close reason.",
        lambda listener: _byLabel(listener.counts.ended),
        ("ending",),
    ),
    _Family(
        "echoproto_stream_received_bytes_total",
        "Bytes received from clients.",
        lambda listener: _one(listener.bytesReceived),
    ),
    _Family(
        "echoproto_stream_sent_bytes_total",
        "Bytes sent to clients.",
        lambda listener: _one(listener.bytesSent),
    ),
)

_DATAGRAMS: Sequence[_Family[DatagramTotals]] = (
    _Family(
        "echoproto_datagrams_received_total",
        "Datagrams received.",
        lambda totals: _one(totals.received),
    ),
    _Family(
        "echoproto_datagrams_answered_total",
        "Datagrams answered.",
        lambda totals: _one(totals.answered),
    ),
    _Family(
        "echoproto_datagram_received_bytes_total",
        "Payload bytes received in datagrams.",
        lambda totals: _one(totals.bytesReceived),
    ),
    _Family(
        "echoproto_datagram_sent_bytes_total",
        "Payload bytes sent in datagrams.",
        lambda totals: _one(totals.bytesSent),
    ),
    _Family(
        "echoproto_datagrams_refused_total",
        "Datagrams not answered, by reason.",
        lambda totals: _byLabel(totals.refused),
        ("reason",),
    ),
    _Family(
        "echoproto_errors_total",
        "Failed sends and receives, by error.",
        lambda totals: _byLabel(totals.errors),
        ("error",),
    ),
)

_GREETINGS: _Family[MonitoredListener] = _Family(
    "echoproto_greetings_total",
    "Clients greeted.",
    lambda listener: _one(listener.counts.greetings),
)


class _Collector:
    """Yields the metric families of one page to ``prometheus_client``."""

    def __init__(
        self,
        watched: Sequence[MonitoredListener],
        draining: bool,
        delay: Histogram,
        workers: WorkerCounts | None,
    ) -> None:
        self._watched = watched
        self._draining = draining
        self._delay = delay
        self._workers = workers

    def collect(self) -> Iterator[Any]:
        """The families, in the order of the page."""
        yield from self._program()
        yield from self._streams(
            [listener for listener in self._watched if listener.datagrams is None]
        )
        datagrams = [
            (listener.labels, listener.datagrams())
            for listener in self._watched
            if listener.datagrams
        ]
        for family in _DATAGRAMS:
            yield _counter(family, datagrams)
        greeting = [
            (listener.labels, listener)
            for listener in self._watched
            if listener.service == "greeting"
        ]
        yield _counter(_GREETINGS, greeting)

    def _program(self) -> Iterator[Any]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        yield InfoMetricFamily("echoproto", "The program.", {"version": __version__})
        yield GaugeMetricFamily("echoproto_draining", "1 while draining, else 0.", self._draining)
        yield _histogram(
            "echoproto_event_loop_delay_seconds",
            "Delay of calls by the event loop.",
            (),
            [((), self._delay)],
        )
        if self._workers is not None:
            yield GaugeMetricFamily(
                "echoproto_workers", "Worker processes that are ready.", self._workers.running
            )
            yield CounterMetricFamily(
                "echoproto_worker_restarts_total",
                "Worker processes started to replace one that had died.",
                self._workers.restarts,
            )

    def _streams(self, watched: Sequence[MonitoredListener]) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        sources = [(listener.labels, listener) for listener in watched]
        yield _filled(GaugeMetricFamily(_OPEN.name, _OPEN.text, labels=LABELS), _OPEN, sources)
        for family in _STREAMS:
            yield _counter(family, sources)
        yield _histogram(
            "echoproto_connection_seconds",
            "How long connections were open.",
            LABELS,
            [(listener.labels, listener.counts.seconds) for listener in watched],
        )


_Labelled = Iterable[tuple[tuple[str, ...], _Source]]


def _counter(family: _Family[_Source], sources: _Labelled[_Source]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    labels = (*LABELS, *family.label)
    return _filled(CounterMetricFamily(family.name, family.text, labels=labels), family, sources)


def _filled(metric: Any, family: _Family[_Source], sources: _Labelled[_Source]) -> Any:
    for labels, source in sources:
        for further, number in family.read(source):
            metric.add_metric((*labels, *further), number)
    return metric


def _histogram(name: str, text: str, labels: tuple[str, ...], sources: _Labelled[Histogram]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    metric = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in sources:
        metric.add_metric(values, _buckets(histogram), histogram.sum)
    return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [
        ("+Inf" if bound == inf else str(bound), count) for bound, count in histogram.cumulative()
    ]
