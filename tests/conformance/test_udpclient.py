from __future__ import annotations

from errno import EMFILE, ENETUNREACH
from os import strerror
from typing import Any, cast
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.conformance import udpclient
from echoproto.conformance.results import Failed, NoAnswer, Skipped
from echoproto.conformance.udpclient import MAX_KEPT_REPLIES, CheckSocket, DatagramTester, Reply
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol
from echoproto.testing import DatagramWire
from tests.conformance.fakeservers import TIMEOUT, FakeDatagramServer, FaultyDatagramEcho


class Deaf(FaultyDatagramEcho):
    """
    Answers only one datagram.

    :param last: its number, from one.
    """

    def __init__(self, last: int) -> None:
        self.left = last

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left == 0:
            super().answer(datagram, addr)


class Other(FaultyDatagramEcho):
    """Answers with other data."""

    def answer(self, datagram: bytes, addr: Any) -> None:
        super().answer(b"I am no echo", addr)


class CheckSocketTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """The first reply is kept with its source, and different ones up to a limit; all count."""
        server = FakeDatagramServer()
        sock = server.tester.open()
        sock.send(b"hello")
        server.turn()
        first = Reply(b"hello", "127.0.0.1", 7007)
        self.assertEqual(sock.first, first)
        for number in range(MAX_KEPT_REPLIES):
            sock.replyReceived(b"%d" % number, "127.0.0.1", 7007)
        self.assertEqual((sock.count, sock.first), (MAX_KEPT_REPLIES + 1, first))
        self.assertEqual(len(sock.distinct), MAX_KEPT_REPLIES)
        server.tester.close()
        self.assertEqual(len(server.wire.ports), 1)

    def test_waitForCount(self) -> None:
        """waitForCount() counts equal replies, and ends when none arrives within the timeout."""

        async def twoReplies(tester: DatagramTester) -> int:
            sock = tester.open()
            for _ in range(2):
                sock.send(b"hello")
            await sock.waitForCount(2, TIMEOUT)
            await sock.waitForCount(3, TIMEOUT)
            return sock.count

        server = FakeDatagramServer()
        self.assertEqual(server.run(twoReplies), 2)
        self.assertGreaterEqual(server.wire.seconds(), TIMEOUT)

    def test_sourceAddress(self) -> None:
        """The source address and port can be chosen; a port in use raises CannotListenError."""
        wire = DatagramWire()
        tester = DatagramTester(
            wire, ["127.0.0.1"], 7007, TIMEOUT, ConnectOptions(source="127.0.0.9")
        )
        tester.open().send(b"")
        tester.open(19, "127.0.0.3").send(b"")
        self.assertEqual(wire.pending[0].source[0], "127.0.0.9")
        self.assertEqual(wire.pending[1].source, ("127.0.0.3", 19))
        self.assertRaises(CannotListenError, tester.open, 19, "127.0.0.3")

    def test_fileLimit(self) -> None:
        """If this process has too many open files, the check is skipped: no fault of the server."""
        tester = DatagramTester(DatagramWire(), ["127.0.0.1"], 7007, TIMEOUT)
        full = CannotListenError("", 0, OSError(EMFILE, "Too many open files"))
        self.patch(udpclient, "openUnconnectedChannel", mock.Mock(side_effect=full))
        with self.assertRaisesRegex(Skipped, "ulimit -n"):
            tester.open()

    def test_isLocal(self) -> None:
        """Loopback addresses are local, all others are not."""
        for host, local in (("127.0.0.9", True), ("::1", True), ("10.0.0.1", False)):
            tester = DatagramTester(DatagramWire(), [host], 7, TIMEOUT)
            self.assertEqual(tester.isLocal, local)
            self.assertEqual(tester.isLocalIPv4, host == "127.0.0.9")

    def test_secondAddress(self) -> None:
        """If the first address does not answer, the next one is used; or all are in the error."""
        for hosts, message in (
            (["127.0.0.7", "127.0.0.1"], ""),
            (["127.0.0.7", "x"], "127.0.0.7: refused: nothing listens there; x: cannot send"),
        ):
            wire = DatagramWire()
            wire.listenUDP(7007, EchoDatagramProtocol(wire))
            tester = DatagramTester(wire, hosts, 7007, TIMEOUT)
            exchange = tester.exchange

            async def asked(message: bytes, host: str = "", tries: int = 0) -> Reply | None:
                if tester.host == "x":  # noqa: B023 - called in this round
                    raise NoAnswer("cannot send 17 bytes")
                return await exchange(message, host, tries)  # noqa: B023

            self.patch(tester, "exchange", asked)
            asking = Deferred.fromCoroutine(tester.expectAnswer())
            for _ in range(20):
                wire.deliverAll()
                wire.advance(TIMEOUT)
            if message:
                self.assertIn(message, str(self.failureResultOf(asking, NoAnswer).value))
            else:
                self.successResultOf(asking)
                self.assertEqual(tester.host, "127.0.0.1")

    def test_cannotSend(self) -> None:
        """A datagram that cannot be sent raises NoAnswer."""

        class Unreachable:
            def send(self, *arguments: Any) -> None:
                raise OSError(ENETUNREACH, strerror(ENETUNREACH))

        sock = CheckSocket(DatagramTester(DatagramWire(), ["192.0.2.1"], 7, TIMEOUT))
        sock.channel = cast(Any, Unreachable())
        with self.assertRaisesRegex(NoAnswer, "cannot send 5 bytes: Network is unreachable"):
            sock.send(b"hello")


