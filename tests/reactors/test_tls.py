"""TLS on the sockets of the direct reactor: first all that is promised of TLS in memory."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import weakref
from errno import EMFILE, ENOBUFS
from random import Random
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock

from echoproto.protocols.echo import EchoFactory
from echoproto.reactors.direct import DirectReactor
from echoproto.reactors.tls import SecuredClient
from echoproto.testing import RecordingProtocol
from echoproto.transports.tls import TLSStream, TLSStreamFactory
from tests.certificates import clientContext, serverContext
from tests.reactors.socketpairs import SocketPair, connectedSockets
from tests.reactors.turns import TurnTestCase, closeReactor
from tests.transports import test_tls as behaviour

#: More than the kernel buffers by default.
VERY_LONG = Random(862).randbytes(12_000_000)


class OnSockets(behaviour.TLSTestCase):
    """The server's end is a transport of the direct reactor."""

    def pairOf(self, client: behaviour.TLSClient, tls: TLSStreamFactory) -> Any:
        self.reactor: Any = DirectReactor()
        pair = SocketPair(client, tls, self.reactor)
        self.addCleanup(closeReactor, self.reactor, [pair.server._transport])
        self.addCleanup(pair.socket.close)
        return pair

    def turn(self) -> None:
        self.pair.pump()


class LongHandshakeTests(OnSockets, behaviour.LongHandshakeTests):
    pass


class EchoTests(OnSockets, behaviour.EchoTests):
    pass


class EchoTLS12Tests(OnSockets, behaviour.EchoTLS12Tests):
    pass


class ByteByByteEchoTests(OnSockets, behaviour.ByteByByteEchoTests):
    pass


class RandomSegmentEchoTests(OnSockets, behaviour.RandomSegmentEchoTests):
    pass


class GreetingTests(OnSockets, behaviour.GreetingTests):
    pass


class GreetingTLS12Tests(OnSockets, behaviour.GreetingTLS12Tests):
    pass


class EndOfInputTests(OnSockets, behaviour.EndOfInputTests):
    pass


class EndOfInputTLS12Tests(OnSockets, behaviour.EndOfInputTLS12Tests):
    pass


class EndOfOutputTests(OnSockets, behaviour.EndOfOutputTests):
    pass


class EndOfOutputTLS12Tests(OnSockets, behaviour.EndOfOutputTLS12Tests):
    pass


class ClosingTests(OnSockets, behaviour.ClosingTests):
    pass


class ClosingTLS12Tests(OnSockets, behaviour.ClosingTLS12Tests):
    pass


class HandshakeTests(OnSockets, behaviour.HandshakeTests):
    pass


class HandshakeTLS12Tests(OnSockets, behaviour.HandshakeTLS12Tests):
    pass


class CertificateTests(OnSockets, behaviour.CertificateTests):
    pass


class CertificateTLS12Tests(OnSockets, behaviour.CertificateTLS12Tests):
    pass


class ClientTests(OnSockets, behaviour.ClientTests):
    pass


class ClientTLS12Tests(OnSockets, behaviour.ClientTLS12Tests):
    pass


