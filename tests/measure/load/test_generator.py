from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed, TargetError
from echoproto.measure.clientlimits import DROPPED_REMEDY
from echoproto.measure.load.cpu import CPUTime
from echoproto.measure.load.datagrams import numberedDatagrams
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.intervals import TICK
from echoproto.measure.load.loops import MAX_SENDS_PER_TURN, TOO_SLOW
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.load.pool import NO_REPLY, RECONNECT_DELAY
from echoproto.measure.load.schedule import fixed
from echoproto.measure.load.start import TOO_LATE
from echoproto.text.units import SECOND
from tests.measure.fakes import MS, FakeChannel, Target

MESSAGES = [b"one", b"two2", b"three"]


class AnsweredChannel(FakeChannel):
    """A connection whose messages are answered by the test."""

    connectTime = MS

    def __init__(self, receiver: Any) -> None:
        super().__init__()
        self.receiver = receiver

    def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self.receiver.replyReceived(self.sent.pop(0))


class LoadTarget(Target):
    """Opens channels, or refuses."""

    refuses = False

    def open(self, receiver: Any) -> Deferred[Any]:
        return fail(ConnectionRefusedError()) if self.refuses else super().open(receiver)

    def makeChannel(self, receiver: Any) -> FakeChannel:
        return AnsweredChannel(receiver)


class LoadTestCase(SynchronousTestCase):
    def begin(
        self,
        target: LoadTarget | None = None,
        tell: Callable[..., None] = lambda *second: None,
        messages: Iterator[bytes] | None = None,
        **plan: Any,
    ) -> LoadGenerator:
        self.clock = Clock()
        self.target = target if target is not None else LoadTarget()
        self.spent = self.waited = 0
        loading = LoadGenerator(
            self.target,
            self.clock,
            self.now,
            lambda: CPUTime(self.spent, self.waited),
            cycle(MESSAGES) if messages is None else messages,
            LoadPlan(**plan),
            tell,
            spin=0,
        )
        loading.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(loading.stop)
        return loading

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def sent(self) -> int:
        """Messages that wait for their replies."""
        return sum(len(channel.sent) for channel in self.target.channels)

    def answer(self) -> None:
        for channel in self.target.channels:
            channel.answer(len(channel.sent))

    def ended(self, loading: LoadGenerator) -> LoadResult:
        return self.successResultOf(loading.result)


