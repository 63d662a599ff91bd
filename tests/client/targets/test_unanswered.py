from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.failures import ECHO_PLUS_HINT, GREETING_HINT
from echoproto.client.targets.unanswered import MAX_UNANSWERED, UnansweredDatagrams
from echoproto.protocols.greeting import SERVER_GREETING


class UnansweredDatagramsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.unanswered = UnansweredDatagrams()

    def test_bounded(self) -> None:
        """Only the last datagrams are remembered, in their order."""
        for number in range(MAX_UNANSWERED + 3):
            self.unanswered.add(bytes([number]))
        self.assertEqual([datagram[0] for datagram in self.unanswered], [*range(3, 19)])

    def test_discard(self) -> None:
        """The datagram that a reply echoes is forgotten; another reply echoes none."""
        self.unanswered.add(b"one")
        found = [self.unanswered.discard(reply) for reply in (b"two", b"one", b"one")]
        self.assertEqual(found, [False, True, False])

    def test_hint(self) -> None:
        """A greeting and an answer of UDPEchoPlus are recognized, even to the first datagram."""
        request = b"\0\0\0\1" + bytes(40)
        self.unanswered.add(request)
        answer = request[:4] + b"\0\0\0\1" * 4 + request[20:]
        for _ in range(MAX_UNANSWERED):
            self.unanswered.add(b"other")
        for reply, hint in (
            (answer, ECHO_PLUS_HINT),
            (SERVER_GREETING, GREETING_HINT),
            (b"other", ""),
        ):
            self.assertEqual(self.unanswered.hint(reply), hint)
