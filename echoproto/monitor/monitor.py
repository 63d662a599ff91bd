"""
The monitor: a prober for each target of the file, which is read again on request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from echoproto.errors import StartupError
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.metrics import Reload, monitorMetrics
from echoproto.monitor.prober import SWEEP_INTERVAL, Prober
from echoproto.monitor.queue import ProbeQueue
from echoproto.monitor.settings import TargetSettings, summaryOf
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS, LoopLag
from echoproto.status.state import IState
from echoproto.status.turns import GradualText
from echoproto.text.untrusted import escaped

#: The fraction of the golden ratio: the fractions of its multiples are spread evenly.
SPREAD = 0.6180339887498949

#: In so many turns of the event loop all probers are swept: 300 of 3,000 take 4 ms.
SWEEP_TURNS = 10

#: The labels of a target.
Key = tuple[tuple[str, str], ...]


@implementer(IState)
class Monitor(Service):
    """
    Probes targets while it runs.

    :param reactor: connects, looks names up, and calls later.
    :param load: reads the file; raises ``StartupError`` if it is invalid.
    :param settings: the targets at the start.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :param wallClock: the time of a reload, in seconds since the epoch.
    :ivar lateness: by how many seconds probes were late.
    :ivar delay: the lag of the event loop.
    """

    name = "monitor"
    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        load: Callable[[], Sequence[TargetSettings]],
        settings: Sequence[TargetSettings],
        monotonicNs: Callable[[], int] = time.monotonic_ns,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        self.lateness = Histogram(BOUNDS)
        self.delay = LoopLag(reactor)
        self._reactor = reactor
        self._load = load
        self._settings = settings
        self._monotonicNs = monotonicNs
        self._wallClock = wallClock
        self._session = os.urandom(4)
        self._queue = ProbeQueue(reactor, monotonicNs, self.lateness)
        self._probers: dict[Key, Prober] = {}
        self._started = 0
        self._readAt = 0
        self._lastReload = Reload(True, wallClock())
        self._page = GradualText(reactor, self._parts)
        self._turn = 0
        self._sweeping: Any = LoopingCall(self._sweep)
        self._sweeping.clock = reactor

    def startService(self) -> None:
        """Begin to probe."""
        Service.startService(self)
        self.delay.startService()
        self._apply()
        self._readAt = self._monotonicNs()
        self._sweeping.start(SWEEP_INTERVAL / SWEEP_TURNS, now=False)

    def stopService(self) -> None:
        """Stop; nothing is left scheduled."""
        Service.stopService(self)
        self._sweeping.stop()
        self.delay.stopService()
        for prober in self._probers.values():
            prober.stop()

    def probers(self) -> Iterator[Prober]:
        """The probers of all targets, in the order of the file."""
        return (self._probers[settings.key] for settings in self._settings)

    def reload(self) -> None:
        """
        Read the file again. Targets that stay keep their figures, and those with the same settings
        their connections. An invalid file is logged, and changes nothing.
        """
        try:
            settings = self._load()
        except Exception as error:  # noqa: BLE001 - whatever it is, the old targets stay
            self._lastReload = Reload(False, self._lastReload.at)
            reason = str(error) if isinstance(error, StartupError) else escaped(repr(error))
            self._log.error("{reason}; the old targets stay", reason=reason)
            return
        self._settings = settings
        self._lastReload = Reload(True, self._wallClock())
        self._apply()

    def logFigures(self) -> None:
        """Log the figures of all targets so far, in one line."""
        counters = [prober.counters for prober in self._probers.values()]
        self._log.info(
            "targets: {targets}; probes: {sent}; lost: {lost}; targets that do not answer: {down}",
            sent=sum(found.sent for found in counters),
            targets=len(counters),
            lost=sum(found.lost for found in counters),
            down=sum(found.bursts.length > 0 for found in counters),
        )

    def _apply(self) -> None:
        wanted = {settings.key: settings for settings in self._settings}
        for key in [key for key in self._probers if key not in wanted]:
            self._probers.pop(key).stop()
        for key, settings in wanted.items():
            old = self._probers.get(key)
            if old is None or old.settings != settings:
                self._probers[key] = self._begin(settings, old)
        self._log.info("probing {summary}", summary=summaryOf(self._settings))

    def _begin(self, settings: TargetSettings, old: Prober | None) -> Prober:
        """Probe a target, with the figures that it has had until now."""
        if old is None:
            counters = TargetCounters(settings.buckets)
        else:
            old.stop()
            counters = old.counters
            if old.settings.buckets != settings.buckets:
                counters.setBuckets(settings.buckets)
        prober = Prober(
            self._reactor, settings, counters, self._queue, self._monotonicNs, self._session
        )
        prober.start(self._started * SPREAD % 1)
        self._started += 1
        return prober

    def _sweep(self) -> None:
        # By now the sockets have been read since the last call, even if this one is late.
        readAt, self._readAt = self._readAt, self._monotonicNs()
        self._turn = (self._turn + 1) % SWEEP_TURNS
        for prober in islice(self._probers.values(), self._turn, None, SWEEP_TURNS):
            prober.sweep(readAt)

    # IState, shown by the status listener

    def ready(self) -> bool:
        """Whether targets are probed."""
        return bool(self.running)

    def notReadyReason(self) -> str:
        """Why they are not."""
        return "stopping" if self._started else "starting"

    def metrics(self) -> Deferred[bytes]:
        """The metrics, in Prometheus' text format."""
        return self._page.request()

    def _parts(self) -> Iterator[bytes]:
        return monitorMetrics(
            list(self.probers()), self.lateness, self.delay.histogram, self._lastReload
        )
