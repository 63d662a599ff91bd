from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.failures import CLOSED_HINT
from echoproto.measure.ping import history
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.statistics import EXCESS, OutcomeKind, PingStatistics, ProbeOutcome

MS = 1_000_000

#: A reply that takes longer is late.
PATIENCE = 100 * MS


def record(size: int = 64) -> PingStatistics:
    return PingStatistics(ProbePayload(b"test", size), PATIENCE)


class RecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = record()
        self.sent = [self.record.send(number * 10 * MS) for number in range(5)]

    def kinds(self, *replies: tuple[int, int]) -> list[OutcomeKind]:
        """The kinds of outcomes of replies to these probes at these milliseconds."""
        return [self.record.receive(self.sent[reply], at * MS).kind for reply, at in replies]

    def test_reply(self) -> None:
        """A reply in time and in order is counted and timed."""
        seen = self.record.receive(self.sent[1], 13 * MS)
        self.assertEqual(
            (seen.kind, seen.sequence, seen.size, seen.time), (OutcomeKind.REPLY, 1, 64, 3 * MS)
        )
        self.assertEqual((self.record.sent, self.record.received, self.record.lost), (5, 1, 4))
        self.assertEqual(self.record.times.maximum, 3 * MS)

    def test_named(self) -> None:
        """Duplicate, reordered, late and foreign replies are named."""
        self.assertEqual(
            self.kinds((0, 41), (0, 42), (2, 43), (1, 44), (4, 141)),
            [
                OutcomeKind.REPLY,
                OutcomeKind.DUPLICATE,
                OutcomeKind.REPLY,
                OutcomeKind.REORDERED,
                OutcomeKind.LATE,
            ],
        )
        self.assertIs(self.record.receive(b"nonsense" * 8, 0).kind, OutcomeKind.FOREIGN)
        self.assertEqual(self.record.received, 4)
        self.assertEqual(self.record.bursts().count, 1)

    def test_waited(self) -> None:
        """The time that a reply has waited unread is left out, unless the clock was set then."""
        times = [
            self.record.receive(self.sent[probe], 90 * MS, waited).time
            for probe, waited in ((0, 30 * MS), (1, 3600_000 * MS))
        ]
        self.assertEqual(times, [60 * MS, 80 * MS])

    def test_corrupt(self) -> None:
        """A damaged reply has a difference, and may also be late and reordered."""
        self.kinds((3, 31))
        seen = self.record.receive(self.sent[2][:40] + b"?" * 24, 200 * MS)
        self.assertEqual((seen.kind, seen.sequence), (OutcomeKind.CORRUPT, 2))
        self.assertEqual(seen.difference and seen.difference.offset, 40)
        counts = self.record.counts
        self.assertEqual(
            [
                counts[kind]
                for kind in (OutcomeKind.CORRUPT, OutcomeKind.LATE, OutcomeKind.REORDERED)
            ],
            [1] * 3,
        )
        self.assertEqual(counts[OutcomeKind.REPLY], 1)

    def test_lost(self) -> None:
        """A probe that was given up is lost; its reply is received, and late."""
        seen = self.record.lose(0, "no reply in 0.1 s")
        self.assertEqual((seen.kind, seen.reason), (OutcomeKind.LOST, "no reply in 0.1 s"))
        self.assertEqual(self.kinds((0, 101)), [OutcomeKind.LATE])
        self.assertEqual(self.record.lost, 4)

    def test_underWay(self) -> None:
        """At the end, probes younger than the longest round trip do not count."""
        self.kinds((0, 15))
        for sequence in (3, 4):
            self.record.dismiss(sequence, 50 * MS)
        self.assertEqual(
            (self.record.sent, self.record.lost, self.record.bursts().longest), (4, 3, 3)
        )
        self.assertEqual(self.record.intervals()[1][0].sent, 4)

    def test_reasons(self) -> None:
        """Losses are counted by reason."""
        for sequence, reason in ((0, "late"), (1, "refused"), (2, "refused")):
            self.record.lose(sequence, reason)
        self.assertEqual(self.record.reasons, {"refused": 2, "late": 1})

    def test_closedBeforeAnswer(self) -> None:
        """The hint of a server that has never answered is left out once it has."""
        self.record.lose(0, f"closed{CLOSED_HINT}")
        self.assertEqual(self.record.reasons, {f"closed{CLOSED_HINT}": 1})
        self.kinds((1, 11))
        self.assertEqual(self.record.reasons, {"closed": 1})

    def test_bursts(self) -> None:
        """Losses in a row are one burst."""
        self.kinds((1, 11), (4, 41))
        bursts = self.record.bursts()
        self.assertEqual((bursts.count, bursts.longest), (2, 2))
        self.assertEqual(self.record.lossRatio, 0.6)
        self.assertEqual(record().lossRatio, 0)

    def test_intervals(self) -> None:
        """The intervals of a run count probes by the time when they were sent."""
        self.kinds((0, 3), (1, 1200))
        self.record.send(1000 * MS)
        width, found = self.record.intervals()
        self.assertEqual(width, 1000 * MS)
        self.assertEqual(
            [(interval.sent, interval.received) for interval in found], [(5, 2), (1, 0)]
        )
        self.assertEqual((found[0].minimum, found[0].maximum), (3 * MS, 1190 * MS))

    def test_variation(self) -> None:
        """Delay variation is between consecutive probes, whichever reply arrives first."""
        self.kinds((0, 3), (2, 25), (1, 27))
        # Round trips of 3, 17 and 5 ms.
        self.assertEqual((self.record.variation.count, self.record.variation.mean), (2, 13 * MS))

    def test_jitter(self) -> None:
        """Jitter changes by a sixteenth of each difference (RFC 3550)."""
        self.kinds((0, 4), (1, 30))
        self.assertEqual(self.record.jitter, MS)
        self.kinds((2, 40))
        self.assertEqual(self.record.jitter, MS - MS / 16)

    def test_excess(self) -> None:
        """Data on a stream beyond the replies is foreign and wrong, unlike a foreign datagram."""
        self.record.receive(b"nonsense" * 8, 0)
        self.assertFalse(self.record.isWrong)
        self.assertEqual(
            self.record.receiveExcess(9),
            ProbeOutcome(OutcomeKind.FOREIGN, None, 9, reason=EXCESS),
        )
        self.assertTrue(self.record.isWrong)
        self.assertEqual(self.record.counts[OutcomeKind.FOREIGN], 2)

    def test_byPlace(self) -> None:
        """A reply whose position is known is not identified by its content."""
        seen = self.record.receiveFor(3, bytes(64), 31 * MS)
        self.assertEqual((seen.kind, seen.sequence), (OutcomeKind.CORRUPT, 3))
        self.assertIs(self.record.receiveFor(None, bytes(64), 32 * MS).kind, OutcomeKind.FOREIGN)

    def test_forgotten(self) -> None:
        """In a long run the counts stay exact, and replies to old probes are foreign."""
        self.patch(history, "MAX_RECENT", 100)
        made = record()
        first = made.send(0)
        for number in range(1, 1001):
            probe = made.send(number * 10 * MS)
            if number % 10:
                made.receive(probe, number * 10 * MS + MS)
        self.assertEqual((made.sent, made.received, made.lost), (1001, 900, 101))
        self.assertEqual((made.bursts().count, made.bursts().longest), (101, 1))
        self.assertIs(made.receive(first, 20_000 * MS).kind, OutcomeKind.FOREIGN)
        self.assertIs(made.receiveFor(0, first, 20_000 * MS).kind, OutcomeKind.FOREIGN)
        made.dismiss(0, 20_000 * MS)
        self.assertEqual((made.sent, made.variation.maximum, made.sentAt(0)), (1001, 0, 0))
        width, intervals = made.intervals()
        self.assertEqual((width, len(intervals)), (1000 * MS, 11))
        self.assertEqual([interval.sent for interval in intervals], [100] * 10 + [1])
        self.assertEqual([interval.received for interval in intervals], [90] * 10 + [0])

    def test_empty(self) -> None:
        """Replies to empty probes are matched in order; further ones are foreign."""
        empty = record(0)
        empty.send(0)
        empty.send(0)
        self.assertEqual([empty.receive(b"", 1).sequence for _ in range(3)], [0, 1, None])
        self.assertIs(empty.receive(b"x", 1).kind, OutcomeKind.FOREIGN)


