"""A service that makes a call periodically."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python import log


class PeriodicService(Service):
    """
    Makes a call at its start and then periodically. Twisted's ``TimerService`` is not used, because
    its module imports much more.

    :param clock: schedules the calls; the reactor, or a ``Clock`` in tests.
    :param interval: seconds between two calls.
    :param call: what is called; the first exception is logged, and ends the calls.
    """

    def __init__(self, clock: IReactorTime, interval: float, call: Callable[[], object]) -> None:
        self._interval = interval
        self._loop: Any = LoopingCall(call)
        self._loop.clock = clock

    def startService(self) -> None:
        """Call now, and from now on."""
        Service.startService(self)
        self._loop.start(self._interval).addErrback(log.err)

    def stopService(self) -> None:
        """Stop the calls."""
        Service.stopService(self)
        if self._loop.running:
            self._loop.stop()
