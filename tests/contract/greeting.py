"""The contract of the greeting service on every carrier."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING


class GreetingContract(TestCase):
    """A contract whose subclasses exchange a greeting on their carrier."""

    #: Timeout of trial, in seconds.
    timeout = 300

    def exchange(self, message: bytes) -> Deferred[bytes]:
        """Send a message to a greeting service; fire with the complete reply."""
        raise NotImplementedError

    async def test_exchange(self) -> None:
        """The client's greeting is answered with the server's, byte for byte."""
        self.assertEqual(await self.exchange(CLIENT_GREETING), SERVER_GREETING)

    async def test_anyMessage(self) -> None:
        """The reply is the same for any message."""
        for message in (b"\x00" * 34, b"x" * 1024, bytes(range(256)) * 100):
            self.assertEqual(await self.exchange(message), SERVER_GREETING)
