"""
A reactor for Linux: an echo costs about 0.4 of the CPU time that it costs on the stock reactor.

Use ``twistd --reactor=direct``, or call :func:`install` before the reactor is imported. It is
Twisted's epoll reactor with less work for each message:

- The stock reactor queues a write, registers the descriptor for writing, and sends in the next
  turn. Here queues are flushed when the turn ends, and a reply when its event ends
  (:mod:`.transports`).
- The stock reactor passes an event through ``callWithLogger`` and ``_doReadOrWrite``. Here a
  transport that is only readable is read directly. The log prefix is computed when something is
  logged (:mod:`.eventcontext`).
- Between two waits the stock reactor checks for calls of threads and for timed calls in several
  steps. Here one condition decides whether any of it is needed (:meth:`DirectReactor._takeTurns`).

Programs can observe some differences from the stock reactor; ``docs/reactor.md`` lists them. Every
override must agree with the stock code that it replaces: ``tests/reactors/test_direct.py`` fails if
that code changes in a later Twisted, and ``python -m tests.reactors`` runs Twisted's own reactor
tests.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.main import installReactor
from twisted.python import context, log

if sys.platform != "linux":
    raise ImportError("the direct reactor needs Linux; choose another")

from select import EPOLLIN

from echoproto.reactors.eventcontext import EventContext
from echoproto.reactors.monotonic import useMonotonicTime
from echoproto.reactors.pipe import SplicePipe
from echoproto.reactors.sockets import DirectSocketsReactor
from echoproto.reactors.transports import READ_DIRECTLY, DirectTransport

#: Events taken from the kernel in one turn. The stock reactor allocates room for all descriptors
#: in every turn.
EVENTS_PER_TURN = 512

#: Seconds of the longest wait, 24 days: milliseconds that a C int holds, as epoll_wait(2) needs.
LONGEST_WAIT = 2_147_483.0

#: Cancelled calls that runUntilCurrent keeps.
KEPT_CANCELLATIONS = 50


class DirectReactor(DirectSocketsReactor):
    """An epoll reactor with less work for each message; see the module's docstring."""

    # Of Twisted's base classes, which do not declare them.
    _newTimedCalls: list[Any]

    def __init__(self) -> None:
        super().__init__()
        useMonotonicTime(self)
        #: Transports to flush when the turn ends, in this order.
        self.flushing: list[DirectTransport] = []
        # Those that are being flushed.
        self._flushed: list[DirectTransport] = []
        #: Moves large messages; see :mod:`.relay`.
        self.pipe = SplicePipe()
        #: The log context around the reactor; see :class:`EventContext`.
        self.outerLog: dict[str, Any] = {}

    def mainLoop(self) -> None:
        """Run until stopped."""
        self.outerLog = context.get(log.ILogContext)
        # A context of its own, which the contexts of events replace in turn.
        context.call({}, self._loop)
        log.msg("Main loop terminated.")

    def _loop(self) -> None:
        while self._started:
            try:
                self.runUntilCurrent()
                self._takeTurns()
            except BaseException:  # noqa: BLE001 - the stock reactor does the same
                log.err(None, "Unexpected error in main loop")

    def _takeTurns(self) -> None:
        """Wait for events, handle them and flush, until ``runUntilCurrent`` has something to do."""
        poll, takeEvents, seconds = self._poller.poll, self._takeEvents, self.seconds
        contexts = context.theContextTracker.currentContext().contexts
        # Data written by timed calls is sent after the sockets are read, as on the stock reactor.
        isDue = bool(self.flushing)
        timeout = 0.0 if isDue or not self.running else self._timeout()
        while True:
            takeEvents(poll(timeout, EVENTS_PER_TURN), contexts)
            if (
                self.flushing
                or self._newTimedCalls
                or self.threadCallQueue
                or self._justStopped
                or not self.running
                or self._cancellations > KEPT_CANCELLATIONS
                or not self._pendingTimedCalls
            ):
                timeout = self._endTurn(isDue)
            else:
                # Most turns end here, with what timeout() does in three calls.
                timeout = self._pendingTimedCalls[0].time - seconds()
                if timeout > LONGEST_WAIT:  # noqa: PLR1730 - min() costs a call
                    timeout = LONGEST_WAIT
            if timeout <= 0.0:
                return
            isDue = False

    def _endTurn(self, isDue: bool) -> float:
        """
        Flush.

        :param isDue: flush although timed calls are due.
        :return: seconds to wait for events; 0 if ``runUntilCurrent`` has something to do.
        """
        timeout = self._timeout()
        # Timed calls that are due run before the flush: they may write more.
        if self.flushing and (isDue or not (timeout == 0 or self.threadCallQueue)):
            self._flush()
            timeout = 0.0 if self.flushing else self._timeout()
        isBusy = self.threadCallQueue or self._justStopped or not self.running
        return 0.0 if isBusy or self._cancellations > KEPT_CANCELLATIONS else timeout

    def _timeout(self) -> float:
        timeout = self.timeout()
        return LONGEST_WAIT if timeout is None else timeout

    def doPoll(self, delay: float | None) -> None:
        """Wait for events, at most ``delay`` seconds, handle them and flush."""
        context.call({}, self._iterate, delay)

    doIteration = doPoll

    def _iterate(self, timeout: float | None) -> None:
        contexts = context.theContextTracker.currentContext().contexts
        self._resumeFlushing(contexts)
        if self.flushing:
            timeout = 0
        self._takeEvents(self._poller.poll(timeout, EVENTS_PER_TURN), contexts)
        self._flush()

    def _resumeFlushing(self, contexts: list[Any]) -> None:
        """Queue what would be sent later, because a callback runs the reactor until it is sent."""
        self.flushing += self._flushed
        for outer in contexts:
            if isinstance(outer, EventContext) and isinstance(outer.descriptor, DirectTransport):
                outer.descriptor.sendEarly()

    def _takeEvents(self, events: list[tuple[int, int]], contexts: list[Any]) -> None:
        selectables, direct, outer = self._selectables, READ_DIRECTLY, self._removed
        top, outside = len(contexts) - 1, contexts[-1]
        removed: dict[int, Any] = {}
        self._removed = removed
        for fd, event in events:
            descriptor = selectables.get(fd)
            # An event before this one may have closed it.
            if descriptor is None:
                continue
            try:
                if event == EPOLLIN and type(descriptor) in direct:
                    contexts[top] = descriptor.logContext
                    try:
                        why = descriptor.doRead()
                    except BaseException as error:  # noqa: BLE001 - the stock reactor does the same
                        self._readFailed(descriptor, error)
                    else:
                        if why:
                            self._disconnectSelectable(descriptor, why, True)
                # Not the event of another; above, a vain read is harmless.
                elif removed.get(fd, descriptor) is descriptor:
                    contexts[top] = EventContext(self, descriptor)
                    self._doReadOrWrite(descriptor, fd, event)
            except BaseException:  # noqa: BLE001 - from a protocol's connectionLost
                log.err()
        contexts[top] = outside
        self._removed = outer
        if outer is not None:
            outer.update({**removed, **outer})

    def _readFailed(self, descriptor: Any, error: BaseException) -> None:
        """A protocol has raised an exception, which ends its connection."""
        log.err()
        self._disconnectSelectable(descriptor, error, False)

    def _flush(self) -> None:
        """Flush the transports that have written in this turn."""
        contexts = context.theContextTracker.currentContext().contexts
        outside = contexts[-1]
        self._flushed, self.flushing = self.flushing, []
        for transport in self._flushed:
            if not (transport.isQueued and transport.connected):
                continue
            transport.isQueued = False
            contexts[-1] = transport.logContext
            try:
                try:
                    why = transport.flush()
                except BaseException as error:  # noqa: BLE001 - the stock reactor does the same
                    log.err()
                    why = error
                if why:
                    self._disconnectSelectable(transport, why, False)
            except BaseException:  # noqa: BLE001 - from a protocol's connectionLost
                log.err()
        contexts[-1] = outside
        self._flushed = []

    def getWriters(self) -> Any:
        """Also the transports that will be flushed; see ``IReactorFDSet``."""
        return [*super().getWriters(), *self._queued()]

    def removeAll(self) -> Any:
        """Also the transports that would be flushed; see ``IReactorFDSet``."""
        queued = self._queued()
        self.flushing.clear()
        for transport in queued:
            transport.isQueued = False
        removed = super().removeAll()
        return [*removed, *(transport for transport in queued if transport not in removed)]

    def _queued(self) -> list[DirectTransport]:
        return [transport for transport in self.flushing if transport.isQueued]


def install() -> None:
    """
    Install it as the reactor of the process; call this before anything imports
    ``twisted.internet.reactor``.
    """
    installReactor(DirectReactor())
