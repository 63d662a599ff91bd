from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.measuring import run
from echoproto.conformance.suite import CHECKS
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.reactors import install as foreground
from echoproto.testing import MemoryEndpoint, endpointTo
from tests.cli.lab import Lab, Terminal
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


class SuiteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.serve(EchoFactory)

    def serve(self, make: Callable[[Lab], Any]) -> None:
        """The server of the next run."""
        self.lab = Lab()
        self.patch(foreground, "installReactor", lambda name: self.lab)
        self.endpoint, self.pairs = endpointTo(make(self.lab))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: self.endpoint.connect(factory))
        self.lab.act = self.pump
        self.lab.listenDatagrams(7, EchoDatagramProtocol(self.lab))

    def pump(self, turn: int) -> None:
        for each in self.pairs:
            each.pump()

    def suite(
        self, *words: str, output: io.StringIO | None = None, errors: io.StringIO | None = None
    ) -> tuple[int, str, str]:
        output = output if output is not None else io.StringIO()
        errors = errors if errors is not None else io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run("verify", words)
        return status, output.getvalue(), errors.getvalue()

    def test_passed(self) -> None:
        """What came of each check is a line: status 0 where none failed."""
        status, said, errors = self.suite("--suite", "all", "--only", "bytes", TARGET)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(
            said.splitlines(),
            [
                "SUITE tcp://127.0.0.1:7 and udp://127.0.0.1:7",
                "tcp  answers  passed",
                "tcp  bytes    passed",
                "udp  answers  passed",
                "udp  bytes    passed",
                "4 passed, 0 failed, 0 skipped",
            ],
        )

    def test_failed(self) -> None:
        """A check that failed is told with why, and status 3."""
        self.serve(lambda lab: Factory.forProtocol(Flipping))
        status, said, _ = self.suite("--suite", "tcp", "--only", "bytes", "-q", TARGET)
        self.assertEqual(status, 3)
        self.assertEqual(
            said.splitlines()[1:],
            [
                "tcp  bytes  failed  byte 128 was sent as 80 and came back as 00 (RFC 862, TCP)",
                "1 passed, 1 failed, 0 skipped",
            ],
        )

    def test_nobody(self) -> None:
        """Where nobody answers at all it is status 1."""
        self.serve(lambda lab: Factory.forProtocol(Silent))
        status, said, _ = self.suite("--suite", "tcp", "-W", "50ms", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("0 of 17 bytes came back, then nothing for 0.05 s", said)

    def test_json(self) -> None:
        """Programs get a document."""
        status, said, _ = self.suite(
            "--suite", "udp", "--only", "burst", "--risky", "-o", "json", TARGET
        )
        found = json.loads(said)
        self.assertEqual((status, found["counts"]["passed"]), (0, 2))
        self.assertTrue(found["checks"][1]["risky"])

    def test_table(self) -> None:
        """On a terminal it is a table, in colours."""
        _, said, _ = self.suite("--suite", "udp", "--only", "source", TARGET, output=Terminal())
        self.assertIn("\x1b[32mpassed", said)
        self.assertIn("asked at 127.0.0.1", said)
        self.assertTrue(said.endswith("2 passed, 0 failed, 0 skipped\n"))

    def test_progress(self) -> None:
        """On a terminal it tells how far it has come, unless it is to be quiet."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        words = ("--suite", "tcp", "--only", "late reader", TARGET)
        _, _, said = self.suite(*words, errors=Terminal())
        self.assertIn("1 of 2 checks, late reader", said)
        self.setUp()
        self.assertEqual(self.suite("-q", *words, errors=Terminal())[2], "")

    def test_list(self) -> None:
        """What is asked is listed, with where it stands; no target is needed."""
        status, said, _ = self.suite("--list")
        self.assertEqual((status, len(said.splitlines())), (0, len(CHECKS)))
        self.assertRegex(said, r"udp +burst +risky +After a burst of .* \(RFC 1122 ")
        _, said, _ = self.suite("--list", "--suite", "udp")
        self.assertNotIn("tcp", said)

    def test_interrupted(self) -> None:
        """Ctrl-C before the end is status 130, and what was not asked is told."""
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())

        def act(turn: int) -> None:
            if turn == 3:
                for call, arguments, named in self.lab.triggers["before"]["shutdown"]:
                    call(*arguments, **named)
                self.lab.stop()

        self.lab.act = act
        status, said, _ = self.suite("--suite", "tcp", TARGET)
        self.assertEqual(status, 130)
        self.assertIn("tcp  bytes        skipped  stopped", said)

    def test_cannot(self) -> None:
        """What cannot be asked is status 2, in one line."""
        for words, says in (
            (("--suite", "sctp", TARGET), "'sctp' is not one of"),
            (("--suite", "tcp", "--only", "sizes", TARGET), "--only 'sizes' is no check"),
            (("--suite", "udp", "--only", "burst", TARGET), "is no check without risk"),
            (("--suite", "udp", "tls://lab1"), "tls://lab1:12345 is a stream"),
            (("--suite", "udp", "--risky", "192.0.2.1"), "192.0.2.1 is no private address"),
            (("--only", "sizes", TARGET), "--only needs --suite"),
            (("--yes-i-own-it", TARGET), "--yes-i-own-it needs --suite"),
            (("--risky", TARGET), "--risky needs --suite"),
        ):
            status, said, errors = self.suite(*words)
            self.assertEqual((status, said, len(errors.splitlines())), (2, "", 1), errors)
            self.assertIn(says, errors)
            self.setUp()
