from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import fromstring

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.sessions.conformance import checkRows, conformanceLine
from echoproto.conformance.results import CheckVerdict
from echoproto.conformance.suite import CHECKS
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.testing import MemoryEndpoint
from tests.cli.commandcase import CommandTestCase, RunningReactor, Terminal
from tests.conformance.fakeservers import FaultyEcho
from tests.report.sampleresults import conformanceResult

TARGET = "127.0.0.1:7"


class Silent(FaultyEcho):
    """Never replies."""

    def dataReceived(self, data: bytes) -> None:
        pass


class Flipping(FaultyEcho):
    """Changes every byte above 127."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(byte & 0x7F for byte in data))


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
        """Each check has a row; the status is 0 if none failed."""
        status, output, errors = self.conformance(
            "--carrier", "all", "--only", "all-byte-values", TARGET
        )
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(
            output.splitlines(),
            [
                "CONFORMANCE tcp://127.0.0.1:7 and udp://127.0.0.1:7",
                "carrier  check            verdict  reason",
                "tcp      answers          passed",
                "tcp      all-byte-values  passed",
                "udp      answers          passed",
                "udp      all-byte-values  passed",
                "conformance: 4 of 4 checks passed",
            ],
        )

    def test_failed(self) -> None:
        """A failed check has its reason, and status 3."""
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        status, output, _ = self.conformance("--only", "all-byte-values", "-q", TARGET)
        self.assertEqual(status, 3)
        self.assertEqual(
            output.splitlines()[1:],
            [
                "carrier  check            verdict  reason",
                "tcp      all-byte-values  failed   wrong byte at offset 128: sent 80, received 00"
                + " (RFC 862, TCP)",
                "conformance: 1 of 2 checks passed",
            ],
        )

    def test_noReply(self) -> None:
        """A server that never replies is status 1."""
        self.serve(lambda reactor: Factory.forProtocol(Silent))
        status, output, _ = self.conformance("-W", "50ms", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("0 of 17 bytes returned, then nothing for 0.05 s", output)

    def test_json(self) -> None:
        """-o json writes a document."""
        status, output, _ = self.conformance(
            "--carrier", "udp", "--only", "datagram-burst", "--risky", "-o", "json", TARGET
        )
        found = json.loads(output)
        self.assertEqual((status, found["counts"]["passed"]), (0, 2))
        self.assertTrue(found["checks"][1]["risky"])

    def test_junit(self) -> None:
        """-o junit writes the XML of JUnit, without a heading."""
        status, output, _ = self.conformance("--only", "all-byte-values", "-o", "junit", TARGET)
        suite = fromstring(output)
        self.assertEqual((status, suite.get("tests"), suite.get("failures")), (0, "2", "0"))

    def test_explain(self) -> None:
        """--explain shows what a check demands and why, on each carrier, and needs no target."""
        status, output, _ = self.conformance("--explain", "half-close")
        self.assertEqual(status, 0)
        explanation, source = output.splitlines()
        self.assertTrue(explanation.startswith("half-close (tcp): After the client's FIN "))
        self.assertEqual(source, "Source: RFC 9293 section 3.6.")
        _, output, _ = self.conformance("--explain", "datagram-burst")
        self.assertIn("needs --risky", output)
        self.assertRefused("--explain: unknown check 'nonsense'; --list", "--explain", "nonsense")
        for option in ("--explain", "--only"):
            found = "unknown check 'halfclose'; did you mean half-close?"
            self.assertRefused(found, option, "halfclose", "lab1")

    def test_table(self) -> None:
        """On a terminal the table has colours."""
        _, output, _ = self.conformance(
            "--carrier", "udp", "--only", "reply-address", TARGET, output=Terminal()
        )
        self.assertIn("\x1b[32mpassed", output)
        self.assertIn("sent to 127.0.0.1", output)
        self.assertTrue(output.endswith("conformance: 2 of 2 checks passed\n"))

    def test_progress(self) -> None:
        """On a terminal the progress is shown, unless --quiet is given."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        words = ("--only", "late-reader", TARGET)
        _, _, output = self.conformance(*words, errors=Terminal())
        self.assertIn("1 of 2 checks, late-reader", output)
        self.serve(EchoFactory)
        self.assertEqual(self.conformance("-q", *words, errors=Terminal())[2], "")

    def test_list(self) -> None:
        """--list shows each check with its source, and needs no target."""
        status, output, _ = self.conformance("--list")
        self.assertEqual((status, len(output.splitlines())), (0, len(CHECKS) + 1))
        self.assertRegex(output, r"udp +datagram-burst +risky +After a burst of .* \(RFC 1122 ")
        _, output, _ = self.conformance("--list", "--carrier", "udp")
        self.assertNotIn("tcp", output)

    def test_interrupted(self) -> None:
        """Ctrl-C before the end is status 130; the remaining checks are shown as skipped."""
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())

        def act(turn: int) -> None:
            if turn == 3:
                self.reactor.interrupt()

        self.reactor.act = act
        status, output, _ = self.conformance(TARGET)
        self.assertEqual(status, 130)
        self.assertIn("tcp      all-byte-values   skipped  stopped", output)

    def test_refused(self) -> None:
        """Invalid words are one line, and status 2."""
        for words, message in (
            ((), "missing TARGET"),
            (("--carrier", "sctp", TARGET), "--carrier: 'sctp' is not one of"),
            (("--only", "datagram-sizes", TARGET), "--only: "),
            (("--only", "datagram-burst", f"udp://{TARGET}"), "--only: "),
            (("--carrier", "udp", "tls://lab1"), "tls://lab1:12345"),
            (("--carrier", "udp", "--risky", "192.0.2.1"), "192.0.2.1"),
        ):
            self.assertRefused(message, *words)


class CheckRowsTests(SynchronousTestCase):
    result = conformanceResult(
        ("tcp", "answers", CheckVerdict.PASSED, ""),
        ("tcp", "half-close", CheckVerdict.FAILED, "1 byte: none came back"),
        ("udp", "source", CheckVerdict.PASSED, "asked at 127.0.0.1"),
        ("udp", "burst", CheckVerdict.SKIPPED, "stopped"),
    )

    def test_rows(self) -> None:
        """Each check has a row; a failed check has its source."""
        self.assertEqual(
            checkRows(self.result),
            [
                ("tcp", "answers", "passed", ""),
                ("tcp", "half-close", "failed", "1 byte: none came back (RFC 862)"),
                ("udp", "source", "passed", "asked at 127.0.0.1"),
                ("udp", "burst", "skipped", "stopped"),
            ],
        )

    def test_quiet(self) -> None:
        """With quiet, only failed checks have rows."""
        self.assertEqual(
            [name for _, name, _, _ in checkRows(self.result, quiet=True)], ["half-close"]
        )

    def test_counts(self) -> None:
        """The numbers of checks are one line; skipped ones are added if there are any."""
        line = "conformance: 2 of 3 checks passed, 1 skipped"
        self.assertEqual(conformanceLine(self.result), line)
        self.assertEqual(
            conformanceLine(conformanceResult(("tcp", "answers", CheckVerdict.PASSED, ""))),
            "conformance: 1 of 1 checks passed",
        )
