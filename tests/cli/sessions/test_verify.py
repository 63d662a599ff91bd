from __future__ import annotations

import io
import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from echoproto.cli.sessions import verify as module
from echoproto.client.targets import endpoints
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.testing import MemoryEndpoint
from tests.cli.commandcase import FILE_FULL, BrokenPipe, CommandTestCase, RunningReactor, Terminal

TARGET = "127.0.0.1:7"


class Flipping(Protocol):
    """An echo that changes the first byte of each read."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(bytes([data[0] ^ 1]) + data[1:])


class Closing(Protocol):
    """Closes at once."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


class VerifyTests(CommandTestCase):
    command = "verify"

    def setUp(self) -> None:
        super().setUp()
        self.serve(EchoFactory)

    def verify(
        self, *words: str, errors: io.StringIO | None = None, output: io.StringIO | None = None
    ) -> tuple[int, str, str]:
        ended = self.ended(*words, errors=errors, output=output)
        return ended.status, ended.output, ended.errors

    def test_right(self) -> None:
        """If every byte is echoed correctly, the status is 0."""
        status, output, errors = self.verify("--bytes", "1MiB", TARGET)
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("1048576 bytes sent, 1048576 received", output)
        self.assertIn("all bytes were echoed correctly", output)

    def test_manyFaults(self) -> None:
        """The first faults are shown, and all are counted."""
        self.patch(module, "MAX_SHOWN", 2)
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        _, output, _ = self.verify("--bytes", "1MiB", TARGET)
        self.assertEqual(output.count("flipped at offset"), 2)
        self.assertEqual(output.count("more faults are counted, not shown\n"), 1)

    def test_wrong(self) -> None:
        """Wrong bytes are shown with their offsets, and are status 3."""
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        status, output, _ = self.verify("--bytes", "1k", "--seed", "7", TARGET)
        self.assertEqual(status, 3)
        self.assertTrue(
            output.startswith(
                "VERIFY tcp://127.0.0.1:7, seed 7\n1 byte flipped at offset 0: sent 65, received 64"
            ),
            output,
        )
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        _, output, _ = self.verify("--bytes", "1k", "-q", TARGET)
        self.assertRegex(output, "^VERIFY tcp://127.0.0.1:7, seed [0-9]+\n---")

    def test_cut(self) -> None:
        """Too few bytes are status 1, and so is a refused connection."""
        self.serve(lambda reactor: Factory.forProtocol(Closing))
        status, output, _ = self.verify("--bytes", "1k", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("1000 bytes cut at offset 0", output)
        self.assertIn("ended early: connection lost", output)
        self.serve(draining)
        status, _, errors = self.verify(TARGET)
        self.assertEqual(
            (status, errors),
            (1, "echoproto verify: tcp://127.0.0.1:7: refused: nothing listens there\n"),
        )

    def test_duration(self) -> None:
        """-z sends for a time."""
        status, output, _ = self.verify("-z", "50ms", "-o", "json", TARGET)
        self.assertEqual(status, 0)
        self.assertGreater(json.loads(output)["sent_bytes"], 1 << 20)

    def test_nothingVerified(self) -> None:
        """If no byte was received when the time is over, the status is 1."""
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())
        status, output, _ = self.verify("-z", "50ms", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("no data received", output)

    def interrupted(self, turns: int) -> int:
        """The exit status if Ctrl-C is pressed after so many turns."""

        def act(turn: int) -> None:
            if turn == turns + 1:
                self.reactor.interrupt()
            self.pump(turn)

        self.reactor.act = act
        return self.verify("-z", "1h", TARGET)[0]

    def test_interrupted(self) -> None:
        """Ctrl-C waits for bytes under way, and is status 0; 130 if none was received."""
        self.assertEqual(self.interrupted(3), 0)
        self.serve(EchoFactory)
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())
        self.assertEqual(self.interrupted(0), 130)
        self.serve(EchoFactory)
        self.patch(endpoints, "resolve", lambda *_: Deferred())
        self.assertEqual(self.interrupted(0), 130)

    def test_interruptedEarly(self) -> None:
        """Ctrl-C before the start is status 130."""
        self.patch(RunningReactor, "callWhenRunning", lambda *_: None)
        self.assertEqual(self.interrupted(0), 130)

    def test_datagrams(self) -> None:
        """Over UDP datagrams are verified; lost ones are status 1."""
        self.reactor.listenDatagrams(7, EchoDatagramProtocol(self.reactor))
        words = ("--bytes", "4k", "-s", "512", "-W", "100ms", "udp://127.0.0.1:7")
        status, output, errors = self.verify(*words)
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("4096 bytes sent, 4096 received", output)
        self.newReactor()
        status, output, _ = self.verify(*words)
        self.assertEqual(status, 1)

    def test_minutes(self) -> None:
        """A long run prints a line every minute, unless it is quiet."""
        for words, count in ((("-z", "130s"), 2), (("-z", "130s", "-q"), 0)):
            self.newReactor()
            self.reactor.listenDatagrams(7, EchoDatagramProtocol(self.reactor))
            self.reactor.act = lambda turn: self.reactor.advance(0.09)
            status, output, _ = self.verify(*words, "--rate", "10", "udp://127.0.0.1:7")
            self.assertEqual(status, 0)
            self.assertEqual(output.count(" min: "), count, output)

    def test_progress(self) -> None:
        """On a terminal the progress is shown."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        for words in (("-z", "1s"), ("--bytes", "64MiB")):
            self.serve(EchoFactory)
            _, _, output = self.verify(*words, TARGET, errors=Terminal())
            self.assertRegex(output, r"\d+\.\d [KMG]iB, [^\r]* 0 faults")
        self.serve(EchoFactory)
        _, _, output = self.verify("-q", "-z", "1s", TARGET, errors=Terminal())
        self.assertEqual(output, "")

    def test_readerIsGone(self) -> None:
        """The run ends if the reader of the output is gone."""
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        status, _, errors = self.verify("-z", "1h", TARGET, output=BrokenPipe())
        self.assertEqual((status, errors), (3, ""))

    def test_full(self) -> None:
        """If the file cannot be written, the result is on the standard output, with status 2."""
        status, output, errors = self.verify("--bytes", "1k", "--out", "/dev/full", TARGET)
        self.assertEqual(status, 2)
        self.assertEqual(errors, f"echoproto verify: {FILE_FULL}\n")
        self.assertIn("integrity", output)

    def test_refused(self) -> None:
        """Invalid words are one line, and status 2."""
        self.assertRefused("too many targets", "lab1", "lab2")
        self.assertRefused("--bytes: ", "--bytes", "0", TARGET)


def draining(reactor: RunningReactor) -> EchoFactory:
    """A factory that refuses connections."""
    factory = EchoFactory(reactor)
    factory.drain()
    return factory
