"""
A reactor for Linux: an echo costs about 0.4 of the CPU time that it costs on the stock reactor.

Use ``twistd --reactor=direct``, or call :func:`install` before the reactor is imported. It is
Twisted's epoll reactor with less work for each message:

- The stock reactor queues a write, registers the descriptor for writing, and sends in the next
  turn. Here queues are flushed when the turn ends, and a reply when its event ends
  (:mod:`.transports`).
- The stock reactor passes an event through ``callWithLogger`` and ``_doReadOrWrite``. Here a
  transport that is only readable is read directly. The log prefix is computed when something is
  logged (:class:`EventContext`).
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

from twisted.internet.interfaces import ILoggingContext
from twisted.internet.main import installReactor
from twisted.python import context, log

if sys.platform != "linux":
    raise ImportError("the direct reactor needs Linux; choose another")

from select import EPOLLIN

from echoproto.reactors.monotonic import useMonotonicTime
from echoproto.reactors.pipe import SplicePipe
from echoproto.reactors.sockets import DirectSocketsReactor
from echoproto.reactors.transports import READ_DIRECTLY, DirectTransport

#: Events taken from the kernel in one turn. The stock reactor allocates room for all descriptors
#: in every turn.
EVENTS_PER_TURN = 512


class EventContext(dict[Any, Any]):
    """
    The context (``twisted.python.context``) of a descriptor's events.

    ``callWithLogger`` makes one for every event; this one is kept with its descriptor, and computes
    the log prefix when something is logged.

    :param outer: the log context around the reactor.
    :param descriptor: the descriptor.
    """

    __slots__ = ("_descriptor", "_outer")

    def __init__(self, outer: dict[str, Any], descriptor: ILoggingContext) -> None:
        self._outer = outer
        self._descriptor = descriptor

    def __missing__(self, key: object) -> Any:
        if key is not log.ILogContext:
            raise KeyError(key)
        try:
            prefix = self._descriptor.logPrefix()
        except Exception:  # noqa: BLE001 - an application's; callWithLogger does the same
            prefix = "(buggy logPrefix method)"
        return {**self._outer, "system": prefix}


class DirectReactor(DirectSocketsReactor):
    """An epoll reactor with less work for each message; see the module's docstring."""

    # Of Twisted's base classes, which do not declare them.
    _newTimedCalls: list[Any]
    _reads: set[int]
    _writes: set[int]

    def __init__(self) -> None:
        super().__init__()
        useMonotonicTime(self)
        #: Transports to flush when the turn ends, in this order.
        self.flushing: list[DirectTransport] = []
        #: Moves large messages; see :mod:`.relay`.
        self.pipe = SplicePipe()
        self._outerLog: dict[str, Any] = {}

    def mainLoop(self) -> None:
        """Run until stopped."""
        self._outerLog = context.get(log.ILogContext)
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
        # Data written by timed calls is sent after the sockets are read, as on the stock reactor.
        isDue = bool(self.flushing)
        timeout = 0 if isDue or not self.running else self.timeout()
        while True:
            self._takeEvents(timeout)
            timeout = self.timeout()
            # Timed calls that are due run before the flush: they may write more.
            if self.flushing and (isDue or not (timeout == 0 or self.threadCallQueue)):
                self._flush()
                timeout = 0 if self.flushing else self.timeout()
            isDue = False
            if (
                timeout == 0
                or self.threadCallQueue
                or self._justStopped
                or not self.running
                # runUntilCurrent discards cancelled calls if there are many.
                or self._cancellations > 50
            ):
                return

    def doPoll(self, delay: float | None) -> None:
        """Wait for events, at most ``delay`` seconds, handle them and flush."""
        context.call({}, self._iterate, delay)

    doIteration = doPoll

    def _iterate(self, timeout: float | None) -> None:
        self._takeEvents(0 if self.flushing else timeout)
        self._flush()

    def _takeEvents(self, timeout: float | None) -> None:
        selectables = self._selectables
        contexts = context.theContextTracker.currentContext().contexts
        outside = contexts[-1]
        for fd, event in self._poller.poll(-1 if timeout is None else timeout, EVENTS_PER_TURN):
            descriptor = selectables.get(fd)
            # An event before this one may have closed it.
            if descriptor is None:
                continue
            try:
                if event == EPOLLIN and type(descriptor) in READ_DIRECTLY:
                    if descriptor.logContext is None:
                        descriptor.logContext = EventContext(self._outerLog, descriptor)
                    contexts[-1] = descriptor.logContext
                    try:
                        why = descriptor.doRead()
                    except BaseException as error:  # noqa: BLE001 - the stock reactor does the same
                        log.err()
                        why = error
                    if why:
                        self._disconnectSelectable(descriptor, why, True)
                else:
                    contexts[-1] = EventContext(self._outerLog, descriptor)
                    self._doReadOrWrite(descriptor, fd, event)
            except Exception:  # noqa: BLE001 - from a protocol's connectionLost
                log.err()
        contexts[-1] = outside

    def _flush(self) -> None:
        """Flush the transports that have written in this turn."""
        contexts = context.theContextTracker.currentContext().contexts
        outside = contexts[-1]
        flushing, self.flushing = self.flushing, []
        for transport in flushing:
            if not (transport.isQueued and transport.connected):
                continue
            transport.isQueued = False
            if transport.logContext is None:
                transport.logContext = EventContext(self._outerLog, transport)
            contexts[-1] = transport.logContext
            try:
                try:
                    why = transport.flush()
                except BaseException as error:  # noqa: BLE001 - the stock reactor does the same
                    log.err()
                    why = error
                if why:
                    self._disconnectSelectable(transport, why, False)
            except Exception:  # noqa: BLE001 - from a protocol's connectionLost
                log.err()
        contexts[-1] = outside

    def removeReader(self, reader: Any) -> None:
        """See ``IReactorFDSet``. Closing a connection calls it several times: once is enough."""
        number = reader.fileno()
        if number in self._reads and number not in self._writes:
            del self._selectables[number]
            self._poller.unregister(number)
            self._reads.remove(number)
        elif number in self._reads or number < 0 or reader in self._continuousPolling._readers:
            super().removeReader(reader)

    def removeWriter(self, writer: Any) -> None:
        """See ``IReactorFDSet``, and :meth:`removeReader`."""
        number = writer.fileno()
        if number in self._writes or number < 0 or writer in self._continuousPolling._writers:
            super().removeWriter(writer)

    def getWriters(self) -> Any:
        """Also the transports that will be flushed; see ``IReactorFDSet``."""
        return [*super().getWriters(), *self._queued()]

    def removeAll(self) -> Any:
        """Also the transports that would be flushed; see ``IReactorFDSet``."""
        queued = self._queued()
        self.flushing.clear()
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
