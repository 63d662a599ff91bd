from __future__ import annotations

import os
import runpy
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from inspect import getsource
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from echoproto.reactors import direct as module
from echoproto.reactors.direct import DirectReactor
from tests.reactors.turns import Pipe, TurnTestCase

#: The stock code that the overrides replace or rely on, with a hash of its source in every Twisted
#: since 24.7 that they were compared with. If a new version differs: compare again, run ``python -m
#: tests.reactors``, and add its hash.
STOCK = {
    "twisted.internet.abstract.FileDescriptor._maybePauseProducer": "529bd8438e1a",
    "twisted.internet.abstract.FileDescriptor._postLoseConnection": "684e97f94f7e",
    "twisted.internet.abstract.FileDescriptor.connectionLost": "1e0b14c7c3f9",
    "twisted.internet.abstract.FileDescriptor.doWrite": "1ebc8d43a58b a986d7b1b105",
    "twisted.internet.abstract.FileDescriptor.startWriting": "8e2f899b7d73",
    "twisted.internet.abstract.FileDescriptor.stopWriting": "3a6c0cff8fad",
    "twisted.internet.abstract.FileDescriptor.write": "3e46c97fc173",
    "twisted.internet.base.ReactorBase._insertNewDelayedCalls": "793e23d07f8f 8455b74b5cbc",
    "twisted.internet.base.ReactorBase.mainLoop": "769125a86d0c",
    "twisted.internet.base.ReactorBase.runUntilCurrent": "b9fbbdb8e841 69d0fd52a6dd",
    "twisted.internet.base.ReactorBase.timeout": "347720436ca8 e5a72ff1b121",
    "twisted.internet.epollreactor.EPollReactor.doPoll": "09b62ae68ef0",
    "twisted.internet.epollreactor.EPollReactor.getWriters": "cf49445abeed",
    "twisted.internet.epollreactor.EPollReactor._remove": "25d0ece303ce",
    "twisted.internet.epollreactor.EPollReactor.removeAll": "f21099e36572",
    "twisted.internet.posixbase.PosixReactorBase.adoptStreamConnection": "bc03fd029511",
    "twisted.internet.posixbase.PosixReactorBase.adoptStreamPort": "fcbae459db4b",
    "twisted.internet.posixbase.PosixReactorBase.connectTCP": (
        "038dc461ae43 9ede9b2d15d4 89b44030ea12 292266e8b8f7"
    ),
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


def sourceHash(name: str) -> str:
    """A short hash of the source of ``name``."""
    return sha256(getsource(namedAny(name)).encode()).hexdigest()[:12]


class StockTests(SynchronousTestCase):
    def test_unchanged(self) -> None:
        """Twisted's code is the same as when the overrides were compared with it."""
        for name, known in STOCK.items():
            self.assertIn(
                sourceHash(name), known.split(), f"{name} has changed; see the comment on STOCK"
            )


class EventTests(TurnTestCase):
    def test_closedByNeighbour(self) -> None:
        """A descriptor closed by an earlier event of the turn is not read."""
        first, firstPeer = self.adopt()
        second, secondPeer = self.adopt()
        for recorder, other in ((first, second), (second, first)):
            recorder.react = lambda data, other=other: other.transport.connectionLost(
                Failure(ConnectionDone())
            )
        firstPeer.send(b"x")
        secondPeer.send(b"x")
        self.turn()
        self.assertEqual(len(first.pieces) + len(second.pieces), 1)

    def replaceOther(self, pipes: list[Pipe], remove: Callable[[Pipe], object]) -> Pipe:
        """The first of two ready pipes removes the other, and a new one gets its number."""
        opened: list[Pipe] = []

        def replace(other: Pipe) -> None:
            remove(other)
            opened.append(Pipe(self, other.number))

        for pipe, other in (pipes, pipes[::-1]):
            pipe.react = lambda data, other=other: replace(other)
            os.write(pipe.writer, b"x")
        self.turn()
        [new] = opened
        return new

    def test_reusedNumber(self) -> None:
        """An event of a closed descriptor does not reach the one that has its number now."""
        new = self.replaceOther([Pipe(self), Pipe(self)], self.reactor.removeReader)
        self.assertEqual(new.events, [])
        os.write(new.writer, b"x")
        self.turn()
        self.assertEqual(new.events, ["read"])

    def test_pausedAndResumed(self) -> None:
        """A descriptor gets its event although an earlier event has removed and added it."""
        pipes = [Pipe(self), Pipe(self)]
        for pipe, other in (pipes, pipes[::-1]):
            pipe.react = lambda data, other=other: [
                self.reactor.removeReader(other),
                self.reactor.addReader(other),
            ]
            os.write(pipe.writer, b"x")
        self.turn()
        self.assertEqual([pipe.events for pipe in pipes], [["read"], ["read"]])

    def test_reusedWithin(self) -> None:
        """A callback runs the reactor, and the number of a descriptor that it closes is reused."""
        pipes = [Pipe(self), Pipe(self)]

        def removeWithin(other: Pipe) -> None:
            for pipe in pipes:
                pipe.react = lambda data: None
            closing = Pipe(self)
            closing.react = lambda data: self.reactor.removeReader(other)
            os.write(closing.writer, b"x")
            os.read(other.number, 10)
            self.turn()

        self.assertEqual(self.replaceOther(pipes, removeWithin).events, [])

    def test_registeredWithin(self) -> None:
        """A callback that runs the reactor gets the events of what it has registered."""
        pipe, opened = Pipe(self), []

        def react(data: bytes) -> None:
            opened.append(Pipe(self))
            os.write(opened[0].writer, b"x")
            self.turn()

        pipe.react = react
        os.write(pipe.writer, b"x")
        self.turn()
        self.assertEqual(opened[0].events, ["read"])

    def test_exceptionInDataReceived(self) -> None:
        """An exception from dataReceived is logged, and is the reason of the lost connection."""
        recorder, peer = self.adopt()
        recorder.react = lambda data: 1 // 0
        peer.send(b"x")
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        recorder.reason.trap(ZeroDivisionError)

    def test_halfCloseAsException(self) -> None:
        """ConnectionDone raised by dataReceived ends the connection, also of a half-closer."""
        recorder, peer = self.adopt()
        directlyProvides(recorder, IHalfCloseableProtocol)
        recorder.react = mock.Mock(side_effect=ConnectionDone)
        peer.send(b"x")
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ConnectionDone)), 1)
        recorder.reason.trap(ConnectionDone)

    def test_exceptionInConnectionLost(self) -> None:
        """An exception from connectionLost is logged, and other connections get their events."""
        recorder, peer = self.adopt()
        other, otherPeer = self.adopt()
        with mock.patch.object(recorder, "connectionLost", side_effect=ZeroDivisionError):
            peer.close()
            otherPeer.send(b"x")
            self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(other.pieces, [b"x"])

    def test_exceptionInFlush(self) -> None:
        """An exception while flushing or closing is logged, and other connections are flushed."""
        recorder, _ = self.adopt()
        failing, _ = self.adopt()
        other, _ = self.adopt()
        with (
            mock.patch.object(recorder, "connectionLost", side_effect=ZeroDivisionError),
            mock.patch.object(failing.transport, "flush", side_effect=KeyError),
            mock.patch.object(failing, "connectionLost", side_effect=IndexError),
        ):
            for closing in (recorder, failing, other):
                closing.transport.loseConnection()
            self.turn()
        logged = self.flushLoggedErrors(ZeroDivisionError, KeyError, IndexError)
        self.assertEqual(len(logged), 3)
        other.reason.trap(ConnectionDone)

    def test_exitInConnectionLost(self) -> None:
        """SystemExit from connectionLost is logged, and the log context of later calls is right."""
        recorder, peer = self.adopt()
        contexts = context.theContextTracker.currentContext().contexts
        before = list(contexts)
        with mock.patch.object(recorder, "connectionLost", side_effect=SystemExit):
            peer.close()
            self.turn()
            self.assertEqual(contexts, before)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_removeAll(self) -> None:
        """After removeAll a transport is written to as before; what was queued is sent too."""
        recorder, peer = self.adopt()
        recorder.transport.write(b"before ")
        self.assertIn(recorder.transport, self.reactor.removeAll())
        self.assertEqual(self.reactor.getWriters(), [])
        recorder.transport.write(b"after")
        self.assertEqual(self.receive(peer, 12), b"before after")

    def test_iterateInDataReceived(self) -> None:
        """A reply is sent before dataReceived returns if that runs the reactor."""
        recorder, peer = self.adopt()
        received: list[bytes] = []

        def react(data: bytes) -> None:
            recorder.transport.write(b"first")
            self.turn()
            received.append(peer.recv(10))
            recorder.transport.write(b"second")
            self.turn()
            received.append(peer.recv(10))
            recorder.transport.write(b"third")

        recorder.react = react
        peer.send(b"x")
        self.turn()
        self.assertEqual(received, [b"first", b"second"])
        self.assertEqual(self.receive(peer, 5), b"third")

    def test_iterateInFlush(self) -> None:
        """While one transport is flushed, a callback can run the reactor until another one is."""
        recorder, _peer = self.adopt()
        other, peer = self.adopt()
        received: list[bytes] = []

        def resume() -> None:
            if not received:
                received.append(b"")
                self.turn()
                received.append(peer.recv(10))

        producer = mock.Mock(resumeProducing=resume)
        recorder.transport.write(b"data")
        other.transport.write(b"other")
        recorder.transport.producer = producer
        self.turn()
        self.assertEqual(received, [b"", b"other"])

    def test_stopWriting(self) -> None:
        """A transport that stops writing is removed from the writers and not flushed."""
        recorder, peer = self.adopt()
        recorder.transport.write(b"data")
        self.assertIn(recorder.transport, self.reactor.getWriters())
        recorder.transport.stopWriting()
        self.assertNotIn(recorder.transport, self.reactor.getWriters())
        self.turn()
        with self.assertRaises(BlockingIOError):
            peer.recv(10)


