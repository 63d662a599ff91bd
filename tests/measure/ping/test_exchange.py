from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.errors import DatagramTooLong
from echoproto.measure.ping import channel
from echoproto.measure.ping.channel import NOT_READ
from echoproto.measure.ping.exchange import ProbeExchange
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.statistics import EXCESS, OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.text.units import SECOND
from tests.measure.fakes import MS, FakeChannel, Target

LOST = OutcomeKind.LOST


class ExchangeTests(SynchronousTestCase):
    def begin(self, ordered: bool = True) -> ProbeExchange:
        """An exchange with an open channel and a timeout of 10 ms."""
        self.clock, self.target = Clock(), Target(ordered)
        self.seen: list[ProbeOutcome] = []
        self.settlements: list[bool] = []
        self.record = PingStatistics(ProbePayload(b"test", self.target.size), 10 * MS)
        exchange = ProbeExchange(
            self.target,
            self.clock,
            lambda: round(self.clock.seconds() * SECOND),
            self.record,
            10 * MS,
            self.seen.append,
            self.settlements.append,
        )
        verifyObject(IReplyReceiver, exchange)
        self.successResultOf(exchange.channel.open())
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(exchange.end)
        return exchange

    @property
    def channel(self) -> FakeChannel:
        found: Any = self.target.channels[-1]
        return found  # type: ignore[no-any-return]

    def kinds(self) -> list[OutcomeKind]:
        return [outcome.kind for outcome in self.seen]

    def test_reply(self) -> None:
        """A reply is passed on with its time, and then no probe is awaited."""
        for ordered in (True, False):
            exchange = self.begin(ordered)
            exchange.send()
            self.clock.advance(0.003)
            exchange.replyReceived(self.channel.sent[0])
            self.assertEqual((self.seen[0].kind, self.seen[0].time), (OutcomeKind.REPLY, 3 * MS))
            self.assertEqual((self.settlements, bool(exchange.awaited)), ([True], False))

    def test_excess(self) -> None:
        """On a stream further data is foreign, whether a reply long or shorter."""
        exchange = self.begin()
        exchange.send()
        exchange.replyReceived(self.channel.sent[0])
        exchange.replyReceived(self.channel.sent[0])
        self.channel.unread = 5
        exchange.close()
        self.assertEqual(self.kinds()[1:], [OutcomeKind.FOREIGN] * 2)
        self.assertEqual(
            [(seen.size, seen.reason) for seen in self.seen[1:]], [(32, EXCESS), (5, EXCESS)]
        )
        self.assertEqual((self.record.excess, self.channel.closed), (2, True))

    def test_part(self) -> None:
        """A part of a reply is not further data if that is awaited; what is, is counted once."""
        exchange = self.begin()
        exchange.send()
        self.channel.unread = 5
        exchange.dismiss()
        self.assertEqual((self.seen, self.record.excess), ([], 0))
        exchange.awaited.next()
        exchange.dismiss()
        exchange.dismiss()
        self.assertEqual(self.record.excess, 1)

    def test_foreign(self) -> None:
        """A foreign datagram answers no probe, and the server is not blamed."""
        exchange = self.begin(False)
        exchange.send()
        exchange.replyReceived(b"?" * 32)
        self.assertEqual((self.kinds(), self.record.isWrong), ([OutcomeKind.FOREIGN], False))
        self.assertTrue(exchange.awaited)

    def test_timeout(self) -> None:
        """A probe is lost after the timeout, with a reason."""
        exchange = self.begin()
        exchange.send()
        self.clock.advance(0.01)
        self.assertEqual(self.seen[0].reason, "no reply in 0.01 s")
        self.assertEqual((self.settlements, bool(exchange.awaited)), ([False], False))

    def test_connectionLost(self) -> None:
        """The probes of a lost connection are lost; a datagram channel stays open."""
        for ordered in (True, False):
            exchange = self.begin(ordered)
            self.channel.connectionless = not ordered
            exchange.send()
            exchange.connectionLost("refused")
            self.assertEqual([outcome.reason for outcome in self.seen], ["refused"])
            self.assertEqual((self.settlements, exchange.channel.isOpen), ([False], not ordered))

    def test_unusedReason(self) -> None:
        """It is known why a connection has ended before the first probe."""
        for sent, reason in ((0, "gone"), (1, "")):
            exchange = self.begin()
            for _ in range(sent):
                exchange.send()
            exchange.connectionLost("gone")
            self.assertEqual(exchange.unusedReason, reason)

    def test_notSent(self) -> None:
        """A probe that cannot be sent is lost at once, as is one without a connection."""
        exchange = self.begin(False)
        self.channel.error = DatagramTooLong("too long")
        exchange.send()
        exchange.loseNext("refused")
        self.assertEqual(
            [outcome.reason for outcome in self.seen], ["not sent: too long", "refused"]
        )
        self.assertEqual((self.settlements, self.record.sent), ([], 2))

    def test_notRead(self) -> None:
        """A probe is lost if the server reads none, so that memory is bounded."""
        self.patch(channel, "MAX_UNREAD_BYTES", 64)
        exchange = self.begin()
        self.channel.producer.pauseProducing()
        for _ in range(3):
            exchange.send()
        self.assertEqual([outcome.reason for outcome in self.seen], [NOT_READ])
        self.assertEqual(len(self.channel.sent), 2)

    def test_lateReplyTime(self) -> None:
        """Replies to lost probes may take twice the longest time, if that exceeds the timeout."""
        exchange = self.begin(False)
        exchange.send()
        self.assertEqual(exchange.lateReplyTime, 0)
        self.clock.advance(0.02)
        exchange.replyReceived(self.channel.sent[0])
        exchange.send()
        self.clock.advance(0.01)
        self.assertEqual(exchange.lateReplyTime, 30 * MS)

    def test_dismiss(self) -> None:
        """At the end, a probe that was sent more shortly ago than replies take does not count."""
        exchange = self.begin(False)
        exchange.send()
        self.clock.advance(0.005)
        exchange.replyReceived(self.channel.sent[0])
        exchange.send()
        exchange.dismiss()
        self.assertEqual((self.record.sent, self.record.lost), (1, 0))
