from __future__ import annotations

from errno import ENETUNREACH
from os import strerror
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import Failed, NoAnswer
from echoproto.conformance.udpclient import KEPT, CheckSocket, DatagramTester, Reply
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import DatagramWire
from tests.conformance.lab import PATIENCE, DatagramLab, FaultyDatagrams


class Deaf(FaultyDatagrams):
    """Answers only the last of so many datagrams."""

    def __init__(self, last: int) -> None:
        self.left = last

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left == 0:
            super().answer(datagram, addr)


class Other(FaultyDatagrams):
    """Answers something else."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(b"I am no echo", addr)


class PostTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """Each reply is kept with where it came from; of very many only the first."""
        lab = DatagramLab()
        post = lab.asked.open()
        post.send(b"hello")
        lab.turn()
        self.assertEqual(post.replies, [Reply(b"hello", "127.0.0.1", 7007)])
        for _ in range(KEPT):
            post.replyReceived(b"again", "127.0.0.1", 7007)
        self.assertEqual((post.count, len(post.replies)), (KEPT + 1, KEPT))
        lab.asked.close()
        self.assertEqual(len(lab.wire.ports), 1)

    def test_source(self) -> None:
        """It is sent from the address and port of choice; what cannot be had raises."""
        wire = DatagramWire()
        asked = DatagramTester(wire, "127.0.0.1", 7007, PATIENCE, "127.0.0.9")
        asked.open().send(b"")
        asked.open(19, "127.0.0.3").send(b"")
        self.assertEqual(wire.pending[0].source[0], "127.0.0.9")
        self.assertEqual(wire.pending[1].source, ("127.0.0.3", 19))
        self.assertRaises(CannotListenError, asked.open, 19, "127.0.0.3")

    def test_near(self) -> None:
        """Loopback is near, all else is not."""
        for host, near in (("127.0.0.9", True), ("::1", True), ("10.0.0.1", False)):
            self.assertEqual(DatagramTester(DatagramWire(), host, 7, PATIENCE).near, near)

    def test_cannotSend(self) -> None:
        """What cannot be sent is told."""

        class Unreachable:
            def send(self, *what: Any) -> None:
                raise OSError(ENETUNREACH, strerror(ENETUNREACH))

        post = CheckSocket(DatagramTester(DatagramWire(), "192.0.2.1", 7, PATIENCE))
        post.channel = Unreachable()
        with self.assertRaisesRegex(NoAnswer, "5 bytes cannot be sent: Network is unreachable"):
            post.send(b"hello")


class ExchangeTests(SynchronousTestCase):
    def exchange(self, lab: DatagramLab, **named: Any) -> Any:
        return lab.run(lambda asked: asked.exchange(b"hello", **named))

    def test_reply(self) -> None:
        """The first reply is returned, from where it was asked for."""
        self.assertEqual(self.exchange(DatagramLab()), Reply(b"hello", "127.0.0.1", 7007))
        lab = DatagramLab()
        lab.wire.listenUDP(7007, EchoDatagramProtocol(lab.wire), "127.0.0.2")
        reply = self.exchange(lab, host="127.0.0.2")
        self.assertEqual(reply, Reply(b"hello", "127.0.0.2", 7007))

    def test_lost(self) -> None:
        """On loopback a lost datagram is a fault; elsewhere it is sent again, within the same time."""
        self.assertIsNone(self.exchange(DatagramLab(Deaf(2))))
        lab = DatagramLab(Deaf(3), "192.0.2.1")
        self.assertEqual(self.exchange(lab).data, b"hello")
        lab = DatagramLab(Deaf(4), "192.0.2.1")
        self.assertIsNone(self.exchange(lab))
        self.assertLess(lab.wire.seconds(), PATIENCE + 0.1)

    def test_served(self) -> None:
        """Whether anybody is served may be asked again on loopback, too; another reply is none."""
        DatagramLab(Deaf(3)).run(DatagramTester.served)
        with self.assertRaisesRegex(NoAnswer, "no datagram came back in 5 s"):
            DatagramLab(Deaf(4)).run(DatagramTester.served)
        with self.assertRaisesRegex(Failed, "another datagram came back"):
            DatagramLab(Other()).run(DatagramTester.served)

    def test_pipeline(self) -> None:
        """Datagrams are sent at once, and what comes back is waited for."""
        lab = DatagramLab()
        post = lab.run(lambda asked: asked.pipeline([b"one", b"two"]))
        self.assertEqual([each.data for each in post.replies], [b"one", b"two"])
        post = DatagramLab(Deaf(2)).run(lambda asked: asked.pipeline([b"one", b"two"]))
        self.assertEqual([each.data for each in post.replies], [b"two"])

    def test_pause(self) -> None:
        """It waits as long as it is told to."""
        lab = DatagramLab()
        pausing = Deferred.fromCoroutine(lab.asked.pause(1.0))
        lab.wire.advance(0.9)
        self.assertNoResult(pausing)
        lab.wire.advance(0.1)
        self.successResultOf(pausing)
