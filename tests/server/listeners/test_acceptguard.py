from __future__ import annotations

import socket
from collections.abc import Iterable
from errno import EAGAIN, EMFILE, ENFILE, ENOMEM, EPERM, EPROTO
from os import strerror
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, ServerFactory
from twisted.internet.task import Clock
from twisted.internet.tcp import Port
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.listeners.acceptguard import (
    ACCEPTS_PER_TURN,
    guardAccepting,
)
from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.status.state import MAXIMUM_CONNECTIONS
from echoproto.transports.readpause import FIRST_PAUSE, LONGEST_PAUSE


class FailingSocket:
    """A listening socket whose accept() raises ``errors``, then finds no connection."""

    def __init__(self, errors: Iterable[int]) -> None:
        self.errors = iter(errors)
        self.accepts = 0
        self.closed = False

    def accept(self) -> Any:
        self.accepts += 1
        number = next(self.errors, EAGAIN)
        if not number:
            return socket.socket(), ("192.0.2.1", 40_000)
        raise OSError(number, strerror(number))

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class RefusingFactory(ServerFactory):
    """Refuses every connection, and counts them."""

    noisy = False

    def __init__(self) -> None:
        self.clients: list[IAddress | None] = []

    def buildProtocol(self, addr: IAddress | None) -> None:
        self.clients.append(addr)


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)

    def listening(self, *errors: int) -> Any:
        """Twisted's own port, on a socket that fails."""
        port: Any = Port(0, RefusingFactory(), reactor=self.reactor)
        port.factory.doStart()
        port.connected, port.numberAccepts = True, 100
        port.socket = self.socket = FailingSocket(errors)
        port.fileno = lambda: 3
        port.startReading()
        guardAccepting(port, self.reactor, "echo on tcp 127.0.0.1:7")
        return port

    def run_(self, port: Any, seconds: float) -> None:
        """Let the port read in every millisecond in which the reactor would let it."""
        for _ in range(round(seconds * 1000)):
            if port in self.reactor.getReaders():
                port.doRead()
            self.reactor.advance(0.001)

    def lines(self) -> list[str]:
        return [str(formatEvent(event)) for event in self.log if event["log_level"].name == "error"]

    def test_pauses(self) -> None:
        """
        While accepting fails, for whatever reason, the port tries again after growing pauses, and
        logs one line per interval.
        """
        for number in (ENFILE, EMFILE, ENOMEM, EPROTO, EPERM):
            self.log._events.clear()
            port = self.listening(*[number] * 10_000)
            self.run_(port, REPORT_INTERVAL + 5)
            self.assertLess(self.socket.accepts, 30)
            self.assertGreater(self.socket.accepts, REPORT_INTERVAL / LONGEST_PAUSE)
            first, second = self.lines()
            self.assertEqual(
                first,
                "echo on tcp 127.0.0.1:7 cannot accept connections and tries again: "
                f"{strerror(number)}; failures since the last such line: 1",
            )
            self.assertIn(strerror(number), second)
            port.connectionLost(Failure(Exception()))

    def test_recovers(self) -> None:
        """After a connection was accepted the pauses are short again."""
        port = self.listening(*[ENFILE] * 6, 0, ENFILE, 0)
        self.run_(port, 2)
        self.assertEqual(port.factory.clients, [IPv4Address("TCP", "192.0.2.1", 40_000)] * 2)
        self.assertIn(port, self.reactor.getReaders())
        self.assertLess(FIRST_PAUSE * 2**7, 2)
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothingWaits(self) -> None:
        """A port without a waiting connection reads on; that is no failure."""
        port = self.listening()
        port.doRead()
        self.assertIn(port, self.reactor.getReaders())
        self.assertEqual(self.lines(), [])

    def test_manyWait(self) -> None:
        """One turn accepts a bounded number of waiting connections; none is left behind."""
        port = self.listening(*[0] * (2 * ACCEPTS_PER_TURN + 5))
        accepted = []
        for _ in range(3):
            port.doRead()
            accepted.append(len(port.factory.clients))
        self.assertEqual([accepted[0], accepted[1] - accepted[0]], [ACCEPTS_PER_TURN] * 2)
        self.assertEqual(accepted[2], 2 * ACCEPTS_PER_TURN + 5)
        self.assertEqual(self.lines(), [])

    def test_statusListener(self) -> None:
        """Connections accepted in three turns cannot replace another one of a status listener."""
        self.assertLess(3 * ACCEPTS_PER_TURN, MAXIMUM_CONNECTIONS)

    def test_readAgain(self) -> None:
        """A paused port that is read all the same has one resumption pending."""
        port = self.listening(ENFILE, ENFILE)
        port.doRead()
        port.doRead()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_closed(self) -> None:
        """A port that is closed while it pauses stays closed, and leaves nothing scheduled."""
        port = self.listening(ENFILE)
        port.doRead()
        port.disconnecting = True
        self.reactor.advance(FIRST_PAUSE)
        self.assertNotIn(port, self.reactor.getReaders())
        for errors in ((ENFILE,), ()):
            port = self.listening(*errors)
            port.doRead()
            port.connectionLost(Failure(Exception()))
            self.assertTrue(self.socket.closed)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_withoutSocket(self) -> None:
        """A port without a socket of its own, as the supervisor shares it, is left alone."""
        port = Factory()
        guardAccepting(port, Clock(), "echo")
        self.assertFalse(hasattr(port, "socket"))
