from __future__ import annotations

import os
import signal

from twisted.internet.defer import Deferred

from echoproto.client.targets import endpoints
from tests.cli.sessions.pingcase import SERVER, PingTestCase
from tests.client.targets.fakeresolver import FakeResolver


class TargetPingTests(PingTestCase):
    def test_otherAddress(self) -> None:
        """When a name has another address, a further heading names it."""
        self.reactor.nameResolver = FakeResolver("127.0.0.3", "127.0.0.1")
        ended = self.ping("-c", "2", "-i", "20ms", "udp://lab1:7")
        headings = [line for line in ended.lines if line.startswith("ECHO")]
        shown = "ECHO udp://lab1:7 ({}), 64 bytes"
        self.assertEqual(headings, [shown.format(f"127.0.0.{number}") for number in (3, 1)])
        self.assertIn("2 sent, 2 received", ended.output)

    def test_interrupted(self) -> None:
        """Ctrl-C ends the probing; with --summary no heading precedes its line."""
        self.reactor.act = lambda turn: self.reactor.interrupt() if turn == 9 else None
        ended = self.ping("--summary", SERVER)
        self.assertEqual((ended.status, len(ended.lines)), (0, 1))
        self.assertIn("1/1 received", ended.output)

    def test_interruptedEarly(self) -> None:
        """Ctrl-C during a DNS lookup is one line; another ends the process."""
        self.patch(endpoints, "resolve", lambda *_: Deferred())
        self.reactor.act = lambda turn: self.reactor.interrupt()
        ended = self.ping("udp://lab1")
        statuses: list[int] = []
        self.patch(os, "_exit", statuses.append)
        self.signals[signal.SIGINT](signal.SIGINT, None)
        self.assertEqual(statuses, [130])
        self.assertEqual((ended.status, ended.output), (130, ""))
        line = "udp://lab1:12345: interrupted, before its address was known"
        self.assertEqual(ended.errors, f"echoproto ping: {line}\n")

    def test_flood(self) -> None:
        """A flood goes to own addresses only, as fast as replies arrive, with a summary."""
        ended = self.ping("-c", "50", "--flood", SERVER)
        self.assertEqual(len(ended.lines), 7)
        self.assertIn("50 sent, 50 received", ended.output)
        self.assertLess(self.reactor.turns, 100)
        self.newReactor()
        self.reactor.nameResolver = FakeResolver("192.0.2.1", "127.0.0.1")
        self.assertRefused("lab1:7: --flood is only for loopback, private", "--flood", "lab1:7")
        message = "--interval below 2ms is only for loopback, private"
        self.assertRefused(message, "-i", "1us", "-c", "1", "udp://192.0.2.1:7")
        words = ("--flood", "--endpoint", "tcp:192.0.2.1:7")
        self.assertRefused("--flood is only for loopback, private", *words)

    def test_outstanding(self) -> None:
        """With -O a probe without a reply is shown when the next one is sent, if not quiet."""
        for words, shown in (((), 1), (("-q",), 0)):
            self.newReactor()
            self.loseFirst()
            ended = self.ping("-O", "-c", "3", "-i", "20ms", "-W", "50ms", *words, SERVER)
            self.assertEqual(ended.lines.count(f"{SERVER}: seq=1 no reply yet"), shown)

    def test_noSuchHost(self) -> None:
        """An unknown host is reported once, with status 2; other targets are probed."""
        self.reactor.nameResolver = FakeResolver()
        ended = self.ping("-c", "1", "udp://lab1:7", SERVER)
        self.assertEqual(ended.status, 2)
        self.assertIn("udp://lab1:7: DNS lookup failed: no such host: lab1", ended.errors)
        self.assertIn("1 received", ended.output)

    def test_numeric(self) -> None:
        """With -n targets are shown by their addresses."""
        self.reactor.nameResolver = FakeResolver("127.0.0.1")
        ended = self.ping("-c", "1", "-n", "udp://lab1:7")
        self.assertIn(f"bytes from {SERVER}: ", ended.output)

    def test_address(self) -> None:
        """The heading has the address of a target, unless its name has it."""
        self.reactor.nameResolver = FakeResolver("127.0.0.1")
        ended = self.ping("-c", "1", "udp://lab1:7")
        self.assertEqual(ended.lines[0], "ECHO udp://lab1:7 (127.0.0.1), 64 bytes")
