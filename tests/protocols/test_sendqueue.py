from __future__ import annotations

import socket
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.sendqueue import unsentBytes


class Transport:
    """A transport that has a socket."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def getHandle(self) -> Any:
        return self._handle


class Wrapped:
    """A transport over another, as TLS is."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport


class UnsentBytesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def test_shrinksAsTheOtherReads(self) -> None:
        """It is nothing before anything is sent and after all is read, and more between."""
        transport = Transport(self.ours)
        self.assertEqual(unsentBytes(transport), 0)
        self.ours.send(b"hello")
        self.assertGreater(unsentBytes(transport), 0)
        self.theirs.recv(5)
        self.assertEqual(unsentBytes(transport), 0)

    def test_beneathTLS(self) -> None:
        """Of a transport over another the lowest is asked."""
        self.ours.send(b"hello")
        self.assertGreater(unsentBytes(Wrapped(Wrapped(Transport(self.ours)))), 0)

    def test_unknown(self) -> None:
        """It is 0 where there is no socket, or none any more."""
        self.assertEqual(unsentBytes(StringTransport()), 0)
        self.ours.close()
        self.assertEqual(unsentBytes(Transport(self.ours)), 0)
