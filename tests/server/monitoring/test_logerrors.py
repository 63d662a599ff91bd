from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.server.monitoring.logerrors import LogErrors


@implementer(ILogObserver)
class Disk:
    """An observer that fails while the disk is full."""

    def __init__(self) -> None:
        self.error: Exception = OSError(28, "No space left on device")
        self.isFull = False
        self.lines: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        if self.isFull:
            raise self.error
        self.lines.append(formatEvent(event))


class LogErrorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.disk = Disk()
        publisher = LogPublisher(self.disk)
        self.log = Logger(observer=publisher)
        self.clock = Clock()
        self.errors = LogErrors(self.clock, publisher)
        self.patch(LogErrors, "_log", self.log)
        self.errors.startService()

    def test_reportedOnce(self) -> None:
        """
        Lines that could not be written are counted, and reported in one line once there is room.
        """
        self.disk.isFull = True
        for _ in range(3):
            self.log.info("lost")
        self.clock.advance(REPORT_INTERVAL)
        self.assertEqual((self.disk.lines, self.errors.count), ([], 3))
        self.disk.isFull = False
        self.clock.pump([REPORT_INTERVAL, REPORT_INTERVAL])
        message = (
            "the log could not be written (3 times), so lines may be missing: "
            "No space left on device"
        )
        self.assertEqual((self.disk.lines, self.errors.count), ([message], 3))
        self.errors.stopService()

    def test_atTheEnd(self) -> None:
        """The last errors are reported at the stop; later ones are not counted."""
        self.disk.isFull = True
        self.log.info("lost")
        self.disk.isFull = False
        self.errors.stopService()
        self.assertIn("could not be written (1 times)", self.disk.lines[0])
        self.disk.isFull = True
        self.log.info("lost")
        self.assertEqual(self.errors.count, 1)

    def test_none(self) -> None:
        """Without errors nothing is reported, and other lines are not counted."""
        self.log.info("hello")
        self.errors.stopService()
        self.assertEqual((self.disk.lines, self.errors.count), (["hello"], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_otherErrors(self) -> None:
        """An error without an errno, such as that of a closed file, has its text."""
        self.disk.error = ValueError("closed file")
        self.disk.isFull = True
        self.log.info("lost")
        self.disk.isFull = False
        self.errors.stopService()
        self.assertIn("may be missing: closed file", self.disk.lines[0])
