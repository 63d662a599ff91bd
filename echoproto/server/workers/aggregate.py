"""
The counters of several processes as those of one program.

A worker makes a snapshot of its own (:func:`snapshot`, plain values for JSON) periodically; the
supervisor keeps the last one of each and adds them up (:class:`CounterAggregator`). The counts of a
worker that died stay in the sums, because counters must never go back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from echoproto.protocols.observer import CloseReason, DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.histogram import Histogram
from echoproto.server.monitoring.looplag import BOUNDS

Snapshot = dict[str, Any]


def snapshot(watched: Iterable[MonitoredListener], delay: Histogram) -> Snapshot:
    """
    The counters of a process so far.

    :param delay: the lag of its event loop.
    """
    listeners = {
        f"{listener.service}\n{listener.place}": _figures(listener) for listener in watched
    }
    return {"listeners": listeners, "delay": delay.state()}


def _figures(watched: MonitoredListener) -> Snapshot:
    counts = watched.counts
    return {
        "accepted": counts.accepted,
        "refused": dict(counts.refused),
        "ended": dict(counts.ended),
        # Including those of open connections.
        "bytesReceived": watched.bytesReceived,
        "bytesSent": watched.bytesSent,
        "seconds": counts.seconds.state(),
        "greetings": counts.greetings,
        "vanished": counts.vanished,
        "datagrams": None if watched.datagrams is None else asdict(watched.datagrams()),
    }


def merge(one: Any, other: Any) -> Any:
    """The sum of two snapshots, or of parts of them: numbers are added, containers are merged."""
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


def retire(last: Snapshot) -> Snapshot:
    """The last snapshot of a process that died: its open connections were lost."""
    listeners = {
        name: merge(figures, {"vanished": lost, "ended": {CloseReason.LOST.value: lost}})
        for name, figures in last["listeners"].items()
        for lost in (_counts(figures).open,)
    }
    return {**last, "listeners": listeners}


def _counts(figures: Snapshot) -> ListenerCounters:
    counts = ListenerCounters()
    counts.accepted = figures["accepted"]
    counts.refused = Counter(figures["refused"])
    counts.ended = Counter(figures["ended"])
    counts.bytesReceived = figures["bytesReceived"]
    counts.bytesSent = figures["bytesSent"]
    counts.seconds.restore(figures["seconds"])
    counts.greetings = figures["greetings"]
    counts.vanished = figures["vanished"]
    return counts


def _watched(name: str, figures: Snapshot) -> MonitoredListener:
    service, _, place = name.partition("\n")
    totals = None if figures["datagrams"] is None else DatagramTotals(**figures["datagrams"])
    return MonitoredListener(
        service, place, _counts(figures), tuple, None if totals is None else lambda: totals
    )


class CounterAggregator:
    """The sums over all workers, including those that died."""

    def __init__(self) -> None:
        self._latest: dict[int, Snapshot] = {}
        self._gone: Snapshot = {"listeners": {}, "delay": Histogram(BOUNDS).state()}

    def update(self, worker: int, latest: Snapshot) -> None:
        """
        Keep the latest snapshot of ``worker``.

        :raise ValueError: it is malformed; then it is not counted.
        """
        try:
            everything = merge(self._gone, latest)
            for name, figures in latest["listeners"].items():
                _watched(name, figures)
            Histogram(BOUNDS).restore(everything["delay"])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"malformed snapshot: {error!r}") from error
        self._latest[worker] = latest

    def bury(self, worker: int) -> None:
        """``worker`` has ended; the next one of that number begins at zero."""
        last = self._latest.pop(worker, None)
        if last is not None:
            self._gone = merge(self._gone, retire(last))

    def watched(self) -> list[MonitoredListener]:
        """
        The listeners with the sums, for :func:`echoproto.server.monitoring.metrics.exposition`.
        """
        return [_watched(name, figures) for name, figures in self._total()["listeners"].items()]

    def delay(self) -> Histogram:
        """The lag of the event loops."""
        histogram = Histogram(BOUNDS)
        histogram.restore(self._total()["delay"])
        return histogram

    def _total(self) -> Snapshot:
        total = self._gone
        for latest in self._latest.values():
            total = merge(total, latest)
        return total
