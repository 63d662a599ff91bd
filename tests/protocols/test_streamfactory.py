from __future__ import annotations

from math import inf

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.connections import CHECK_INTERVAL, DRAIN_TIMEOUT
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.lifecycle import LINGER_SILENCE
from echoproto.protocols.observer import CloseReason, ConnectionSummary
from echoproto.protocols.streamfactory import TrustedPeer
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from echoproto.transports.unix import UNIXPeer
from tests.protocols.streamcase import (
    OTHER_ADDRESS,
    TIMEOUTS,
    StreamTestCase,
)


class DefaultsTests(StreamTestCase):
    def test_defaults(self) -> None:
        """A factory with default arguments has the default timeouts and admits every client."""
        factory = EchoFactory(self.clock)
        self.assertEqual(factory.timeouts, Timeouts())
        self.assertEqual(factory.admission.room, inf)
        self.assertIsNot(factory.admission, EchoFactory(self.clock).admission)


class UserTests(StreamTestCase):
    def test_users(self) -> None:
        """Clients of a UNIX socket are limited by user, and give their places back."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        factory = EchoFactory(self.clock, self.observer, admission)
        for _ in range(2):
            client = RecordingProtocol()
            pair = StreamPair(client, factory.buildProtocol(UNIXPeer("", 1000)))
            self.assertIsNone(factory.buildProtocol(UNIXPeer("", 1000)))
            client.link.loseConnection()
            pair.pump()


class AdmissionTests(StreamTestCase):
    def test_refused(self) -> None:
        """A refused client gets no protocol, and the observer gets its address and the reason."""
        self.factory.admission = ConnectionAdmission(self.clock.seconds, maximum=0)
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, Refusal.FULL.value)])
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_sharedByFactories(self) -> None:
        """One admission counts the connections of all factories that share it."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        first, second = (EchoFactory(self.clock, self.observer, admission) for _ in range(2))
        self.assertIsNotNone(first.buildProtocol(CLIENT_ADDRESS))
        self.assertIsNone(second.buildProtocol(CLIENT_ADDRESS))
        self.assertEqual(self.observer.refused, [(CLIENT_ADDRESS, Refusal.SOURCE_FULL.value)])

    def test_refusedWhileDraining(self) -> None:
        """A connection during a drain takes no place and is not reported as refused."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual((self.admission.open, self.observer.refused), (1, []))

    def test_placeOfThePeer(self) -> None:
        """The place is counted for the address passed to the factory, and released for it."""
        self.factory.admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        self.assertIsNone(self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertIsNotNone(self.factory.buildProtocol(OTHER_ADDRESS))

    def test_releasedAtEveryEnd(self) -> None:
        """However a connection ends, its place is released and nothing is scheduled."""
        for ending, end in (
            (CloseReason.UNUSED, lambda: self.client.link.loseConnection()),
            (CloseReason.UNUSED, lambda: self.client.link.abortConnection()),
            (CloseReason.IDLE, lambda: self.wait(TIMEOUTS.idle + LINGER_SILENCE + 2)),
            (CloseReason.STALLED, self.neverRead),
            (CloseReason.ABORTED, lambda: self.server.abort()),
        ):
            self.assertEqual(self.admission.open, 1)
            end()
            self.wait(TIMEOUTS.stall + 2 * CHECK_INTERVAL)
            self.assertEqual(self.observer.ended[-1].ending, ending)
            self.assertReleased()
            self.pair, self.client, self.server = self.connect()

    def test_releasedIfTheObserverFails(self) -> None:
        """If the observer raises, the place is still released and the connection removed."""

        class Failing(RecordingObserver):
            def connectionEnded(self, summary: ConnectionSummary) -> None:
                raise RuntimeError("disk full")

        self.factory.observer = Failing()
        self.client.link.loseConnection()
        self.assertRaises(RuntimeError, self.pair.pump)
        self.assertReleased()

    def test_trustedPeer(self) -> None:
        """A trusted peer is served whatever networks are allowed, under its own address."""
        networks = AddressFilter(deny=[OTHER_ADDRESS.host])
        admission = ConnectionAdmission(self.clock.seconds, networks=networks)
        factory = EchoFactory(self.clock, self.observer, admission)
        self.assertIsNone(factory.buildProtocol(OTHER_ADDRESS))
        self.assertEqual(factory.buildProtocol(TrustedPeer(OTHER_ADDRESS)).peer, OTHER_ADDRESS)
        self.assertEqual(admission.open, 1)


class TimeoutCheckTests(StreamTestCase):
    def test_nothingScheduledWithoutConnections(self) -> None:
        """One call is scheduled while connections are open, and none otherwise."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        other, _, _ = self.connect()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for pair in (self.pair, other):
            pair.client.loseConnection()
            pair.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openedByAnObserver(self) -> None:
        """An observer may open a connection when one ends; one check is scheduled for it."""
        pairs: list[StreamPair] = []

        class Connecting(RecordingObserver):
            def connectionEnded(_, summary: ConnectionSummary) -> None:
                if not pairs:
                    pairs.append(self.connect()[0])

        self.factory.observer = Connecting()
        self.pair.client.loseConnection()
        self.pair.pump()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        pairs[0].client.loseConnection()
        pairs[0].pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DrainTests(StreamTestCase):
    def test_nothingOpen(self) -> None:
        """A drain without open connections is over at once."""
        self.pair.client.loseConnection()
        self.pair.pump()
        self.assertIsNone(self.successResultOf(self.factory.drain()))

    def test_noNewConnections(self) -> None:
        """During a drain no protocol is built."""
        self.factory.drain()
        self.assertIsNone(self.factory.buildProtocol(CLIENT_ADDRESS))

    def test_sendingClientIsServed(self) -> None:
        """During a drain, a client that continues to send is echoed until its FIN."""
        drained = self.factory.drain()
        for _ in range(20):
            self.send(b"x" * 100_000)
            self.wait(0.2)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.successResultOf(drained)
        self.assertEqual(len(self.client.received), 2_000_000)
        self.assertEqual(self.ended(), CloseReason.FINISHED)

    def test_slowReaderLosesNothing(self) -> None:
        """During a drain, no data of a slow reader is discarded or lost."""
        self.client.link.pauseProducing()
        self.send(b"x" * 300_000)
        self.factory.drain()
        self.wait(DRAIN_TIMEOUT - 1)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 300_000)

    def test_deadline(self) -> None:
        """Connections still open at the drain's deadline are aborted, and the drain is over."""
        self.neverRead()
        drained = self.factory.drain()
        again = self.factory.drain()
        self.wait(DRAIN_TIMEOUT + 0.2)
        self.successResultOf(drained)
        self.successResultOf(again)
        self.assertEqual(self.ended(), CloseReason.ABORTED)
        self.assertEqual(self.clock.getDelayedCalls(), [])