class LoopTests(TurnTestCase):
    """The reactor runs until the last step of a test stops it."""

    def runThrough(self, *steps: Any) -> None:
        """Run the reactor; every step is called with a function that starts the next one."""

        def step(number: int) -> None:
            if number == len(steps):
                self.reactor.stop()
            else:
                steps[number](lambda: step(number + 1))

        self.reactor.callWhenRunning(step, 0)
        self.reactor.run(installSignalHandlers=False)

    def test_timed(self) -> None:
        """A timed call is made although a connection is active in every turn."""
        recorder, peer = self.adopt()
        peer.send(b"x")
        recorder.react = lambda data: peer.send(data) and recorder.transport.write(data)
        self.runThrough(lambda go: self.reactor.callLater(0.01, go))
        self.assertGreater(len(recorder.pieces), 1)

    def test_farAway(self) -> None:
        """A timed call may be due later than epoll_wait(2) can wait."""
        recorder, peer = self.adopt()

        def wait(go: Any) -> None:
            far = self.reactor.callLater(3e9, go)

            def react(data: bytes) -> None:
                if len(recorder.pieces) == 1:
                    peer.send(b"x")
                else:
                    far.cancel()
                    go()

            recorder.react = react
            peer.send(b"x")

        self.runThrough(wait)
        self.assertEqual(recorder.pieces, [b"x", b"x"])

    def test_alwaysDue(self) -> None:
        """Data is sent although a timed call is due in every turn."""
        recorder, peer = self.adopt()
        received: list[bytes] = []

        def again(go: Any) -> None:
            try:
                received.append(peer.recv(10))
                go()
            except BlockingIOError:
                self.reactor.callLater(0, again, go)

        def write(go: Any) -> None:
            recorder.transport.write(b"data")
            again(go)

        self.runThrough(write)
        self.assertEqual(received, [b"data"])

    def test_fromWithin(self) -> None:
        """Calls that a protocol schedules, or makes from a thread, are made in the next turn."""
        recorder, peer = self.adopt()
        called: list[int] = []

        def schedule(go: Any) -> None:
            def react(data: bytes) -> None:
                self.reactor.callLater(0, called.append, 1)
                self.reactor.callFromThread(go)

            recorder.react = react
            peer.send(b"x")

        self.runThrough(schedule)
        self.assertEqual(called, [1])

    def test_cancelled(self) -> None:
        """Cancelled calls are discarded while connections keep the reactor busy."""
        recorder, peer = self.adopt()

        def schedule(go: Any) -> None:
            calls = [self.reactor.callLater(3600, go) for _ in range(200)]

            def react(data: bytes) -> None:
                if calls:
                    calls.pop().cancel()
                    peer.send(data)
                else:
                    self.assertLess(len(self.reactor._pendingTimedCalls), 120)
                    go()

            recorder.react = react
            peer.send(b"x")

        self.runThrough(schedule)
        self.assertEqual(len(recorder.pieces), 201)

    def test_error(self) -> None:
        """An error that nothing else catches is logged, and the loop continues."""

        def fail(go: Any) -> None:
            def timeout() -> float:
                del self.reactor.timeout
                self.reactor.callLater(0, go)
                raise ZeroDivisionError

            self.reactor.timeout = timeout

        self.runThrough(fail)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_crash(self) -> None:
        """A crash ends the loop at once."""
        recorder, peer = self.adopt()
        recorder.react = lambda data: self.reactor.crash()
        self.reactor.callWhenRunning(peer.send, b"x")
        self.reactor.run(installSignalHandlers=False)
        self.assertFalse(self.reactor.running)

    def test_stopping(self) -> None:
        """A connection that closes while the reactor stops is closed, like all open connections."""
        recorder, _peer = self.adopt()
        self.reactor.addSystemEventTrigger("before", "shutdown", recorder.transport.loseConnection)
        self.reactor.callWhenRunning(self.reactor.stop)
        self.reactor.run(installSignalHandlers=False)
        self.assertIsNotNone(recorder.reason)

    def test_clock(self) -> None:
        """Setting the wall clock back does not delay timed calls."""
        real = time.time

        def step(go: Any) -> None:
            self.reactor.callLater(0.01, go)
            self.patch(time, "time", lambda: real() - 3600)

        self.runThrough(step)


class InstallTests(SynchronousTestCase):
    def test_install(self) -> None:
        """install() makes it the global reactor."""
        installed: list[Any] = []
        self.patch(module, "installReactor", installed.append)
        module.install()
        self.assertIsInstance(installed[0], DirectReactor)
        installed[0].waker.connectionLost(None)
        installed[0]._poller.close()

    def test_otherSystems(self) -> None:
        """On systems other than Linux the import fails before anything is installed."""
        self.patch(sys, "platform", "darwin")
        with self.assertRaisesRegex(ImportError, "needs Linux"):
            runpy.run_path(module.__file__)