class WireTests(SynchronousTestCase):
    """The counts over a wire that loses, duplicates and reorders known datagrams."""

    def test_exact(self) -> None:
        """Every count is exact, for twenty seeds."""
        for seed in range(20):
            self.check(Random(seed))

    def check(self, random: Random) -> None:
        made = record(random.choice([32, 64, 500]))
        counted = dict.fromkeys(("lost", "duplicate", "corrupt", "reordered", "foreign"), 0)
        arriving: list[tuple[float, bytes]] = []
        order: list[tuple[float, int]] = []
        for sequence in range(500):
            at = sequence * MS
            probe = made.send(at)
            if random.random() < 0.05:
                counted["lost"] += 1
                continue
            # Some are overtaken by those that come after them.
            arrival = at + random.choice([1, 1, 1, 1, 5]) * MS + 0.5
            order.append((arrival, sequence))
            twice = random.random() < 0.03
            if random.random() < 0.04:
                counted["corrupt"] += 1
                damaged = bytearray(probe)
                for _ in range(random.randint(1, 3)):
                    damaged[random.randrange(len(probe))] ^= random.randint(1, 255)
                if bytes(damaged) == probe:
                    counted["corrupt"] -= 1
                probe = bytes(damaged)
            arriving.append((arrival, probe))
            if twice:
                counted["duplicate"] += 1
                arriving.append((arrival + 0.1, probe))
            if random.random() < 0.02:
                counted["foreign"] += 1
                arriving.append((arrival, random.randbytes(len(probe))))
        highest = -1
        for _, sequence in sorted(order):
            counted["reordered"] += sequence < highest
            highest = max(highest, sequence)
        for arrival, probe in sorted(arriving, key=lambda arrival: arrival[0]):
            made.receive(probe, round(arrival))
        found: dict[str, Any] = {kind.value: count for kind, count in made.counts.items()}
        self.assertEqual({**{kind: found[kind] for kind in counted}, "lost": made.lost}, counted)