class SocketTests(OnSockets):
    """What is promised of a socket only."""

    def patched(self, name: str, *results: Any) -> Any:
        """A method of the server's socket raises or returns ``results``, until the block ends."""
        transport = self.pair.server._transport
        replaced: Any = {f"{name}.side_effect": results}
        return mock.patch.object(transport, "socket", wraps=transport.socket, **replaced)

    def writeFive(self, descriptor: int, data: bytes, write: Any = os.write) -> int:
        """Write at most five bytes."""
        written: int = write(descriptor, data[:5])
        return written

    def test_failing(self) -> None:
        """An exception of the protocol is logged, and its peer receives no orderly end."""
        served = self.serve(behaviour.FailingProtocol())
        self.send(closeNotify=True)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(served.reason and served.reason.check(ZeroDivisionError))
        self.assertNotIn("closeNotify", self.client.events)

    def test_failingAtItsEnd(self) -> None:
        """An exception at the end of output is logged, and ends the connection."""

        class FailingAtItsEnd(RecordingProtocol):
            def writeConnectionLost(self) -> None:
                raise ZeroDivisionError

        served = self.serve(FailingAtItsEnd())
        served.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(served.reason and served.reason.check(ZeroDivisionError))

    def test_oneRecordPerTurn(self) -> None:
        """A peer with many small records does not hold the reactor."""
        served = self.serve(RecordingProtocol())
        for byte in b"1234":
            self.client._tls.send(bytes([byte]))
        self.client.send()
        self.pair._sendPiece()
        for received in (b"1", b"12", b"123"):
            self.reactor.iterate(0)
            self.assertEqual(served.received, received)

    def test_pausedInEvent(self) -> None:
        """After pauseProducing in dataReceived nothing is delivered until resumeProducing."""

        class PausingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.pauseProducing()

        served = self.serve(PausingProtocol())
        for byte in b"12":
            self.client._tls.send(bytes([byte]))
        self.send(closeNotify=True)
        for received in (b"1", b"12"):
            self.assertEqual(served.received, received)
            self.assertNotIn("readLost", served.events)
            served.link.resumeProducing()
            self.pair.pump()
        self.assertEqual(served.events[-1], "readLost")

    def test_resumedAfterInput(self) -> None:
        """After the end of input nothing is read, even if the protocol resumes."""
        served = self.serve(RecordingProtocol())
        self.send(closeNotify=True, fin=True)
        served.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(served.events, ["made", "readLost"])
        self.assertNotIn(served.link, self.reactor.getReaders())

    def test_longHandshake(self) -> None:
        """A handshake for which the kernel has no room continues when there is room."""
        self.connect(EchoFactory(Clock()), intermediates=220)
        self.client.link.pauseProducing()
        self.pair.pump()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.send(b"hello", closeNotify=True)
        self.assertEqual(self.client.received, b"hello")
        self.assertClosed()

    def test_readWaitsForRoom(self) -> None:
        """A peer that requests new keys, and does not read them, is not read until it does."""
        served = self.serve(RecordingProtocol())
        for isPaused in (False, True):
            with self.patched("read", ssl.SSLWantWriteError()):
                served.link.doRead()
            self.assertNotIn(served.link, self.reactor.getReaders())
            if isPaused:
                served.link.pauseProducing()
            self.send(b"data")
            self.assertEqual(served.received, b"data")
            self.assertNotIn(served.link, self.reactor.getWriters())
        served.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(served.received, b"datadata")

    def test_readWaitsAfterOutput(self) -> None:
        """That holds after our close_notify too, which is sent once."""
        served = self.serve(RecordingProtocol())
        served.link.loseWriteConnection()
        self.pair.pump()
        with self.patched("read", ssl.SSLWantWriteError()):
            served.link.doRead()
        self.send(b"data")
        self.assertEqual(served.events, ["made", "writeLost", "data"])

    def test_writeFails(self) -> None:
        """A write that fails ends the connection as lost."""
        served = self.serve(RecordingProtocol())
        served.link.write(b"to no one")
        with self.patched("write", ConnectionResetError(), ConnectionResetError()):
            self.reactor.iterate(0)
            self.reactor.iterate(0)
        self.assertTrue(served.reason and served.reason.check(ConnectionLost))

    def test_reset(self) -> None:
        """A reset after close_notify or during the handshake is a lost connection."""
        served = self.serve(RecordingProtocol())
        self.client._tls.shutdown()
        self.client._flush()
        self.pair._sendPiece()
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertTrue(served.reason and served.reason.check(ConnectionLost))

    def test_noRoomForCloseNotify(self) -> None:
        """A close_notify for which the kernel has no room is sent later, before the close."""
        for method in ("loseConnection", "loseWriteConnection"):
            served = self.serve(RecordingProtocol())
            served.link.write(b"all")
            getattr(served.link, method)()
            with mock.patch("os.write", side_effect=BlockingIOError):
                self.reactor.iterate(0)
                self.reactor.iterate(0)
            self.assertIsNone(served.reason)
            served.link.loseConnection()
            self.pair.pump()
            self.assertEqual(self.client.received, b"all")
            self.assertClosed()

    def test_noRoomAtBothEnds(self) -> None:
        """That holds for a half-close before and after the end of input too."""
        for isFirst in (True, False):
            served = self.serve(RecordingProtocol())
            if not isFirst:
                self.send(closeNotify=True)
            served.link.loseWriteConnection()
            with mock.patch("os.write", side_effect=[*[BlockingIOError()] * 5]) as full:
                self.reactor.iterate(0)
                if isFirst:
                    self.client.send(closeNotify=True)
                    self.pair._sendPiece()
                    self.reactor.iterate(0)
                self.assertIsNone(served.reason)
                full.side_effect = self.writeFive
                self.pair.pump()
            self.assertClosed()

    def test_noDescriptor(self) -> None:
        """If no descriptor is left for the close_notify, a FIN ends the output."""
        for method in ("loseConnection", "loseWriteConnection"):
            served = self.serve(RecordingProtocol())
            served.link.write(b"all")
            getattr(served.link, method)()
            with mock.patch("socket.socketpair", side_effect=OSError(EMFILE, "none left")):
                self.reactor.iterate(0)
            self.client.link.loseConnection = lambda: None
            self.send(b"received")
            self.assertEqual((self.client.received, self.client.events), (b"all", ["fin"]))
            self.assertEqual(served.received, b"received" if "Write" in method else b"")

    def test_noMemory(self) -> None:
        """A connection for which nothing is left is closed, and its descriptors too."""
        for error in (ssl.SSLError(), MemoryError(), OSError(ENOBUFS, "none left")):
            context = mock.Mock(options=ssl.Options(0))
            context.wrap_socket.side_effect = lambda plain, error=error, **_: [
                plain.close(),
                (_ for _ in ()).throw(error),
            ]
            protocol = RecordingProtocol()
            self.begin(
                context, behaviour.SingleFactory(protocol), behaviour.TLSClient(self.version)
            )
            self.pair.pump()
            self.assertEqual(protocol.events, ["made", "lost"])
            self.assertTrue(protocol.reason and protocol.reason.value is error)
            self.assertEqual(self.client.events[-1], "lost")

    def test_noMemoryLater(self) -> None:
        """A connection for which no memory is left later is closed, without a traceback."""
        served = self.serve(RecordingProtocol())
        self.client.send(b"data")
        self.pair._sendPiece()
        with self.patched("read", MemoryError()):
            self.reactor.iterate(0)
        self.assertTrue(served.reason and served.reason.check(MemoryError))

    def test_resetBefore(self) -> None:
        """A connection that is reset before TLS begins is lost."""

        class ResettingFactory(behaviour.SingleFactory):
            def buildProtocol(self, addr: Any) -> Any:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.close()
                return super().buildProtocol(addr)

        reactor: Any = DirectReactor()
        self.addCleanup(closeReactor, reactor)
        peer, accepted = connectedSockets()
        protocol = RecordingProtocol()
        factory = TLSStreamFactory(serverContext, ResettingFactory(protocol), reactor)
        with accepted:
            reactor.adoptStreamConnection(accepted.fileno(), socket.AF_INET, factory)
        self.assertEqual(protocol.events, ["made", "lost"])
        self.assertTrue(protocol.reason and protocol.reason.check(ConnectionLost))
        # SSLSocket leaves the close to the garbage collector.
        del protocol
        gc.collect()
        self.flushWarnings()

    def test_abortedAtOnce(self) -> None:
        """A protocol can abort or close as soon as it is connected."""
        for method in ("abortConnection", "loseConnection"):

            class ClosingProtocol(RecordingProtocol):
                def connectionMade(self, method: str = method) -> None:
                    super().connectionMade()
                    getattr(self.link, method)()

            served = self.serve(ClosingProtocol())
            self.assertEqual(served.events, ["made", "lost"])
            self.assertTrue(served.reason and served.reason.check(ConnectionAborted))


