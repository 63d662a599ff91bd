"""
Errors of writing the log: the disk is full, the reader of a pipe has gone.

Twisted drops a line whose observer raises an exception, and reports the exception to the other
observers only. :class:`LogErrors` is such another observer, so it works for every log: standard
output, a file of ``twistd``, JSON lines.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogPublisher, globalLogPublisher
from twisted.logger._observer import OBSERVER_DISABLED
from zope.interface import implementer

from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.server.periodic import PeriodicService


@implementer(ILogObserver)
class LogErrors(PeriodicService):
    """
    While running, counts failed writes, and reports them once the log can be written again.

    :param clock: see :class:`.PeriodicService`.
    :param publisher: the log.
    :ivar count: writes that have failed.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, publisher: LogPublisher = globalLogPublisher) -> None:
        PeriodicService.__init__(self, clock, REPORT_INTERVAL, self.report)
        self.count = 0
        self._unreported = 0
        self._publisher = publisher

    def startService(self) -> None:
        """Begin to count."""
        PeriodicService.startService(self)
        self._publisher.addObserver(self)

    def stopService(self) -> None:
        """Report the last errors, and stop."""
        PeriodicService.stopService(self)
        self.report()
        self._publisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Count an error of another observer."""
        if event.get("log_format") == OBSERVER_DISABLED:
            self.count += 1
            self._unreported += 1
            error = event["log_failure"].value
            self._reason = getattr(error, "strerror", None) or str(error)

    def report(self) -> None:
        """Log the number of errors that were not yet reported."""
        count, errors = self.count, self._unreported
        if not errors:
            return
        self._unreported = 0
        self._log.error(
            "the log could not be written ({errors} times), so lines may be missing: {reason}",
            event="log errors",
            errors=errors,
            reason=self._reason,
        )
        if self._unreported:
            # Neither could this line, which is no loss.
            self.count, self._unreported = count, errors
