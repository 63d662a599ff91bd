from __future__ import annotations

import contextlib
import runpy
import socket
import sys
from errno import EAGAIN, ECONNRESET
from hashlib import sha256
from inspect import getsource
from typing import Any
from unittest import mock

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    FileDescriptorOverrun,
    UnsupportedAddressFamily,
)
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.reactors import direct as directreactor
from echoproto.reactors.direct import LARGE_RECEIVE_SIZE, RECEIVE_SIZE, DirectReactor

#: The stock code that the overrides stand beside or replace, and what it looked like in every Twisted since 24.7 when they were
#: compared with it. Where a new one differs: compare again, run ``python -m tests.reactors``, add the new hash.
STOCK = {
    "twisted.internet._newtls.ConnectionMixin.loseConnection": "fc4b216ae210",
    "twisted.internet.abstract.FileDescriptor._postLoseConnection": "684e97f94f7e",
    "twisted.internet.abstract.FileDescriptor.doWrite": "1ebc8d43a58b a986d7b1b105",
    "twisted.internet.abstract.FileDescriptor.loseConnection": "e13b8468f052",
    "twisted.internet.abstract.FileDescriptor.write": "3e46c97fc173",
    "twisted.internet.abstract.FileDescriptor.writeSequence": "1606f230d318",
    "twisted.internet.abstract._ConsumerMixin.registerProducer": "af9ed24667f8 7d7ad4f91234",
    "twisted.internet.base.ReactorBase.mainLoop": "769125a86d0c",
    "twisted.internet.base.ReactorBase.runUntilCurrent": "b9fbbdb8e841 69d0fd52a6dd",
    "twisted.internet.base.ReactorBase.timeout": "347720436ca8 e5a72ff1b121",
    "twisted.internet.epollreactor.EPollReactor.doPoll": "09b62ae68ef0",
    "twisted.internet.epollreactor.EPollReactor.removeAll": "f21099e36572",
    "twisted.internet.posixbase.PosixReactorBase.adoptStreamConnection": "bc03fd029511",
    "twisted.internet.posixbase.PosixReactorBase.adoptStreamPort": "fcbae459db4b",
    "twisted.internet.posixbase.PosixReactorBase.connectTCP": "038dc461ae43 9ede9b2d15d4 89b44030ea12 292266e8b8f7",
    "twisted.internet.posixbase.PosixReactorBase.connectUNIX": "2b3e7b07af3e",
    "twisted.internet.posixbase.PosixReactorBase.listenTCP": "c347c3d4fad2",
    "twisted.internet.posixbase.PosixReactorBase.listenUNIX": "034adcef70c3",
    "twisted.internet.posixbase._PollLikeMixin": "ac274f33d424",
    "twisted.internet.tcp.Connection": "659f7df0b7c0 8cd219ce3bcc da7b243bec9b",
    "twisted.internet.tcp.Connector._makeTransport": "208e07720822 46ede39bbf87",
    "twisted.internet.tcp.Port.doRead": "2d4dc40c6c25 d240fc123090",
    "twisted.internet.tcp._AbortingMixin": "c077c543c350",
    "twisted.internet.unix.Connector._makeTransport": "a8ff0aa8b49c",
    "twisted.internet.unix._SendmsgMixin": "1be06472179f 5ad283da8649",
    "twisted.python.context.ContextTracker": "1624fb03f67c",
    "twisted.python.log.callWithContext": "c44b5124f288",
    "twisted.python.log.callWithLogger": "802f8564bca3",
}


def shapeOf(name: str) -> str:
    """A hash of the source of ``name``, short enough to read."""
    return sha256(getsource(namedAny(name)).encode()).hexdigest()[:12]


class StockTests(SynchronousTestCase):
    def test_unchanged(self) -> None:
        """Twisted's code beside the overrides is code that they have been compared with."""
        for name, known in STOCK.items():
            self.assertIn(
                shapeOf(name), known.split(), f"{name} has changed; see the comment on STOCK"
            )