class ConnectionTests(TurnTestCase):
    """Clients and servers of this package connect to each other."""

    def serve(self, factory: Any, host: str = "127.0.0.1") -> Any:
        tls = TLSStreamFactory(serverContext, factory, self.reactor)
        return self.reactor.listenTCP(0, tls, interface=host)

    def connectTo(self, port: Any, protocol: RecordingProtocol) -> None:
        address = port.getHost()
        wrapped: Any = ClientFactory()
        wrapped.noisy = False
        wrapped.buildProtocol = lambda addr: protocol
        tls = TLSStreamFactory(clientContext, wrapped, self.reactor, "localhost")
        self.reactor.connectTCP(address.host, address.port, tls)

    def test_longEcho(self) -> None:
        """Megabytes are echoed completely, to addresses of both families."""
        for host in ("127.0.0.1", "::1"):
            served: Any = EchoFactory(self.reactor)
            port = self.serve(served, host)
            protocol = RecordingProtocol()
            self.connectTo(port, protocol)
            self.turnUntil(lambda protocol=protocol: protocol.events)
            self.assertIsInstance(protocol.link, SecuredClient)
            protocol.link.write(VERY_LONG)
            self.turnUntil(
                lambda protocol=protocol: len(protocol.received) == len(VERY_LONG), 50_000
            )
            self.assertTrue(protocol.received == VERY_LONG)
            protocol.link.loseWriteConnection()
            self.turnUntil(lambda protocol=protocol: "lost" in protocol.events)
            self.assertEqual(protocol.events[-3:], ["writeLost", "readLost", "lost"])
            port.stopListening()
            self.turn()

    def test_exceptionAtTheBeginning(self) -> None:
        """An exception in connectionMade of a server is logged, and the connection is served."""

        class FailingAtItsBeginning(RecordingProtocol):
            def connectionMade(self) -> None:
                super().connectionMade()
                raise ZeroDivisionError

        port = self.serve(behaviour.SingleFactory(served := FailingAtItsBeginning()))
        self.connectTo(port, protocol := RecordingProtocol())
        self.turnUntil(lambda: protocol.events)
        protocol.link.write(b"data")
        self.turnUntil(lambda: served.received)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        protocol.link.abortConnection()
        self.turnUntil(lambda: protocol.reason)
        port.stopListening()
        self.turn()

    def test_nothingRemains(self) -> None:
        """Connections leave neither descriptors nor objects, and no cycles of references."""
        served = RecordingProtocol()
        port = self.serve(behaviour.SingleFactory(served))
        before = len(os.listdir("/proc/self/fd"))
        gc.disable()
        self.addCleanup(gc.enable)
        for method in ("loseConnection", "abortConnection"):
            protocol = RecordingProtocol()
            self.connectTo(port, protocol)
            self.turnUntil(lambda protocol=protocol: protocol.events)
            protocol.link.write(b"x")
            self.turnUntil(lambda: served.received)
            ends = [weakref.ref(end.link.socket) for end in (served, protocol)]
            # A Twisted connector and its transport refer to each other.
            ends.append(weakref.ref(served.link))
            getattr(protocol.link, method)()
            self.turnUntil(lambda: served.events[-1] != "data")
            served.link.loseConnection()
            self.turnUntil(lambda: served.events[-1] == "lost")
            self.turn()
            served.transport = protocol.transport = None
            served.reason = protocol.reason = None
            self.assertEqual([end() for end in ends], [None] * 3)
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
            served.received, served.events = b"", []
        port.stopListening()
        self.turn()

    def test_otherTransports(self) -> None:
        """Connections of UNIX sockets use TLS in memory."""
        path = self.mktemp()
        tls = TLSStreamFactory(serverContext, EchoFactory(self.reactor), self.reactor)
        port = self.reactor.listenUNIX(path, tls)
        protocol = RecordingProtocol()
        wrapped: Any = behaviour.SingleFactory(protocol)
        client = TLSStreamFactory(clientContext, wrapped, self.reactor, "localhost")
        self.reactor.connectUNIX(path, client)
        self.turnUntil(lambda: protocol.events)
        self.assertIsInstance(protocol.link, TLSStream)
        protocol.link.write(b"hello")
        self.turnUntil(lambda: protocol.received == b"hello")
        protocol.link.loseWriteConnection()
        self.turnUntil(lambda: protocol.events[-1] == "lost")
        port.stopListening()
        self.turn()
