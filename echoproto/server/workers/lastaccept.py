"""
The last acceptance of waiting clients before a stop closes the listening sockets.

The kernel resets the clients in the queue of a listening socket when its last copy is closed. The
supervisor has copies, so it can wait until every worker has reported that it has accepted the
clients in its queue. A worker that dies meanwhile is replaced as usual, and its successor reports
instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from echoproto.protocols.deadlines import DeadlineCall

#: Seconds to wait for the reports: a second longer than until a worker that hangs is killed
#: (:data:`~echoproto.server.workers.workerprocess.SILENT_AFTER`), so that it can be replaced, and
#: less than :data:`~echoproto.processes.childprocess.STOP_GRACE`, which includes it.
ACCEPT_TIMEOUT = 4.0


class LastAcceptance:
    """
    Waits for the reports of all workers.

    :param clock: keeps the time; a reactor.
    :ivar hasBegun: whether the server stops.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._missing: set[int] = set()
        self._finished: Deferred[None] | None = None
        self._timeout: DeadlineCall | None = None
        self._beganAt = 0.0
        self.hasBegun = False

    def begin(self, numbers: Iterable[int]) -> Deferred[None]:
        """
        Wait for the workers with these numbers.

        :return: fires when all have reported, or after :data:`ACCEPT_TIMEOUT`.
        """
        self._missing = set(numbers)
        self._beganAt = self._clock.seconds()
        self.hasBegun = True
        if not self._missing:
            return succeed(None)
        self._finished = Deferred()
        self._timeout = DeadlineCall(self._clock, ACCEPT_TIMEOUT, self.end)
        return self._finished

    @property
    def seconds(self) -> float:
        """Seconds since the beginning; 0 before."""
        return self._clock.seconds() - self._beganAt if self.hasBegun else 0.0

    def expect(self, number: int) -> None:
        """Wait for this worker again: it has died."""
        self._missing.add(number)

    def received(self, number: int) -> None:
        """This worker has no client in its queue, or cannot be started."""
        self._missing.discard(number)
        if not self._missing:
            self.end()

    def end(self) -> None:
        """Wait no longer."""
        finished, self._finished = self._finished, None
        if finished is not None and self._timeout is not None:
            self._timeout.stop()
            finished.callback(None)
