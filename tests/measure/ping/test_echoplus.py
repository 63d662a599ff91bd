from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.api import PingPlan, ping
from echoproto.measure.ping import echoplus
from echoproto.measure.ping.echoplus import (
    MINIMUM_PROBE_SIZE,
    EchoPlusPayload,
    EchoPlusStatistics,
    LossDirections,
)
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.protocols.echoplus import NUMBERS, EchoPlusDatagramProtocol, EchoPlusHeader
from echoproto.testing import DatagramWire
from echoproto.text.units import SECOND

SESSION = b"test"

MS = SECOND // 1000

PROBES = 300


class PayloadTests(SynchronousTestCase):
    def test_layout(self) -> None:
        """A probe begins with the fields of UDPEchoPlus, those of the server being 0."""
        for size in (MINIMUM_PROBE_SIZE, 100):
            probe = EchoPlusPayload(SESSION, size).encode(7, 1000)
            self.assertEqual(len(probe), size)
            iteration = int.from_bytes(SESSION, "big")
            self.assertEqual(EchoPlusHeader.decode(probe), EchoPlusHeader(7, iteration=iteration))

    def test_identify(self) -> None:
        """A reply is identified in spite of damage to any byte."""
        payload = EchoPlusPayload(SESSION, 64)
        times = [1000, 2000, 3000]
        probe = payload.encode(1, 2000)
        for place in range(len(probe)):
            damaged = bytearray(probe)
            damaged[place] ^= 255
            self.assertEqual(payload.identify(bytes(damaged), times), 1)
        self.assertIsNone(payload.identify(bytes(64), times))


class StatisticsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = EchoPlusStatistics(EchoPlusPayload(SESSION, 64), SECOND)

    def send(self, count: int) -> list[bytes]:
        return [self.record.send(number * MS) for number in range(count)]

    def reply(self, probe: bytes, number: int, **fields: int) -> bytes:
        header = EchoPlusHeader.decode(probe)
        assert header is not None
        answer = {"receivedAt": 1, "repliedAt": 3, **fields}
        return (
            EchoPlusHeader(
                header.number, number % NUMBERS, iteration=header.iteration, **answer
            ).encode()
            + probe[24:]
        )

    def receive(self, *replies: bytes) -> list[OutcomeKind]:
        return [self.record.receive(reply, SECOND // 2).kind for reply in replies]

    def check(self, up: int, down: int, unknown: int, unsent: int = 0) -> None:
        self.assertEqual(self.record.directions, LossDirections(up, down, unknown, unsent))

    def test_times(self) -> None:
        """The time of the server is apart from that of the network, also at a wrap around."""
        first, second = self.send(2)
        self.receive(self.reply(first, 0, receivedAt=NUMBERS - 1, repliedAt=999))
        self.assertEqual(self.record.serverTimes.maximum, MS)
        self.assertEqual(self.record.networkTimes.maximum, SECOND // 2 - MS)
        self.receive(self.reply(second, 1, receivedAt=0, repliedAt=499_001))
        self.assertEqual(self.record.networkTimes.minimum, 0)

    def test_impossible(self) -> None:
        """A time of the server that is longer than the round trip is counted and left out."""
        [probe] = self.send(1)
        self.receive(self.reply(probe, 0, repliedAt=4_000_000_000))
        self.assertEqual((self.record.impossible, self.record.serverTimes.count), (1, 0))
        self.check(0, 0, 0)

    def test_directions(self) -> None:
        """A missing number of a reply is lost on the way back, a probe without one on the way."""
        for begin in (0, 100, NUMBERS - 2):
            self.setUp()
            probes = self.send(10)
            # 2 and 3 are lost to the server, 5 and 6 from it.
            numbers = {0: 0, 1: 1, 4: 2, 7: 5, 8: 6, 9: 7}
            kinds = self.receive(
                *(self.reply(probes[place], begin + add) for place, add in numbers.items())
            )
            self.assertEqual(kinds, [OutcomeKind.REPLY] * 6)
            self.check(2, 2, 0)

    def test_edges(self) -> None:
        """
        The direction of the first losses is known if the first reply has number 0; that of the
        last ones is not.
        """
        for number, up, unknown in ((0, 2, 3), (1, 0, 5)):
            self.setUp()
            probes = self.send(6)
            self.receive(self.reply(probes[2], number))
            self.check(up, 0, unknown)

    def test_unsent(self) -> None:
        """Replies that the server could not send were not lost on the way, in any direction."""
        for begin in (0, NUMBERS - 2):
            self.setUp()
            probes = self.send(10)
            # 2 is lost to the server, 5 from it, and 6 and 7 have no reply.
            numbers = {0: (0, 0), 1: (1, 0), 3: (2, 0), 4: (3, 0), 8: (5, 2), 9: (6, 2)}
            for place, (number, failures) in numbers.items():
                count = (begin + failures) % NUMBERS
                self.receive(self.reply(probes[place], number, failures=count))
            # Before the first reply no more can have failed than were sent.
            self.check(1, 1, 0, 2)

    def test_unsentBefore(self) -> None:
        """Before the first reply, which has number 0, its failures are those of the probes."""
        for failures, up, unknown, unsent in (
            (0, 4, 1, 0),
            (3, 1, 1, 3),
            (4, 0, 1, 4),
            (5, 0, 5, 0),
        ):
            self.setUp()
            probes = self.send(6)
            self.receive(self.reply(probes[4], 0, failures=failures))
            self.check(up, 0, unknown, unsent)

    def test_failuresOfOthers(self) -> None:
        """If the server counts the failures of several clients, only losses from it are known."""
        probes = self.send(5)
        self.receive(self.reply(probes[0], 0), self.reply(probes[4], 2, failures=3))
        self.check(0, 1, 2)

    def test_nothing(self) -> None:
        """Without replies no direction is known."""
        self.send(2)
        self.check(0, 0, 2)

    def test_otherClients(self) -> None:
        """A server that counts other clients shows no direction."""
        probes = self.send(5)
        self.receive(self.reply(probes[0], 10), self.reply(probes[4], 99))
        self.check(0, 0, 3)

    def test_reordered(self) -> None:
        """Replies in another order are the same."""
        probes = self.send(5)
        numbers = {0: 0, 1: 1, 4: 3}
        replies = [self.reply(probes[place], number) for place, number in numbers.items()]
        self.receive(replies[0], replies[2], replies[1])
        self.check(1, 1, 0)

    def test_duplicates(self) -> None:
        """A probe that arrived twice has two numbers, a reply that arrived twice has one."""
        probes = self.send(3)
        replies = [
            self.reply(probes[0], 0),
            self.reply(probes[0], 1),
            self.reply(probes[0], 1),
            self.reply(probes[2], 3),
        ]
        kinds = self.receive(*replies)
        self.assertEqual(kinds[1:3], [OutcomeKind.DUPLICATE] * 2)
        self.check(0, 1, 0)

    def test_oldDuplicate(self) -> None:
        """The numbers of old replies are forgotten, which bounds the memory."""
        self.patch(echoplus, "MAX_ODD_REPLIES", 1)
        probes = self.send(2)
        self.receive(self.reply(probes[0], 0), self.reply(probes[1], 1), self.reply(probes[0], 2))
        self.check(0, 0, 0)

    def test_corrupt(self) -> None:
        """A corrupt reply has arrived, whatever its fields say."""
        probes = self.send(5)
        damaged = self.reply(probes[2], 77)[:-1] + b"?"
        self.receive(self.reply(probes[0], 0), damaged, self.reply(probes[4], 3))
        self.assertEqual(self.record.counts[OutcomeKind.CORRUPT], 1)
        self.check(1, 1, 0)

    def test_hint(self) -> None:
        """A server that only echoes needs another mode, unless a reply was answered."""
        first, second = self.send(2)
        self.assertEqual(self.record.hint, "")
        self.receive(first)
        self.assertEqual(self.record.hint, "the server only echoes; try it without --mode udp-plus")
        self.receive(self.reply(second, 0))
        self.assertEqual(self.record.hint, "")

    def test_foreign(self) -> None:
        """A foreign or short datagram shows nothing."""
        self.send(1)
        self.assertEqual(self.receive(b"short", bytes(64)), [OutcomeKind.FOREIGN] * 2)
        self.check(0, 0, 1)

    def test_echoed(self) -> None:
        """A server that only echoes is recognized."""
        self.receive(*self.send(3))
        self.assertEqual(self.record.echoed, 3)
        self.assertEqual(self.record.serverTimes.count, 0)


class Fate:
    """Loses datagrams, in either direction with a probability of its own, and counts them."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._probes = 0
        self.up = self.down = 0

    def __call__(self, isUp: bool) -> bool:
        self._probes += isUp
        # The first and the last probe are answered, so that every direction is known.
        if self._probes in (1, PROBES) or self._random.random() > (0.05 if isUp else 0.02):
            return False
        self.up += isUp
        self.down += not isUp
        return True


class FailingProtocol(EchoPlusDatagramProtocol):
    """Cannot send every third reply."""

    _sent = 0

    def send(self, data: bytes, addr: Any) -> bool:
        self._sent += 1
        return self._sent % 3 != 2 and super().send(data, addr)


class PingTests(SynchronousTestCase):
    def ping(self, service: Any, fate: Any) -> Any:
        """The record of a ping; ``fate`` decides on each datagram whether it is lost."""
        wire = DatagramWire()
        # The times of a server are rarely 0.
        wire.advance(1)
        wire.listenUDP(7, service(wire))
        plan = PingPlan(count=PROBES, interval=MS, timeout=50 * MS, mode="udp-plus")
        made = ping(
            wire, "udp://127.0.0.1:7", plan, monotonicNs=lambda: round(wire.seconds() * SECOND)
        )
        while not made.called:
            while wire.pending:
                if fate(wire.pending[0].destination[1] == 7):
                    wire.lose()
                else:
                    wire.deliver(1)
            wire.advance(0.001)
        return self.successResultOf(made).record

    def test_oneDirection(self) -> None:
        """Losses in either direction are found as they were made, for 20 seeds."""
        for seed in range(20):
            fate = Fate(seed)
            record = self.ping(EchoPlusDatagramProtocol, fate)
            self.assertEqual(record.directions, LossDirections(fate.up, fate.down, 0), seed)
            self.assertEqual(record.counts[OutcomeKind.CORRUPT], 0)

    def test_unsent(self) -> None:
        """Replies that our server could not send are found among the losses in both directions."""
        fate = Fate(1)
        record = self.ping(FailingProtocol, fate)
        unsent = (PROBES - fate.up + 1) // 3
        self.assertEqual(record.directions, LossDirections(fate.up, fate.down, 0, unsent))

    def test_echo(self) -> None:
        """An echo server without UDPEchoPlus is recognized."""
        record = self.ping(EchoDatagramProtocol, lambda isUp: False)
        self.assertEqual((record.received, record.echoed), (PROBES, PROBES))
