from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.timelimit import limitTime
from echoproto.protocols.deadlines import CATCH_UP


class LimitTimeTests(SynchronousTestCase):
    def test_timeout(self) -> None:
        """A Deferred fires with what was read after a pause; without it the timeout counts."""
        for isRead in (True, False):
            clock = Clock()
            waiting: Deferred[str] = Deferred()
            limitTime(waiting, 2, clock, lambda *_: "too late")
            clock.advance(60)
            self.assertNoResult(waiting)
            if isRead:
                waiting.callback("read")
            clock.advance(CATCH_UP)
            self.assertEqual(self.successResultOf(waiting), "read" if isRead else "too late")
            self.assertEqual(clock.getDelayedCalls(), [])