class Spoken(Protocol):
    """Records what it is told, and lets a test act when data come."""

    transport: Any

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost: Any = None
        self.hear: Any = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.hear(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


@implementer(IPullProducer, IPushProducer)
class Producing:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def resumeProducing(self) -> None:
        self.asked.append("resume")

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def stopProducing(self) -> None:
        self.asked.append("stop")


class DirectTestCase(SynchronousTestCase):
    """Has a reactor of its own, which nobody runs: turns are taken one by one."""

    def setUp(self) -> None:
        self.reactor: Any = DirectReactor()
        self.addCleanup(self._close)

    def _close(self) -> None:
        for each in self.reactor.removeAll():
            if each.connected:
                each.connectionLost(Failure(ConnectionDone()))
        self.reactor.waker.connectionLost(None)
        self.reactor._poller.close()

    def turn(self) -> None:
        """One turn of the reactor, which waits for nothing."""
        self.reactor.iterate(0)

    def turnUntil(self, done: Any) -> None:
        for _ in range(2000):
            if done():
                return
            self.turn()
        self.fail("it did not come to that")

    def adopt(self, family: socket.AddressFamily = socket.AF_INET) -> tuple[Spoken, socket.socket]:
        """A protocol with a connection of the reactor's, and the other end, which does not block."""
        if family == socket.AF_UNIX:
            ours, peer = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                peer = socket.create_connection(listening.getsockname())
                ours, _ = listening.accept()
        self.addCleanup(peer.close)
        peer.setblocking(False)
        spoken = Spoken()
        with ours:
            ours.setblocking(False)
            factory: Any = Factory()
            factory.buildProtocol = lambda addr: spoken
            self.reactor.adoptStreamConnection(ours.fileno(), family, factory)
        return spoken, peer

    def receive(self, peer: socket.socket, size: int) -> bytes:
        """What comes to ``peer``, while the reactor takes its turns, until it is ``size`` bytes."""
        got = b""
        for _ in range(100_000):
            if len(got) >= size:
                return got
            self.turn()
            try:
                got += peer.recv(65_536)
            except BlockingIOError:
                continue
        self.fail("it did not come")


class CloseTests(DirectTestCase):
    def test_atTheEndOfTheTurn(self) -> None:
        """loseConnection returns first; the connection is closed when the turn ends, on TCP and on UNIX sockets."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            spoken, peer = self.adopt(family)
            spoken.transport.write(b"the end")
            spoken.transport.loseConnection()
            self.assertIsNone(spoken.lost)
            self.turn()
            spoken.lost.trap(ConnectionDone)
            self.assertEqual([peer.recv(10), peer.recv(10)], [b"the end", b""])

    def test_afterEvents(self) -> None:
        """What a protocol closes when it receives is closed in that very turn, with its prefix in the log."""
        spoken, peer = self.adopt()
        said: list[Any] = []
        spoken.hear = lambda data: spoken.transport.loseConnection()
        with mock.patch.object(spoken, "connectionLost") as lost:
            lost.side_effect = lambda reason: said.append(context.get(log.ILogContext)["system"])
            peer.send(b"x")
            self.turn()
        self.assertEqual([each[:7] for each in said], ["Spoken,"])

    def test_queue(self) -> None:
        """What is queued is sent first."""
        spoken, peer = self.adopt()
        long = bytes(10_000_000)
        spoken.transport.write(long)
        spoken.transport.loseConnection()
        self.assertEqual(self.receive(peer, len(long)), long)
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionDone)

    def test_writtenAfterwards(self) -> None:
        """What is written after loseConnection is sent, also where the kernel does not take it at once."""
        spoken, peer = self.adopt()
        long = bytes(10_000_000)
        spoken.transport.loseConnection()
        spoken.transport.write(long)
        self.assertEqual(self.receive(peer, len(long)), long)
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionDone)

    def test_producer(self) -> None:
        """A producer that is registered after loseConnection keeps it open until it has ended."""
        spoken, _peer = self.adopt()
        spoken.transport.loseConnection()
        spoken.transport.registerProducer(Producing(), False)
        self.turn()
        self.assertIsNone(spoken.lost)
        spoken.transport.unregisterProducer()
        self.turnUntil(lambda: spoken.lost)

    def test_aborted(self) -> None:
        """An abort after loseConnection is an abort."""
        spoken, _peer = self.adopt()
        spoken.transport.loseConnection()
        spoken.transport.abortConnection()
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionAborted)

    def test_descriptorsWait(self) -> None:
        """A UNIX socket with descriptors that no bytes have taken along is closed as Twisted does it."""
        spoken, peer = self.adopt(socket.AF_UNIX)
        spoken.transport.sendFileDescriptor(peer.fileno())
        spoken.transport.loseConnection()
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(FileDescriptorOverrun)

    def test_raises(self) -> None:
        """A protocol that raises when it is told does not keep the others open."""
        first, _ = self.adopt()
        second, _ = self.adopt()
        with mock.patch.object(first, "connectionLost", side_effect=ZeroDivisionError):
            first.transport.loseConnection()
            second.transport.loseConnection()
            self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        second.lost.trap(ConnectionDone)

    def test_stopping(self) -> None:
        """What is about to be closed when the reactor stops is told so, as all that is open."""
        spoken, _peer = self.adopt()
        self.reactor.addSystemEventTrigger("before", "shutdown", spoken.transport.loseConnection)
        self.reactor.callWhenRunning(self.reactor.stop)
        self.reactor.run(installSignalHandlers=False)
        self.assertIsNotNone(spoken.lost)


class WriteTests(DirectTestCase):
    def test_atOnce(self) -> None:
        """What is written is sent before the reactor's next turn, on TCP and on UNIX sockets."""
        for family in (socket.AF_INET, socket.AF_UNIX):
            spoken, peer = self.adopt(family)
            spoken.transport.write(b"now")
            self.assertEqual(peer.recv(10), b"now")

    def test_rest(self) -> None:
        """What the kernel does not take is sent later, before what is written after it."""
        spoken, peer = self.adopt()
        long = bytes(range(256)) * 40_000
        spoken.transport.write(long)
        spoken.transport.write(b"the end")
        self.assertEqual(self.receive(peer, len(long) + 7), long + b"the end")

    def test_full(self) -> None:
        """Where the kernel takes nothing at all, everything is sent later."""
        spoken, peer = self.adopt()
        with mock.patch.object(spoken.transport, "socket") as full:
            full.send.side_effect = BlockingIOError(EAGAIN, "full")
            spoken.transport.write(b"later")
        self.assertEqual(self.receive(peer, 5), b"later")
        peer.close()
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionDone)

    def test_pushProducer(self) -> None:
        """A push producer is paused while more than 64 KiB are queued, and resumed when nothing is."""
        spoken, peer = self.adopt()
        producing = Producing()
        spoken.transport.registerProducer(producing, True)
        spoken.transport.write(b"short")
        self.assertEqual(producing.asked, [])
        spoken.transport.write(bytes(10_000_000))
        self.assertEqual(producing.asked, ["pause"])
        self.receive(peer, 10_000_005)
        self.assertEqual(producing.asked, ["pause", "resume"])

    def test_pullProducer(self) -> None:
        """A pull producer is asked for more though all that was written before is sent already."""
        spoken, _peer = self.adopt()
        producing = Producing()
        spoken.transport.write(b"sent")
        spoken.transport.registerProducer(producing, False)
        self.assertEqual(producing.asked, ["resume"])
        self.turn()
        self.assertEqual(producing.asked, ["resume", "resume"])
        spoken.transport.write(b"queued")
        self.turn()
        self.assertEqual(producing.asked, ["resume"] * 3)

    def test_sequence(self) -> None:
        """A short sequence is sent at once, as one; a long one is queued."""
        spoken, peer = self.adopt()
        spoken.transport.writeSequence([b"one ", b"piece"])
        self.assertEqual(peer.recv(10), b"one piece")
        producing = Producing()
        spoken.transport.registerProducer(producing, True)
        spoken.transport.writeSequence([bytes(60_000)] * 2)
        self.assertEqual(producing.asked, ["pause"])
        self.receive(peer, 120_000)

    def test_notBytes(self) -> None:
        """What is not bytes raises TypeError, as on a stock transport."""
        spoken, _peer = self.adopt()
        with self.assertRaises(TypeError):
            spoken.transport.write("text")
        with self.assertRaises(TypeError):
            spoken.transport.writeSequence([b"bytes", "text"])

    def test_aborted(self) -> None:
        """After abortConnection nothing is sent."""
        spoken, peer = self.adopt()
        spoken.transport.abortConnection()
        spoken.transport.write(b"too late")
        with self.assertRaises(BlockingIOError):
            peer.recv(10)
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionAborted)

    def test_reset(self) -> None:
        """A reset that a write meets first is a loss, though what is read next looks like an orderly end."""
        spoken, peer = self.adopt()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        spoken.transport.write(b"to nobody")
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionLost)

    def test_halfClosed(self) -> None:
        """What is written after our own FIN is nothing, and no loss."""
        spoken, peer = self.adopt()
        spoken.transport.loseWriteConnection()
        self.turn()
        spoken.transport.write(b"too late")
        self.assertEqual(peer.recv(10), b"")
        peer.close()
        self.turnUntil(lambda: spoken.lost)
        spoken.lost.trap(ConnectionDone)

    def test_descriptors(self) -> None:
        """A descriptor goes along with the bytes that are written after it."""
        spoken, peer = self.adopt(socket.AF_UNIX)
        spoken.transport.sendFileDescriptor(peer.fileno())
        spoken.transport.write(b"x")
        self.turn()
        data, passed, _, _ = socket.recv_fds(peer, 10, 1)
        self.assertEqual((data, len(passed)), (b"x", 1))
        socket.close(passed[0])


