"""A direct reactor that is run turn by turn, its connections, and recording fakes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.reactors.direct import DirectReactor


class Recorder(Protocol):
    """Records received data and the reason of its end; ``react`` is called with the data."""

    transport: Any

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason: Any = None
        self.react: Any = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.react(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


@implementer(IPullProducer, IPushProducer)
class RecordingProducer:
    """Records the calls of the consumer."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class Pipe:
    """
    A descriptor that reads a pipe, and records its events; ``react`` is called with the data.

    :param number: the number of its descriptor, of an open one that it replaces.
    """

    def __init__(self, case: TurnTestCase, number: int | None = None) -> None:
        self.events: list[str] = []
        self.react: Any = lambda data: None
        reader, self.writer = os.pipe2(os.O_NONBLOCK)
        case.addCleanup(os.close, self.writer)
        case.addCleanup(os.close, reader)
        self.number = reader if number is None else os.dup2(reader, number)
        case.reactor.addReader(self)
        case.addCleanup(case.reactor.removeReader, self)

    def fileno(self) -> int:
        return self.number

    def logPrefix(self) -> str:
        return "pipe"

    def doRead(self) -> None:
        self.events.append("read")
        self.react(os.read(self.number, 10))

    def connectionLost(self, reason: object) -> None:
        self.events.append("lost")


def closeReactor(reactor: Any, transports: Iterable[Any] = ()) -> None:
    """
    Close the connections and descriptors of a reactor that is not running.

    :param transports: those that it may not know.
    """
    for descriptor in {*reactor.removeAll(), *transports}:
        if descriptor.connected:
            descriptor.connectionLost(Failure(ConnectionDone()))
    reactor.waker.connectionLost(None)
    reactor._poller.close()


class TurnTestCase(SynchronousTestCase):
    """A test case with a reactor that is not running."""

    def setUp(self) -> None:
        self.reactor: Any = DirectReactor()
        self._transports: list[Any] = []
        # A paused transport is not known to the reactor.
        self.addCleanup(closeReactor, self.reactor, self._transports)

    def turn(self) -> None:
        """Run one turn of the reactor without waiting for events."""
        self.reactor.iterate(0)

    def turnUntil(self, done: Any, turns: int = 2000) -> None:
        """Run turns until ``done()`` is true."""
        for _ in range(turns):
            if done():
                return
            self.turn()
        self.fail("the condition never became true")

    def adopt(
        self, family: socket.AddressFamily = socket.AF_INET
    ) -> tuple[Recorder, socket.socket]:
        """Return a protocol on a connection of the reactor, and the peer's non-blocking socket."""
        if family == socket.AF_UNIX:
            ours, peer = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                peer = socket.create_connection(listener.getsockname())
                ours, _ = listener.accept()
        self.addCleanup(peer.close)
        peer.setblocking(False)
        recorder = Recorder()
        with ours:
            ours.setblocking(False)
            factory: Any = Factory()
            factory.buildProtocol = lambda addr: recorder
            self.reactor.adoptStreamConnection(ours.fileno(), family, factory)
        self._transports.append(recorder.transport)
        return recorder, peer

    def receive(self, peer: socket.socket, size: int) -> bytes:
        """Run turns until ``size`` bytes have arrived at ``peer``, and return them."""
        received = b""
        for _ in range(100_000):
            if len(received) >= size:
                return received
            self.turn()
            try:
                received += peer.recv(65_536)
            except BlockingIOError:
                continue
        self.fail("the data did not arrive")