class ClosedTests(LoadTestCase):
    def test_window(self) -> None:
        """Each connection has a window of messages under way; a reply is followed by the next."""
        self.begin(connections=2, window=3)
        self.assertEqual(self.sent(), 6)
        self.target.channels[0].answer(2)
        self.assertEqual([len(channel.sent) for channel in self.target.channels], [3, 3])

    def test_count(self) -> None:
        """The load ends when all its messages are answered, and every byte is counted."""
        loading = self.begin(connections=1, duration=None, count=3)
        self.clock.advance(0.003)
        for _ in range(3):
            self.answer()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received, result.wrong, result.lost), (3, 3, 0, 0))
        self.assertEqual((result.bytesSent, result.bytesReceived), (12, 12))
        self.assertEqual((result.duration, result.rate), (3 * MS, 1000))
        self.assertEqual((result.service.maximum, result.response.count), (3 * MS, 0))
        self.assertEqual((result.connecting.count, result.connecting.maximum), (1, MS))
        self.assertTrue(self.target.channels[0].closed)

    def test_duration(self) -> None:
        """After the duration nothing is sent, and replies are awaited until the timeout."""
        loading = self.begin(connections=2, duration=SECOND, timeout=SECOND // 2)
        self.clock.advance(1)
        self.target.channels[0].answer()
        self.assertEqual(self.target.channels[0].sent, [])
        self.assertNoResult(loading.result)
        self.clock.advance(0.5)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.lost, result.duration), (2, 1, SECOND))
        self.assertEqual((result.errors, result.disconnects), ({NO_REPLY: 1}, 0))

    def test_pieces(self) -> None:
        """Replies may arrive in pieces, or several together; each is compared with its message."""
        loading = self.begin(connections=1, window=3, duration=None, count=3)
        channel = self.target.channels[0]
        for piece in (b"on", b"etwo", b"2thrEe"):
            channel.receiver.replyReceived(piece)
        result = self.ended(loading)
        self.assertEqual((result.received, result.wrong), (3, 1))

    def test_stage(self) -> None:
        """The stage has the share that is done, and the counts so far."""
        loading = self.begin(connections=1, duration=10 * SECOND)
        self.clock.advance(2.5)
        self.answer()
        self.assertEqual(loading.stage(), (0.25, (2, 1, 0)))

    def test_intervals(self) -> None:
        """Each second is reported at its end, even after a pause; the last one with the result."""
        intervals: list[Any] = []
        loading = self.begin(
            connections=1, duration=None, tell=lambda *second: intervals.append(second)
        )
        for seconds in (0.4, 0.5, 0.2, 2.5):
            self.clock.advance(seconds)
            self.answer()
        loading.stop()
        result = self.ended(loading)
        figures = [
            (interval.at, interval.sent, interval.received, interval.maximum)
            for interval in result.intervals
        ]
        expected = [(0, 3, 2, 500 * MS), (SECOND, 1, 1, 200 * MS), (2 * SECOND, 0, 0, None)]
        self.assertEqual(figures, [*expected, (3 * SECOND, 1, 1, 2500 * MS)])
        self.assertEqual([entry for entry, _ in intervals], list(result.intervals))
        self.assertEqual((result.sent, result.received), (5, 4))

    def test_warmup(self) -> None:
        """Messages in the warm-up do not count."""
        loading = self.begin(connections=1, duration=SECOND, warmup=SECOND // 2)
        for seconds in (0.4, 0.1, 0.1, 0.4):
            self.clock.advance(seconds)
            self.answer()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received, result.duration), (2, 2, SECOND // 2))

    def test_busy(self) -> None:
        """A saturated CPU is reported as the limit."""
        loading = self.begin(connections=1, duration=SECOND)
        self.spent = 950 * MS
        self.clock.pump([0.125] * 8)
        self.answer()
        self.assertEqual(
            self.ended(loading).limits, ["the client's CPU was busy for 95% of the time"]
        )

    def test_waited(self) -> None:
        """A CPU that is used by other processes is reported as the limit, too."""
        loading = self.begin(connections=1, duration=SECOND)
        self.spent, self.waited = 500 * MS, 450 * MS
        self.clock.pump([0.125] * 8)
        self.answer()
        self.assertEqual(
            self.ended(loading).limits,
            ["the client's CPU was busy for 50% of the time, and other processes used it for 45%"],
        )


class OpenTests(LoadTestCase):
    def open(self, rate: float, **plan: Any) -> LoadGenerator:
        return self.begin(times=fixed(rate), rate=rate, **plan)

    def test_times(self) -> None:
        """Messages are sent at their times on alternating connections, whatever the replies."""
        self.open(100, connections=2)
        for _ in range(100):
            self.clock.advance(0.001)
        self.assertEqual(self.sent(), 11)
        self.assertEqual([len(channel.sent) for channel in self.target.channels], [5, 6])

    def test_tooMany(self) -> None:
        """If more is due than can be sent, timers still run, and the load ends on time."""

        def slow() -> int:
            self.clock.rightNow += 0.0001
            return round(self.clock.rightNow * SECOND)

        self.now = slow  # type: ignore[method-assign]
        loading = self.open(100_000, connections=1, duration=SECOND)
        self.clock.advance(0)
        self.answer()
        result = self.ended(loading)
        self.assertLessEqual(abs(result.sent - 10_000), MAX_SENDS_PER_TURN)
        self.assertEqual(result.lost, 0)

    def test_foreign(self) -> None:
        """Unexpected data is wrong."""
        loading = self.open(100, connections=1)
        self.answer()
        self.target.channels[0].receiver.replyReceived(b"more")
        loading.stop()
        result = self.ended(loading)
        self.assertEqual((result.wrong, result.bytesReceived), (1, 7))

    def test_count(self) -> None:
        """The load ends when its messages are answered, even before its duration."""
        loading = self.open(1000, connections=1, count=2, duration=SECOND)
        for _ in range(3):
            self.clock.advance(0.001)
        self.assertEqual(self.sent(), 2)
        self.clock.advance(1)
        self.answer()
        self.assertEqual(self.ended(loading).received, 2)

    def test_omission(self) -> None:
        """A server that stops for a second delays the responses to all messages due meanwhile."""
        loading = self.open(1000, connections=1, duration=3 * SECOND)
        for milli in range(4000):
            self.clock.advance(0.001)
            if not 1000 <= milli < 2000:
                self.answer()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.lost), (3001, 0))
        for percent, seconds in ((99, 0.97), (84, 0.52)):
            found = result.response.percentile(percent) / SECOND
            self.assertLess(abs(found - seconds), 0.01, percent)

    def test_heldUp(self) -> None:
        """A pause of this process shows in the response time, and is reported."""
        loading = self.open(1000, connections=1, duration=3 * SECOND)
        for _ in range(500):
            self.clock.advance(0.001)
            self.answer()
        self.clock.advance(1)
        self.answer()
        for _ in range(1600):
            self.clock.advance(0.001)
            self.answer()
        result = self.ended(loading)
        self.assertLess(result.service.maximum, 2 * MS)
        self.assertGreater(result.response.percentile(95), 800 * MS)
        self.assertRegex(result.limits[1], r"1 % of the messages were sent \d+\.\d ms late")

    def test_slowReader(self) -> None:
        """Nothing is queued for a server that does not read; in the end it is lost."""
        loading = self.open(1000, connections=1, duration=SECOND, timeout=SECOND)
        [channel] = self.target.channels
        channel.producer.pauseProducing()
        for _ in range(1000):
            self.clock.advance(0.001)
        self.assertEqual(len(channel.sent), 1)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received, result.lost), (1001, 1, 1000))
        self.assertEqual((result.errors, result.limits), ({TOO_SLOW: 1000}, []))

    def test_slowReaderCount(self) -> None:
        """Messages that could not be sent in time are lost, up to the number of messages."""
        loading = self.open(1000, connections=1, count=3, duration=SECOND, timeout=SECOND)
        self.target.channels[0].producer.pauseProducing()
        for _ in range(1000):
            self.clock.advance(0.001)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.lost), (3, 2))

    def test_noConnection(self) -> None:
        """While no connection is open, messages wait."""
        self.open(1000, connections=1)
        self.target.channels[0].receiver.connectionLost("lost")
        self.clock.advance(RECONNECT_DELAY / SECOND / 2)
        self.clock.advance(RECONNECT_DELAY / SECOND / 2)
        self.clock.advance(0.01)
        self.assertGreater(len(self.target.channels[1].sent), 50)

    def test_stoppedBetween(self) -> None:
        """A stop without a connection ends the load."""
        loading = self.open(1000, connections=1)
        self.target.channels[0].receiver.connectionLost("lost")
        loading.stop()
        self.assertEqual(self.ended(loading).errors, {"lost": 1})

    def test_finished(self) -> None:
        """The first finish() stops sending and awaits replies; the second ends at once."""
        for again in (False, True):
            loading = self.open(1000, connections=1)
            [channel] = self.target.channels
            sent = len(channel.sent)
            loading.finish()
            self.clock.advance(0.01)
            self.assertEqual(len(channel.sent), sent)
            self.assertNoResult(loading.result)
            if again:
                loading.finish()
            else:
                channel.answer(sent)
            self.assertEqual(self.ended(loading).lost, sent * again)


