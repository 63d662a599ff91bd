from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.faults.faultplan import (
    BLOCK_SIZE,
    DATAGRAM_FAULTS,
    STREAM_FAULTS,
    DatagramFaults,
    FaultPlan,
    StreamFaults,
    parseFaults,
)

ALL = "delay=20ms±5ms loss=1% duplicate=0.5% corrupt=0.1% close-after=1MiB"


class PlanTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """A plan has a form for people, with spaces or commas, and ``+-`` for ``±``."""
        plan = FaultPlan(0.02, 0.005, 0.01, 0.005, 0.001, 1 << 20)
        self.assertEqual(parseFaults(ALL), plan)
        self.assertEqual(parseFaults(ALL.replace(" ", ",").replace("±", "+-")), plan)
        self.assertEqual(parseFaults("no"), FaultPlan())

    def test_text(self) -> None:
        """Its text can be parsed again."""
        for text in (ALL, "loss=100%", "delay=1s", "no"):
            self.assertEqual(parseFaults(str(parseFaults(text))), parseFaults(text))
        self.assertEqual(str(parseFaults("loss=0.25% delay=1ms±1ms")), "delay=1ms±1ms loss=0.25%")

    def test_wrong(self) -> None:
        """Anything else is refused in one line with an example or a limit."""
        for text, words in (
            ("", "form: delay="),
            ("slow=1%", "form: delay="),
            ("loss", "more than 0%"),
            ("loss=0.5", "at most 100%"),
            ("loss=101%", "at most 100%"),
            ("loss=0%", "more than 0%"),
            ("loss=1% loss=2%", "repeated"),
            ("loss=60% corrupt=60%", "together more than 100%"),
            ("delay=20ms±30ms", "varied by at most"),
            ("delay=2h", "at most 60s"),
            ("delay=0", "at most 60s"),
            ("delay=soon", "invalid duration"),
            ("close-after=never", "invalid size"),
        ):
            with self.assertRaisesRegex(ValueError, words) as raised:
                parseFaults(text)
            self.assertEqual(len(str(raised.exception).splitlines()), 1)

    def test_only(self) -> None:
        """A plan can be limited to the faults of datagrams, or of streams."""
        plan = parseFaults(ALL)
        self.assertEqual(plan.kinds, DATAGRAM_FAULTS | STREAM_FAULTS)
        self.assertEqual(plan.only(STREAM_FAULTS).kinds, STREAM_FAULTS)
        self.assertEqual(plan.only(DATAGRAM_FAULTS).kinds, DATAGRAM_FAULTS)
        self.assertTrue(plan)
        self.assertFalse(parseFaults("loss=1%").only(STREAM_FAULTS))


class DatagramFaultsTests(SynchronousTestCase):
    def faults(self, text: str, seed: int = 0) -> DatagramFaults:
        return DatagramFaults(parseFaults(text), seed, Counter())

    def test_none(self) -> None:
        """Without its fault, a datagram arrives once, at once and intact."""
        self.assertEqual(self.faults("no").copies(b"x"), [(0.0, b"x")])

    def test_always(self) -> None:
        """Shares of 100 % hit every datagram."""
        self.assertEqual(self.faults("loss=100%").copies(b"x"), [])
        self.assertEqual(self.faults("duplicate=100%").copies(b"x"), [(0.0, b"x")] * 2)
        [(_, changed)] = self.faults("corrupt=100%").copies(b"abc")
        self.assertEqual(sum(map(int.__ne__, changed, b"abc")), 1)
        self.assertEqual(len(changed), 3)

    def test_empty(self) -> None:
        """An empty datagram cannot be corrupt, and is not counted."""
        faults = self.faults("corrupt=100%")
        self.assertEqual(faults.copies(b""), [(0.0, b"")])
        self.assertEqual(+faults.counts, Counter())

    def test_delay(self) -> None:
        """Delays vary within the limits."""
        faults = self.faults("delay=20ms±5ms duplicate=50%")
        copies = [delay for _ in range(1000) for delay, _ in faults.copies(b"x")]
        self.assertTrue(0.015 <= min(copies) < 0.016)
        self.assertTrue(0.024 < max(copies) <= 0.025)
        self.assertEqual(faults.counts["delay"], len(copies))

    def test_shares(self) -> None:
        """The shares are kept over many datagrams, and each fault is counted."""
        faults = self.faults("loss=10% duplicate=5% corrupt=2%")
        arrived = [copy for _ in range(10_000) for copy in faults.copies(b"x")]
        counts = faults.counts
        self.assertEqual(len(arrived), 10_000 - counts["loss"] + counts["duplicate"])
        for kind, expected in (("loss", 1000), ("duplicate", 500), ("corrupt", 200)):
            self.assertLess(abs(counts[kind] - expected), expected / 5)

    def test_seed(self) -> None:
        """The decision on the nth datagram depends on the seed alone, not on the sizes."""

        def lost(seed: int, size: int) -> list[int]:
            faults = self.faults("loss=50% corrupt=50%", seed)
            return [number for number in range(100) if not faults.copies(bytes(size))]

        self.assertEqual(lost(1, 1), lost(1, 1000))
        self.assertNotEqual(lost(1, 1), lost(2, 1))


class StreamFaultsTests(SynchronousTestCase):
    def faults(self, text: str, number: int = 0) -> StreamFaults:
        return StreamFaults(parseFaults(text), 7, number, Counter())

    def test_always(self) -> None:
        """At 100 % one byte of every block is changed."""
        faults = self.faults("corrupt=100%")
        changed = faults.damage(bytes(10 * BLOCK_SIZE))
        places = [place for place, byte in enumerate(changed) if byte]
        self.assertEqual([place // BLOCK_SIZE for place in places], list(range(10)))
        self.assertEqual(faults.counts["corrupt"], 10)

    def test_share(self) -> None:
        """The share is that of the blocks."""
        faults = self.faults("corrupt=10%")
        faults.damage(bytes(10_000 * BLOCK_SIZE))
        self.assertLess(abs(faults.counts["corrupt"] - 1000), 100)

    @given(st.lists(st.integers(0, 3000), max_size=20))
    def test_pieces(self, sizes: list[int]) -> None:
        """The same bytes are changed, however the stream is cut."""
        whole = self.faults("corrupt=50%").damage(bytes(sum(sizes)))
        cut = self.faults("corrupt=50%")
        self.assertEqual(b"".join(cut.damage(bytes(size)) for size in sizes), whole)
        self.assertEqual(cut.counts["corrupt"], sum(map(bool, whole)))

    def test_none(self) -> None:
        """Without the fault, the bytes are intact, and the connection is never closed."""
        faults = self.faults("no")
        self.assertEqual(faults.damage(b"abc"), b"abc")
        self.assertEqual(faults.untilClose, float("inf"))
        self.assertEqual(self.faults("close-after=10").untilClose, 10)

    def test_delay(self) -> None:
        """Delays vary within the limits, and are counted."""
        faults = self.faults("delay=20ms±5ms")
        delays = [faults.delay() for _ in range(1000)]
        self.assertTrue(0.015 <= min(delays) < 0.016)
        self.assertTrue(0.024 < max(delays) <= 0.025)
        self.assertEqual(faults.counts["delay"], 1000)

    def test_connections(self) -> None:
        """Each connection has faults of its own."""
        data = bytes(10 * BLOCK_SIZE)
        one, other = (self.faults("corrupt=50%", number).damage(data) for number in (0, 1))
        self.assertNotEqual(one, other)
