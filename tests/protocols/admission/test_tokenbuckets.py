from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.tokenbuckets import TokenBuckets


class TokenBucketsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_burstThenRate(self) -> None:
        """A key may take its burst at once, then one token per 1/rate seconds."""
        buckets = TokenBuckets(2.0, 3.0, self.clock.seconds)
        self.assertEqual([buckets.take("a") for _ in range(4)], [True, True, True, False])
        self.clock.advance(0.5)
        self.assertEqual([buckets.take("a") for _ in range(2)], [True, False])

    def test_clockSetBack(self) -> None:
        """A clock set back does not reduce the tokens of any key."""
        times = iter([100.0, 40.0, 40.5, 41.0])
        buckets = TokenBuckets(2.0, 2.0, times.__next__)
        self.assertEqual([buckets.take("a") for _ in range(4)], [True, True, True, True])

    def test_oneKeyCostsAnotherNothing(self) -> None:
        """An empty bucket leaves the others full."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds)
        self.assertEqual([buckets.take(key) for key in "aab"], [True, False, True])

    def test_tableIsBounded(self) -> None:
        """Beyond its capacity the table drops the least recently used key."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds, capacity=2)
        self.assertEqual([buckets.take(key) for key in "abac"], [True, True, False, True])
        self.assertEqual(len(buckets), 2)
        self.assertEqual((buckets.take("a"), buckets.take("b")), (False, True))

    @given(
        st.floats(0.1, 100),
        st.floats(1, 500),
        st.lists(
            st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.integers(1, 600)), max_size=30
        ),
    )
    def test_neverMoreThanBurstAndRate(
        self, rate: float, burst: float, steps: list[tuple[str, float, int]]
    ) -> None:
        """In any interval, a key gets at most its burst plus its rate times the interval."""
        clock = Clock()
        buckets = TokenBuckets(rate, burst, clock.seconds)
        taken: dict[str, list[tuple[float, int]]] = {key: [] for key in "abc"}
        for key, pause, times in steps:
            clock.advance(pause)
            now = clock.seconds()
            taken[key].append((now, sum(buckets.take(key) for _ in range(times))))
            had = 0
            for began, count in reversed(taken[key]):
                had += count
                self.assertLessEqual(had, burst + rate * (now - began) + 1e-6)

    def test_hardlyLessThanBurst(self) -> None:
        """An idle key has its full burst again, minus the tokens that may be taken in advance."""
        buckets = TokenBuckets(1000.0, 1000.0, self.clock.seconds)
        for least in (1000, 985):
            self.assertEqual(sum(buckets.take("a") for _ in range(2000)), least)
            self.clock.advance(60)

    def test_aliases(self) -> None:
        """An alias means the bucket of its key, until a new generation of buckets begins."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds, capacity=2)
        buckets.take("a")
        buckets.addAlias(b"1", "a")
        self.assertFalse(buckets.refill(buckets.aliases[b"1"]))
        self.clock.advance(1)
        self.assertTrue(buckets.refill(buckets.aliases[b"1"]))
        self.assertFalse(buckets.take("a"))
        buckets.take("b")
        self.assertEqual(buckets.aliases, {})

    def test_aliasesAreBounded(self) -> None:
        """The aliases of one key do not grow without bound."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds, capacity=4)
        buckets.take("a")
        for number in range(100):
            buckets.addAlias(bytes((number,)), "a")
            self.assertLessEqual(len(buckets.aliases), 4)