class TimeoutTests(LoadTestCase):
    def test_reconnected(self) -> None:
        """A lost connection is retried until it succeeds."""
        target = LoadTarget()
        loading = self.begin(target, connections=1, duration=3 * SECOND)
        target.instead = [fail(ConnectionRefusedError()) for _ in range(3)]
        target.channels[0].receiver.connectionLost("lost")
        for _ in range(5):
            self.clock.advance(RECONNECT_DELAY / SECOND)
        self.assertEqual((len(target.channels), self.sent()), (2, 2))
        loading.stop()
        refused = "refused: nothing listens there"
        self.assertEqual(self.ended(loading).errors, {"lost": 1, refused: 3})

    def test_missed(self) -> None:
        """Messages that were due at the end without a connection are lost."""
        loading = self.begin(
            connections=1, duration=2 * SECOND, times=fixed(10), rate=10.0, timeout=SECOND
        )
        self.target.refuses = True
        for _ in range(10):
            self.clock.advance(0.1)
            self.answer()
        self.target.channels[0].receiver.connectionLost("lost")
        for _ in range(10):
            self.clock.advance(0.1)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received), (21, 11))

    def test_givenUp(self) -> None:
        """If a reply is overdue, its connection is closed and replaced."""
        for window in (1, 2):
            loading = self.begin(connections=1, window=window, duration=9 * SECOND, timeout=SECOND)
            for _ in range(12):
                self.clock.advance(0.1)
            [first, second] = self.target.channels
            self.assertEqual((first.closed, len(second.sent)), (True, window))
            for _ in range(20):
                self.clock.advance(0.1)
                second.answer(window)
            self.assertEqual(len(self.target.channels), 2)
            loading.stop()
            self.assertEqual(self.ended(loading).errors, {NO_REPLY: 1})

    def test_replacedInTime(self) -> None:
        """A load without a duration ends if no connection can be made any more."""
        target = LoadTarget()
        loading = self.begin(target, connections=1, duration=None, count=9, timeout=SECOND)
        target.refuses = True
        target.channels[0].receiver.connectionLost("lost")
        for _ in range(30):
            self.clock.advance(0.1)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.errors["no connection left"]), (1, 1))

    def test_noConnectionLeft(self) -> None:
        """If a connection is replaced within the timeout, the load continues."""
        loading = self.begin(connections=1, duration=None, count=9, timeout=SECOND)
        self.target.channels[0].receiver.connectionLost("lost")
        for _ in range(11):
            self.clock.advance(0.1)
        self.assertNoResult(loading.result)
        self.assertEqual(len(self.target.channels), 2)

    def test_large(self) -> None:
        """A large window is filled in several turns, between which replies are read."""
        self.begin(connections=1, window=3 * MAX_SENDS_PER_TURN)
        [channel] = self.target.channels
        self.assertEqual(len(channel.sent), MAX_SENDS_PER_TURN)
        channel.receiver.connectionLost("lost")
        self.clock.advance(RECONNECT_DELAY / SECOND)
        channel = self.target.channels[1]
        for _ in range(3):
            self.clock.advance(0)
        self.assertEqual(len(channel.sent), 3 * MAX_SENDS_PER_TURN)

    def test_lastReply(self) -> None:
        """The duration of a load ends with its last reply."""
        loading = self.begin(connections=1, duration=None, count=1)
        self.clock.advance(0.5)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.duration, result.rate), (SECOND // 2, 2.0))

    def test_tooLate(self) -> None:
        """A connection attempt fails after the timeout, with a reason."""
        target = LoadTarget()
        target.instead = [Deferred()]
        loading = self.begin(target, connections=1, timeout=SECOND // 2)
        self.clock.advance(0.5)
        failure = self.failureResultOf(loading.result, ConnectionClosed)
        self.assertEqual(str(failure.value), "no connection in 0.5 s")


class DatagramTests(LoadTestCase):
    def datagrams(self, **plan: Any) -> LoadGenerator:
        target = LoadTarget()
        target.ordered = False
        self.patch(AnsweredChannel, "connectTime", None)
        return self.begin(
            target, messages=numberedDatagrams(b"mine", MESSAGES), timeout=SECOND, **plan
        )

    def test_dropped(self) -> None:
        """Replies that our own full receive buffer dropped are not lost, but a limit of ours."""
        loading = self.datagrams(connections=1, window=3, duration=None, count=3)
        [channel] = self.target.channels
        channel.answer()
        channel.drops = 1
        self.clock.pump([0.125] * 8)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received, result.dropped, result.lost), (3, 1, 1, 1))
        self.assertEqual(result.limits, [f"1 reply dropped {DROPPED_REMEDY}"])

    def test_stopped(self) -> None:
        """After a pause of this process, replies are read before timeouts; it is reported."""
        loading = self.datagrams(connections=1, duration=None, count=2)
        self.answer()
        self.clock.advance(5)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.received, result.lost, result.heldUp), (2, 0, 5 * SECOND - TICK))
        self.assertEqual(result.limits, ["this process was held up for 4900 ms at a time"])

    def test_lost(self) -> None:
        """Lost datagrams are given up after the timeout, and replaced by others."""
        loading = self.datagrams(connections=2, duration=3 * SECOND, window=2)
        self.target.channels[0].answer(2)
        self.assertEqual([len(channel.sent) for channel in self.target.channels], [2, 2])
        for _ in range(11):
            self.clock.advance(0.1)
        self.assertEqual([len(channel.sent) for channel in self.target.channels], [4, 4])
        loading.stop()
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received, result.lost), (10, 2, 8))
        self.assertEqual(result.connecting.count, 0)

    def test_trouble(self) -> None:
        """A network error is counted, and the port stays in use."""
        loading = self.datagrams(connections=1, duration=None, count=2)
        self.target.channels[0].receiver.connectionLost("refused")
        for _ in range(21):
            self.clock.advance(0.1)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.received), (2, 0))
        self.assertEqual(result.errors, {"refused": 1, NO_REPLY: 1})

    def test_count(self) -> None:
        """The load ends when all its datagrams are answered or given up."""
        loading = self.datagrams(connections=1, duration=None, count=2)
        self.answer()
        self.answer()
        self.assertEqual(self.ended(loading).received, 2)

    def test_lostAtTheEnd(self) -> None:
        """The wait for datagrams that are lost is not part of the time of a load."""
        loading = self.datagrams(connections=1, window=3, duration=None, count=3)
        [channel] = self.target.channels
        self.clock.advance(0.5)
        channel.answer()
        for _ in range(11):
            self.clock.advance(0.1)
        result = self.ended(loading)
        self.assertEqual((result.received, result.duration), (1, SECOND // 2))
        self.assertEqual(result.rate, 2.0)

    def test_lateAtTheEnd(self) -> None:
        """A reply to a datagram that was given up is part of the time of a load."""
        loading = self.datagrams(connections=1, duration=SECOND * 5 // 2, times=fixed(1))
        for _ in range(26):
            self.clock.advance(0.1)
        repliedAt = self.now()
        self.target.channels[0].answer()
        for _ in range(15):
            self.clock.advance(0.1)
        result = self.ended(loading)
        self.assertEqual((result.received, result.duration), (1, repliedAt))


class ReconnectTests(LoadTestCase):
    def test_reconnect(self) -> None:
        """Each message can have a connection of its own."""
        loading = self.begin(connections=1, duration=None, count=2, reconnect=True)
        for _ in range(2):
            self.target.channels[-1].answer()
            self.clock.advance(0.001)
        self.assertEqual(self.ended(loading).received, 2)
        self.assertEqual([channel.closed for channel in self.target.channels], [True, True])


class ConnectionTests(LoadTestCase):
    def test_lost(self) -> None:
        """Messages on a lost connection are lost; it is replaced, and the reason is counted."""
        loading = self.begin(connections=2)
        self.target.channels[0].receiver.connectionLost("the server closed the connection")
        self.clock.advance(RECONNECT_DELAY / SECOND)
        self.assertEqual(len(self.target.channels[2].sent), 1)
        loading.result.cancel()
        result = self.ended(loading)
        self.assertEqual(result.errors, {"the server closed the connection": 1})
        self.assertEqual((result.sent, result.received), (3, 0))

    def test_lostAtTheEnd(self) -> None:
        """A connection that ends after the last message is not replaced."""
        loading = self.begin(connections=1, count=1, duration=None)
        self.target.channels[0].receiver.connectionLost("lost")
        self.assertEqual(self.ended(loading).lost, 1)

    def test_some(self) -> None:
        """When all attempts are over, the load begins with the connections that succeeded."""
        target = LoadTarget()
        slow: Deferred[Any] = Deferred()
        target.instead = [slow]
        loading = self.begin(target, connections=2, timeout=SECOND)
        self.assertEqual(self.sent(), 0)
        self.clock.advance(1)
        self.assertEqual(self.sent(), 1)
        loading.stop()
        self.assertEqual(self.ended(loading).errors.total(), 1)

    def test_refused(self) -> None:
        """The load fails if no connection can be made."""
        target = LoadTarget()
        target.instead = [fail(ConnectionRefusedError()), fail(ConnectionRefusedError())]
        loading = self.begin(target, connections=2)
        self.failureResultOf(loading.result, ConnectionRefusedError)

    def test_stoppedEarly(self) -> None:
        """If it is stopped while connecting, it ends, and a connection made later is closed."""
        target = LoadTarget()
        slow: Deferred[Any] = Deferred()
        slow.cancel = lambda: None  # type: ignore[method-assign]
        target.instead = [slow]
        loading = self.begin(target, connections=1)
        loading.stop()
        channel = AnsweredChannel(None)
        slow.callback(channel)
        self.assertTrue(channel.closed)
        result = self.ended(loading)
        self.assertEqual((result.sent, result.rate, result.busy), (0, 0, 0))


class ConnectionCountTests(LoadTestCase):
    def test_lostBefore(self) -> None:
        """A connection lost while others are being made does not end the load."""
        target = LoadTarget()
        slow: Deferred[Any] = Deferred()
        target.instead = [slow]
        loading = self.begin(target, connections=2, duration=SECOND)
        target.channels[0].receiver.connectionLost("gone")
        self.assertNoResult(loading.result)
        slow.errback(ConnectionRefusedError())
        self.failureResultOf(loading.result, ConnectionRefusedError)

    def test_counts(self) -> None:
        """Opened, failed and lost connections are counted; with the last two it is not complete."""
        target = LoadTarget()
        slow: Deferred[Any] = Deferred()
        target.instead = [slow]
        loading = self.begin(target, connections=2, duration=SECOND)
        slow.errback(ConnectionRefusedError())
        self.assertEqual(self.sent(), 1)
        target.channels[0].receiver.connectionLost("gone")
        loading.stop()
        result = self.ended(loading)
        figures = (result.connected, result.connectFailures, result.disconnects)
        self.assertEqual((figures, result.isComplete), ((1, 1, 1), False))


class StartTimeTests(LoadTestCase):
    def test_onTime(self) -> None:
        """A load with a time connects before, begins then, and ends its duration later."""
        loading = self.begin(connections=1, beginAt=2 * SECOND, duration=SECOND)
        self.assertEqual((self.target.channels[0].sent, loading.stage()[0]), ([], 0))
        self.clock.advance(1.9)
        self.assertEqual(self.sent(), 0)
        self.clock.advance(0.1)
        self.assertEqual(self.sent(), 1)
        self.clock.pump([0.125] * 8)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.began, result.beganLate, result.limits), (2 * SECOND, 0, []))

    def test_late(self) -> None:
        """A load that begins late ends on time, and reports by how much it is late."""
        loading = self.begin(connections=1, beginAt=-SECOND // 2, duration=SECOND)
        self.clock.pump([0.125] * 4)
        self.answer()
        result = self.ended(loading)
        self.assertEqual((result.duration, result.limits), (SECOND // 2, ["it began 0.5 s late"]))

    def test_tooLate(self) -> None:
        """A load that would begin after its end fails."""
        loading = self.begin(connections=1, beginAt=-SECOND, duration=SECOND)
        failure = self.failureResultOf(loading.result, TargetError)
        self.assertEqual(failure.getErrorMessage(), TOO_LATE)

    def test_schedule(self) -> None:
        """Send times count from the time of the load, but none are made up if it begins late."""
        for late, sent in ((20 * MS, 3), (SECOND, 1)):
            self.begin(
                connections=1, beginAt=-late, times=fixed(100), rate=100.0, duration=2 * SECOND
            )
            self.assertEqual(self.sent(), sent)

    def test_lostBefore(self) -> None:
        """While it waits for its time, lost connections and failed attempts are repeated."""
        target = LoadTarget()
        target.instead = [fail(ConnectionRefusedError())]
        self.begin(target, connections=2, beginAt=2 * SECOND)
        target.channels[0].receiver.connectionLost("gone")
        self.clock.advance(RECONNECT_DELAY / SECOND)
        self.assertEqual(len(target.channels), 3)
        self.clock.advance(2)
        self.assertEqual(self.sent(), 2)


class FaultTests(LoadTestCase):
    def test_fault(self) -> None:
        """If anything raises while the load ends, the result fails, so that the program ends."""
        loading = self.begin(connections=1)
        self.patch(self.target.channels[0], "abort", lambda: 1 / 0)
        loading.stop()
        self.failureResultOf(loading.result, ZeroDivisionError)
