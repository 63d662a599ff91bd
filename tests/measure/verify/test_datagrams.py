from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.verify import datagrams
from echoproto.measure.verify.datagrams import MAX_BURST, DatagramVerifier
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.pattern import PatternStream
from echoproto.measure.verify.verifier import MAX_KEPT_FAULTS, STOPPED, VerifyResult
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel, Target

SIZE = 64
TIMEOUT = 2 * SECOND


class DatagramVerifierTests(SynchronousTestCase):
    def begin(self, count: int | None = 4, error: OSError | None = None) -> DatagramVerifier:
        """Start to send so many datagrams, 100 each second."""
        self.clock = Clock()
        target = Target(ordered=False)
        target.name, target.size = "udp://lab1:7", SIZE
        self.port = FakeChannel(ordered=False)
        self.port.error = error
        target.instead = [succeed(self.port)]
        self.found: list[Fault] = []
        verifier = DatagramVerifier(
            target,
            self.clock,
            lambda: round(self.clock.seconds() * SECOND),
            PatternStream(7),
            None if count is None else count * SIZE - 1,
            100.0,
            TIMEOUT,
            self.found.append,
        )
        verifier.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(verifier.stop)
        return verifier

    def sent(self, count: int = 4) -> DatagramVerifier:
        """Send so many datagrams, and answer none."""
        verifier = self.begin(count)
        self.clock.pump([0.005] * 4 * count)
        self.assertEqual(len(self.port.sent), count)
        return verifier

    def counts(self, verifier: DatagramVerifier, ending: str = "") -> dict[str, int]:
        result: VerifyResult = self.successResultOf(verifier.result)
        self.assertEqual(result.ending, ending)
        self.assertTrue(self.port.closed)
        return {kind.value: count for kind, count in result.counts.items()}

    def kinds(self) -> list[str]:
        return [str(fault) for fault in self.found]

    def test_right(self) -> None:
        """It ends with the reply to the last datagram; no two are equal."""
        verifier = self.sent()
        for datagram in self.port.sent:
            verifier.replyReceived(datagram)
        self.assertEqual(self.counts(verifier), {})
        self.assertEqual(len(set(self.port.sent)), 4)
        result = verifier.snapshot()
        self.assertEqual((result.sent, result.received, result.seed), (4 * SIZE, 4 * SIZE, 7))

    def test_lost(self) -> None:
        """A datagram without a reply within the timeout is lost."""
        verifier = self.sent()
        for datagram in self.port.sent[1:]:
            verifier.replyReceived(datagram)
        self.clock.pump([0.01] * 300)
        self.assertEqual(self.counts(verifier), {"lost": 1})
        self.assertEqual(self.kinds(), ["datagram 1 lost"])

    def test_duration(self) -> None:
        """The wait for lost datagrams is not part of the time of a run, if all were sent."""
        verifier = self.sent()
        for datagram in self.port.sent[1:]:
            verifier.replyReceived(datagram)
        lastReplyAt = round(self.clock.seconds() * SECOND)
        self.clock.pump([0.01] * 300)
        result = self.successResultOf(verifier.result)
        self.assertEqual(result.duration, lastReplyAt)
        self.assertGreater(result.rate, 0)
        unanswered = self.begin()
        self.clock.advance(0.02)
        unanswered.finish()
        unanswered.finish()
        self.clock.pump([0.01] * 300)
        self.assertEqual(self.successResultOf(unanswered.result).duration, SECOND // 50)

    def test_late(self) -> None:
        """A reply after the timeout makes a lost datagram a late one."""
        verifier = self.begin(None)
        while "datagram 1 lost" not in self.kinds():
            self.clock.pump([0.005] * 2)
            verifier.replyReceived(self.port.sent[-1])
        verifier.replyReceived(self.port.sent[0])
        self.assertEqual(self.kinds()[-1], "datagram 1 late")
        verifier.replyReceived(self.port.sent[0])
        self.assertEqual(self.kinds()[-1], "datagram 1 late")
        verifier.stop()
        counts = self.counts(verifier, STOPPED)
        self.assertEqual(counts["late"], 1)
        self.assertGreater(counts["repeated"], 1)

    def test_order(self) -> None:
        """Reordered and repeated replies are counted, but not listed."""
        verifier = self.sent(3)
        for index in (1, 0, 1, 2):
            verifier.replyReceived(self.port.sent[index])
        self.assertEqual(self.counts(verifier), {"reordered": 1, "repeated": 1})
        self.assertEqual(self.kinds(), [])

    def test_damaged(self) -> None:
        """Damaged replies are identified by their content, even if the header is damaged."""
        verifier = self.sent(5)
        sent = self.port.sent
        # A number that another datagram has.
        verifier.replyReceived(sent[0][:15] + b"\1" + sent[0][16:])
        verifier.replyReceived(b"\xff" + sent[1][1:])
        verifier.replyReceived(sent[2][:-1])
        verifier.replyReceived(sent[3] + b"x")
        verifier.replyReceived(sent[4][:-1] + bytes([sent[4][-1] ^ 1]))
        self.assertEqual(self.counts(verifier), {"damaged": 5})
        first, second, *_, last = self.kinds()
        self.assertTrue(first.startswith("datagram 1 damaged: sent 00"), first)
        self.assertIn("received 01", first)
        self.assertTrue(second.startswith("datagram 2 damaged: sent 65"), second)
        self.assertTrue(last.startswith("datagram 5 damaged"), last)

    def test_foreign(self) -> None:
        """Datagrams that resemble none of ours are foreign."""
        verifier = self.begin(1)
        for reply in (b"", b"hello", PatternStream(8).read(0, SIZE)):
            verifier.replyReceived(reply)
        verifier.replyReceived(self.port.sent[0])
        self.assertEqual(self.counts(verifier), {"foreign": 3})
        self.assertEqual(self.kinds()[0], "foreign datagram: received nothing")
        self.assertTrue(self.found[0].kind.isWrong)
        self.assertFalse(FaultKind.REORDERED.isWrong)

    def test_silent(self) -> None:
        """It ends if no reply is received for the timeout."""
        verifier = self.begin(None)
        self.clock.pump([0.01] * 300)
        counts = self.counts(verifier, "no data received for 2 s")
        self.assertGreater(counts["lost"], 0)

    def test_refused(self) -> None:
        """A refusal ends it, unless replies were received."""
        verifier = self.begin(None)
        verifier.connectionLost("refused")
        self.assertEqual(self.counts(verifier, "refused"), {})
        verifier = self.begin(None)
        verifier.replyReceived(self.port.sent[0])
        verifier.connectionLost("refused")
        self.assertNoResult(verifier.result)

    def test_refusedLater(self) -> None:
        """A refusal after some replies is the reason of the losses before it, and of the end."""
        verifier = self.begin(None)
        verifier.replyReceived(self.port.sent[0])
        self.clock.pump([0.01] * 5)
        verifier.connectionLost("refused")
        self.clock.pump([0.01] * 205)
        self.assertIn("lost: refused", self.kinds()[0])
        self.counts(verifier, "refused")
        verifier = self.begin(4)
        verifier.replyReceived(self.port.sent[0])
        self.clock.pump([0.01] * 2)
        verifier.connectionLost("refused")
        self.clock.pump([0.01] * 210)
        self.assertEqual(self.kinds()[0], "datagram 2 lost: refused")
        self.assertEqual(self.kinds()[-1], "datagram 4 lost")

    def test_unsent(self) -> None:
        """A datagram that cannot be sent is lost."""
        verifier = self.begin(1, OSError(90, "too long"))
        self.assertEqual(self.counts(verifier), {"lost": 1})
        self.assertEqual(self.kinds(), ["datagram 1 lost: not sent: too long"])

    def test_noneSent(self) -> None:
        """If the last datagrams cannot be sent, that is why it ends early."""
        verifier = self.begin(None, OSError(1, "not permitted"))
        self.clock.pump([0.05] * 50)
        self.assertEqual({*self.counts(verifier, "not sent: not permitted")}, {"lost"})

    def test_pause(self) -> None:
        """After a pause of this process only a few datagrams are sent at once."""
        verifier = self.begin(None)
        self.clock.advance(1.5)
        self.clock.advance(1.0)
        self.assertLessEqual(len(self.port.sent), MAX_BURST + 1)
        verifier.replyReceived(self.port.sent[-1])
        verifier.finish()
        self.clock.pump([0.01] * 500)
        self.successResultOf(verifier.result)

    def test_bounded(self) -> None:
        """Memory is bounded in a run of any length; all faults are counted."""
        self.patch(datagrams, "MAX_REMEMBERED", 10)
        verifier = self.begin(None)
        echo: Callable[[bytes], None] = verifier.replyReceived
        for _ in range(3 * MAX_KEPT_FAULTS):
            self.clock.pump([0.01] * 2)
            for datagram in self.port.sent:
                echo(datagram)
                echo(datagram)
                echo(b"foreign")
            self.port.sent.clear()
        verifier.finish()
        result = self.successResultOf(verifier.result)
        self.assertEqual(len(result.faults), MAX_KEPT_FAULTS)
        self.assertGreater(result.counts[FaultKind.REPEATED], MAX_KEPT_FAULTS)
        self.assertLessEqual(len(verifier._wasAnswered), 10)