class ReadTests(DirectTestCase):
    def send(self, peer: socket.socket, data: bytes) -> None:
        """Send all of ``data`` and let it be received."""
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[peer.send(data) :]
            self.turn()
        self.turn()

    def test_adapts(self) -> None:
        """One receive takes more where a connection brings much, and as before when it does no more."""
        spoken, peer = self.adopt()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        for _ in range(20):
            self.send(peer, bytes(1_000_000))
        longest = max(map(len, spoken.pieces))
        self.assertGreater(longest, RECEIVE_SIZE)
        self.assertLessEqual(longest, LARGE_RECEIVE_SIZE)
        self.turnUntil(lambda: sum(map(len, spoken.pieces)) == 20_000_000)
        self.send(peer, b"short")
        self.assertEqual(spoken.transport._receiveSize, RECEIVE_SIZE)

    def test_nothingThere(self) -> None:
        """A receive that finds nothing is no loss; one that fails is."""
        spoken, _peer = self.adopt()
        self.assertIsNone(spoken.transport.doRead())
        with mock.patch.object(spoken.transport, "socket") as failing:
            failing.recv.side_effect = OSError(ECONNRESET, "reset")
            self.assertIsInstance(spoken.transport.doRead(), ConnectionLost)

    def test_closedByNeighbour(self) -> None:
        """A descriptor that another one has closed in the same turn is not read."""
        first, firstPeer = self.adopt()
        second, secondPeer = self.adopt()
        for one, other in ((first, second), (second, first)):
            one.hear = lambda data, other=other: other.transport.connectionLost(
                Failure(ConnectionDone())
            )
        firstPeer.send(b"x")
        secondPeer.send(b"x")
        self.turn()
        self.assertEqual(len(first.pieces) + len(second.pieces), 1)

    def test_raises(self) -> None:
        """A protocol that raises loses its connection, and the error is logged."""
        spoken, peer = self.adopt()
        spoken.hear = lambda data: 1 / 0
        self.send(peer, b"x")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        spoken.lost.trap(ZeroDivisionError)

    def test_raisesAtTheEnd(self) -> None:
        """A protocol that raises when it is told of its end does not cost the others their turn."""
        spoken, peer = self.adopt()
        other, otherPeer = self.adopt()
        with mock.patch.object(spoken, "connectionLost", side_effect=ZeroDivisionError):
            peer.close()
            otherPeer.send(b"x")
            self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(other.pieces, [b"x"])


