from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.measuring import run
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.reactors import install as foreground
from echoproto.testing import endpointTo
from tests.cli.lab import Lab


class GreetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = Lab()
        self.lab.listenUDP(7, GreetingDatagramProtocol(self.lab))
        self.patch(foreground, "installReactor", lambda name: self.lab)

    def greet(self, *words: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run("greet", words)
        return status, output.getvalue(), errors.getvalue()

    def test_datagram(self) -> None:
        """The reply is printed."""
        self.assertEqual(
            self.greet("udp://127.0.0.1:7"), (0, "Hello, client! This is the server.\n", "")
        )

    def test_stream(self) -> None:
        """On a stream likewise."""
        endpoint, pairs = endpointTo(GreetingFactory(self.lab))
        self.patch(TCP4ClientEndpoint, "connect", lambda self, factory: endpoint.connect(factory))

        def pump(turn: int) -> None:
            for each in pairs:
                each.pump()

        self.lab.act = pump
        said = self.greet("--expect", "Hello, client! This is the server.", "127.0.0.1:7")
        self.assertEqual(said, (0, "Hello, client! This is the server.\n", ""))

    def test_unexpected(self) -> None:
        """Another reply than was expected is status 3."""
        status, said, errors = self.greet("--expect", "Hi", "udp://127.0.0.1:7")
        self.assertEqual((status, said), (3, "Hello, client! This is the server.\n"))
        self.assertEqual(errors, "echoproto greet: the reply is not 'Hi'\n")

    def test_unprintable(self) -> None:
        """What a terminal would obey is shown instead."""
        self.lab.listenUDP(8, EchoDatagramProtocol(self.lab))
        _, said, _ = self.greet("-m", "a\x1b[2Jb\nc", "udp://127.0.0.1:8")
        self.assertEqual(said, "a\\x1b[2Jb\\nc\n")

    def test_noReply(self) -> None:
        """Without a reply the status is 1, where nobody is there and where nothing is said."""
        status, _, errors = self.greet("udp://127.0.0.1:9")
        self.assertEqual(status, 1)
        self.assertIn("refused", errors)
        self.setUp()
        self.lab.act = lambda turn: self.lab.pending.clear()
        self.assertEqual(
            self.greet("-W", "50ms", "udp://127.0.0.1:7"),
            (1, "", "echoproto greet: udp://127.0.0.1:7: no reply in 0.05 s\n"),
        )

    def test_wrong(self) -> None:
        """What cannot be asked is status 2, in one line."""
        for words, says in (
            (("udp://127.0.0.1:7", "udp://127.0.0.1:8"), "one TARGET is greeted at a time"),
            (("--endpoint", "nonsense:7"), "--endpoint"),
            (("-m", "", "udp://127.0.0.1:7"), "says nothing"),
        ):
            status, _, errors = self.greet(*words)
            self.assertEqual((status, len(errors.splitlines())), (2, 1))
            self.assertIn(says, errors)
            self.setUp()

    def test_stopped(self) -> None:
        """Interrupted before the reply, the status says so."""

        def stop(turn: int) -> None:
            self.lab.pending.clear()
            for call, arguments, named in self.lab.triggers["before"]["shutdown"]:
                call(*arguments, **named)
            self.lab.stop()

        self.lab.act = stop
        self.assertEqual(self.greet("udp://127.0.0.1:7"), (130, "", ""))
