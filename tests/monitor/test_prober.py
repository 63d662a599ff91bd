from __future__ import annotations

import gc
import sys
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import LoopingCall
from zope.interface.verify import verifyObject

from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.measure.ping.channel import NOT_READ
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.monitor import prober as module
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.probedtarget import RETRY_DELAY
from echoproto.monitor.prober import SWEEP_INTERVAL, Prober
from echoproto.monitor.queue import ProbeQueue
from echoproto.monitor.settings import TargetSettings
from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND
from tests.monitor.fakes import EchoTarget, ProberTestCase
from tests.monitor.test_settings import settingsOf


class ProberTests(ProberTestCase):
    def begin(self, settings: TargetSettings | None = None, share: float = 0.0) -> Prober:
        self.lateness = Histogram((0.1, 1.0))
        self.counters = TargetCounters((0.001, 1.0))
        made = settings if settings is not None else settingsOf()
        queue = ProbeQueue(self.clock, self.now, self.lateness)
        prober = Prober(self.clock, made, self.counters, queue, self.now, b"test")
        prober.start(share)
        self.readAt = self.now()
        sweeping: Any = LoopingCall(self.sweep, prober)
        sweeping.clock = self.clock
        sweeping.start(SWEEP_INTERVAL, now=False)
        self.addCleanup(prober.stop)
        self.addCleanup(sweeping.stop)
        return prober

    def sweep(self, prober: Prober) -> None:
        self.readAt, before = self.now(), self.readAt
        prober.sweep(before)

    def figures(self) -> tuple[int, int, int]:
        counters = self.counters
        return counters.sent, counters.received, counters.lost

    def test_counted(self) -> None:
        """A probe counts when its wait is over; what was sent was received or lost."""
        self.begin()

        def check() -> None:
            sent, received, lost = self.figures()
            self.assertEqual(sent, received + lost)
            self.assertEqual(received, self.counters.roundTrips.count)

        self.advance(2.5, check)
        self.assertEqual(self.figures(), (0, 0, 0))
        self.advance(8, check)
        self.assertEqual(self.figures(), (8, 8, 0))
        self.target.answers = False
        self.advance(10, check)
        self.assertEqual(self.figures(), (18, 11, 7))
        self.assertEqual((self.counters.bursts.count, self.counters.bursts.length), (1, 7))
        self.assertEqual(self.counters.reason, "no reply in 2 s")

    def test_spread(self) -> None:
        """The first probe is sent after a share of the interval, and lateness is counted."""
        self.begin(settingsOf(interval=10 * SECOND), share=0.3)
        self.advance(2.9)
        self.assertEqual(self.lateness.count, 0)
        self.clock.advance(0.6)
        self.assertEqual(self.lateness.cumulative(), [(0.1, 0), (1.0, 1), (float("inf"), 1)])

    def test_pause(self) -> None:
        """
        After a pause of the process nothing is sent at once: the next probe has its place in the
        interval, and those that were missed are not counted.
        """
        prober = self.begin(share=0.3)
        sent = []
        for seconds in (1, 5.1, 0.19, 0.02):
            self.clock.advance(seconds)
            sent.append(prober._recent.count)
        self.assertEqual(sent, [1, 1, 1, 2])
        self.advance(10)
        received = self.counters.received
        self.assertEqual(self.figures(), (received, received, 0))
        self.assertGreater(received, 7)

    def test_kinds(self) -> None:
        """Late, reordered, duplicate, corrupt and foreign replies are told apart."""
        self.target.answers = False
        prober = self.begin(settingsOf(wait=SECOND))
        self.advance(1.5)
        channel = self.target.channel
        verifyObject(IReplyReceiver, channel.receiver)
        first, second = channel.sent
        damaged = second[:-1] + bytes([second[-1] ^ 1])
        for reply in (damaged, first, first, b"not ours"):
            channel.receiver.replyReceived(reply)
        self.advance(2.5)
        counts = self.counters.counts
        kinds = ("CORRUPT", "LATE", "REORDERED", "DUPLICATE", "FOREIGN")
        self.assertEqual([counts[OutcomeKind[kind]] for kind in kinds], [1, 1, 1, 1, 1])
        # The late one is lost, the corrupt one received.
        self.assertEqual(self.figures(), (3, 1, 2))
        prober.stop()

    def test_stream(self) -> None:
        """On a stream replies are matched by position; the connect time is counted once."""
        self.target = EchoTarget(ordered=True)
        self.begin()
        self.advance(10.5)
        self.assertEqual((self.figures(), len(self.target.channels)), ((8, 8, 0), 1))
        self.assertEqual(self.counters.connecting.count, 1)
        self.assertEqual(self.counters.connecting.sum, 0.003)
        self.target.channel.receiver.replyReceived(bytes(64))
        self.assertEqual(self.counters.counts[OutcomeKind.FOREIGN], 1)

    def test_reconnect(self) -> None:
        """With a connection for each probe, it is closed in order when the probe is answered."""
        self.target = EchoTarget(ordered=True)
        self.begin(settingsOf(reconnect=True))
        self.advance(5.5)
        channels = self.target.channels
        self.assertEqual([channel.closed for channel in channels], [True] * 6)
        self.assertFalse(any(channel.aborted for channel in channels))
        self.assertEqual(self.counters.connecting.count, 6)

    def test_reconnectUnanswered(self) -> None:
        """A connection that is not answered is reset when the wait is over, not before."""
        self.target = EchoTarget(ordered=True)
        self.target.answers = False
        self.begin(settingsOf(reconnect=True))
        self.advance(1.5)
        first = self.target.channels[0]
        self.advance(1)
        self.assertFalse(first.closed)
        second: Any = self.target.channels[1]
        second.receiver.replyReceived(second.sent[0])
        self.assertTrue(second.closed)
        self.advance(3)
        self.assertTrue(first.aborted)

    def test_connectionLost(self) -> None:
        """After the loss of a connection another is opened, and the reason is known."""
        self.target = EchoTarget(ordered=True)
        self.target.answers = False
        self.begin()
        self.advance(0.1)
        self.target.channel.receiver.connectionLost("reset by peer")
        self.target.answers = True
        self.target.instead = [fail(ConnectionRefusedError())]
        self.advance(1)
        self.assertEqual(self.counters.received, 0)
        self.advance(4)
        self.assertEqual(self.counters.reason, "refused: nothing listens there")
        self.assertEqual((self.counters.lost, len(self.target.channels)), (2, 2))

    def test_refused(self) -> None:
        """A refused datagram is lost, and its port stays open."""
        self.target.answers = False
        self.begin()
        self.advance(0.1)
        self.target.channel.receiver.connectionLost("refused: nothing listens there")
        self.advance(4)
        self.assertEqual(self.counters.reason, "refused: nothing listens there")
        self.assertEqual(len(self.target.channels), 1)

    def test_dropped(self) -> None:
        """Probes whose replies our receive buffer dropped are not lost; late replies are."""
        self.target.answers = False
        self.begin()
        self.advance(3.5)
        channel = self.target.channel
        channel.drops = 2
        self.advance(4)
        counters = self.counters
        self.assertEqual((self.figures(), counters.dropped), ((5, 0, 3), 2))
        self.assertEqual(
            (counters.bursts.length, counters.hour.rows(self.now())[-1][:2]), (3, (3, 3))
        )
        channel.wait = -3 * SECOND
        channel.receiver.replyReceived(channel.sent[-1])
        self.advance(3)
        self.assertEqual((self.figures(), counters.dropped), ((8, 0, 6), 2))

    def test_droppedDuplicates(self) -> None:
        """A reply that was dropped although its probe has another one excuses no later loss."""
        self.begin()
        self.advance(3.5)
        self.target.channel.drops = 2
        self.advance(5)
        self.target.answers = False
        self.advance(5)
        self.assertEqual((self.counters.lost > 0, self.counters.dropped), (True, 0))

    def test_notSent(self) -> None:
        """A probe that cannot be sent is lost, with the reason."""
        self.begin()
        self.advance(0.5)
        self.target.channel.error = OSError(11, "full")
        self.advance(6)
        self.assertEqual(self.counters.reason, "not sent: the send buffer is full")

    def test_notRead(self) -> None:
        """A stream that the server does not read is sent no more than it holds."""
        self.target = EchoTarget(ordered=True)
        prober = self.begin()
        self.advance(0.5)
        self.patch(type(prober._connection.channel), "isBlocked", True)  # type: ignore[union-attr]
        self.advance(6)
        self.assertEqual(self.counters.reason, NOT_READ)

    def test_unknownName(self) -> None:
        """While a name is not found its probes are lost, and it is looked up again."""
        self.makings = [fail(DNSLookupError("no such host: lab1")), Deferred()]
        waiting = self.makings[1]
        self.begin()
        self.advance(4.95)
        self.assertEqual((self.counters.failedLookups, self.counters.lost), (1, 1))
        self.assertEqual(self.counters.reason, "DNS lookup failed: no such host: lab1")
        self.advance(RETRY_DELAY)
        waiting.callback(self.target)
        self.advance(4)
        self.assertEqual((self.counters.failedLookups, self.counters.address), (1, ""))
        self.assertGreater(self.counters.received, 0)

    def test_firstLookup(self) -> None:
        """During the first lookup nothing is sent or lost; a stop ends the lookup."""
        self.makings = [Deferred()]
        [making] = self.makings
        self.begin().stop()
        self.assertTrue(making.called)
        self.makings = [Deferred()]
        self.begin()
        self.advance(10)
        self.assertEqual(self.figures(), (0, 0, 0))

    def test_newAddress(self) -> None:
        """If the name has another address, that is used; late replies of the old are received."""
        answers: list[Deferred[Any]] = []

        def lookUp() -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        target = self.target = EchoTarget()
        target.host = ResolvedHost(["192.0.2.1"], self.clock, lookUp, 60.0)
        target.address = "192.0.2.1"
        target.answers = False
        self.begin()
        self.advance(61.5)
        self.assertEqual(self.counters.address, "192.0.2.1")
        answers[0].callback(["192.0.2.2"])
        target.address = "192.0.2.2"
        self.advance(1)
        old: Any = target.channels[0]
        new = target.channels[1]
        self.assertEqual((old.closed, len(new.sent)), (False, 1))
        old.receiver.replyReceived(old.sent[-1])
        self.advance(4)
        self.assertEqual((old.closed, self.counters.received), (True, 1))
        self.assertEqual(self.counters.address, "192.0.2.2")
        self.advance(60)
        answers[1].errback(DNSLookupError())
        self.advance(1.5)
        self.assertEqual(self.counters.failedLookups, 1)

    def test_newAddressOfStream(self) -> None:
        """A connection on which no reply is awaited is closed at once."""
        self.target = EchoTarget(ordered=True)
        self.begin()
        self.advance(0.5)
        self.target.address = "192.0.2.2"
        self.advance(1)
        old, _ = self.target.channels
        self.assertEqual((old.closed, old.aborted), (True, False))

    def test_stopped(self) -> None:
        """A stop closes all connections, and that of an attempt under way is not counted."""
        self.target = EchoTarget(ordered=True)
        self.target.answers = False
        prober = self.begin(settingsOf(reconnect=True))
        self.advance(1.5)
        self.target.instead = [Deferred()]
        self.advance(1)
        prober.stop()
        self.assertTrue(all(channel.aborted for channel in self.target.channels))
        self.assertEqual(prober._recent.count, 2)

    def test_suspended(self) -> None:
        """After a pause of this process replies are read before a probe counts as lost."""
        self.target.answers = False
        self.begin()
        self.advance(0.5)
        channel = self.target.channel
        self.clock.advance(60)
        self.assertEqual(self.figures(), (0, 0, 0))
        channel.wait = 59 * SECOND
        channel.receiver.replyReceived(channel.sent[0])
        channel.wait = 0
        self.advance(1)
        self.assertEqual(self.figures()[1:], (1, 0))

    def test_unsettledKept(self) -> None:
        """At any interval the probes that are not counted yet are kept."""
        self.begin(settingsOf(interval=SECOND // 1000, wait=SECOND))
        self.target.answers = True
        for _ in range(5000):
            self.clock.advance(0.001)
        # Suspended, with the probes of the last seconds not counted.
        self.clock.advance(30)
        for _ in range(3000):
            self.clock.advance(0.001)
        self.assertEqual(self.counters.lost, 0)
        self.assertGreater(self.counters.received, 5000)

    def test_memory(self) -> None:
        """After 7 days 100 targets take no more memory than after two."""
        # Full within the first day.
        self.patch(module, "MIN_RECENT", 8)
        queue = ProbeQueue(self.clock, self.now, Histogram((0.1,)))
        probers, targets = [], []
        for number in range(100):
            self.target = EchoTarget(ordered=number % 2 == 0)
            settings = settingsOf(interval=3600 * SECOND, reconnect=number % 2 == 0)
            counters = TargetCounters((0.001, 1.0))
            prober = Prober(self.clock, settings, counters, queue, self.now, b"test")
            prober.start(number / 100)
            self.addCleanup(prober.stop)
            probers.append(prober)
            targets.append(self.target)
        blocks = []
        for step in range(7 * 24):
            for number, target in enumerate(targets):
                target.answers = (step + number) % 5 != 0
                target.channels.clear()
            self.clock.pump([36] * 100)
            for prober in probers:
                prober.sweep(self.now())
            if step in (2 * 24, 7 * 24 - 1):
                gc.collect()
                blocks.append(sys.getallocatedblocks())
        for prober in probers:
            self.assertGreater(prober.counters.sent, 160)
            self.assertGreater(prober.counters.lost, 30)
            self.assertGreater(prober.counters.received, 120)
            self.assertLessEqual(len(prober._recent.times), 16)
        self.assertLess(blocks[1], blocks[0] * 1.01)