class LoopTests(DirectTestCase):
    """Here the reactor runs, for as long as it has something to do at once."""

    def runThrough(self, *steps: Any) -> None:
        """Run the reactor; each of ``steps`` is called with what goes on to the next, and the last one stops it."""

        def step(number: int) -> None:
            if number == len(steps):
                self.reactor.stop()
            else:
                steps[number](lambda: step(number + 1))

        self.reactor.callWhenRunning(step, 0)
        self.reactor.run(installSignalHandlers=False)

    def test_timed(self) -> None:
        """A timed call is made though a connection brings something at every turn."""
        spoken, peer = self.adopt()
        peer.send(b"x")
        spoken.hear = lambda data: peer.send(data) and spoken.transport.write(data)
        self.runThrough(lambda go: self.reactor.callLater(0.01, go))
        self.assertGreater(len(spoken.pieces), 1)

    def test_fromWithin(self) -> None:
        """What a protocol asks to be called later, or from a thread, is called in the turn after."""
        spoken, peer = self.adopt()
        called: list[int] = []

        def ask(go: Any) -> None:
            def hear(data: bytes) -> None:
                self.reactor.callLater(0, called.append, 1)
                self.reactor.callFromThread(go)

            spoken.hear = hear
            peer.send(b"x")

        self.runThrough(ask)
        self.assertEqual(called, [1])

    def test_cancelled(self) -> None:
        """Timed calls that are cancelled are thrown away while connections keep it busy."""
        spoken, peer = self.adopt()

        def ask(go: Any) -> None:
            calls = [self.reactor.callLater(3600, go) for _ in range(200)]

            def hear(data: bytes) -> None:
                if calls:
                    calls.pop().cancel()
                    peer.send(data)
                else:
                    self.assertLess(len(self.reactor._pendingTimedCalls), 120)
                    go()

            spoken.hear = hear
            peer.send(b"x")

        self.runThrough(ask)
        self.assertEqual(len(spoken.pieces), 201)

    def test_error(self) -> None:
        """An error that nobody else has caught is logged, and the loop goes on."""

        def fail(go: Any) -> None:
            def waiting() -> float:
                del self.reactor.timeout
                self.reactor.callLater(0, go)
                raise ZeroDivisionError

            self.reactor.timeout = waiting

        self.runThrough(fail)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_crash(self) -> None:
        """A crash ends the loop at once."""
        spoken, peer = self.adopt()
        spoken.hear = lambda data: self.reactor.crash()
        self.reactor.callWhenRunning(peer.send, b"x")
        self.reactor.run(installSignalHandlers=False)
        self.assertFalse(self.reactor.running)


