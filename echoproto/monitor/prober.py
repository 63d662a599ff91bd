"""
Probes one target at its interval, for ever.

It keeps the last probes only, and has no timer per probe: :meth:`Prober.sweep` is called
periodically, and counts the probes whose wait is over. Replies are classified as by ``ping``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.client.targets.failures import describeFailure, sendErrorReason
from echoproto.errors import EchoprotoError
from echoproto.measure.ping.channel import NOT_READ
from echoproto.measure.ping.history import RecentProbes
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.schedule import ProbeSchedule
from echoproto.measure.ping.statistics import ReplyClassifier
from echoproto.monitor.connection import ProbeConnection
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.probedtarget import ProbedTarget
from echoproto.monitor.queue import ProbeQueue, QueuedProbe
from echoproto.monitor.settings import TargetSettings
from echoproto.text.units import SECOND, seconds

#: Seconds between two calls of :meth:`Prober.sweep`.
SWEEP_INTERVAL = 1.0

#: Probes whose late replies are still recognized, at least.
MIN_RECENT = 64


def _recentCount(settings: TargetSettings) -> int:
    """The number of probes to remember."""
    # Those of the wait and of three sweeps, and as many again, are not counted yet at most.
    unsettled = (settings.wait + 3 * round(SWEEP_INTERVAL * SECOND)) // settings.interval
    return max(MIN_RECENT, 2 * unsettled)


class Prober:
    """
    The probing of one target.

    :param reactor: connects, looks names up, and calls later.
    :param settings: how to probe it.
    :param counters: its figures.
    :param queue: calls it when probes are due.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :param session: four bytes that distinguish the probes of this run from others.
    """

    def __init__(
        self,
        reactor: IReactorTime,  # has the interfaces that the target needs
        settings: TargetSettings,
        counters: TargetCounters,
        queue: ProbeQueue,
        monotonicNs: Callable[[], int],
        session: bytes,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.counters = counters
        self.monotonicNs = monotonicNs
        self._recent = RecentProbes(0, _recentCount(settings))
        payload = ProbePayload(session, settings.size)
        self.classifier = ReplyClassifier(payload, settings.wait, self._recent, counters.counts)
        self._settled = 0
        # Replies that the kernel has dropped and whose probes are not settled; they are before the
        # probe with this number.
        self._drops = self._dropsEnd = 0
        self._queue = queue
        self._schedule = ProbeSchedule(settings.interval)
        self._place = ProbedTarget(reactor, settings, counters, monotonicNs)
        # When the last fault was noted: probes that were sent before are lost by it.
        self._faultAt = -1
        self._connection: ProbeConnection | None = None
        self._retired: deque[tuple[int, ProbeConnection]] = deque()
        self._next = QueuedProbe(self._probe)
        self._isOver = False

    def start(self, share: float) -> None:
        """
        Begin.

        :param share: the share of the interval after which the first probe is sent.
        """
        self._place.refresh()
        self._schedule.due = self.monotonicNs() + round(self.settings.interval * share)
        self._queue.add(self._schedule.due, self._next)

    def stop(self) -> None:
        """End now; probes whose wait is not over are not counted."""
        self._isOver = True
        self._queue.cancel(self._next)
        self._place.stop()
        for _, connection in self._retired:
            connection.end()
        self._retired.clear()
        if self._connection is not None:
            self._connection.end()

    def sweep(self, readAt: int) -> None:
        """
        Count the probes whose wait is over, and look the name up again if that is due.

        :param readAt: a time before which all replies have been read.
        """
        limit = readAt - self.settings.wait
        recent = self._recent
        self._readDrops()
        while self._settled < recent.count and recent.sentAt(self._settled) <= limit:
            self._settle(recent.sentAt(self._settled), recent.took(self._settled))
            self._settled += 1
        while self._retired and self._retired[0][0] <= limit:
            self._retired.popleft()[1].end()
        self._place.refresh()

    def _settle(self, sentAt: int, took: int) -> None:
        """The wait of the next probe is over."""
        if took < 0 and self._drops and self._settled < self._dropsEnd:
            self._drops -= 1
            self.counters.dropped += 1
            return
        if not 0 <= took <= self.settings.wait:
            took = -1
            if sentAt > self._faultAt:
                self.counters.reason = f"no reply in {seconds(self.settings.wait)}"
        self.counters.settle(sentAt, took)

    def _readDrops(self) -> None:
        """Find out which probes may have had a reply that the kernel dropped."""
        if self._settled >= self._dropsEnd:
            # What remains were no replies to probes, or further ones.
            self._drops = 0
        connections = [connection for _, connection in self._retired]
        if self._connection is not None:
            connections.append(self._connection)
        if drops := sum(connection.newDrops() for connection in connections):
            self._drops += drops
            self._dropsEnd = self._recent.count

    # Probes

    def _advance(self, now: int) -> None:
        """A probe was sent, or could not be: wait for the next one."""
        self._schedule.advance(now)
        self._queue.add(self._schedule.due, self._next)

    def _probe(self) -> None:
        """
        Send a probe, over a new connection if necessary. After a pause of this process it is sent
        later, at its place in the interval: the probes of all targets are overdue.
        """
        now = self.monotonicNs()
        self._schedule.called(now)
        if self._schedule.postpone():
            self._queue.add(self._schedule.due, self._next)
            return
        connection = self._connection
        if connection is not None and (
            self.settings.reconnect or connection.address != self._place.target.address
        ):
            self._connection = None
            if not connection.retire():
                self._retired.append((now, connection))
        if self._place.reason:
            self._fail(self._place.reason)
        elif self._place.target is None:
            # Its first lookup is under way.
            self._advance(now)
        elif self._connection is not None:
            self._send(self._connection)
        else:
            self._open()

    def _open(self) -> None:
        connection = self._connection = ProbeConnection(
            self, self._place.target, self.settings.wait
        )
        connection.channel.open().addCallbacks(lambda _: self._opened(connection), self._notOpened)

    def _opened(self, connection: ProbeConnection) -> None:
        channel, connection.address = connection.channel, self._place.target.address
        if channel.connecting.count:
            took = channel.connecting.maximum + channel.securing.maximum
            self.counters.connecting.add(took / SECOND)
        self._send(connection)

    def _notOpened(self, failure: Failure) -> None:
        self._connection = None
        if not self._isOver:
            self._fail(describeFailure(failure))

    def _send(self, connection: ProbeConnection) -> None:
        probe = self.classifier.send(self.monotonicNs())
        if connection.channel.isBlocked:
            self.fault(NOT_READ)
        else:
            try:
                connection.send(self._recent.count - 1, probe)
            except (OSError, EchoprotoError) as error:
                self.fault(sendErrorReason(error))
        self._advance(self.monotonicNs())

    def _fail(self, reason: str) -> None:
        """Count a probe that cannot be sent: it has no reply when its wait is over."""
        self.classifier.send(self.monotonicNs())
        self.fault(reason)
        self._advance(self.monotonicNs())

    def fault(self, reason: str) -> None:
        """Note why the probes without a reply will be lost."""
        self.counters.reason, self._faultAt = reason, self.monotonicNs()

    def finished(self, connection: ProbeConnection) -> None:
        """A connection is of no more use: close it, unless it is lost."""
        if connection is self._connection:
            self._connection = None
        connection.end()
