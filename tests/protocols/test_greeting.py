from __future__ import annotations

from collections import Counter

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.greeting import (
    CLIENT_GREETING,
    NOTED_BYTES,
    SERVER_GREETING,
    GreetingDatagramProtocol,
    GreetingFactory,
)
from echoproto.protocols.observer import CloseReason
from echoproto.testing import DatagramWire, RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS


class TextTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """Both texts are those of the tutorial, 34 bytes long and without a newline."""
        self.assertEqual(CLIENT_GREETING, b"Hello, server! This is the client.")
        self.assertEqual(SERVER_GREETING, b"Hello, client! This is the server.")
        self.assertEqual((len(CLIENT_GREETING), len(SERVER_GREETING)), (34, 34))


class StreamGreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.observer = RecordingObserver()
        self.factory = GreetingFactory(Clock(), self.observer)
        self.client = RecordingProtocol()
        self.server = self.factory.buildProtocol(CLIENT_ADDRESS)
        self.pair = StreamPair(self.client, self.server)

    def send(self, data: bytes) -> None:
        self.client.link.write(data)
        self.pair.pump()

    def test_exchange(self) -> None:
        """A greeting is answered with the text and a FIN, and finished by the client's close."""
        self.send(CLIENT_GREETING)
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(self.client.events, ["made", "data", "readLost"])
        self.client.link.loseConnection()
        self.pair.pump()
        [summary] = self.observer.ended
        self.assertEqual(summary.ending, CloseReason.FINISHED)
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (34, 34))
        self.assertEqual(self.observer.greetings, [(CLIENT_ADDRESS, CLIENT_GREETING)])

    def test_oneReplyForAllSegments(self) -> None:
        """Received byte by byte, a greeting gets one reply and is reported once."""
        self.pair.cut = lambda waiting: 1
        self.send(CLIENT_GREETING)
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(self.observer.greetings, [(CLIENT_ADDRESS, CLIENT_GREETING)])

    def test_notedBytes(self) -> None:
        """At most 1,024 bytes of a longer message are reported, and it is not reset."""
        for letter in (b"a", b"b", b"c"):
            self.send(letter * 1000)
        self.client.link.loseConnection()
        self.pair.pump()
        [(_, noted)] = self.observer.greetings
        self.assertEqual(noted, b"a" * 1000 + b"b" * (NOTED_BYTES - 1000))
        self.assertEqual(self.observer.ended[0].ending, CloseReason.FINISHED)
        self.assertEqual(self.client.received, SERVER_GREETING)

    def test_noGreeting(self) -> None:
        """A client that closes without sending gets no reply and is not reported as a greeting."""
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, b"")
        self.assertEqual(self.observer.greetings, [])
        self.assertEqual(self.observer.ended[0].bytesSent, 0)

    def test_afterFinish(self) -> None:
        """A greeting received after finish() gets no reply and is not reported."""
        self.server.finish()
        self.send(CLIENT_GREETING)
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual((self.client.received, self.observer.greetings), (b"", []))
        [summary] = self.observer.ended
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (34, 0))

    def test_otherText(self) -> None:
        """The text can be set for each factory."""
        factory = GreetingFactory(Clock(), text=b"Moin")
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        client.link.write(b"?")
        pair.pump()
        self.assertEqual(client.received, b"Moin")


class DatagramGreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.observer = RecordingObserver()
        self.service = GreetingDatagramProtocol(self.wire, self.observer)
        self.wire.listenUDP(7777, self.service)

    def replies(self) -> list[bytes]:
        return [datagram.data for datagram in self.wire.pending]

    def test_exchange(self) -> None:
        """A greeting is answered with the text, and reported to the observer."""
        self.service.datagramReceived(CLIENT_GREETING, ("192.0.2.1", 40_000))
        self.assertEqual(self.replies(), [SERVER_GREETING])
        peer = IPv4Address("UDP", "192.0.2.1", 40_000)
        self.assertEqual(self.observer.greetings, [(peer, CLIENT_GREETING)])

    def test_IPv6(self) -> None:
        """An IPv6 peer is reported as such, with at most 1,024 bytes."""
        self.service.datagramReceived(b"x" * 5000, ("2001:db8::1", 40_000, 0, 0))
        peer = IPv6Address("UDP", "2001:db8::1", 40_000)
        self.assertEqual(self.observer.greetings, [(peer, b"x" * NOTED_BYTES)])

    def test_ownTextIsNotAnswered(self) -> None:
        """The reply's own text is not answered: two services would greet each other for ever."""
        self.service.datagramReceived(SERVER_GREETING, ("192.0.2.1", 40_000))
        self.assertEqual(self.replies(), [])
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.OWN_REPLY.value: 1})

    def test_shortRequestIsNotAnswered(self) -> None:
        """A request shorter than the text is not answered."""
        self.service.datagramReceived(b"x" * 33, ("192.0.2.1", 40_000))
        self.assertEqual(self.replies(), [])
        self.assertEqual(self.observer.greetings, [])
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.AMPLIFYING.value: 1})