class ContextTests(DirectTestCase):
    def said(self, about: Any) -> list[str]:
        """The prefix that the log has for what is logged while ``about`` receives."""
        spoken, peer = self.adopt()
        said: list[Any] = []
        spoken.hear = lambda data: said.append(context.get(log.ILogContext)["system"])
        about(spoken)
        peer.send(b"x")
        self.turn()
        return said

    def test_prefix(self) -> None:
        """What is logged in a descriptor's turn has its prefix; outside of turns it has none."""
        [prefix] = self.said(lambda spoken: None)
        self.assertTrue(prefix.startswith("Spoken,"))
        self.assertEqual(context.get(log.ILogContext)["system"], "-")

    def test_badPrefix(self) -> None:
        """A prefix that cannot be had is called so."""

        def spoil(spoken: Spoken) -> None:
            spoken.transport.logPrefix = lambda: 1 / 0

        self.assertEqual(self.said(spoil), ["(buggy logPrefix method)"])

    def test_others(self) -> None:
        """Whatever else is in a context is found as ever."""
        spoken, peer = self.adopt()
        found: list[Any] = []
        spoken.hear = lambda data: found.extend([context.get("theirs"), context.get("nobody's", 3)])
        peer.send(b"x")
        context.call({"theirs": 2}, self.turn)
        self.assertEqual(found, [2, 3])

    def test_beforeAnyTurn(self) -> None:
        """A context in which nobody has a turn yet knows nothing."""
        self.assertNotIn(log.ILogContext, directreactor.TurnContext({}))
        with self.assertRaises(KeyError):
            directreactor.TurnContext({})[log.ILogContext]


