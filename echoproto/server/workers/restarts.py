"""When dead workers are started again, and when a server whose workers cannot start gives up."""

from __future__ import annotations

#: Seconds before a dead worker is restarted, by its deaths in a row; the last for all further ones.
RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

#: A worker that has run for this many seconds is stable: its next death begins a new row.
STABLE_AFTER = 10.0

#: Failed starts in a row after which the server gives up, if no worker has ever served.
MAX_FAILED_STARTS = 3


class RestartPolicy:
    """
    The deaths and failed starts of a number of workers.

    :param count: number of workers.
    :ivar hasGivenUp: whether no further worker is to be started.
    """

    def __init__(self, count: int) -> None:
        self._deaths = [0] * count
        self._failedStarts = 0
        self._hasServed = False
        self.hasGivenUp = False

    def served(self) -> None:
        """A worker has become ready: a later failure to start one may pass."""
        self._hasServed = True
        self._failedStarts = 0

    def hasDied(self, number: int) -> bool:
        """Whether this worker has died since it was last stable."""
        return self._deaths[number] > 0

    def ran(self, number: int, seconds: float) -> None:
        """This worker has served, and has died this long after its start."""
        if seconds >= STABLE_AFTER:
            self._deaths[number] = 0

    def startFailed(self) -> None:
        """A worker has failed to start. If none has ever served, the cause is not a passing one."""
        self._failedStarts += 1
        self.hasGivenUp |= self._failedStarts >= MAX_FAILED_STARTS and not self._hasServed

    def nextDelay(self, number: int) -> float:
        """Seconds before this worker, which has just died, is started again."""
        delay = RESTART_DELAYS[min(self._deaths[number], len(RESTART_DELAYS) - 1)]
        self._deaths[number] += 1
        return delay
