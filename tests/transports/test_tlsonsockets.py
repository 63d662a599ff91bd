"""TLS on the sockets of the direct reactor: first all that is promised of TLS in memory."""

from __future__ import annotations

import gc
import os
import weakref
from random import Random
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock

from echoproto.protocols.echo import EchoFactory
from echoproto.reactors.direct import DirectReactor
from echoproto.testing import RecordingProtocol
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import clientContext, serverContext
from tests.reactors.socketpairs import SocketPair
from tests.reactors.turns import TurnTestCase, closeReactor
from tests.transports import test_tlsstream, test_tlstransport, tlscase

#: More than the kernel buffers by default.
VERY_LONG = Random(862).randbytes(12_000_000)


class OnSockets(tlscase.TLSTestCase):
    """The server's end is a transport of the direct reactor."""

    def pairOf(self, client: tlscase.TLSClient, tls: TLSStreamFactory) -> Any:
        self.reactor: Any = DirectReactor()
        pair = SocketPair(client, tls, self.reactor)
        self.addCleanup(closeReactor, self.reactor, [pair.server._transport])
        self.addCleanup(pair.socket.close)
        return pair


class LongHandshakeTests(OnSockets, test_tlsstream.LongHandshakeTests):
    pass


class EchoTests(OnSockets, test_tlsstream.EchoTests):
    pass


class EchoTLS12Tests(OnSockets, test_tlsstream.EchoTLS12Tests):
    pass


class ByteByByteEchoTests(OnSockets, test_tlsstream.ByteByByteEchoTests):
    pass


class RandomSegmentEchoTests(OnSockets, test_tlsstream.RandomSegmentEchoTests):
    pass


class GreetingTests(OnSockets, test_tlsstream.GreetingTests):
    pass


class GreetingTLS12Tests(OnSockets, test_tlsstream.GreetingTLS12Tests):
    pass


class EndOfInputTests(OnSockets, test_tlsstream.EndOfInputTests):
    pass


class EndOfInputTLS12Tests(OnSockets, test_tlsstream.EndOfInputTLS12Tests):
    pass


class EndOfOutputTests(OnSockets, test_tlstransport.EndOfOutputTests):
    pass


class EndOfOutputTLS12Tests(OnSockets, test_tlstransport.EndOfOutputTLS12Tests):
    pass


class ClosingTests(OnSockets, test_tlstransport.ClosingTests):
    pass


class ClosingTLS12Tests(OnSockets, test_tlstransport.ClosingTLS12Tests):
    pass


class HandshakeTests(OnSockets, test_tlsstream.HandshakeTests):
    pass


class HandshakeTLS12Tests(OnSockets, test_tlsstream.HandshakeTLS12Tests):
    pass


class CertificateTests(OnSockets, test_tlsstream.CertificateTests):
    pass


class CertificateTLS12Tests(OnSockets, test_tlsstream.CertificateTLS12Tests):
    pass


class ClientTests(OnSockets, test_tlsstream.ClientTests):
    pass


class ClientTLS12Tests(OnSockets, test_tlsstream.ClientTLS12Tests):
    pass


class SocketTests(OnSockets):
    """What is promised of a socket only."""

    def test_failing(self) -> None:
        """An exception of the protocol is logged, and its peer receives no orderly end."""
        served = self.serve(tlscase.FailingProtocol())
        self.send(closeNotify=True)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(served.reason and served.reason.check(ZeroDivisionError))
        self.assertNotIn("closeNotify", self.client.events)

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

    def test_reset(self) -> None:
        """A reset after close_notify or during the handshake is a lost connection."""
        served = self.serve(RecordingProtocol())
        self.client._tls.shutdown()
        self.client._flush()
        self.pair._sendPiece()
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertTrue(served.reason and served.reason.check(ConnectionLost))

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

        port = self.serve(tlscase.SingleFactory(served := FailingAtItsBeginning()))
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
        port = self.serve(tlscase.SingleFactory(served))
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
