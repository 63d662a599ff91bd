from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.admission import (
    LOOPING_PORTS,
    DatagramAdmission,
    Refusal,
    TokenBuckets,
    sourceKey,
)


class TokenBucketsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_burstThenRate(self) -> None:
        """A key may take its burst at once, then one token per 1/rate seconds."""
        buckets = TokenBuckets(2.0, 3.0, self.clock.seconds)
        self.assertEqual([buckets.take("a") for _ in range(4)], [True, True, True, False])
        self.clock.advance(0.5)
        self.assertEqual([buckets.take("a") for _ in range(2)], [True, False])

    def test_oneKeyCostsAnotherNothing(self) -> None:
        """An empty bucket leaves the others full."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds)
        self.assertEqual([buckets.take(key) for key in "aab"], [True, False, True])

    def test_tableIsBounded(self) -> None:
        """Beyond its capacity the table forgets the key that was silent longest."""
        buckets = TokenBuckets(1.0, 1.0, self.clock.seconds, capacity=2)
        self.assertEqual([buckets.take(key) for key in "abac"], [True, True, False, True])
        self.assertEqual(len(buckets), 2)
        self.assertEqual((buckets.take("a"), buckets.take("b")), (False, True))

    @given(
        st.floats(0.1, 100),
        st.floats(1, 50),
        st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60),
    )
    def test_neverMoreThanBurstAndRate(
        self, rate: float, burst: float, steps: list[tuple[str, float]]
    ) -> None:
        """Whatever comes when, a key never has more than its burst and its rate over the time gone."""
        clock = Clock()
        buckets = TokenBuckets(rate, burst, clock.seconds)
        taken = dict.fromkeys("abc", 0)
        for key, pause in steps:
            clock.advance(pause)
            taken[key] += buckets.take(key)
            self.assertLessEqual(taken[key], burst + rate * clock.seconds() + 1e-6)


class SourceKeyTests(SynchronousTestCase):
    def test_oneHost(self) -> None:
        """An IPv4 source counts for itself, an IPv6 source by its /64, whatever its scope."""
        self.assertEqual(sourceKey("192.0.2.7"), "192.0.2.7")
        self.assertEqual(sourceKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
        self.assertEqual(sourceKey("fe80::1%eth0"), "fe80::/64")
        self.assertEqual(sourceKey("::ffff:192.0.2.7"), "192.0.2.7")

    def test_nobody(self) -> None:
        """Multicast, broadcast and unspecified addresses are no source."""
        for host in (
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "ff02::1",
            "::",
            "::ffff:224.0.0.1",
        ):
            self.assertIsNone(sourceKey(host), host)


class DatagramAdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = DatagramAdmission(self.clock.seconds, rate=2.0)

    def test_ordinarySource(self) -> None:
        """An ordinary source is answered."""
        self.assertIsNone(self.admission.refusal("192.0.2.1", 40_000))

    def test_loopingPorts(self) -> None:
        """The ports of services that answer anything are refused, and 0."""
        self.assertEqual(LOOPING_PORTS, {0, 7, 9, 11, 13, 15, 17, 19, 37})
        for port in LOOPING_PORTS:
            self.assertIs(self.admission.refusal("192.0.2.1", port), Refusal.LOOPING_PORT)

    def test_ownPorts(self) -> None:
        """A port of our own is refused as a source from any host, once it is known."""
        self.assertIsNone(self.admission.refusal("192.0.2.1", 12345))
        self.admission.addOwnPort(12345)
        self.admission.addOwnPort(12345)
        self.admission.removeOwnPort(12345)
        self.assertIs(self.admission.refusal("192.0.2.1", 12345), Refusal.OWN_PORT)
        self.admission.removeOwnPort(12345)
        self.assertIsNone(self.admission.refusal("192.0.2.1", 12345))

    def test_notUnicast(self) -> None:
        """A source that is not one host is refused."""
        self.assertIs(self.admission.refusal("224.0.0.1", 40_000), Refusal.NOT_UNICAST)

    def test_rate(self) -> None:
        """A source over its rate is refused until time has passed; another source is not."""
        verdicts = [self.admission.refusal("192.0.2.1", port) for port in (1000, 1001, 1002)]
        self.assertEqual(verdicts, [None, None, Refusal.RATE])
        self.assertIsNone(self.admission.refusal("192.0.2.2", 1000))
        self.clock.advance(0.5)
        self.assertIsNone(self.admission.refusal("192.0.2.1", 1000))

    def test_noLimit(self) -> None:
        """Rate 0 is no limit."""
        admission = DatagramAdmission(self.clock.seconds, rate=0)
        self.assertEqual({admission.refusal("192.0.2.1", 1000) for _ in range(5000)}, {None})

    def test_slowRateAnswersOne(self) -> None:
        """A rate under one per second still answers a first datagram."""
        admission = DatagramAdmission(self.clock.seconds, rate=0.1)
        verdicts = [admission.refusal("192.0.2.1", 1000) for _ in range(2)]
        self.assertEqual(verdicts, [None, Refusal.RATE])
