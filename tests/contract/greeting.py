"""What holds for the greeting on every carrier."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING


class GreetingContract(TestCase):
    """Run by the subclasses, each of which says how a message is asked on its carrier."""

    #: Seconds after which trial gives a test up.
    timeout = 300

    def ask(self, message: bytes) -> Deferred[bytes]:
        """Say ``message`` to a greeting service on this carrier; fires with its whole answer."""
        raise NotImplementedError

    async def test_exchange(self) -> None:
        """The client's greeting is answered with the server's, byte for byte."""
        self.assertEqual(await self.ask(CLIENT_GREETING), SERVER_GREETING)

    async def test_anyMessage(self) -> None:
        """Whatever is said, the answer is the same."""
        for message in (b"\x00" * 34, b"x" * 1024, bytes(range(256)) * 100):
            self.assertEqual(await self.ask(message), SERVER_GREETING)
