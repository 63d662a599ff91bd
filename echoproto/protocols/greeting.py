"""
The greeting service for streams and datagrams: one reply, with a fixed text.

On a stream the client speaks first. Its first data is answered with the text, then our FIN; further
data is discarded until the client's FIN, so that the text always arrives and the connection is not
reset. A datagram is answered with the text unless it is shorter than the text (a longer reply would
make this an amplifier for forged sources) or equals the text (two greeting services would greet
each other for ever).

Both texts are 34 bytes, without a newline, as in the ``socket`` tutorial that this grew out of.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from echoproto.addresses import datagramAddress
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.datagramadmission import DatagramAdmission
from echoproto.protocols.admission.refusals import DATAGRAM_REFUSALS, Refusal
from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.protocols.observer import IObserver
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory
from echoproto.protocols.timeouts import Timeouts

#: The client's text.
CLIENT_GREETING = b"Hello, server! This is the client."

#: The server's reply.
SERVER_GREETING = b"Hello, client! This is the server."

#: Bytes of the client's text that are noted: those that the tutorial's ``recv(1024)`` would return.
NOTED_BYTES = 1024


class GreetingProtocol(StreamProtocol):
    """
    One connection to the greeting service.

    The observer is called once, at the end, with the received text, so that the note is the same
    however the data was split on the way.
    """

    factory: GreetingFactory
    _noted = b""
    _answered = False

    def dataReceived(self, data: bytes) -> None:
        """Answer the first data; note up to :data:`NOTED_BYTES` of all data."""
        self.bytesReceived += len(data)
        if not (self._answered or self.discarding):
            self._answered = True
            self.send(self.factory.text)
        if self._answered and len(self._noted) < NOTED_BYTES:
            self._noted = (self._noted + data)[:NOTED_BYTES]
        self.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the noted text to the observer."""
        if self._noted:
            self.factory.observer.greeted(self.peer, self._noted)
        super().connectionLost(reason)


class GreetingFactory(StreamFactory):
    """
    The greeting service on streams.

    :param clock: measures the timeouts; the reactor, or a ``Clock`` in tests.
    :param observer: receives openings, greetings, closings and refusals.
    :param admission: decides which clients are served; all of them by default.
    :param timeouts: the timeouts.
    :param text: the reply to every client.
    """

    protocol = GreetingProtocol

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: ConnectionAdmission | None = None,
        timeouts: Timeouts | None = None,
        text: bytes = SERVER_GREETING,
    ) -> None:
        super().__init__(clock, observer, admission, timeouts)
        self.text = text


class GreetingDatagramProtocol(DatagramServerProtocol):
    """
    The greeting service on datagrams.

    :param clock: the clock of the default admission; the reactor, or a ``Clock`` in tests.
    :param observer: receives greetings, and the totals at the end.
    :param admission: decides which sources are answered.
    :param text: the reply to every client.
    """

    refusals = (*DATAGRAM_REFUSALS, Refusal.OWN_REPLY, Refusal.AMPLIFYING)

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
        """The text, unless the request equals it."""
        return Refusal.OWN_REPLY if request == self.text else self.text

    def answered(self, request: bytes, addr: tuple[Any, ...]) -> None:
        """Report the greeting to the observer."""
        self.observer.greeted(datagramAddress(addr), request[:NOTED_BYTES])
