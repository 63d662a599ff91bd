from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.conformance import ConformanceOptions
from echoproto.conformance.suite import CHECKS, TCP, UDP
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.targets.target import parseTarget
from echoproto.testing import MemoryEndpoint
from tests.cli.commandcase import CommandTestCase, RunningReactor, Terminal
from tests.conformance.lab import Faulty

TARGET = "127.0.0.1:7"


class Silent(Faulty):
    """Answers nothing."""

    def dataReceived(self, data: bytes) -> None:
        pass


class Flipping(Faulty):
    """Changes every byte above 127."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(each & 0x7F for each in data))


class ConformanceTests(CommandTestCase):
    command = "conformance"

    def setUp(self) -> None:
        super().setUp()
        self.serve(EchoFactory)

    def serve(self, makeFactory: Callable[[RunningReactor], Any]) -> None:
        super().serve(makeFactory)
        self.reactor.listenDatagrams(7, EchoDatagramProtocol(self.reactor))

    def pump(self, turn: int) -> None:
        for pair in self.pairs:
            pair.pump()

    def conformance(
        self, *words: str, output: io.StringIO | None = None, errors: io.StringIO | None = None
    ) -> tuple[int, str, str]:
        ended = self.ended(*words, errors=errors, output=output)
        return ended.status, ended.output, ended.errors

    def test_passed(self) -> None:
        """What came of each check is a line: status 0 where none failed."""
        status, said, errors = self.conformance("--carrier", "all", "--only", "bytes", TARGET)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(
            said.splitlines(),
            [
                "CONFORMANCE tcp://127.0.0.1:7 and udp://127.0.0.1:7",
                "carrier  check    verdict  reason",
                "tcp      answers  passed",
                "tcp      bytes    passed",
                "udp      answers  passed",
                "udp      bytes    passed",
                "4 passed, 0 failed, 0 skipped",
            ],
        )

    def test_failed(self) -> None:
        """A check that failed is told with why, and status 3."""
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        status, said, _ = self.conformance("--only", "bytes", "-q", TARGET)
        self.assertEqual(status, 3)
        self.assertEqual(
            said.splitlines()[1:],
            [
                "carrier  check  verdict  reason",
                "tcp      bytes  failed   byte 128 was sent as 80 and came back as 00 (RFC 862, TCP)",
                "1 passed, 1 failed, 0 skipped",
            ],
        )

    def test_nobody(self) -> None:
        """Where nobody answers at all it is status 1."""
        self.serve(lambda reactor: Factory.forProtocol(Silent))
        status, said, _ = self.conformance("-t", "50ms", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("0 of 17 bytes came back, then nothing for 0.05 s", said)

    def test_json(self) -> None:
        """Programs get a document."""
        status, said, _ = self.conformance(
            "--carrier", "udp", "--only", "burst", "--risky", "-o", "json", TARGET
        )
        found = json.loads(said)
        self.assertEqual((status, found["counts"]["passed"]), (0, 2))
        self.assertTrue(found["checks"][1]["risky"])

    def test_table(self) -> None:
        """On a terminal it is a table, in colours."""
        _, said, _ = self.conformance(
            "--carrier", "udp", "--only", "source", TARGET, output=Terminal()
        )
        self.assertIn("\x1b[32mpassed", said)
        self.assertIn("asked at 127.0.0.1", said)
        self.assertTrue(said.endswith("2 passed, 0 failed, 0 skipped\n"))

    def test_progress(self) -> None:
        """On a terminal it tells how far it has come, unless it is to be quiet."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        words = ("--only", "late reader", TARGET)
        _, _, said = self.conformance(*words, errors=Terminal())
        self.assertIn("1 of 2 checks, late reader", said)
        self.serve(EchoFactory)
        self.assertEqual(self.conformance("-q", *words, errors=Terminal())[2], "")

    def test_list(self) -> None:
        """What is asked is listed, with where it stands; no target is needed."""
        status, said, _ = self.conformance("--list")
        self.assertEqual((status, len(said.splitlines())), (0, len(CHECKS) + 1))
        self.assertRegex(said, r"udp +burst +risky +After a burst of .* \(RFC 1122 ")
        _, said, _ = self.conformance("--list", "--carrier", "udp")
        self.assertNotIn("tcp", said)

    def test_interrupted(self) -> None:
        """Ctrl-C before the end is status 130, and what was not asked is told."""
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())

        def act(turn: int) -> None:
            if turn == 3:
                self.reactor.interrupt()

        self.reactor.act = act
        status, said, _ = self.conformance(TARGET)
        self.assertEqual(status, 130)
        self.assertIn("tcp      bytes        skipped  stopped", said)

    def test_refused(self) -> None:
        """Invalid words are one line, and status 2."""
        for words, message in (
            ((), "missing TARGET"),
            (("--carrier", "sctp", TARGET), "--carrier: 'sctp' is not one of"),
            (("--only", "sizes", TARGET), "--only: "),
            (("--only", "burst", f"udp://{TARGET}"), "--only: "),
            (("--carrier", "udp", "tls://lab1"), "tls://lab1:12345"),
            (("--carrier", "udp", "--risky", "192.0.2.1"), "192.0.2.1"),
        ):
            self.assertRefused(message, *words)


class ConformanceOptionsTests(SynchronousTestCase):
    def test_carriers(self) -> None:
        """Without --carrier the target says what is checked."""
        options = ConformanceOptions(
            targets=(),
            descriptions=(),
            family=None,
            source=None,
            ca="",
            insecure=False,
            output="text",
            out=None,
            carrier=None,
            only=(),
            risky=False,
            yes_i_own_it=False,
            list=False,
            timeout=1,
            quiet=False,
        )
        for text, carriers in (("lab1", (TCP,)), ("udp://lab1", (UDP,)), ("tls://lab1", (TCP,))):
            self.assertEqual(options.carriers(parseTarget(text)), carriers)
        both = replace(options, carrier="all")
        self.assertEqual(both.carriers(parseTarget("lab1")), (TCP, UDP))
