"""A test case that runs ``echoproto ping`` in memory."""

from __future__ import annotations

import io

from echoproto.protocols.echo import EchoDatagramProtocol
from tests.cli.commandcase import CommandTestCase, Ended

#: A server, and a port on which nothing listens.
SERVER, CLOSED = "udp://127.0.0.1:7", "udp://127.0.0.1:9"


class PingTestCase(CommandTestCase):
    command = "ping"

    def newReactor(self) -> None:
        super().newReactor()
        self.reactor.listenUDP(7, EchoDatagramProtocol(self.reactor))

    def loseFirst(self) -> None:
        """The network loses the first datagram."""

        def act(turn: int) -> None:
            if self.reactor.pending:
                self.reactor.lose()
                self.reactor.act = lambda turn: None

        self.reactor.act = act

    def ping(self, *words: str, output: io.StringIO | None = None) -> Ended:
        ended = self.ended(*words, output=output)
        self.assertEqual([port for port in self.reactor.ports if port[1] > 8], [])
        return ended
