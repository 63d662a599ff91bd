from __future__ import annotations

import contextlib
import socket
from errno import EPIPE
from random import Random
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from echoproto.reactors.pipe import LARGEST_MOVE
from echoproto.reactors.relay import (
    LARGE_RECEIVE_SIZE,
    RECEIVE_SIZE,
    IRelayTransport,
    RelayStream,
)
from tests.certificates import serverPEM
from tests.reactors.turns import Recorder, RecordingProducer, TurnTestCase

#: More than all the buffers of a connection hold.
FLOOD = 30_000_000


@implementer(IHalfCloseableProtocol)
class HalfCloseRecorder(Recorder):
    """Notes the peer's FIN, and how much had been relayed then."""

    relayedAtEnd = -1

    def readConnectionLost(self) -> None:
        self.relayedAtEnd = self.transport.bytesRelayed

    def writeConnectionLost(self) -> None:
        pass


class RelayTestCase(TurnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.reactor.pipe.close)
        self.recorder, self.peer = self.adopt()
        self.transport = self.recorder.transport

    def halfClosing(self, transport: Any) -> HalfCloseRecorder:
        """Replace the protocol of a transport by one that is told of the peer's FIN."""
        recorder = HalfCloseRecorder()
        transport.protocol = recorder
        recorder.makeConnection(transport)
        return recorder

    def carry(self, sender: socket.socket, data: bytes, receiver: socket.socket) -> None:
        """Send all of ``data``, and check that the receiver gets it."""
        received, left = bytearray(), memoryview(data)

        def done() -> bool:
            nonlocal left
            with contextlib.suppress(BlockingIOError):
                left = left[sender.send(left) :]
            with contextlib.suppress(BlockingIOError):
                received.extend(receiver.recv(1 << 20))
            return len(received) >= len(data)

        self.turnUntil(done, turns=200_000)
        self.assertTrue(received == data)

    def flood(self) -> bytes:
        """Send until the relay accepts no more; return what was sent."""
        sent = bytearray()
        data = Random(7).randbytes(100_000)
        for _ in range(FLOOD // len(data)):
            with contextlib.suppress(BlockingIOError):
                sent += data[: self.peer.send(data)]
            self.turn()
        self.assertLess(len(sent), FLOOD)
        return bytes(sent)


class ReceiveTests(TurnTestCase):
    """A transport that does not relay."""

    def send(self, peer: socket.socket, data: bytes) -> None:
        """Send all of ``data``, and run turns."""
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[peer.send(data) :]
            self.turn()
        self.turn()

    def test_adapts(self) -> None:
        """Receives grow for a connection with much data, and shrink when it has less."""
        recorder, peer = self.adopt()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        for _ in range(20):
            self.send(peer, bytes(1_000_000))
        longest = max(map(len, recorder.pieces))
        self.assertGreater(longest, RECEIVE_SIZE)
        self.assertLessEqual(longest, LARGE_RECEIVE_SIZE)
        self.turnUntil(lambda: sum(map(len, recorder.pieces)) == 20_000_000)
        self.send(peer, b"short")
        self.assertEqual(recorder.transport._receiveSize, RECEIVE_SIZE)

    def test_bufferSize(self) -> None:
        """An application that sets ``bufferSize`` receives at most as much at once."""
        recorder, peer = self.adopt()
        recorder.transport.bufferSize = 1000
        peer.send(bytes(2500))
        self.turnUntil(lambda: len(recorder.pieces) == 3)
        self.assertEqual([len(piece) for piece in recorder.pieces], [1000, 1000, 500])


class EchoTests(RelayTestCase):
    """A transport that relays to itself."""

    def setUp(self) -> None:
        super().setUp()
        self.transport.relayTo(self.transport)

    def test_interface(self) -> None:
        """Its class and its objects provide the interface."""
        verifyClass(IRelayTransport, RelayStream)
        verifyObject(IRelayTransport, self.transport)

    def test_messages(self) -> None:
        """Messages of all sizes are returned and counted, and the protocol does not see them."""
        total = 0
        for size in (1, 1000, 65_536, 100_000, 1_000_000, 10, 200_000, 1):
            self.carry(self.peer, Random(size).randbytes(size), self.peer)
            total += size
        self.assertEqual((self.transport.bytesRelayed, self.recorder.pieces), (total, []))

    def test_splices(self) -> None:
        """Large messages are moved by splice; short ones after them are received again."""
        with mock.patch.object(self.reactor, "pipe", wraps=self.reactor.pipe) as pipe:
            self.carry(self.peer, bytes(1000), self.peer)
            pipe.move.assert_not_called()
            self.carry(self.peer, Random(1).randbytes(1_000_000), self.peer)
            pipe.move.assert_called()
            self.carry(self.peer, b"short", self.peer)
            pipe.move.reset_mock()
            self.carry(self.peer, b"short", self.peer)
            pipe.move.assert_not_called()

    def test_bufferSize(self) -> None:
        """An application that sets ``bufferSize`` receives at most as much at once."""
        self.transport.bufferSize = 1000
        self.peer.send(bytes(2500))
        self.turn()
        self.assertEqual(self.transport.bytesRelayed, 1000)

    def test_unusable(self) -> None:
        """Without splice all messages are received and sent, large ones in large receives."""
        self.reactor.pipe.isUsable = False
        self.carry(self.peer, Random(1).randbytes(3_000_000), self.peer)
        self.carry(self.peer, b"short", self.peer)
        self.assertEqual(self.transport._receiveSize, RECEIVE_SIZE)

    def test_backpressure(self) -> None:
        """If the peer does not read, nothing is received; when it does, every byte arrives."""
        sent = self.flood()
        self.assertNotIn(self.transport, self.reactor.getReaders())
        queued = len(self.transport.dataBuffer) - self.transport.offset
        self.assertLessEqual(queued, max(LARGEST_MOVE, LARGE_RECEIVE_SIZE))
        other, otherPeer = self.adopt()
        other.transport.relayTo(other.transport)
        self.carry(otherPeer, Random(2).randbytes(1_000_000), otherPeer)
        self.assertTrue(self.receive(self.peer, len(sent)) == sent)
        self.assertIn(self.transport, self.reactor.getReaders())

    def test_rest(self) -> None:
        """What the kernel does not accept of a moved message is sent before later data."""
        self.transport._receiveSize = LARGE_RECEIVE_SIZE
        with mock.patch.object(self.reactor.pipe, "move", return_value=(4, b"rest", 11)):
            self.peer.send(b"later")
            self.turn()
        self.assertEqual(self.receive(self.peer, 9), b"restlater")

    def test_ownWrites(self) -> None:
        """Data that the protocol writes, and relayed data, leave in the order of their events."""
        self.transport.write(b"first ")
        self.peer.send(b"second")
        self.assertEqual(self.receive(self.peer, 12), b"first second")
        self.transport.write(bytes(FLOOD // 3))
        self.turn()
        self.peer.send(b"x")
        self.assertTrue(self.receive(self.peer, FLOOD // 3 + 1) == bytes(FLOOD // 3) + b"x")

    def test_pullProducer(self) -> None:
        """A pull producer of the target is resumed when relayed data has been sent, as ever."""
        self.transport.unregisterProducer()
        producer = RecordingProducer()
        self.transport.registerProducer(producer, False)
        self.turn()
        before = len(producer.calls)
        self.carry(self.peer, b"data", self.peer)
        self.turn()
        self.assertGreater(len(producer.calls), before)

    def test_urgent(self) -> None:
        """Urgent data that stays in the stream is returned in its place, also before the FIN."""
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        recorder = self.halfClosing(self.transport)
        data = Random(3).randbytes(70_000)
        for mode in (RECEIVE_SIZE, LARGE_RECEIVE_SIZE):
            self.transport._receiveSize = mode
            self.peer.send(data)
            self.peer.send(b"!", socket.MSG_OOB)
            self.peer.send(data)
            self.assertTrue(self.receive(self.peer, 140_001) == data + b"!" + data)
        self.transport._receiveSize = LARGE_RECEIVE_SIZE
        self.peer.send(b"?", socket.MSG_OOB)
        self.peer.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(self.peer, 1), b"?")
        self.turnUntil(lambda: recorder.relayedAtEnd == 280_003)

    def test_halfClose(self) -> None:
        """The protocol learns of the peer's FIN after all data; then it may still write."""
        recorder = self.halfClosing(self.transport)
        self.carry(self.peer, bytes(500_000), self.peer)
        self.peer.send(bytes(1000))
        self.peer.shutdown(socket.SHUT_WR)
        self.turnUntil(lambda: recorder.relayedAtEnd == 501_000)
        self.transport.write(b"the end")
        self.transport.loseConnection()
        self.assertEqual(self.receive(self.peer, 1007), bytes(1000) + b"the end")
        self.turnUntil(lambda: recorder.reason)
        recorder.reason.trap(ConnectionDone)

    def test_closed(self) -> None:
        """A protocol without half-close loses its connection at the peer's FIN."""
        self.peer.close()
        self.turnUntil(lambda: self.recorder.reason)
        self.recorder.reason.trap(ConnectionDone)

    def test_reset(self) -> None:
        """A reset loses the connection, whether data is received or moved."""
        for mode in (RECEIVE_SIZE, LARGE_RECEIVE_SIZE):
            recorder, peer = self.adopt()
            recorder.transport.relayTo(recorder.transport)
            recorder.transport._receiveSize = mode
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, *bytes(7)]))
            peer.close()
            recorder.reason = self.assertIsInstance(recorder.transport.doRead(), ConnectionLost)

    def test_sendFails(self) -> None:
        """After a failed send, the end of input is a lost connection."""
        self.transport._receiveSize = LARGE_RECEIVE_SIZE
        with mock.patch.object(self.reactor.pipe, "move", return_value=(4, b"rest", EPIPE)):
            self.transport.doRead()
        self.assertTrue(self.transport._sendFailed)

    def test_nothingThere(self) -> None:
        """An event without data has no effect."""
        for mode in (RECEIVE_SIZE, LARGE_RECEIVE_SIZE):
            self.transport._receiveSize = mode
            self.assertIsNone(self.transport.doRead())

    def test_abort(self) -> None:
        """After abortConnection nothing is relayed."""
        self.peer.send(b"too late")
        self.transport.abortConnection()
        self.turnUntil(lambda: self.recorder.reason)
        self.recorder.reason.trap(ConnectionAborted)
        self.assertRaises(ConnectionResetError, self.peer.recv, 10)

    def test_pause(self) -> None:
        """pauseProducing stops the relay until resumeProducing."""
        self.transport.pauseProducing()
        self.peer.send(b"data")
        self.turn()
        self.assertEqual(self.transport.bytesRelayed, 0)
        self.transport.resumeProducing()
        self.assertEqual(self.receive(self.peer, 4), b"data")

    def test_loseConnection(self) -> None:
        """loseConnection sends what is queued and closes, also while the peer does not read."""
        self.flood()
        self.transport.loseConnection()

        def read() -> Any:
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                self.peer.recv(1 << 20)
            return self.recorder.reason

        self.turnUntil(read)

    def test_stop(self) -> None:
        """After stopRelaying the protocol receives data; stopping again has no effect."""
        self.carry(self.peer, b"relayed", self.peer)
        self.transport.stopRelaying()
        self.transport.stopRelaying()
        self.peer.send(b"received")
        self.turnUntil(lambda: self.recorder.pieces)
        self.assertEqual((self.recorder.pieces, self.transport.bytesRelayed), ([b"received"], 7))
        self.transport.relayTo(self.transport)
        self.carry(self.peer, b"relayed", self.peer)

    def test_stopWhilePaused(self) -> None:
        """A transport that its target has paused reads again after stopRelaying."""
        self.flood()
        self.assertNotIn(self.transport, self.reactor.getReaders())
        self.transport.stopRelaying()
        self.assertIn(self.transport, self.reactor.getReaders())

    def test_startTLS(self) -> None:
        """startTLS stops relaying: from then on the data is that of TLS."""
        self.transport.startTLS(PrivateCertificate.loadPEM(serverPEM()).options())
        self.assertRaises(RuntimeError, self.transport.relayTo, self.transport)

    def test_refused(self) -> None:
        """A transport relays to one target at a time, and not below a wrapper."""
        self.assertRaises(RuntimeError, self.transport.relayTo, self.transport)
        self.transport.stopRelaying()
        wrapped = WrappingFactory(Factory.forProtocol(Recorder))
        wrapper = wrapped.buildProtocol(self.transport.getPeer())
        with mock.patch.object(self.transport, "protocol", wrapper):
            self.assertRaises(RuntimeError, self.transport.relayTo, self.transport)


class ProxyTests(RelayTestCase):
    """Two transports that relay to each other."""

    def setUp(self) -> None:
        super().setUp()
        self.other, self.otherPeer = self.adopt()
        self.transport.relayTo(self.other.transport)
        self.other.transport.relayTo(self.transport)

    def test_bothWays(self) -> None:
        """Every byte arrives on the other side, both ways."""
        for size in (1, 100_000, 1_000_000, 10):
            data = Random(size).randbytes(size)
            self.carry(self.peer, data, self.otherPeer)
            self.carry(self.otherPeer, data[::-1], self.peer)

    def test_backpressure(self) -> None:
        """A peer that does not read stops only what is for it."""
        sent = self.flood()
        self.assertNotIn(self.transport, self.reactor.getReaders())
        self.carry(self.otherPeer, b"still", self.peer)
        self.assertTrue(self.receive(self.otherPeer, len(sent)) == sent)

    def test_sourceEnds(self) -> None:
        """A source that has ended is no longer the target's producer."""
        self.peer.close()
        self.turnUntil(lambda: self.recorder.reason)
        self.assertIsNone(self.other.transport.producer)
        self.other.transport.loseConnection()
        self.turnUntil(lambda: self.other.reason)

    def test_targetLost(self) -> None:
        """A transport loses its connection when that of its target is lost."""
        self.otherPeer.close()
        self.turnUntil(lambda: self.other.reason and self.recorder.reason)
        self.recorder.reason.trap(ConnectionDone)

    def test_targetHasEnded(self) -> None:
        """Data for a target that was lost is discarded, as by its write()."""
        self.other.transport.unregisterProducer()
        self.other.transport.abortConnection()
        self.turnUntil(lambda: self.other.reason)
        self.peer.send(b"to no one")
        self.turnUntil(lambda: self.transport.bytesRelayed == 9)

    def test_targetHalfClosed(self) -> None:
        """Data for a target after our FIN to it is discarded, as by its write()."""
        self.other.transport.loseWriteConnection()
        self.turn()
        self.peer.send(b"too late")
        self.turnUntil(lambda: self.transport.bytesRelayed == 8)
        self.assertEqual(self.otherPeer.recv(10), b"")


class OtherTargetTests(RelayTestCase):
    def test_anyConsumer(self) -> None:
        """The target may be any transport: received data is written to it."""
        target = StringTransport()
        self.transport.relayTo(target)
        self.peer.send(b"data")
        self.turnUntil(target.value)
        self.assertEqual(target.value(), b"data")
        self.assertIs(target.producer, self.transport)
        self.transport.stopRelaying()
        self.assertIsNone(target.producer)

    def test_lost(self) -> None:
        """A transport that has lost its connection relays nothing, and is no producer."""
        target = StringTransport()
        self.transport.abortConnection()
        self.turnUntil(lambda: self.transport.disconnected)
        self.transport.relayTo(target)
        self.assertIsNone(target.producer)

    def test_ownProducer(self) -> None:
        """A producer that the target has already stays."""
        producer = mock.Mock()
        producer.pauseProducing.side_effect = self.transport.pauseProducing
        self.transport.registerProducer(producer, True)
        self.transport.relayTo(self.transport)
        self.flood()
        producer.pauseProducing.assert_called()
        self.transport.stopRelaying()
        self.assertIs(self.transport.producer, producer)


class RandomTests(RelayTestCase):
    @settings(max_examples=20)
    @given(
        st.lists(st.tuples(st.integers(0, 1), st.integers(1, 400_000)), max_size=8),
        st.integers(10_000, 300_000),
    )
    def test_everyByte(self, messages: list[tuple[int, int]], reading: int) -> None:
        """Of two connections at once, each peer gets its own bytes, however slowly it reads."""
        connections = [self.adopt(), self.adopt()]
        random = Random(reading)
        sent, received = [bytearray(), bytearray()], [bytearray(), bytearray()]
        pending = [bytearray(), bytearray()]
        for recorder, _ in connections:
            recorder.transport.relayTo(recorder.transport)
        for index, size in messages:
            data = random.randbytes(size)
            sent[index] += data
            pending[index] += data

        def done() -> bool:
            for index, (_, peer) in enumerate(connections):
                with contextlib.suppress(BlockingIOError):
                    del pending[index][: peer.send(pending[index][:200_000])]
                with contextlib.suppress(BlockingIOError):
                    received[index].extend(peer.recv(reading))
            return list(map(len, received)) == list(map(len, sent))

        self.turnUntil(done, turns=200_000)
        self.assertTrue(received == sent)
        for recorder, peer in connections:
            recorder.transport.abortConnection()
            peer.close()
            self.turnUntil(lambda recorder=recorder: recorder.reason)
