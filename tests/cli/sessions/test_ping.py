from __future__ import annotations

import csv
import json
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.protocol import DatagramProtocol

from echoproto.cli.sessions import targetping
from echoproto.measure.api import preparePing
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from tests.cli.commandcase import FILE_FULL, BrokenPipe, CommandTestCase
from tests.cli.sessions.pingcase import CLOSED, SERVER, PingTestCase


class Flipping(DatagramProtocol):
    """An echo that changes the last byte."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        transport: Any = self.transport
        transport.write(datagram[:-1] + bytes([datagram[-1] ^ 1]), addr)


class PingTests(PingTestCase):
    def test_replies(self) -> None:
        """A line for each reply, the summary, and status 0."""
        ended = self.ping("-c", "2", "-i", "20ms", SERVER)
        self.assertEqual((ended.status, ended.errors), (0, ""))
        self.assertEqual(ended.lines[0], f"ECHO {SERVER}, 64 bytes")
        self.assertRegex(ended.lines[2], rf"^64 bytes from {SERVER}: seq=2 time=[0-9.]+ ms$")
        self.assertIn("2 sent, 2 received, 0 lost (0.00 %)", ended.output)

    def test_noReply(self) -> None:
        """Without any reply the status is 1; with a deadline, if any reply is missing."""
        ended = self.ping("-c", "1", "-W", "50ms", CLOSED)
        self.assertEqual(ended.status, 1)
        self.assertIn("lost: refused", ended.output)
        self.newReactor()
        self.loseFirst()
        self.assertEqual(self.ping("-c", "2", "-i", "10ms", "-w", "1s", SERVER).status, 1)
        self.newReactor()
        self.loseFirst()
        self.assertEqual(self.ping("-c", "2", "-i", "10ms", SERVER).status, 0)

    def test_timestamps(self) -> None:
        """With -D each line has the time, and each row of NDJSON and CSV the date and time."""
        words = ("-D", "-c", "1", SERVER)
        self.assertRegex(self.ping(*words).lines[1], r"^\[\d+\.\d{6}\] 64 bytes")
        for form in ("ndjson", "csv"):
            for number, start in ((1, 0), (0, 1)):
                self.newReactor()
                output = self.ping(*words[start:], "-o", form).output
                found = re.findall(r"\d{4}-\d\d-\d\dT[0-9:.]{15}\+00:00", output)
                self.assertEqual(len(found), number)

    def test_unanswered(self) -> None:
        """With -O and -D the line of a probe without a reply has the time."""
        self.loseFirst()
        ended = self.ping("-O", "-D", "-c", "2", "-i", "20ms", "-W", "50ms", SERVER)
        self.assertRegex(ended.lines[1], rf"^\[\d+\.\d{{6}}\] {SERVER}: seq=1 no reply yet$")

    def test_severalTargets(self) -> None:
        """Several targets are probed at once; the status is that of the worst."""
        ended = self.ping("-c", "1", "-W", "50ms", SERVER, CLOSED)
        self.assertEqual(ended.status, 1)
        self.assertEqual(ended.output.count("echo statistics"), 2)
        self.newReactor()
        both = self.ping("-q", "-c", "1", "-W", "50ms", CLOSED, SERVER).output
        self.assertLess(both.index(f"--- {CLOSED}"), both.index(f"--- {SERVER}"))

    def test_spread(self) -> None:
        """Targets are probed at even distances within the interval, not at the same instant."""
        arrivals: list[float] = []

        class Arrivals(EchoDatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                arrivals.append(reactor.seconds())
                super().datagramReceived(datagram, addr)

        reactor = self.reactor
        port = reactor.listenUDP(8, Arrivals(reactor))
        monotonicNs = lambda: round(reactor.seconds() * 1e9)
        self.patch(time, "monotonic_ns", monotonicNs)
        self.patch(targetping, "preparePing", partial(preparePing, monotonicNs=monotonicNs))
        self.ping("-c", "2", "-i", "200ms", *["udp://127.0.0.1:8"] * 4)
        port.stopListening()
        self.assertEqual([round((at - arrivals[0]) * 20) for at in arrivals[:4]], [0, 1, 2, 3])

    def test_wrongBytes(self) -> None:
        """Wrong bytes are status 3, and shown with their offset."""
        port = self.reactor.listenUDP(8, Flipping())
        ended = self.ping("-c", "1", "-s", "30", "udp://127.0.0.1:8")
        port.stopListening()
        self.assertEqual(ended.status, 3)
        self.assertIn("corrupt: at byte 29", ended.output)

    def test_assertions(self) -> None:
        """A failed assertion is reported, with status 4."""
        ended = self.ping("-c", "1", "--assert", "received==1", "--assert", "p99<1ns", SERVER)
        self.assertEqual(ended.status, 4)
        self.assertRegex(ended.errors, rf"^echoproto ping: {SERVER}: p99<1ns: p99 is [0-9.]+ms\n$")

    def test_interrupted(self) -> None:
        """Ctrl-C ends with the summary: status 0, or 130 if nothing was received."""
        self.reactor.act = lambda turn: self.reactor.interrupt() if turn == 9 else None
        ended = self.ping("-i", "20ms", SERVER)
        self.assertEqual(ended.status, 0)
        self.assertRegex(ended.output, r"(\d) sent, \1 received")
        self.newReactor()

        def stop(turn: int) -> None:
            self.reactor.pending.clear()
            self.reactor.interrupt()

        self.reactor.act = stop
        self.assertEqual(self.ping(SERVER).status, 130)

    def test_snapshot(self) -> None:
        """Ctrl-\\ prints the figures so far."""

        def act(turn: int) -> None:
            if turn == 9:
                self.signals[signal.SIGQUIT](signal.SIGQUIT, None)

        self.reactor.act = act
        ended = self.ping("-c", "10", "-i", "20ms", SERVER)
        self.assertRegex(ended.errors, r"(\d)/\1 received, 0.00 % lost, min/avg/max = ")

    def test_summary(self) -> None:
        """With --summary the output is one line for each target."""
        ended = self.ping("-c", "2", "-i", "20ms", "-W", "50ms", "--summary", SERVER, CLOSED)
        self.assertEqual(len(ended.lines), 2)
        self.assertTrue(ended.lines[0].startswith(f"{SERVER}: 2/2 received, 0.00 % lost, min/"))
        self.assertTrue(ended.lines[1].startswith(f"{CLOSED}: 0/2 received, 100.00 % lost"))

    def test_every(self) -> None:
        """With --every the figures so far are shown on the standard error, again and again."""
        ended = self.ping("-c", "6", "-i", "100ms", "--every", "200ms", "-q", SERVER)
        found = re.findall(r"^echoproto ping: \S+ \d/\d received, ", ended.errors, re.MULTILINE)
        self.assertGreater(len(found), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_options(self) -> None:
        """-s, -p, -D and -q set size, pattern, timestamps and quiet output."""
        ended = self.ping("-c", "1", "-s", "21", "--pattern", "7f", "-D", "-A", "-4", SERVER)
        self.assertRegex(ended.lines[1], r"^\[\d+\.\d{6}\] 21 bytes from ")
        self.newReactor()
        self.assertEqual(len(self.ping("-c", "3", "-i", "10ms", "-q", SERVER).lines), 7)
        self.newReactor()
        ended = self.ping("-c", "1", "-s", "2", SERVER)
        self.assertIn("has only the low bytes", ended.errors)

    def test_modes(self) -> None:
        """A server that needs another mode is reported, with status 1."""
        ended = self.ping("-c", "1", "--mode", "udp-plus", SERVER)
        self.assertEqual(ended.status, 1)
        hint = "the server only echoes; try it without --mode udp-plus"
        self.assertEqual(ended.errors, f"echoproto ping: {SERVER}: {hint}\n")
        CommandTestCase.newReactor(self)
        self.reactor.listenUDP(7, EchoPlusDatagramProtocol(self.reactor))
        ended = self.ping("-c", "1", SERVER)
        self.assertEqual(ended.status, 1)
        hint = "the server speaks UDPEchoPlus; try ping --mode udp-plus"
        self.assertEqual(ended.errors, f"echoproto ping: {SERVER}: {hint}\n")
        CommandTestCase.newReactor(self)
        self.reactor.listenUDP(7, EchoPlusDatagramProtocol(self.reactor))
        words = ("-c", "3", "-q", "--mode", "udp-plus", "--assert", "loss-up<1%")
        ended = self.ping(*words, "--assert", "lost-unknown==0", SERVER)
        self.assertEqual((ended.status, ended.errors), (0, ""))

    def test_forms(self) -> None:
        """-o sets the format, and --out the file."""
        self.assertEqual(
            json.loads(self.ping("-c", "1", "-o", "json", SERVER).output)["version"], 1
        )
        self.newReactor()
        path = Path(self.mktemp())
        ended = self.ping("-c", "1", "-o", "ndjson", "--out", str(path), SERVER)
        self.assertEqual(ended.output, "")
        self.assertEqual(len(path.read_text().splitlines()), 2)

    def test_readerIsGone(self) -> None:
        """The run ends if the reader of the output is gone, here before the first probe."""
        self.assertEqual(self.ping("-c", "100", SERVER, output=BrokenPipe()).status, 130)
        self.assertLess(self.reactor.turns, 5)

    def test_full(self) -> None:
        """The run ends if its file cannot be written; its result is on the standard output."""
        ended = self.ping("-c", "100", "--out", "/dev/full", SERVER)
        self.assertEqual(ended.status, 2)
        self.assertEqual(ended.errors, f"echoproto ping: {FILE_FULL}\n")
        self.assertIn("echo statistics", ended.output)

    def test_csv(self) -> None:
        """CSV has a row for each probe, with its values."""
        ended = self.ping("-c", "2", "-i", "10ms", "-o", "csv", SERVER)
        rows = list(csv.DictReader(ended.lines))
        self.assertEqual([row["kind"] for row in rows], ["reply", "reply"])

    def test_ndjson(self) -> None:
        """NDJSON has a line for each probe, then one for each target."""
        ended = self.ping("-c", "2", "-i", "10ms", "-o", "ndjson", SERVER)
        lines = [json.loads(line) for line in ended.lines]
        self.assertEqual([line["type"] for line in lines], ["probe", "probe", "summary"])
        self.assertEqual(lines[2]["sent"], 2)
        self.assertLessEqual({"started", "origin", "session", "target"}, set(lines[2]))

    def test_refused(self) -> None:
        """Invalid words are one line, and nothing is sent."""
        self.assertRefused("missing TARGET")
        self.assertRefused(
            "--out /nowhere/x: the folder does not exist; mkdir -p /nowhere",
            "--out",
            "/nowhere/x",
            SERVER,
        )
        self.assertRefused("--source: invalid address 'lab1'", "-I", "lab1", SERVER)
        self.assertRefused("nonsense:7: ", "--endpoint", "nonsense:7")
