from __future__ import annotations

from errno import ECONNREFUSED, EHOSTUNREACH, ENOMEM
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from echoproto.transports.readpause import FIRST_PAUSE
from tests.transports.fakeudpsocket import PEER
from tests.transports.test_pktinfo import pktinfo
from tests.transports.udpcase import FailingProtocol, PortTestCase


class ErrorTests(PortTestCase):
    def test_pauses(self) -> None:
        """A port whose receives fail pauses, so that it does not keep a processor busy."""
        reactor = cast(Any, self.port.reactor)
        for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE):
            self.receive(OSError(ENOMEM, "memory"))
            self.assertNotIn(self.port, reactor.getReaders())
            reactor.advance(pause)
            self.assertIn(self.port, reactor.getReaders())
        self.receive((b"hi", [pktinfo()], 0, PEER))
        self.receive(OSError(ENOMEM, "memory"))
        reactor.advance(FIRST_PAUSE)
        self.assertIn(self.port, reactor.getReaders())
        self.receive(OSError(ENOMEM, "memory"))
        self.port.connectionLost()
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_connectedDoesNotPause(self) -> None:
        """A connected port goes on after an error of the network, which is reported once."""
        self.port.connect("192.0.2.1", 7)
        self.receive(OSError(ECONNREFUSED, "refused"))
        self.assertIn(self.port, self.port.reactor.getReaders())
        self.flushLoggedErrors()

    def test_receiveErrors(self) -> None:
        """A failed receive is counted and ends the turn; the next turn continues."""
        self.receive(OSError(ENOMEM, "x"), OSError(ECONNREFUSED, "x"), (b"hi", [], 0, PEER))
        self.port.doRead()
        self.port.doRead()
        self.assertEqual(self.port.receiveErrors, {"receive ENOMEM": 1, "receive ECONNREFUSED": 1})
        self.assertEqual(self.protocol.received, [(b"hi", PEER)])

    def test_networkError(self) -> None:
        """On a connected port a network error is reported to the protocol; the port stays open."""
        self.port.connect(*PEER)
        self.receive(OSError(EHOSTUNREACH, "x"))
        self.port.socket.error = ECONNREFUSED
        self.port.stopReading()
        self.port.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.protocol.refused, 2)
        self.assertEqual(
            self.port.receiveErrors, {"receive EHOSTUNREACH": 1, "receive ECONNREFUSED": 1}
        )
        self.receive((b"hi", [], 0, PEER))
        self.assertIn(self.port, self.port.reactor.getReaders())

    def test_networkErrorOfASend(self) -> None:
        """A socket error already returned by a send is not reported again."""
        self.port.connect(*PEER)
        self.port.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.protocol.refused, self.port.receiveErrors), (0, {}))
        self.assertIn(self.port, self.port.reactor.getReaders())

    def test_networkErrorUnconnected(self) -> None:
        """On an unconnected port a network error is only counted."""
        self.receive(OSError(EHOSTUNREACH, "x"))
        self.assertEqual(self.port.receiveErrors, {"receive EHOSTUNREACH": 1})
        self.assertEqual(self.protocol.refused, 0)

    def test_failingProtocol(self) -> None:
        """Exceptions of the protocol, also SystemExit, are logged; the port stays open."""
        self.port, _ = self.listening(FailingProtocol())
        self.port.connect(*PEER)
        self.receive(OSError(ECONNREFUSED, "x"))
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
        self.assertEqual(self.port.networkError, 0)
        self.assertIn(self.port, self.port.reactor.getReaders())