class ConnectTests(DirectTestCase):
    def exchange(self, connect: Any, made: list[Spoken]) -> None:
        """Something said and answered on a connection that ``connect`` makes to a port whose protocols are ``made``."""
        client = Spoken()
        factory: Any = ClientFactory()
        factory.buildProtocol = lambda addr: client
        connect(factory)
        self.turnUntil(lambda: made and made[-1].transport and client.transport)
        server = made[-1]
        server.hear = server.transport.write
        client.transport.write(b"hello")
        self.turnUntil(lambda: client.pieces)
        self.assertEqual(client.pieces, [b"hello"])
        for each in (client, server):
            self.assertIsInstance(each.transport, directreactor.DirectWrites)

    def listening(self) -> tuple[Any, list[Spoken]]:
        """A factory, and the protocols that it makes."""
        made: list[Spoken] = []
        factory: Any = Factory()
        factory.noisy = False

        def build(addr: object) -> Spoken:
            made.append(Spoken())
            return made[-1]

        factory.buildProtocol = build
        return factory, made

    def test_tcp(self) -> None:
        """Servers and clients write directly, on IPv4 and on IPv6."""
        for interface in ("127.0.0.1", "::1"):
            factory, made = self.listening()
            port = self.reactor.listenTCP(0, factory, interface=interface)
            number = port.getHost().port
            self.exchange(
                lambda client: self.reactor.connectTCP(interface, number, client),  # noqa: B023
                made,
            )

    def test_unix(self) -> None:
        """Servers and clients write directly on UNIX sockets."""
        factory, made = self.listening()
        path = self.mktemp()
        self.reactor.listenUNIX(path, factory)
        self.exchange(lambda client: self.reactor.connectUNIX(path, client), made)

    def test_adoptedPorts(self) -> None:
        """Ports that were opened elsewhere have such connections too."""
        factory, made = self.listening()
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            tcp.setblocking(False)
            self.reactor.adoptStreamPort(tcp.fileno(), socket.AF_INET, factory)
            number = tcp.getsockname()[1]
        self.exchange(lambda client: self.reactor.connectTCP("127.0.0.1", number, client), made)
        path = self.mktemp()
        with socket.socket(socket.AF_UNIX) as unix:
            unix.setblocking(False)
            unix.bind(path)
            self.reactor.adoptStreamPort(unix.fileno(), socket.AF_UNIX, factory)
        self.exchange(lambda client: self.reactor.connectUNIX(path, client), made)

    def test_otherFamilies(self) -> None:
        """A family that Twisted does not have is refused as it does."""
        for adopt in (self.reactor.adoptStreamPort, self.reactor.adoptStreamConnection):
            with self.assertRaises(UnsupportedAddressFamily):
                adopt(0, socket.AF_PACKET, Factory())


class InstallTests(SynchronousTestCase):
    def test_install(self) -> None:
        """It becomes the reactor of the process."""
        installed: list[Any] = []
        self.patch(directreactor, "installReactor", installed.append)
        directreactor.install()
        self.assertIsInstance(installed[0], DirectReactor)
        installed[0].waker.connectionLost(None)
        installed[0]._poller.close()

    def test_elsewhere(self) -> None:
        """Elsewhere than on Linux it says so when it is imported, before anything is installed."""
        self.patch(sys, "platform", "darwin")
        with self.assertRaisesRegex(ImportError, "needs Linux"):
            runpy.run_path(directreactor.__file__)
