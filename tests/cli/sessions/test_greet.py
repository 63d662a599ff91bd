from __future__ import annotations

import signal
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from tests.cli.commandcase import CommandTestCase


class GreetTests(CommandTestCase):
    command = "greet"

    def newReactor(self) -> None:
        super().newReactor()
        self.reactor.listenUDP(7, GreetingDatagramProtocol(self.reactor))

    def greet(self, *words: str) -> tuple[int, str, str]:
        ended = self.ended(*words)
        return ended.status, ended.output, ended.errors

    def test_datagram(self) -> None:
        """The reply is printed."""
        self.assertEqual(
            self.greet("udp://127.0.0.1:7"), (0, "Hello, client! This is the server.\n", "")
        )

    def test_stream(self) -> None:
        """A greeting on a stream works in the same way."""
        self.serve(GreetingFactory)
        self.assertEqual(
            self.greet("--expect", "Hello, client! This is the server.", "127.0.0.1:7"),
            (0, "Hello, client! This is the server.\n", ""),
        )

    def test_unexpected(self) -> None:
        """A reply other than --expect is status 3."""
        status, output, errors = self.greet("--expect", "Hi", "udp://127.0.0.1:7")
        self.assertEqual((status, output), (3, "Hello, client! This is the server.\n"))
        self.assertEqual(errors, "echoproto greet: the reply is not 'Hi'\n")

    def test_unprintable(self) -> None:
        """Control characters of a reply are escaped."""
        self.reactor.listenUDP(8, EchoDatagramProtocol(self.reactor))
        _, output, _ = self.greet("-m", "a\x1b[2Jb\nc", "udp://127.0.0.1:8")
        self.assertEqual(output, "a\\x1b[2Jb\\nc\n")

    def test_TLS(self) -> None:
        """A reply that is a TLS record is reported with the scheme to try, and is status 1."""

        class Alert(Protocol):
            def dataReceived(self, data: bytes) -> None:
                transport: Any = self.transport
                transport.write(b"\x15\x03\x03\x00\x02\x02F")
                transport.loseConnection()

        self.serve(lambda reactor: Factory.forProtocol(Alert))
        status, _, errors = self.greet("127.0.0.1:7")
        self.assertEqual(status, 1)
        self.assertIn("answered with a TLS record: try tls:// instead", errors)

    def test_echo(self) -> None:
        """
        A reply that is the greeting itself is that of an echo service, which is reported at once,
        with status 1, unless it is the expected reply.
        """
        report = "this is an echo service: it returned the greeting; try echoproto ping"
        self.reactor.listenUDP(8, EchoDatagramProtocol(self.reactor))
        self.assertEqual(
            self.greet("-m", "Hi", "udp://127.0.0.1:8"),
            (1, "Hi\n", f"echoproto greet: {report}\n"),
        )
        self.serve(EchoFactory)
        for words, expected in (((), 1), (("--expect", "Hi"), 0)):
            status, _, errors = self.greet("-m", "Hi", *words, "127.0.0.1:8")
            self.assertEqual((status, errors), (expected, f"echoproto greet: {report}\n"))
            self.assertLess(self.reactor.turns, 100)
            self.serve(EchoFactory)

    def test_echoPlus(self) -> None:
        """A UDPEchoPlus service, which changes a few bytes of the greeting, is reported."""
        self.reactor.listenUDP(8, EchoPlusDatagramProtocol(self.reactor))
        self.assertEqual(
            self.greet("udp://127.0.0.1:8")[2],
            "echoproto greet: this is a UDPEchoPlus service: it returned the greeting; "
            "try ping --mode udp-plus\n",
        )

    def test_figures(self) -> None:
        """Ctrl-\\ says that there is no reply yet."""

        def act(turn: int) -> None:
            self.reactor.pending.clear()
            if turn == 2:
                self.signals[signal.SIGQUIT](signal.SIGQUIT, None)

        self.reactor.act = act
        errors = self.greet("-W", "50ms", "udp://127.0.0.1:7")[2]
        self.assertIn("echoproto greet: waiting for the reply\n", errors)

    def test_noReply(self) -> None:
        """Without a reply the status is 1, from a closed port and from a silent server."""
        status, _, errors = self.greet("udp://127.0.0.1:9")
        self.assertEqual(status, 1)
        self.assertIn("refused", errors)
        self.newReactor()
        self.reactor.act = lambda turn: self.reactor.pending.clear()
        self.assertEqual(
            self.greet("-W", "50ms", "udp://127.0.0.1:7"),
            (1, "", "echoproto greet: udp://127.0.0.1:7: no reply in 0.05 s\n"),
        )

    def test_refused(self) -> None:
        """Invalid words are one line, and status 2."""
        self.assertRefused("too many targets", "udp://127.0.0.1:7", "udp://127.0.0.1:8")
        self.assertRefused("--endpoint", "--endpoint", "nonsense:7")
        self.assertRefused("an empty --message has no reply", "-m", "", "udp://127.0.0.1:7")

    def test_stopped(self) -> None:
        """Ctrl-C before the reply is status 130."""

        def stop(turn: int) -> None:
            self.reactor.pending.clear()
            self.reactor.interrupt()

        self.reactor.act = stop
        self.assertEqual(
            self.greet("udp://127.0.0.1:7"), (130, "", "echoproto greet: interrupted\n")
        )
