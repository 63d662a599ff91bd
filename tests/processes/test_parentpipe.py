from __future__ import annotations

import os
import signal
import sys
from typing import Any
from unittest import mock

from twisted.internet import stdio
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.processes import parentpipe
from echoproto.processes.childprocess import IGNORED_SIGNALS, _blockedSignals, encodeMessage
from echoproto.processes.parentpipe import (
    ParentPipe,
    awaitMessage,
    ignoreSignals,
    openParentPipe,
    receiveMessage,
)
from tests.fakeprocesses import standardInput


class ParentPipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = mock.Mock(spec=["stop"])
        self.pipe = ParentPipe(self.reactor)

    def test_reports(self) -> None:
        """A report is one line."""
        transport = StringTransport()
        self.pipe.makeConnection(transport)
        self.pipe.sendReport(b"one")
        self.assertEqual(transport.value(), b"one\n")

    def test_parentGone(self) -> None:
        """
        The reactor is stopped when standard input is closed, not when the reports are; that it has
        stopped already is no error.
        """
        verifyObject(IHalfCloseableProtocol, self.pipe)
        self.pipe.writeConnectionLost()
        self.reactor.stop.assert_not_called()
        self.pipe.readConnectionLost()
        self.reactor.stop.assert_called_once_with()
        self.reactor.stop.side_effect = ReactorNotRunning
        self.pipe.connectionLost()

    def test_finish(self) -> None:
        """finish() waits until the last report is written, or the parent is gone."""
        transport = mock.Mock()
        self.pipe.makeConnection(transport)
        written = self.pipe.finish()
        transport.loseWriteConnection.assert_called_once_with()
        self.assertNoResult(written)
        self.pipe.writeConnectionLost()
        self.assertIsNone(self.successResultOf(written))
        self.pipe.connectionLost()
        self.assertIsNone(self.successResultOf(self.pipe.finish()))

    def test_open(self) -> None:
        """The pipe is connected to standard input and to the report descriptor."""
        with mock.patch.object(stdio, "StandardIO") as standardIO:
            transport = openParentPipe(self.pipe, self.reactor)
        standardIO.assert_called_once_with(self.pipe, stdin=0, stdout=3, reactor=self.reactor)
        self.assertIs(transport, standardIO.return_value)

    def test_receiveMessage(self) -> None:
        """Messages are received one by one until the parent closes the pipe."""
        self.patch(sys, "stdin", standardInput("one", "two", end=b"\0\0\0\5abc"))
        self.assertEqual((receiveMessage(), receiveMessage()), ("one", "two"))
        with self.assertRaises(EOFError):
            receiveMessage()

    def test_awaitMessage(self) -> None:
        """A child that waits for a message reports, even if its parent has just gone."""
        self.patch(sys, "stdin", standardInput("one"))
        waits = [False, False, False, True]
        reports: list[tuple[int, bytes]] = []

        def write(descriptor: int, report: bytes) -> None:
            reports.append((descriptor, report))
            if len(reports) == 3:
                raise BrokenPipeError

        def hasInput(seconds: float) -> bool:
            self.assertEqual(seconds, 2.0)
            return waits.pop(0)

        self.assertEqual(awaitMessage(2.0, b"here", hasInput, write), "one")
        self.assertEqual(reports, [(3, b"here\n")] * 3)

    def test_input(self) -> None:
        """The end of standard input is input, as a message is."""
        reading, writing = os.pipe()
        with open(reading) as stdin:
            self.patch(sys, "stdin", stdin)
            self.assertFalse(parentpipe._hasInput(0))
            os.close(writing)
            self.assertTrue(parentpipe._hasInput(0))

    def test_messages(self) -> None:
        """Messages that arrive while the reactor runs are received one by one."""
        messages: list[object] = []
        self.pipe.onMessage = messages.append
        for byte in encodeMessage("one") + encodeMessage({"two": 2}):
            self.pipe.dataReceived(bytes([byte]))
        self.assertEqual(messages, ["one", {"two": 2}])

    def test_noMessages(self) -> None:
        """A message that a child does not know is ignored."""
        self.pipe.dataReceived(encodeMessage("one"))

    def test_ignoreSignals(self) -> None:
        """A child ignores signals for its parent, which it inherited blocked."""
        for number in IGNORED_SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        with _blockedSignals():
            self.assertLessEqual({*IGNORED_SIGNALS}, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            signal.raise_signal(signal.SIGTERM)
            ignoreSignals()
            self.assertFalse({*IGNORED_SIGNALS} & signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        for number in IGNORED_SIGNALS:
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)
