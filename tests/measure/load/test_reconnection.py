from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.pool import NO_REPLY, RECONNECT_DELAY
from echoproto.measure.load.schedule import fixed
from echoproto.text.units import SECOND
from tests.measure.fakes import MS
from tests.measure.load.test_generator import LoadTarget, LoadTestCase


class RenewedConnectionTests(LoadTestCase):
    def renewed(self, target: LoadTarget | None = None, **plan: Any) -> LoadGenerator:
        return self.begin(target, connections=1, reconnect=True, **plan)

    @property
    def last(self) -> Any:
        """The connection that was made last."""
        return self.target.channels[-1]

    def test_eachMessage(self) -> None:
        """Each message has a connection of its own, which is closed after the reply."""
        loading = self.renewed(duration=None, count=3)
        for _ in range(3):
            self.last.answer()
        result = self.ended(loading)
        self.assertEqual((result.received, result.connected, result.isComplete), (3, 3, True))
        self.assertEqual(result.connecting.count, 3)
        ends = [(channel.closed, channel.aborted) for channel in self.target.channels]
        self.assertEqual(ends, [(True, False)] * 3)

    def test_openLoop(self) -> None:
        """The time to connect is part of the response time, and not of the service time."""
        target = LoadTarget()
        loading = self.renewed(target, times=fixed(1000), rate=1000.0, duration=3 * MS // 2)
        self.last.answer()
        slow: Deferred[Any] = Deferred()
        target.instead = [slow]
        self.clock.advance(0.001)
        receiver = self.target.channels[0].receiver
        self.clock.advance(0.004)
        again: Any = LoadTarget().open(receiver).result
        slow.callback(again)
        self.clock.advance(0.001)
        again.answer()
        result = self.ended(loading)
        self.assertEqual((result.response.maximum, result.service.maximum), (5 * MS, MS))

    def test_pieces(self) -> None:
        """Replies arrive in pieces; damage and unexpected data are wrong."""
        loading = self.renewed(duration=None, count=1)
        self.last.receiver.replyReceived(b"o")
        self.last.receiver.replyReceived(b"nEmore")
        result = self.ended(loading)
        self.assertEqual((result.received, result.wrong, result.bytesReceived), (1, 2, 7))

    def test_unexpected(self) -> None:
        """Data before a message is wrong, and does not count as its reply."""
        loading = self.renewed(duration=None, count=1, beginAt=SECOND)
        self.last.receiver.replyReceived(b"hello")
        self.clock.advance(1)
        self.last.answer()
        self.assertEqual(self.ended(loading).received, 1)

    def test_refused(self) -> None:
        """After a failed connection the next message follows a pause; the failed one is lost."""
        target = LoadTarget()
        loading = self.renewed(target, duration=None, count=3)
        target.refuses = True
        self.last.answer()
        target.refuses = False
        self.assertEqual(len(self.target.channels), 1)
        self.clock.advance(RECONNECT_DELAY / SECOND)
        self.last.answer()
        result = self.ended(loading)
        figures = (result.sent, result.lost, result.connectFailures)
        self.assertEqual((figures, result.isComplete), ((3, 1, 1), False))

    def test_lost(self) -> None:
        """A connection that is lost before its reply is counted, and its message is lost."""
        loading = self.renewed(duration=None, count=2)
        self.last.receiver.connectionLost("gone")
        self.clock.advance(RECONNECT_DELAY / SECOND)
        self.last.answer()
        result = self.ended(loading)
        self.assertEqual((result.lost, result.disconnects, result.errors["gone"]), (1, 1, 1))

    def test_lostUnused(self) -> None:
        """A connection that is lost before its message is replaced by another."""
        loading = self.renewed(duration=None, count=1, beginAt=SECOND)
        self.last.receiver.connectionLost("gone")
        self.clock.advance(1)
        self.last.answer()
        self.assertEqual((self.ended(loading).received, len(self.target.channels)), (1, 2))

    def test_overdue(self) -> None:
        """A connection without a reply in time is reset, in an open loop too."""
        loading = self.renewed(times=fixed(0.1), rate=0.1, timeout=SECOND)
        for _ in range(11):
            self.clock.advance(0.1)
        self.assertTrue(self.target.channels[0].aborted)
        loading.stop()
        self.assertEqual(self.ended(loading).errors[NO_REPLY], 1)

    def test_stoppedMeanwhile(self) -> None:
        """A connection that is made after the end is closed."""
        target = LoadTarget()
        loading = self.renewed(target)
        late = LoadTarget()
        target.instead = [Deferred(lambda slow: slow.callback(late.open(None).result))]
        self.last.answer()
        loading.stop()
        self.assertEqual(self.ended(loading).lost, 1)
        self.assertTrue(late.channels[0].closed)
