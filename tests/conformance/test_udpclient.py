from __future__ import annotations

from errno import EMFILE, ENETUNREACH
from os import strerror
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance import udpclient
from echoproto.conformance.results import Failed, NoAnswer, Skipped
from echoproto.conformance.udpclient import MAX_KEPT_REPLIES, CheckSocket, DatagramTester, Reply
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import DatagramWire
from tests.conformance.fakeservers import TIMEOUT, FakeDatagramServer, FaultyDatagramEcho


class Deaf(FaultyDatagramEcho):
    """Answers only the last of so many datagrams."""

    def __init__(self, last: int) -> None:
        self.left = last

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left == 0:
            super().answer(datagram, addr)


class Other(FaultyDatagramEcho):
    """Answers something else."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(b"I am no echo", addr)


class PostTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """Each reply is kept with where it came from; of very many only the first."""
        lab = FakeDatagramServer()
        post = lab.tester.open()
        post.send(b"hello")
        lab.turn()
        self.assertEqual(post.replies, [Reply(b"hello", "127.0.0.1", 7007)])
        for _ in range(MAX_KEPT_REPLIES):
            post.replyReceived(b"again", "127.0.0.1", 7007)
        self.assertEqual((post.count, len(post.replies)), (MAX_KEPT_REPLIES + 1, MAX_KEPT_REPLIES))
        lab.tester.close()
        self.assertEqual(len(lab.wire.ports), 1)

    def test_source(self) -> None:
        """It is sent from the address and port of choice; what cannot be had raises."""
        wire = DatagramWire()
        tester = DatagramTester(wire, "127.0.0.1", 7007, TIMEOUT, "127.0.0.9")
        tester.open().send(b"")
        tester.open(19, "127.0.0.3").send(b"")
        self.assertEqual(wire.pending[0].source[0], "127.0.0.9")
        self.assertEqual(wire.pending[1].source, ("127.0.0.3", 19))
        self.assertRaises(CannotListenError, tester.open, 19, "127.0.0.3")

    def test_fileLimit(self) -> None:
        """
        A check is skipped if this program may open no more files: that is not the server's fault.
        """
        tester = DatagramTester(DatagramWire(), "127.0.0.1", 7007, TIMEOUT)
        full = CannotListenError("", 0, OSError(EMFILE, "Too many open files"))
        self.patch(udpclient, "openUnconnectedChannel", mock.Mock(side_effect=full))
        with self.assertRaisesRegex(Skipped, "ulimit -n"):
            tester.open()

    def test_near(self) -> None:
        """Loopback is near, all else is not."""
        for host, near in (("127.0.0.9", True), ("::1", True), ("10.0.0.1", False)):
            self.assertEqual(DatagramTester(DatagramWire(), host, 7, TIMEOUT).isLocal, near)

    def test_cannotSend(self) -> None:
        """What cannot be sent is told."""

        class Unreachable:
            def send(self, *what: Any) -> None:
                raise OSError(ENETUNREACH, strerror(ENETUNREACH))

        post = CheckSocket(DatagramTester(DatagramWire(), "192.0.2.1", 7, TIMEOUT))
        post.channel = Unreachable()
        with self.assertRaisesRegex(NoAnswer, "cannot send 5 bytes: Network is unreachable"):
            post.send(b"hello")


class ExchangeTests(SynchronousTestCase):
    def exchange(self, lab: FakeDatagramServer, **named: Any) -> Any:
        return lab.run(lambda tester: tester.exchange(b"hello", **named))

    def test_reply(self) -> None:
        """The first reply is returned, from where it was tester for."""
        self.assertEqual(self.exchange(FakeDatagramServer()), Reply(b"hello", "127.0.0.1", 7007))
        lab = FakeDatagramServer()
        lab.wire.listenUDP(7007, EchoDatagramProtocol(lab.wire), "127.0.0.2")
        reply = self.exchange(lab, host="127.0.0.2")
        self.assertEqual(reply, Reply(b"hello", "127.0.0.2", 7007))

    def test_lost(self) -> None:
        """
        On loopback a lost datagram is a fault; elsewhere it is sent again, within the same time.
        """
        self.assertIsNone(self.exchange(FakeDatagramServer(Deaf(2))))
        lab = FakeDatagramServer(Deaf(3), "192.0.2.1")
        self.assertEqual(self.exchange(lab).data, b"hello")
        lab = FakeDatagramServer(Deaf(4), "192.0.2.1")
        self.assertIsNone(self.exchange(lab))
        self.assertLess(lab.wire.seconds(), TIMEOUT + 0.1)

    def test_served(self) -> None:
        """Whether anybody is served may be tester again on loopback, too; another reply is none."""
        FakeDatagramServer(Deaf(3)).run(DatagramTester.expectAnswer)
        with self.assertRaisesRegex(NoAnswer, "no datagram received within 5 s"):
            FakeDatagramServer(Deaf(4)).run(DatagramTester.expectAnswer)
        with self.assertRaisesRegex(Failed, "the reply differs from the message"):
            FakeDatagramServer(Other()).run(DatagramTester.expectAnswer)

    def test_pipeline(self) -> None:
        """Datagrams are sent at once, and what comes back is waited for."""
        lab = FakeDatagramServer()
        post = lab.run(lambda tester: tester.pipeline([b"one", b"two"]))
        self.assertEqual([each.data for each in post.replies], [b"one", b"two"])
        post = FakeDatagramServer(Deaf(2)).run(lambda tester: tester.pipeline([b"one", b"two"]))
        self.assertEqual([each.data for each in post.replies], [b"two"])

    def test_pause(self) -> None:
        """It waits as long as it is told to."""
        lab = FakeDatagramServer()
        pausing = Deferred.fromCoroutine(lab.tester.pause(1.0))
        lab.wire.advance(0.9)
        self.assertNoResult(pausing)
        lab.wire.advance(0.1)
        self.successResultOf(pausing)
