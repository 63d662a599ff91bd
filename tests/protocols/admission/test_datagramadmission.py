from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.datagramadmission import LOOPING_PORTS, DatagramAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.admission.tokenbuckets import TokenBuckets


def rawSource(host: str, port: int) -> bytes:
    """A source address as the kernel writes it."""
    if ":" in host:
        return struct.pack("=H", AF_INET6) + struct.pack(
            "!HI16sI", port, 0, inet_pton(AF_INET6, host), 0
        )
    return struct.pack("=H", AF_INET) + struct.pack("!H4s8x", port, inet_pton(AF_INET, host))


class DatagramAdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = DatagramAdmission(self.clock.seconds, rate=2.0)

    def test_ordinarySource(self) -> None:
        """An ordinary source is admitted."""
        self.assertIsNone(self.admission.refusal("192.0.2.1", 40_000))

    def test_loopingPorts(self) -> None:
        """Port 0 and the ports of services that answer any datagram are refused."""
        self.assertEqual(LOOPING_PORTS, {0, 7, 9, 11, 13, 15, 17, 19, 37})
        for port in LOOPING_PORTS:
            self.assertIs(self.admission.refusal("192.0.2.1", port), Refusal.LOOPING_PORT)

    def test_ownPorts(self) -> None:
        """A port of this server is refused as a source on any host, while it is registered."""
        self.assertIsNone(self.admission.refusal("192.0.2.1", 12345))
        self.admission.addOwnPort(12345)
        self.admission.addOwnPort(12345)
        self.admission.removeOwnPort(12345)
        self.assertIs(self.admission.refusal("192.0.2.1", 12345), Refusal.OWN_PORT)
        self.admission.removeOwnPort(12345)
        self.assertIsNone(self.admission.refusal("192.0.2.1", 12345))

    def test_notUnicast(self) -> None:
        """A multicast source address is refused."""
        self.assertIs(self.admission.refusal("224.0.0.1", 40_000), Refusal.NOT_UNICAST)

    def test_rate(self) -> None:
        """A source over its rate is refused until time has passed; other sources are admitted."""
        verdicts = [self.admission.refusal("192.0.2.1", port) for port in (1000, 1001, 1002)]
        self.assertEqual(verdicts, [None, None, Refusal.RATE])
        self.assertIsNone(self.admission.refusal("192.0.2.2", 1000))
        self.clock.advance(0.5)
        self.assertIsNone(self.admission.refusal("192.0.2.1", 1000))

    def test_noLimit(self) -> None:
        """Rate 0 means unlimited."""
        admission = DatagramAdmission(self.clock.seconds, rate=0)
        self.assertEqual({admission.refusal("192.0.2.1", 1000) for _ in range(5000)}, {None})

    def test_slowRateAnswersOne(self) -> None:
        """A rate below one per second still admits a first datagram."""
        admission = DatagramAdmission(self.clock.seconds, rate=0.1)
        verdicts = [admission.refusal("192.0.2.1", 1000) for _ in range(2)]
        self.assertEqual(verdicts, [None, Refusal.RATE])

    def test_denied(self) -> None:
        """Denied addresses are refused in plain and mapped form."""
        networks = AddressFilter(allow=["192.0.2.0/24"], deny=["192.0.2.2"])
        admission = DatagramAdmission(self.clock.seconds, networks=networks)
        for host, verdict in (
            ("192.0.2.1", None),
            ("::ffff:192.0.2.1", None),
            ("192.0.2.2", Refusal.DENIED),
            ("::ffff:192.0.2.2", Refusal.DENIED),
            ("2001:db8::1", Refusal.DENIED),
            ("224.0.0.1", Refusal.NOT_UNICAST),
        ):
            self.assertIs(admission.refusal(host, 40_000), verdict, host)

    def test_deniedTakesNoToken(self) -> None:
        """The addresses of a /64 share a rate, and a denied one takes no token from it."""
        networks = AddressFilter(deny=["2001:db8::2"])
        admission = DatagramAdmission(self.clock.seconds, rate=1.0, networks=networks)
        self.assertIs(admission.refusal("2001:db8::2", 40_000), Refusal.DENIED)
        self.assertIsNone(admission.refusal("2001:db8::1", 40_000))
        self.assertIs(admission.refusal("2001:db8::3", 40_000), Refusal.RATE)
        self.assertIs(admission.refusal("2001:db8::2", 40_000), Refusal.DENIED)


class BatchAdmissionTests(SynchronousTestCase):
    """Decisions by the kernel's source addresses, for a batch."""

    def setUp(self) -> None:
        self.clock = Clock()

    def admission(self, **options: Any) -> DatagramAdmission:
        return DatagramAdmission(self.clock.seconds, **options)

    def test_sameDecisions(self) -> None:
        """They are those for single datagrams, of known and of new sources."""
        networks = AddressFilter(deny=["192.0.2.66"])
        hosts = ["192.0.2.1", "192.0.2.66", "224.0.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"]
        sources = [(host, port) for port in (40_000, 7, 40_001) for host in hosts]
        single, batch = (self.admission(rate=3.0, networks=networks) for _ in range(2))
        for _ in range(3):
            expected = {
                index: refusal
                for index, source in enumerate(sources)
                if (refusal := single.refusal(*source)) is not None
            }
            self.assertEqual(batch.refusals([rawSource(*source) for source in sources]), expected)
            self.clock.advance(0.5)

    def test_IPv6(self) -> None:
        """Sources of one /64 share a rate, whatever their scope and flow."""
        admission = self.admission(rate=2.0)
        sources = [rawSource(f"2001:db8::{number}", 40_000) for number in range(1, 4)]
        self.assertEqual(admission.refusals(sources), {2: Refusal.RATE})

    def test_ownPort(self) -> None:
        """A known source is refused as soon as its port is our own, and answered after that."""
        admission = self.admission()
        source = [rawSource("192.0.2.1", 12_345)]
        self.assertEqual(admission.refusals(source), {})
        admission.addOwnPort(12_345)
        self.assertEqual(admission.refusals(source), {0: Refusal.OWN_PORT})
        admission.removeOwnPort(12_345)
        self.assertEqual(admission.refusals(source), {})

    def test_noLimit(self) -> None:
        """Without a limit a known source is always answered."""
        admission = self.admission(rate=0)
        source = [rawSource("192.0.2.1", 40_000)] * 5000
        self.assertEqual((admission.refusals(source), admission.refusals(source)), ({}, {}))

    def test_forgotten(self) -> None:
        """
        A source whose bucket is forgotten, because there were many others, gets a full one, the
        same by its raw address as by its host.
        """
        admission = self.admission()
        admission._buckets = TokenBuckets(1.0, 1.0, self.clock.seconds, 4)
        source = [rawSource("192.0.2.1", 40_000)]
        self.assertEqual(admission.refusals(source * 2), {1: Refusal.RATE})
        admission.refusals([rawSource(f"192.0.2.{host}", 40_000) for host in range(10, 20)])
        self.assertEqual(admission.refusals(source * 2), {1: Refusal.RATE})
        self.assertIs(admission.refusal("192.0.2.1", 40_000), Refusal.RATE)

    def test_bounded(self) -> None:
        """The ports of one source do not make the table grow without bound."""
        admission = self.admission(rate=0)
        admission._buckets = TokenBuckets(1e9, 1e9, self.clock.seconds, 10)
        for port in range(1024, 2000):
            self.assertEqual(admission.refusals([rawSource("192.0.2.1", port)]), {})
            self.assertLessEqual(len(admission._buckets.aliases), 10)
