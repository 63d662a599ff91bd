"""
Adds up the counters of several worker processes.

Each worker sends a :func:`snapshot` of its counters from time to time, in plain values for JSON.
The supervisor keeps the last one of each worker and adds them up (:class:`CounterAggregator`). What
a dead worker has counted stays in the sums, as counters must never decrease.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from echoproto.protocols.observer import CloseReason, DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS

Snapshot = dict[str, Any]


def snapshot(
    listeners: Iterable[MonitoredListener], loopLag: Histogram, logErrors: int = 0
) -> Snapshot:
    """
    The counters of this process.

    :param loopLag: see :class:`~echoproto.status.looplag.LoopLag`.
    :param logErrors: see :class:`~echoproto.server.monitoring.logerrors.LogErrors`.
    """
    byName = {f"{listener.service}\n{listener.place}": _values(listener) for listener in listeners}
    return {"listeners": byName, "delay": loopLag.state(), "logErrors": logErrors}


def _values(listener: MonitoredListener) -> Snapshot:
    return {
        **listener.counts.state(),
        # Including those of open connections.
        "bytesReceived": listener.bytesReceived,
        "bytesSent": listener.bytesSent,
        "datagrams": None if listener.datagrams is None else asdict(listener.datagrams()),
    }


def merge(one: Any, other: Any) -> Any:  # Any: JSON values
    """The sum of two snapshots or parts of them: numbers are added, mappings and lists merged."""
    if isinstance(one, dict):
        return {
            name: merge(one[name], other[name])
            if name in one and name in other
            else (one | other)[name]
            for name in one | other
        }
    if isinstance(one, list):
        return [merge(*pair) for pair in zip(one, other, strict=True)]
    return one if one is None else one + other


def _closed(last: Snapshot) -> Snapshot:
    """The last snapshot of a dead process, with its open connections counted as lost."""
    listeners = {}
    for name, values in last["listeners"].items():
        lost = _counters(values).open
        listeners[name] = merge(values, {"vanished": lost, "ended": {CloseReason.LOST.value: lost}})
    return {**last, "listeners": listeners}


def _counters(values: Snapshot) -> ListenerCounters:
    counters = ListenerCounters()
    counters.restore(values)
    return counters


def _listener(name: str, values: Snapshot) -> MonitoredListener:
    service, _, place = name.partition("\n")
    totals = None if values["datagrams"] is None else DatagramTotals(**values["datagrams"])
    return MonitoredListener(
        service, place, _counters(values), tuple, None if totals is None else lambda: totals
    )


class CounterAggregator:
    """The sums over all workers, including dead ones."""

    def __init__(self) -> None:
        self._latest: dict[int, Snapshot] = {}
        self._retired = snapshot([], Histogram(BOUNDS))

    def update(self, worker: int, latest: Snapshot) -> None:
        """
        Replace the snapshot of a worker.

        :raise ValueError: ``latest`` is malformed; the previous snapshot is kept.
        """
        try:
            total = merge(self._retired, latest)
            for name, values in latest["listeners"].items():
                _listener(name, values)
            Histogram(BOUNDS).restore(total["delay"])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a snapshot: {error!r}") from error
        self._latest[worker] = latest

    def retire(self, worker: int) -> None:
        """A worker has died: keep its counts. Those of its successor begin at 0."""
        last = self._latest.pop(worker, None)
        if last is not None:
            self._retired = merge(self._retired, _closed(last))

    def listeners(self) -> list[MonitoredListener]:
        """The sums per listener, for :func:`echoproto.server.monitoring.metrics.exposition`."""
        return [_listener(name, values) for name, values in self._total()["listeners"].items()]

    def loopLag(self) -> Histogram:
        """The loop lag of all workers."""
        histogram = Histogram(BOUNDS)
        histogram.restore(self._total()["delay"])
        return histogram

    def logErrors(self) -> int:
        """The errors of writing the log of all workers."""
        errors: int = self._total()["logErrors"]
        return errors

    def _total(self) -> Snapshot:
        total = self._retired
        for latest in self._latest.values():
            total = merge(total, latest)
        return total
