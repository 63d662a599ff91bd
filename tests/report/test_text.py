from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.echoplus import EchoPlusPayload, EchoPlusStatistics
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import EXCESS, PingStatistics
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.protocols.echoplus import NUMBERS
from echoproto.report.text import (
    outcomeLine,
    percentileLines,
    pingLine,
    pingSummary,
    verifyLine,
    verifySummary,
)
from tests.report.sampleresults import histogramOf

MS = 1_000_000


class TextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
        self.sent = [self.record.send(probe * 10 * MS) for probe in range(6)]

    def line(self, sequence: int, at: int, reply: bytes | None = None) -> str:
        reply = self.sent[sequence] if reply is None else reply
        return outcomeLine("udp://lab1:7", self.record.receive(reply, at * MS))

    def result(self) -> PingResult:
        return PingResult(
            "udp://lab1:7",
            PingPlan(),
            self.record,
            1234 * MS,
            LatencyHistogram(),
            LatencyHistogram(),
        )

    def test_lines(self) -> None:
        """The line of a reply names its kind; sequence numbers begin with 1."""
        head = "32 bytes from udp://lab1:7"
        self.assertEqual(self.line(0, 1), f"{head}: seq=1 time=1.000 ms")
        self.assertEqual(self.line(0, 2), f"{head}: seq=1 time=2.000 ms duplicate")
        self.assertEqual(self.line(2, 21), f"{head}: seq=3 time=1.000 ms")
        self.assertEqual(self.line(1, 22), f"{head}: seq=2 time=12.000 ms reordered")
        self.assertEqual(self.line(3, 90), f"{head}: seq=4 time=60.000 ms late")
        damaged = self.sent[4][:31] + bytes([self.sent[4][31] ^ 1])
        self.assertRegex(
            self.line(4, 41, damaged),
            rf"^{head}: seq=5 time=1.000 ms corrupt: at byte 31 sent .., received ..$",
        )
        self.assertEqual(
            self.line(0, 1, b"?"),
            "1 byte from udp://lab1:7: foreign: no reply to a probe of this run",
        )
        self.assertEqual(
            outcomeLine("udp://lab1:7", self.record.lose(5, "no reply in 2 s")),
            "udp://lab1:7: seq=6 lost: no reply in 2 s",
        )

    def test_limits(self) -> None:
        """The limits of the client, and the replies that it dropped, are in the summary."""
        self.record.dropped = 2
        summary = pingSummary(self.result())
        self.assertIn(
            "6 sent, 0 received, 4 lost (66.67 %, 1 burst, longest 6), 2 dropped by", summary
        )
        self.assertIn("\nlimited by the client: 2 replies dropped", summary)

    def test_summary(self) -> None:
        """The summary has counts, round-trip times, their variation, and reasons of losses."""
        self.test_lines()
        result = self.result()
        result.connecting.add(MS)
        result.securing.add(2 * MS)
        self.assertEqual(
            pingSummary(result),
            """--- udp://lab1:7 echo statistics ---
6 sent, 5 received, +1 duplicates, +1 corrupted, +1 foreign, \
1 lost (16.67 %, 1 burst, longest 1), 1 late, 1 reordered, time 1.234 s
rtt min/avg/max/mdev = 1.000/15.000/60.000/22.900 ms
    min    p50     p90     p95     p99   p99.9     max  (ms, n=5)
  1.000  1.000  60.000  60.000  60.000  60.000  60.000
delay variation avg/p99/max = 35.000/59.000/59.000 ms, jitter 7.104 ms
connect min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms
TLS handshake min/avg/max/mdev = 2.000/2.000/2.000/0.000 ms
lost: no reply in 2 s""",
        )

    def test_excess(self) -> None:
        """Data on a stream beyond the replies is foreign for that reason, and has a line."""
        outcome = self.record.receiveExcess(9)
        self.assertIn(f"foreign: {EXCESS}", outcomeLine("tcp://lab1:7", outcome))
        self.assertIn(f"\nwrong bytes: {EXCESS}, 1 time", pingSummary(self.result()))

    def plusResult(self, *replies: bytes) -> PingResult:
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        sent = [record.send(probe * MS) for probe in range(4)]
        for index, reply in zip((0, 3), replies, strict=False):
            record.receive(sent[index][:4] + reply + sent[index][20:], 10 * MS)
        return replace(self.result(), record=record)

    def test_udpPlus(self) -> None:
        """The direction of losses, and the time of the server, have lines of their own."""
        answers = (struct.pack("!4I", 0, 10, 2010, 0), struct.pack("!4I", 2, 20, 2020, 0))
        lines = pingSummary(self.plusResult(*answers)).splitlines()
        self.assertEqual(
            lines[-3:],
            [
                "direction: 1 lost to the server, 1 from the server",
                "server time min/avg/max/mdev = 2.000/2.000/2.000/0.000 ms",
                "rtt without it min/avg/max/mdev = 5.000/6.500/8.000/1.500 ms",
            ],
        )
        self.assertEqual(
            pingSummary(self.plusResult(answers[0])).splitlines()[-3],
            "direction: 0 lost to the server, 0 from the server, 3 in an unknown direction",
        )
        self.assertEqual(
            pingSummary(self.plusResult(bytes(16))).splitlines()[-1],
            "no UDPEchoPlus: 1 reply only echoed",
        )
        self.assertIn("4 in an unknown direction", pingSummary(self.plusResult()))
        failed = struct.pack("!4I", 1, 20, 2020, 2)
        self.assertIn(
            "direction: 0 lost to the server, 0 from the server, 2 not sent by the server\n",
            pingSummary(self.plusResult(answers[0], failed)),
        )
        false = struct.pack("!4I", 0, 0, NUMBERS - 1, 0)
        self.assertEqual(
            pingSummary(self.plusResult(false)).splitlines()[-1],
            "1 server times are longer than the round trip, and left out",
        )
        record = EchoPlusStatistics(EchoPlusPayload(b"test", 64), 50 * MS)
        self.assertNotIn("server", pingSummary(replace(self.result(), record=record)))

    def test_nothing(self) -> None:
        """Without replies there are only counts; bursts of losses are counted."""
        self.line(2, 21)
        self.assertIn("5 lost (83.33 %, 2 bursts, longest 3)", pingSummary(self.result()))
        self.assertNotIn("delay variation", pingSummary(self.result()))
        self.record = PingStatistics(ProbePayload(b"test", 32), 1)
        self.assertEqual(
            pingSummary(self.result()).splitlines()[1:],
            ["0 sent, 0 received, 0 lost (0.00 %), time 1.234 s"],
        )

    def test_snapshot(self) -> None:
        """The figures so far are one line."""
        self.line(0, 3)
        self.assertEqual(
            pingLine(self.result()),
            "udp://lab1:7: 1/6 received, 83.33 % lost, min/avg/max = 3.000/3.000/3.000 ms",
        )


class PercentileLinesTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each histogram has a row, unless it is empty; without rows there is no table."""
        self.assertEqual(percentileLines(("response", LatencyHistogram())), [])
        heads, row = percentileLines(("response", LatencyHistogram()), ("service", histogramOf(1)))
        self.assertTrue(heads.endswith("max  (ms, n=1)"), heads)
        self.assertTrue(row.startswith("service  1.000  1.000"), row)


class IntegrityTests(SynchronousTestCase):
    def result(self, *, received: int, ending: str = "", **counts: int) -> VerifyResult:
        found = Counter({FaultKind[name]: count for name, count in counts.items()})
        return VerifyResult("tcp://lab1:7", 5, 4096, received, 2_000 * MS, found, (), ending)

    def test_right(self) -> None:
        """A stream without faults is reported as correct."""
        self.assertEqual(
            verifySummary(self.result(received=4096)),
            """--- tcp://lab1:7 integrity ---
4096 bytes sent, 4096 received, 2.000 s, 2.0 KiB/s
all bytes were echoed correctly""",
        )

    def test_stopped(self) -> None:
        """Only received bytes are reported as correct."""
        for received, line in (
            (0, "no data received"),
            (96, "all received bytes are correct; 4000 were still under way"),
        ):
            summary = verifySummary(self.result(received=received, ending="stopped"))
            self.assertEqual(summary.splitlines()[2:], [line, "ended early: stopped"])

    def test_wrong(self) -> None:
        """Faults are counted by kind; an early end has its reason."""
        summary = verifySummary(self.result(received=9, ending="connection lost", FLIPPED=2, CUT=1))
        self.assertEqual(
            summary.splitlines()[2:], ["2 flipped, 1 cut", "ended early: connection lost"]
        )

    def test_progress(self) -> None:
        """The progress is in a suitable unit."""
        for received, line in (
            (1000, "1000 B, 500 B/s, 3 faults"),
            (3 << 20, "3.0 MiB, 1.5 MiB/s, 3 faults"),
            (3 << 40, "3072.0 GiB, 1536.0 GiB/s, 3 faults"),
        ):
            self.assertEqual(verifyLine(self.result(received=received, FLIPPED=3)), line)
