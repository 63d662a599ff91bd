from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.interfaces import (
    SERVER_CLOSED,
    IChannel,
    IReplyReceiver,
    ITarget,
)
from echoproto.errors import DatagramTooLong
from echoproto.measure.clientlimits import DROPPED_REMEDY
from echoproto.measure.ping import channel
from echoproto.measure.ping.channel import NOT_READ
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import CONNECT_AHEAD, Pinger
from echoproto.measure.ping.plan import PingPlan
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel, Target

MS = SECOND // 1000


class PingerTests(SynchronousTestCase):
    def begin(self, target: Target | None = None, **plan: Any) -> Pinger:
        self.clock = Clock()
        self.target = target if target is not None else Target()
        self.seen: list[ProbeOutcome] = []
        made = PingPlan(**plan)
        record = PingStatistics(ProbePayload(b"test", self.target.size), made.timeout)
        pinging = Pinger(self.target, self.clock, self.now, record, made, self.seen.append, 0)
        pinging.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(pinging.stop)
        return pinging

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def answer(self, channel: int = -1, probe: int = -1) -> None:
        self.target.receiver.replyReceived(self.target.channels[channel].sent[probe])

    def kinds(self) -> list[OutcomeKind]:
        return [outcome.kind for outcome in self.seen]

    def test_interfaces(self) -> None:
        """The fakes of these tests provide the interfaces."""
        self.begin()
        verifyObject(ITarget, self.target)
        verifyObject(IChannel, self.target.channels[0])
        verifyObject(IReplyReceiver, self.target.receiver)

    def test_count(self) -> None:
        """The probes of the plan are sent at intervals, and the last reply ends the run."""
        pinging = self.begin(count=3, interval=20 * MS)
        for _ in range(3):
            self.clock.advance(0.001)
            self.answer()
            self.clock.advance(0.019)
        result = self.successResultOf(pinging.result)
        self.assertEqual((result.record.sent, result.record.received), (3, 3))
        self.assertEqual(result.duration, 41 * MS)
        self.assertEqual([outcome.time for outcome in self.seen], [MS] * 3)
        self.assertEqual((result.connecting.count, result.connecting.maximum), (1, 3 * MS))
        self.assertTrue(self.target.channels[0].closed)

    def test_preload(self) -> None:
        """The first probes are sent at once, those after them at intervals."""
        self.begin(count=5, interval=20 * MS, preload=3)
        self.clock.advance(0)
        self.assertEqual(len(self.target.channels[0].sent), 3)
        self.clock.advance(0.019)
        self.assertEqual(len(self.target.channels[0].sent), 3)
        self.clock.advance(0.001)
        self.assertEqual(len(self.target.channels[0].sent), 4)

    def test_unanswered(self) -> None:
        """When a probe is sent, the one before it is reported if its reply is awaited."""
        unanswered: list[int] = []
        pinging = self.begin(Target(ordered=False), interval=20 * MS, timeout=50 * MS)
        pinging.onUnanswered = unanswered.append
        self.clock.advance(0.02)
        self.answer()
        self.clock.advance(0.02)
        self.assertEqual(unanswered, [0])

    def test_lost(self) -> None:
        """Without a reply a probe is lost after the timeout, and the last one ends the run."""
        pinging = self.begin(count=1, timeout=500 * MS)
        self.clock.advance(0.4)
        self.assertNoResult(pinging.result)
        self.clock.advance(0.1)
        self.assertEqual(self.seen[0].reason, "no reply in 0.5 s")
        self.assertEqual(self.successResultOf(pinging.result).record.lost, 1)

    def test_late(self) -> None:
        """A reply after the timeout is late, and counts as received."""
        self.begin(count=2, interval=SECOND, timeout=500 * MS)
        self.clock.advance(0.6)
        self.answer()
        self.assertEqual(self.kinds(), [OutcomeKind.LOST, OutcomeKind.LATE])

    def test_inOrder(self) -> None:
        """On a stream replies are matched by position, and an additional one is foreign."""
        self.begin(count=2, interval=MS)
        self.clock.advance(0.001)
        self.answer(probe=1)
        self.assertEqual((self.seen[0].kind, self.seen[0].sequence), (OutcomeKind.CORRUPT, 0))
        self.answer(probe=1)
        self.target.receiver.replyReceived(b"?" * 32)
        self.assertEqual(self.kinds()[1:], [OutcomeKind.REPLY, OutcomeKind.FOREIGN])

    def test_excess(self) -> None:
        """Data on a stream after the last reply is foreign, and wrong; a datagram is not."""
        for ordered in (True, False):
            pinging = self.begin(Target(ordered), count=1)
            self.target.channels[0].unread = 5
            self.answer()
            record = self.successResultOf(pinging.result).record
            self.assertEqual((record.excess, record.isWrong), (ordered, ordered))
            self.assertEqual(record.counts[OutcomeKind.FOREIGN], ordered)

    def test_excessOfEach(self) -> None:
        """Data after the reply is found on each connection; a callback may stop the run then."""
        pinging = self.begin(count=3, interval=20 * MS, reconnect=True)
        for _ in range(2):
            self.answer()
            self.target.channels[-1].unread = 5
            self.clock.advance(0.02)
        self.assertEqual((len(self.target.channels), self.seen[-1].size), (3, 5))
        pinging = self.begin(count=3, interval=20 * MS, reconnect=True)
        self.answer()
        self.target.channels[0].unread = 5
        pinging._exchange._onOutcome = lambda seen: pinging.stop()
        self.clock.advance(0.02)
        self.assertEqual(self.successResultOf(pinging.result).record.excess, 1)
        self.assertEqual(len(self.target.channels), 1)

    def test_lateAtTheEnd(self) -> None:
        """If replies take longer than the timeout, those to the last probes are awaited, too."""
        pinging = self.begin(Target(ordered=False), count=3, interval=20 * MS, timeout=10 * MS)
        for milli in range(1, 70):
            self.clock.advance(0.001)
            if milli in (30, 50):
                self.answer(probe=milli // 20 - 1)
        self.assertNoResult(pinging.result)
        self.clock.advance(0.001)
        self.answer(probe=2)
        record = self.successResultOf(pinging.result).record
        self.assertEqual((record.received, record.lost), (3, 0))

    def test_neverAtTheEnd(self) -> None:
        """Late replies to the last probes are awaited for twice the longest round trip."""
        pinging = self.begin(Target(ordered=False), count=2, interval=20 * MS, timeout=10 * MS)
        for milli in range(1, 78):
            self.clock.advance(0.001)
            if milli == 29:
                self.answer(probe=0)
        self.assertNoResult(pinging.result)
        self.clock.advance(0.001)
        self.assertEqual(self.successResultOf(pinging.result).record.lost, 1)

    def test_stoppedBeforeLate(self) -> None:
        """If stopped while late replies are still possible, their probes are not lost."""
        pinging = self.begin(Target(ordered=False), count=2, interval=20 * MS, timeout=10 * MS)
        for milli in range(1, 40):
            self.clock.advance(0.001)
            if milli == 29:
                self.answer(probe=0)
        pinging.stop()
        record = self.successResultOf(pinging.result).record
        self.assertEqual((record.sent, record.received, record.lost), (1, 1, 0))

    def test_delayed(self) -> None:
        """The first probe can be delayed; after a stop before it, nothing was sent."""
        for isStopped in (False, True):
            self.begin()
            pinging = Pinger(
                self.target,
                self.clock,
                self.now,
                self.record(),
                PingPlan(count=1),
                self.seen.append,
                0,
            )
            pinging.start(300 * MS)
            self.clock.advance(0.2)
            self.assertEqual(len(self.target.channels), 1)
            if isStopped:
                pinging.stop()
            else:
                self.clock.advance(0.1)
                self.answer()
            result = self.successResultOf(pinging.result)
            self.assertEqual((result.record.sent, result.duration), (not isStopped, 0))

    def delayed(self, *instead: Deferred[Any], **plan: Any) -> Pinger:
        """A pinger that begins in 300 ms, a little before which it connects."""
        self.begin()
        self.target = Target()
        self.target.instead = list(instead)
        made = PingPlan(**plan)
        pinging = Pinger(
            self.target, self.clock, self.now, self.record(), made, self.seen.append, 0
        )
        pinging.start(300 * MS)
        self.addCleanup(pinging.stop)
        self.clock.advance((300 * MS - CONNECT_AHEAD) / SECOND)
        return pinging

    def test_connectAhead(self) -> None:
        """It connects before the first probe is due, but not with a connection for each probe."""
        self.delayed()
        [channel] = self.target.channels
        self.assertEqual(channel.sent, [])
        self.clock.advance(CONNECT_AHEAD / SECOND)
        self.assertEqual((len(channel.sent), len(self.target.channels)), (1, 1))
        self.delayed(reconnect=True)
        self.assertEqual(self.target.channels, [])
        self.clock.advance(CONNECT_AHEAD / SECOND)
        self.assertEqual(len(self.target.channels[0].sent), 1)

    def test_connectedLate(self) -> None:
        """The first probe waits for its connection; that is no delay by this process."""
        connecting: Deferred[Any] = Deferred()
        pinging = self.delayed(connecting, count=2, interval=20 * MS)
        self.clock.advance(1)
        channel = FakeChannel()
        connecting.callback(channel)
        self.clock.advance(0)
        self.clock.advance(0.02)
        self.assertEqual(len(channel.sent), 2)
        snapshot = pinging.snapshot()
        self.assertEqual((snapshot.heldUp, snapshot.delayed), (0, 0))

    def test_notConnectedAhead(self) -> None:
        """If it cannot connect the first probe is lost at its time; the next connects again."""
        self.delayed(fail(ConnectionRefusedError()))
        self.assertEqual(self.seen, [])
        self.clock.advance(CONNECT_AHEAD / SECOND)
        self.assertEqual(self.seen[0].reason, "refused: nothing listens there")
        self.clock.advance(1)
        self.assertEqual(len(self.target.channels[0].sent), 1)

    def test_endedAhead(self) -> None:
        """
        If the server closes before the first probe is due, that is lost, for this reason, without
        another connection; the next one connects again.
        """
        self.delayed(count=2)
        self.target.receiver.connectionLost(SERVER_CLOSED)
        self.clock.advance(CONNECT_AHEAD / SECOND)
        self.assertEqual([outcome.reason for outcome in self.seen], [SERVER_CLOSED])
        self.assertEqual(len(self.target.channels), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.target.channels[1].sent), 1)

    def test_stoppedAhead(self) -> None:
        """After a stop while it connects nothing is sent."""
        pinging = self.delayed(Deferred())
        pinging.stop()
        self.assertEqual(self.successResultOf(pinging.result).record.sent, 0)

    def test_arrival(self) -> None:
        """The time that a reply has waited in the receive buffer is subtracted."""
        target = Target(ordered=False)
        self.begin(target, timeout=500 * MS)
        target.channels[0].wait = 2 * SECOND
        self.clock.advance(2.4)
        self.answer(probe=0)
        self.assertEqual([outcome.time for outcome in self.seen], [400 * MS])

    def test_heldUp(self) -> None:
        """After a pause of this process, replies are read before timeouts; it is reported."""
        pinging = self.begin(interval=100 * MS, count=2)
        self.clock.advance(3.1)
        self.answer(probe=0)
        self.answer()
        result = self.successResultOf(pinging.result)
        self.assertEqual((result.record.lost, result.heldUp), (0, 3 * SECOND))
        self.assertEqual(result.limits[0], "this process was held up for 3000 ms at a time")

    def test_postponed(self) -> None:
        """After a pause of this process the next probe waits for the next time of its schedule."""
        self.begin(interval=100 * MS)
        self.clock.advance(0.1)
        self.assertEqual(len(self.target.channels[0].sent), 2)
        self.clock.advance(3.05)
        self.assertEqual(len(self.target.channels[0].sent), 2)
        self.clock.advance(0.06)
        self.assertEqual(len(self.target.channels[0].sent), 3)
        self.clock.advance(0.1)
        self.assertEqual(len(self.target.channels[0].sent), 4)

    def test_intervalNotKept(self) -> None:
        """An interval that this process cannot keep is reported."""
        pinging = self.begin(interval=MS, count=101)
        for _ in range(100):
            self.clock.advance(0.004)
            self.answer()
        self.clock.advance(0.004)
        for _ in range(101):
            self.answer()
        result = self.successResultOf(pinging.result)
        self.assertEqual(len(result.limits), 1)
        self.assertRegex(
            result.limits[0], r"the interval was 1\.3\d+ ms on average instead of 1\.0"
        )

    def test_dropped(self) -> None:
        """Replies that our own receive buffers dropped are not lost, over all connections."""
        pinging = self.begin(interval=MS, count=2, reconnect=True, timeout=10 * MS)
        self.target.channels[0].drops = 1
        for _ in range(11):
            self.clock.advance(0.001)
        self.target.channels[1].drops = 1
        self.assertEqual(pinging.snapshot().record.dropped, 2)
        for _ in range(11):
            self.clock.advance(0.001)
        result = self.successResultOf(pinging.result)
        self.assertEqual((result.record.lost, result.record.lossRatio), (0, 0))
        self.assertEqual(result.limits, [f"2 replies dropped {DROPPED_REMEDY}"])

    def test_ownTime(self) -> None:
        """A loss has the send time of its probe, as a reply has."""
        self.begin(interval=300 * MS, timeout=500 * MS)
        for _ in range(6):
            self.clock.advance(0.1)
        self.answer()
        self.assertEqual([outcome.sentAt for outcome in self.seen], [0, 0])

    def record(self) -> PingStatistics:
        return PingStatistics(ProbePayload(b"test", 32), SECOND)

    def test_anyOrder(self) -> None:
        """Datagrams are matched by content."""
        self.begin(Target(ordered=False), count=2, interval=MS)
        self.clock.advance(0.001)
        self.answer(probe=1)
        self.answer(probe=0)
        self.assertEqual([outcome.sequence for outcome in self.seen], [1, 0])

    def test_deadline(self) -> None:
        """The run ends at the deadline, even if replies are awaited."""
        pinging = self.begin(deadline=SECOND, interval=300 * MS)
        self.clock.pump([0.1] * 11)
        self.assertEqual(self.successResultOf(pinging.result).record.sent, 4)
        pinging.stop()

    def test_deadlineBeforeConnection(self) -> None:
        """At a deadline before the connection is made, the first probe is lost, with the reason."""
        target = Target()
        target.instead = [Deferred()]
        pinging = self.begin(target, deadline=SECOND)
        self.clock.pump([1, 0])
        self.assertEqual(self.successResultOf(pinging.result).record.lost, 1)
        [outcome] = self.seen
        self.assertEqual(outcome.reason, "no connection before the deadline")

    def test_deadlineWithLookup(self) -> None:
        """The deadline counts from when the lookup of the name began."""
        target, clock = Target(), Clock()
        clock.advance(0.7)
        record = PingStatistics(ProbePayload(b"test", target.size), SECOND)
        plan = PingPlan(deadline=SECOND)
        pinging = Pinger(
            target,
            clock,
            lambda: round(clock.seconds() * SECOND),
            record,
            plan,
            lambda outcome: None,
            0,
        )
        pinging.start()
        clock.advance(0.3)
        self.successResultOf(pinging.result)

    def test_cancelled(self) -> None:
        """A cancelled result fires with the figures so far."""
        pinging = self.begin()
        self.answer()
        pinging.result.cancel()
        self.assertEqual(self.successResultOf(pinging.result).record.received, 1)

    def test_noBurst(self) -> None:
        """After a long pause, missed probes are not sent in a burst."""
        self.begin(interval=10 * MS)
        self.clock.advance(5)
        self.clock.advance(0)
        self.assertLessEqual(len(self.target.channels[0].sent), 4)

    def test_adaptive(self) -> None:
        """In adaptive mode the next probe follows a reply, or the interval if there is none."""
        self.begin(adaptive=True)
        for _ in range(5):
            self.answer()
            self.clock.advance(0)
        self.assertEqual(len(self.target.channels[0].sent), 6)
        self.clock.advance(1)
        self.assertEqual(len(self.target.channels[0].sent), 7)

    def test_reconnect(self) -> None:
        """Each probe has a connection of its own."""
        pinging = self.begin(count=2, reconnect=True, interval=MS)
        self.answer()
        self.clock.advance(0.001)
        self.answer()
        self.assertEqual([len(channel.sent) for channel in self.target.channels], [1, 1])
        self.assertEqual(self.successResultOf(pinging.result).connecting.count, 2)

    def test_reconnectInTurn(self) -> None:
        """With reconnect, a connection stays open until the reply or the timeout."""
        self.begin(count=3, reconnect=True, interval=MS, timeout=50 * MS)
        self.clock.advance(0.01)
        self.assertEqual(len(self.target.channels), 1)
        self.answer()
        self.assertEqual(len(self.target.channels), 2)
        self.clock.pump([0.02, 0.04])
        self.assertEqual(len(self.target.channels), 3)
        self.assertEqual(self.kinds(), [OutcomeKind.REPLY, OutcomeKind.LOST])
        # Without its reply a connection is reset.
        self.assertEqual(
            [channel.aborted for channel in self.target.channels], [False, True, False]
        )

    def test_gone(self) -> None:
        """Probes under way on a connection that ends are lost; the next probe opens a new one."""
        self.begin(interval=10 * MS)
        self.target.receiver.connectionLost("the server closed the connection")
        self.assertEqual(self.seen[0].reason, "the server closed the connection")
        self.clock.advance(0.01)
        self.answer()
        self.assertEqual(self.seen[1].sequence, 1)

    def test_refusedDatagram(self) -> None:
        """A connectionless channel is used again after a refusal."""
        self.begin(Target(ordered=False), interval=10 * MS)
        self.target.channels[0].connectionless = True
        self.target.receiver.connectionLost("refused")
        self.clock.advance(0.01)
        self.assertEqual(len(self.target.channels[0].sent), 2)

    def test_notSent(self) -> None:
        """A probe that cannot be sent is lost, with the reason."""
        for error, reason in (
            (OSError(90, "Message too long"), "not sent: Message too long"),
            (DatagramTooLong("9 bytes do not fit"), "not sent: 9 bytes do not fit"),
        ):
            pinging = self.begin(count=2, interval=10 * MS)
            self.answer()
            self.target.channels[0].error = error
            self.clock.advance(0.01)
            self.assertEqual(self.seen[1].reason, reason)
            self.successResultOf(pinging.result)

    def test_notRead(self) -> None:
        """While the server of a stream does not read, probes are lost instead of queued."""
        self.patch(channel, "MAX_UNREAD_BYTES", 0)
        pinging = self.begin(count=3, interval=10 * MS)
        opened: Any = self.target.channels[0]
        opened.producer.pauseProducing()
        self.clock.advance(0.01)
        self.assertEqual([outcome.reason for outcome in self.seen], [NOT_READ])
        opened.producer.resumeProducing()
        self.clock.advance(0.01)
        for probe in range(2):
            self.answer(probe=probe)
        self.assertEqual([outcome.sequence for outcome in self.seen], [1, 0, 2])
        record = self.successResultOf(pinging.result).record
        self.assertEqual((len(opened.sent), record.lost), (2, 1))
        self.assertIsNone(opened.producer)

    def test_refused(self) -> None:
        """If a connection is refused, its probe is lost, and the next probe connects again."""
        target = Target()
        refused: Deferred[Any] = Deferred()
        target.instead = [refused]
        pinging = self.begin(target, count=2, interval=10 * MS)
        refused.errback(ConnectionRefusedError())
        self.assertEqual(self.seen[0].reason, "refused: nothing listens there")
        self.clock.advance(0.01)
        self.answer()
        self.assertEqual(self.successResultOf(pinging.result).record.received, 1)

    def test_noConnection(self) -> None:
        """If a connection is not made within the timeout, its probe is lost."""
        target = Target()
        target.instead = [Deferred()]
        self.begin(target, count=1, timeout=SECOND)
        self.clock.advance(1)
        self.assertEqual(self.seen[0].reason, "no connection in 1 s")

    def test_never(self) -> None:
        """A target that can never be reached is a failure."""
        target = Target()
        failed: Deferred[Any] = Deferred()
        target.instead = [failed]
        pinging = self.begin(target)
        failed.errback(DNSLookupError("no such host"))
        self.failureResultOf(pinging.result, DNSLookupError)

    def test_stoppedWhileConnecting(self) -> None:
        """If it is stopped while connecting, it ends, and a connection made later is closed."""
        target = Target()
        connecting: Deferred[Any] = Deferred(lambda _: None)
        connecting.cancel = lambda: None  # type: ignore[method-assign]
        target.instead = [connecting]
        pinging = self.begin(target)
        pinging.stop()
        channel = FakeChannel(True)
        connecting.callback(channel)
        self.assertTrue(channel.closed)
        self.assertEqual(self.successResultOf(pinging.result).record.sent, 0)

    def test_stoppedByCallback(self) -> None:
        """The callback for replies may stop the run."""
        pinging = self.begin(count=5, interval=10 * MS)
        pinging._exchange._onOutcome = lambda seen: pinging.stop()
        self.target.channels[0].error = OSError(1, "no")
        self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(pinging.result).record.sent, 2)

    def test_stoppedAndFailed(self) -> None:
        """A connection attempt that fails after the stop is no loss."""
        target = Target()
        target.instead = [Deferred()]
        pinging = self.begin(target)
        pinging.stop()
        self.assertEqual(self.successResultOf(pinging.result).record.sent, 0)

    def test_noConnectTime(self) -> None:
        """A channel without a connection, as over UDP, has no connect time."""
        target = Target()
        channel = FakeChannel(True)
        channel.connectTime = None
        target.instead = [succeed(channel)]
        pinging = self.begin(target, count=1)
        pinging.stop()
        self.assertEqual(self.successResultOf(pinging.result).connecting.count, 0)

    def test_handshake(self) -> None:
        """TLS handshakes are timed."""
        target = Target()
        channel = FakeChannel(True)
        channel.handshakeTime = 7 * MS
        target.instead = [succeed(channel)]
        self.assertEqual(self.begin(target).snapshot().securing.maximum, 7 * MS)
