"""
The greeting service on both carriers: answer once, with a fixed text.

On a stream the client speaks first: at its first bytes it gets the text, then our FIN; what it
sends after that is discarded until its own FIN, so that the text always arrives and never a
reset. On datagrams each request gets the text, unless the request is shorter than the
text (a reply longer than its request would make us an amplifier for forged sources) or is the
text itself (two greeting services would greet each other for ever).

Both texts are 34 bytes, without a newline, as in the ``socket`` tutorial that this began with.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from echoproto.protocols.admission import ConnectionAdmission, DatagramAdmission, Refusal
from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.protocols.observer import IObserver
from echoproto.protocols.stream import StreamFactory, StreamProtocol
from echoproto.protocols.timeouts import Timeouts

#: What the client says.
CLIENT_GREETING = b"Hello, server! This is the client."

#: What the server answers.
SERVER_GREETING = b"Hello, client! This is the server."

#: Of what a client says, this much is noted: what the tutorial's ``recv(1024)`` would take.
NOTED_BYTES = 1024


class GreetingProtocol(StreamProtocol):
    """
    One connection to the greeting service.

    The observer is told once, at the end, what was received, so that the note is the same
    however the client's bytes were cut on the way.
    """

    factory: GreetingFactory
    _noted = b""
    _answered = False

    @property
    def bytesSent(self) -> int:
        """Bytes handed to the transport so far."""
        return len(self.factory.text) if self._answered else 0

    def dataReceived(self, data: bytes) -> None:
        """Answer the first bytes; note up to :data:`NOTED_BYTES` of all that comes."""
        self.bytesReceived += len(data)
        if not (self._answered or self.discarding):
            self._answered = True
            cast(Any, self.transport).write(self.factory.text)
        if self._answered and len(self._noted) < NOTED_BYTES:
            self._noted = (self._noted + data)[:NOTED_BYTES]
        self.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the observer what was noted."""
        if self._noted:
            self.factory.observer.greeted(self.peer, self._noted)
        super().connectionLost(reason)


class GreetingFactory(StreamFactory):
    """
    The greeting service on streams.

    :param clock: keeps the deadlines; the reactor, or a ``Clock`` in tests.
    :param observer: is told of openings, greetings, endings and refusals.
    :param admission: decides who is served; everybody where none is given.
    :param deadlines: how long a connection may take for what.
    :param text: what every client is answered.
    """

    protocol = GreetingProtocol

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: ConnectionAdmission | None = None,
        deadlines: Timeouts | None = None,
        text: bytes = SERVER_GREETING,
    ) -> None:
        super().__init__(clock, observer, admission, deadlines)
        self.text = text


class GreetingDatagramProtocol(DatagramServerProtocol):
    """
    The greeting service on datagrams.

    :param clock: the clock of the default admission; the reactor, or a ``Clock`` in tests.
    :param observer: is told of greetings, and of the totals at the end.
    :param admission: decides which sources are answered.
    :param text: what every client is answered.
    """

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: DatagramAdmission | None = None,
        text: bytes = SERVER_GREETING,
    ) -> None:
        super().__init__(clock, observer, admission)
        self.text = text

    def reply(self, request: bytes) -> bytes | Refusal:
        """The text, unless the request is that text."""
        return Refusal.OWN_REPLY if request == self.text else self.text

    def answered(self, request: bytes, addr: tuple[Any, ...]) -> None:
        """Tell the observer whom we greeted."""
        make = IPv6Address if ":" in addr[0] else IPv4Address
        self.observer.greeted(make("UDP", addr[0], addr[1]), request[:NOTED_BYTES])
