from __future__ import annotations

import ssl
from socket import AF_INET6, AF_UNIX
from typing import Any
from unittest import mock

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets import stream
from echoproto.client.targets.failures import CLOSED_HINT
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IStreamChannel, ITarget
from echoproto.client.targets.stream import StreamChannel, StreamTarget
from echoproto.errors import ConnectionClosed
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.testing import MemoryTransport, endpointTo
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import clientContext, serverContext
from tests.client.targets.receiver import RecordingReceiver

MS = 1_000_000


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.receiver = RecordingReceiver()
        self.factory = EchoFactory(self.clock)
        self.endpoint, self.pairs = endpointTo(self.factory)
        self.addCleanup(self.end)

    def end(self) -> None:
        for pair in self.pairs:
            pair.client.abortConnection()
            pair.pump()

    def monotonicNs(self) -> int:
        return round(self.clock.seconds() * 1e9)

    def target(
        self, size: int | None = 4, endpoint: Any = None, rename: Any = None
    ) -> StreamTarget:
        connecting = self.endpoint if endpoint is None else endpoint
        host = ResolvedHost(["192.0.2.1", "192.0.2.2"])
        return StreamTarget("tcp://lab1:7", connecting, size, self.monotonicNs, host, rename)

    def test_names(self) -> None:
        """A target has a name and, with a host, addresses; it may be named by that in use."""
        target = self.target()
        self.assertEqual((target.name, target.address), ("tcp://lab1:7", "192.0.2.1"))
        self.assertEqual(target.host.addresses, ("192.0.2.1", "192.0.2.2"))
        self.assertEqual(self.target(rename=str.upper).name, "192.0.2.1")
        other = StreamTarget("unix:///x", self.endpoint, 4, self.monotonicNs)
        self.assertEqual((other.name, other.address, other.host.addresses), ("unix:///x", "", ()))

    def test_replies(self) -> None:
        """Replies are reported one by one, however the data is split on arrival."""
        channel: Any = self.successResultOf(self.target().open(self.receiver))
        verifyObject(ITarget, self.target())
        verifyObject(IStreamChannel, channel)
        for cut in (None, lambda size: 1, lambda size: min(size, 7)):
            self.pairs[0].cut = cut
            for probe in (b"one.", b"two.", b"3..."):
                channel.send(probe)
            self.pairs[0].pump()
            self.assertEqual(self.receiver.replies, [b"one.", b"two.", b"3..."])
            self.receiver.replies.clear()
        self.assertTrue(self.pairs[0].client.getTcpNoDelay())

    def test_closed(self) -> None:
        """After ``close`` nothing is reported, and the connection is aborted."""
        channel: Any = self.successResultOf(self.target().open(self.receiver))
        self.receiver.replyReceived = lambda reply: channel.close()  # type: ignore[method-assign]
        channel.send(b"one.two.")
        self.pairs[0].pump()
        self.assertEqual(self.receiver.reasons, [])
        self.assertIsNotNone(self.pairs[0].client.closed)
        self.assertEqual(channel.unread, 4)

    def test_unread(self) -> None:
        """Bytes that were received and are no whole reply yet can be counted."""
        channel: Any = self.successResultOf(self.target().open(self.receiver))
        for probe, unread in ((b"one.two.th", 2), (b"r", 3), (b"e.", 1)):
            channel.send(probe)
            self.pairs[0].pump()
            self.assertEqual(channel.unread, unread)

    def test_ends(self) -> None:
        """``close`` ends a connection by our FIN, ``abort`` by a reset; both only once."""
        for end, reason in (("close", ConnectionDone), ("abort", ConnectionLost)):
            channel: Any = self.successResultOf(self.target().open(self.receiver))
            channel.send(b"ping")
            self.pairs[-1].pump()
            getattr(channel, end)()
            for repeated in (channel.close, channel.abort):
                repeated()
            self.pairs[-1].pump()
            self.assertIsInstance(self.pairs[-1].server.closed, reason)
        self.assertEqual((self.receiver.replies, self.receiver.reasons), ([b"ping"] * 2, []))

    def test_stream(self) -> None:
        """Without a size, data is reported as it arrives; the server answers a half-close."""
        channel: Any = self.successResultOf(self.target(size=None).open(self.receiver))
        channel.send(b"any number")
        self.assertTrue(channel.loseWriteConnection())
        self.pairs[0].pump()
        self.assertEqual(self.receiver.replies, [b"any number"])
        self.assertEqual(self.receiver.reasons, ["the server closed the connection"])

    def test_greeting(self) -> None:
        """A greeting service is recognized when it closes; its text is shorter than a reply."""
        self.successResultOf(self.target(size=64).open(self.receiver))
        transport: Any = self.pairs[0].server
        transport.write(SERVER_GREETING)
        transport.loseConnection()
        self.pairs[0].pump()
        self.assertEqual(
            self.receiver.reasons,
            ["the server closed the connection; this is a greeting service; try echoproto greet"],
        )

    def test_paused(self) -> None:
        """A paused channel reports no data; its producer is paused and resumed with the queue."""
        calls: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                calls.append("pause")

            def resumeProducing(self) -> None:
                calls.append("resume")

            def stopProducing(self) -> None:
                """Required by the interface."""

        channel: Any = self.successResultOf(self.target().open(self.receiver))
        channel.registerProducer(Producer(), True)
        channel.pauseProducing()
        for _ in range(4):
            channel.send(bytes(70_000))
            self.pairs[0].pump()
        self.assertEqual((self.receiver.replies, calls[-1]), ([], "pause"))
        channel.resumeProducing()
        self.assertEqual((channel.dropped(), channel.waited()), (0, 0))
        self.pairs[0].pump()
        self.assertEqual((len(self.receiver.replies), calls[-1]), (70_000, "resume"))
        channel.unregisterProducer()

    def test_closedByServer(self) -> None:
        """A close or reset by the server is reported with its reason."""
        for end, reason in (
            ("loseConnection", "the server closed the connection"),
            ("abortConnection", "connection lost: it was reset or interrupted"),
        ):
            self.successResultOf(self.target().open(self.receiver))
            getattr(self.pairs[-1].server, end)()
            self.pairs[-1].pump()
            self.assertIn(reason, self.receiver.reasons.pop())

    def test_unanswered(self) -> None:
        """If a server that has never answered closes, the reason has a hint; TLS needs TCP."""
        target, hint = self.target(), f"{CLOSED_HINT} or TLS: try tls:// then"
        self.successResultOf(target.open(self.receiver))
        self.pairs[-1].server.loseConnection()
        with mock.patch.object(MemoryTransport, "getPeer", return_value=UNIXAddress(b"/run/x")):
            self.pairs[-1].pump()
        for _ in range(2):
            channel: Any = self.successResultOf(target.open(self.receiver))
            self.pairs[-1].server.loseConnection()
            self.pairs[-1].pump()
        channel = self.successResultOf(target.open(self.receiver))
        channel.send(b"data")
        self.pairs[-1].pump()
        self.pairs[-1].server.loseConnection()
        self.pairs[-1].pump()
        closed = "the server closed the connection"
        hints = (CLOSED_HINT, hint, hint, "")
        self.assertEqual(self.receiver.reasons, [f"{closed}{hint}" for hint in hints])

    def test_answeredWithTLS(self) -> None:
        """If the first data is a TLS alert, the reason has a hint, with or without a size."""
        for size in (4, None):
            self.successResultOf(self.target(size).open(self.receiver))
            self.pairs[-1].server.write(b"\x15\x03\x03\x00\x02")
            self.pairs[-1].server.loseConnection()
            self.pairs[-1].pump()
            self.assertIn("TLS record: try tls:// instead", self.receiver.reasons.pop())

    def test_refused(self) -> None:
        """A failed connection attempt fails with the endpoint's error."""
        self.successResultOf(self.factory.drain())
        self.failureResultOf(self.target().open(self.receiver), ConnectionRefusedError)

    def test_unix(self) -> None:
        """On a UNIX socket no TCP option is set."""
        with mock.patch.object(MemoryTransport, "getPeer", return_value=UNIXAddress(b"/run/x")):
            self.successResultOf(self.target().open(self.receiver))
        self.assertFalse(self.pairs[0].client.getTcpNoDelay())

    def test_cancelled(self) -> None:
        """Opening can be cancelled; a connection made afterwards is aborted."""
        connecting: Deferred[Any] = Deferred()
        factories: list[Any] = []

        class Slow:
            def connect(self, factory: Any) -> Deferred[Any]:
                factories.append(factory)
                return connecting

        opening = self.target(endpoint=Slow()).open(self.receiver)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.endpoint.connect(factories[0])
        self.pairs[0].pump()
        self.assertIsNotNone(self.pairs[0].client.closed)

    def secure(self, trusted: bool = True) -> StreamTarget:
        """Make a target with TLS on both ends."""
        secured = TLSStreamFactory(serverContext, self.factory, self.clock)
        self.endpoint, self.pairs = endpointTo(secured)
        context = clientContext if trusted else ssl.create_default_context
        endpoint = self.endpoint

        class Secured:
            def connect(_, factory: Any) -> Deferred[Any]:
                return endpoint.connect(TLSStreamFactory(context, factory, self.clock, "localhost"))

        return self.target(endpoint=Secured())

    def test_tls(self) -> None:
        """Over TLS, the channel opens after the handshake, and both times are recorded."""
        opening = self.secure().open(self.receiver)
        self.assertNoResult(opening)
        self.clock.advance(0.007)
        self.pairs[0].pump()
        channel: Any = self.successResultOf(opening)
        self.assertEqual((channel.connectTime, channel.handshakeTime), (0, 7 * MS))
        channel.send(b"safe")
        self.clock.advance(0)
        self.pairs[0].pump()
        self.clock.advance(0)
        self.pairs[0].pump()
        self.assertEqual(self.receiver.replies, [b"safe"])
        self.assertTrue(channel.loseWriteConnection())
        for _ in range(2):
            channel.close()
            self.pairs[0].pump()

    def test_waited(self) -> None:
        """The time that data has waited is known over TCP, and not on a UNIX socket."""
        for family, times in ((AF_UNIX, [0, 0]), (AF_INET6, [5, 6])):
            channel: Any = StreamChannel(self.receiver, self.target())
            channel.transport = mock.Mock(spec=Connection, socket=mock.Mock(family=family))
            arrivals = mock.Mock(waited=iter((5, 6)).__next__)
            with mock.patch.object(stream, "StreamArrivals", return_value=arrivals):
                self.assertEqual([channel.waited(), channel.waited()], times)

    def test_noHalfClose(self) -> None:
        """A transport that cannot half-close, such as one of Twisted's TLS, stays as it is."""
        channel: Any = StreamChannel(self.receiver, self.target())
        channel.transport = object()
        self.assertFalse(channel.loseWriteConnection())

    def test_notTrusted(self) -> None:
        """An untrusted certificate fails the opening."""
        opening = self.secure(trusted=False).open(self.receiver)
        self.pairs[0].pump()
        failure = self.failureResultOf(opening)
        self.assertIn("certificate verify failed", str(failure.value))
        self.flushLoggedErrors()

    def test_lostInHandshake(self) -> None:
        """A close or reset during the handshake raises ``ConnectionClosed``, to be retried."""
        for end in ("loseConnection", "abortConnection"):
            opening = self.secure().open(self.receiver)
            getattr(self.pairs[-1].server, end)()
            self.pairs[-1].pump()
            self.failureResultOf(opening, ConnectionClosed)

    def test_closedInHandshake(self) -> None:
        """Opening can be cancelled during the handshake, which is the reason of the failure."""
        opening = self.secure().open(self.receiver)
        opening.cancel()
        failure = self.failureResultOf(opening, CancelledError)
        self.assertIn("does not answer the TLS handshake", str(failure.value))
        self.pairs[0].pump()
        self.assertEqual(self.receiver.reasons, [])