class ExchangeTests(SynchronousTestCase):
    def exchange(self, server: FakeDatagramServer, **options: Any) -> Any:
        return server.run(lambda tester: tester.exchange(b"hello", **options))

    def test_reply(self) -> None:
        """The first reply is returned, from the address of the request."""
        self.assertEqual(self.exchange(FakeDatagramServer()), Reply(b"hello", "127.0.0.1", 7007))
        server = FakeDatagramServer()
        server.wire.listenUDP(7007, EchoDatagramProtocol(server.wire), "127.0.0.2")
        reply = self.exchange(server, host="127.0.0.2")
        self.assertEqual(reply, Reply(b"hello", "127.0.0.2", 7007))

    def test_lost(self) -> None:
        """A lost datagram is sent again within the timeout, except on loopback."""
        self.assertIsNone(self.exchange(FakeDatagramServer(Deaf(2))))
        server = FakeDatagramServer(Deaf(3), "192.0.2.1")
        self.assertEqual(self.exchange(server).data, b"hello")
        server = FakeDatagramServer(Deaf(4), "192.0.2.1")
        self.assertIsNone(self.exchange(server))
        self.assertLess(server.wire.seconds(), TIMEOUT + 0.1)

    def test_served(self) -> None:
        """expectAnswer() sends again even on loopback; a different reply fails."""
        FakeDatagramServer(Deaf(3)).run(DatagramTester.expectAnswer)
        with self.assertRaisesRegex(NoAnswer, "no datagram received within 5 s"):
            FakeDatagramServer(Deaf(4)).run(DatagramTester.expectAnswer)
        with self.assertRaisesRegex(Failed, "the reply differs from the message"):
            FakeDatagramServer(Other()).run(DatagramTester.expectAnswer)

    def test_echoPlus(self) -> None:
        """A UDPEchoPlus server is recognized."""
        server = FakeDatagramServer(EchoPlusDatagramProtocol(Clock()))
        with self.assertRaisesRegex(Failed, "the server speaks UDPEchoPlus"):
            server.run(DatagramTester.expectAnswer)

    def test_greeting(self) -> None:
        """A greeting service is recognized, as the message is as long as its reply."""
        server = FakeDatagramServer(GreetingDatagramProtocol(Clock()))
        with self.assertRaisesRegex(Failed, "differs from the message; this is a greeting service"):
            server.run(DatagramTester.expectAnswer)

    def test_refused(self) -> None:
        """A closed port is reported as such; an answer that comes too late is not one."""
        wire = DatagramWire()
        tester = DatagramTester(wire, ["127.0.0.1"], 7007, TIMEOUT)
        for server, reason in (
            (None, "refused: nothing listens there"),
            (Deaf(4), "no datagram received within 5 s"),
        ):
            if server is not None:
                wire.listenUDP(7007, server)
            asking = Deferred.fromCoroutine(tester.expectAnswer())
            for _ in range(20):
                wire.deliverAll()
                wire.advance(TIMEOUT)
            self.assertEqual(str(self.failureResultOf(asking, NoAnswer).value), reason)
            tester.close()
        self.assertEqual(len(wire.ports), 1)
        self.assertEqual(wire.getDelayedCalls(), [])

    def test_stoppedRefusal(self) -> None:
        """A check can be stopped while it waits for the report of a closed port."""
        server = FakeDatagramServer(Deaf(9))
        asking = Deferred.fromCoroutine(server.tester.expectAnswer())
        server.wire.deliverAll()
        server.wire.advance(TIMEOUT / 3)
        for _ in range(2):
            server.wire.deliverAll()
            server.wire.advance(0)
            server.wire.advance(TIMEOUT / 3)
        server.wire.advance(0)
        self.assertNoResult(asking)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

    def test_pipeline(self) -> None:
        """Pipelined datagrams are sent at once, and their replies are collected."""
        server = FakeDatagramServer()
        sock = server.run(lambda tester: tester.pipeline([b"one", b"two"]))
        self.assertEqual(sock.distinct, {b"one", b"two"})
        sock = FakeDatagramServer(Deaf(2)).run(lambda tester: tester.pipeline([b"one", b"two"]))
        self.assertEqual(sock.distinct, {b"two"})

    def test_pause(self) -> None:
        """pause() fires after the requested time."""
        server = FakeDatagramServer()
        pausing = Deferred.fromCoroutine(server.tester.pause(1.0))
        server.wire.advance(0.9)
        self.assertNoResult(pausing)
        server.wire.advance(0.1)
        self.successResultOf(pausing)
