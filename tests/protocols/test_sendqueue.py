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
    """A transport over another one, like TLS."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport


class UnsentBytesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def test_untilRead(self) -> None:
        """The result is positive after sending, and zero once the peer has read all."""
        transport = Transport(self.ours)
        self.assertEqual(unsentBytes(transport), 0)
        self.ours.send(b"hello")
        self.assertGreater(unsentBytes(transport), 0)
        self.theirs.recv(5)
        self.assertEqual(unsentBytes(transport), 0)

    def test_beneathTLS(self) -> None:
        """Of wrapped transports, the innermost one is measured."""
        self.ours.send(b"hello")
        self.assertGreater(unsentBytes(Wrapped(Wrapped(Transport(self.ours)))), 0)

    def test_noSocket(self) -> None:
        """The result is 0 without a socket or after it was closed."""
        self.assertEqual(unsentBytes(StringTransport()), 0)
        self.ours.close()
        self.assertEqual(unsentBytes(Transport(self.ours)), 0)
