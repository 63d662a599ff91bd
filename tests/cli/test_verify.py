from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.measuring import run
from echoproto.protocols.echo import EchoFactory
from echoproto.reactors import install as foreground
from echoproto.targets import endpoints as finding
from echoproto.testing import MemoryEndpoint, endpointTo
from tests.cli.lab import Lab, Terminal, Unwritten

TARGET = "127.0.0.1:7"


class Flipping(Protocol):
    """An echo that changes the first byte of all that comes at once."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(bytes([data[0] ^ 1]) + data[1:])


class Closing(Protocol):
    """Closes at once."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


class VerifyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.serve(lambda lab: EchoFactory(lab))

    def serve(self, make: Callable[[Lab], Any]) -> None:
        """The server of the next run."""
        self.lab = Lab()
        self.patch(foreground, "installReactor", lambda name: self.lab)
        self.endpoint, self.pairs = endpointTo(make(self.lab))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: self.endpoint.connect(factory))
        self.lab.act = self.pump

    def pump(self, turn: int) -> None:
        # Not until it rests: a stream without an end never does.
        for each in self.pairs:
            for _ in range(40):
                each.step()

    def verify(
        self, *words: str, errors: io.StringIO | None = None, output: io.StringIO | None = None
    ) -> tuple[int, str, str]:
        output = output if output is not None else io.StringIO()
        errors = errors if errors is not None else io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run("verify", words)
        for each in self.pairs:
            each.client.abortConnection()
            each.pump()
        return status, output.getvalue(), errors.getvalue()

    def test_right(self) -> None:
        """Every byte comes back: status 0."""
        status, said, errors = self.verify("--bytes", "1MiB", TARGET)
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("1048576 bytes sent, 1048576 received", said)
        self.assertIn("every byte came back as it was sent", said)

    def test_wrong(self) -> None:
        """Wrong bytes are told with their offsets, and status 3."""
        self.serve(lambda lab: Factory.forProtocol(Flipping))
        status, said, _ = self.verify("--bytes", "1k", "--seed", "7", TARGET)
        self.assertEqual(status, 3)
        self.assertTrue(
            said.startswith(
                "VERIFY tcp://127.0.0.1:7, seed 7\n1 byte flipped at offset 0: sent 65, received 64"
            ),
            said,
        )
        self.serve(lambda lab: Factory.forProtocol(Flipping))
        _, said, _ = self.verify("--bytes", "1k", "-q", TARGET)
        self.assertRegex(said, "^VERIFY tcp://127.0.0.1:7, seed [0-9]+\n---")

    def test_cut(self) -> None:
        """Too few bytes are status 1, and so is a refused connection."""
        self.serve(lambda lab: Factory.forProtocol(Closing))
        status, said, _ = self.verify("--bytes", "1k", TARGET)
        self.assertEqual(status, 1)
        self.assertIn("1000 bytes cut at offset 0", said)
        self.assertIn("ended early: connection lost", said)
        self.serve(draining)
        status, _, errors = self.verify(TARGET)
        self.assertEqual(
            (status, errors),
            (1, "echoproto verify: tcp://127.0.0.1:7: refused: nothing listens there\n"),
        )

    def test_duration(self) -> None:
        """It may send for a time instead."""
        status, said, _ = self.verify("-z", "50ms", "-o", "json", TARGET)
        self.assertEqual(status, 0)
        self.assertGreater(json.loads(said)["sent_bytes"], 1 << 20)

    def interrupted(self, turns: int) -> int:
        """The exit status where Ctrl-C comes then."""

        ending: list[Any] = []

        def act(turn: int) -> None:
            if turn == turns + 1:
                [(call, _, _)] = self.lab.triggers["before"]["shutdown"]
                ending.append(call())
            if ending and (ending[0] is None or ending[0].called):
                self.lab.stop()
            else:
                self.pump(turn)

        self.lab.act = act
        return self.verify("-z", "1h", TARGET)[0]

    def test_interrupted(self) -> None:
        """After Ctrl-C what is under way is awaited, and status 0; 130 where nothing has come."""
        self.assertEqual(self.interrupted(3), 0)
        self.setUp()
        self.patch(MemoryEndpoint, "connect", lambda *_: Deferred())
        self.assertEqual(self.interrupted(0), 130)
        self.setUp()
        self.patch(finding, "resolve", lambda *_: Deferred())
        self.assertEqual(self.interrupted(0), 130)

    def test_interruptedEarly(self) -> None:
        """Ctrl-C before anything is begun is status 130."""
        self.patch(Lab, "callWhenRunning", lambda *_: None)
        self.assertEqual(self.interrupted(0), 130)

    def test_progress(self) -> None:
        """On a terminal it tells how far it has come."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        for words in (("-z", "1s"), ("--bytes", "64MiB")):
            self.setUp()
            _, _, said = self.verify(*words, TARGET, errors=Terminal())
            self.assertRegex(said, r"\d+\.\d [KMG]iB, [^\r]* 0 faults")
        self.setUp()
        _, _, said = self.verify("-q", "-z", "1s", TARGET, errors=Terminal())
        self.assertEqual(said, "")

    def test_nobodyReads(self) -> None:
        """Where nobody reads what is written it ends."""
        self.serve(lambda lab: Factory.forProtocol(Flipping))
        status, _, errors = self.verify("-z", "1h", TARGET, output=Unwritten())
        self.assertEqual((status, errors), (3, ""))

    def test_full(self) -> None:
        """What cannot be written is told, and status 2."""
        status, _, errors = self.verify("--bytes", "1k", "--out", "/dev/full", TARGET)
        self.assertEqual(status, 2)
        self.assertEqual(
            errors, "echoproto verify: cannot write: No space left on device; the rest is lost\n"
        )

    def test_suite(self) -> None:
        """It may ask the suite instead, or list it."""
        status, said, _ = self.verify("--suite", "tcp", "--only", "pipelined", TARGET)
        self.assertEqual((status, said.splitlines()[-1]), (0, "2 passed, 0 failed, 0 skipped"))
        status, said, _ = self.verify("--list")
        self.assertEqual(status, 0)
        self.assertIn("half-close", said)

    def test_cannot(self) -> None:
        """What cannot be asked is status 2, in one line."""
        for words, says in (
            (("lab1", "lab2"), "one TARGET is verified at a time"),
            (("udp://127.0.0.1",), "needs a stream"),
            (("--bytes", "0", TARGET), "no number of bytes"),
        ):
            status, _, errors = self.verify(*words)
            self.assertEqual((status, len(errors.splitlines())), (2, 1))
            self.assertIn(says, errors)
            self.setUp()


def draining(lab: Lab) -> EchoFactory:
    """A factory that takes no connections."""
    factory = EchoFactory(lab)
    factory.drain()
    return factory
